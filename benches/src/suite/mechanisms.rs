//! What each optimization of the engine earns: holds on one product with one of
//! them switched off, relative to all of them on, by processes and callers.
//!
//! Expected: an optimization earns most where callers wait for one row, and
//! nothing for a single caller. Fast refusal is measured on a product without
//! stock, where every request is a refusal.

use std::time::Duration;

use stockade::Mechanism;
use stockade_testkit::Flavour;

use crate::bench::{self, Bench, GroupPlan, Lengths};
use crate::child;
use crate::contender::{Answer, Contender};
use crate::contenders::{self, Products, Stockade};
use crate::erased::ErasedContender;
use crate::processes::{self, Processes};
use crate::results::{Quartiles, Ratio};
use crate::rounds::{self, Comparison};
use crate::setup::{PLENTY, Servers, Shop};
use crate::table;

/// Callers of each process.
const CROWDS: [usize; 3] = [1, 64, 512];

/// The engine without some mechanisms.
#[derive(Debug, Clone, Copy)]
struct Variant {
    name: &'static str,
    off: &'static [Mechanism],
}

/// The baseline.
const ALL_ON: Variant = Variant { name: "all on", off: &[] };

const NO_SPECULATION: Variant = Variant { name: "no speculation", off: &[Mechanism::Speculation] };

const NO_FAST_REFUSAL: Variant =
    Variant { name: "no fast refusal", off: &[Mechanism::FastRefusal] };

/// A store with a single writer has neither early inserts nor two batches in
/// flight, and leases are kept in Redis.
const ON_SERVERS: [Variant; 6] = [
    ALL_ON,
    NO_SPECULATION,
    Variant { name: "no early inserts", off: &[Mechanism::EarlyInserts] },
    Variant { name: "neither of both", off: &[Mechanism::Speculation, Mechanism::EarlyInserts] },
    Variant { name: "one batch in flight", off: &[Mechanism::TwoBatches] },
    Variant { name: "leases not kept", off: &[Mechanism::KeptLeases] },
];
const IN_FILE: [Variant; 2] = [ALL_ON, NO_SPECULATION];
const SOLD_OUT: [Variant; 2] = [ALL_ON, NO_FAST_REFUSAL];

/// A store and the number of processes that share it, with the names of its
/// groups.
#[derive(Debug, Clone, Copy)]
struct Setup {
    /// `None` for a SQLite file.
    database: Option<Flavour>,
    store: &'static str,
    processes: usize,
    in_stock: &'static str,
    sold_out: &'static str,
}

const fn setup(
    database: Option<Flavour>,
    store: &'static str,
    processes: usize,
    in_stock: &'static str,
    sold_out: &'static str,
) -> Setup {
    Setup { database, store, processes, in_stock, sold_out }
}

const MARIADB: Option<Flavour> = Some(Flavour::MariaDb);
const MYSQL: Option<Flavour> = Some(Flavour::MySql);

const SETUPS: [Setup; 6] = [
    setup(MARIADB, "MariaDB + Redis", 1, "mariadb/1", "mariadb/1/sold-out"),
    setup(MARIADB, "MariaDB + Redis", 4, "mariadb/4", "mariadb/4/sold-out"),
    setup(MYSQL, "MySQL + Redis", 1, "mysql/1", "mysql/1/sold-out"),
    setup(MYSQL, "MySQL + Redis", 4, "mysql/4", "mysql/4/sold-out"),
    setup(None, "SQLite", 1, "sqlite/1", "sqlite/1/sold-out"),
    setup(None, "SQLite", 4, "sqlite/4", "sqlite/4/sold-out"),
];

/// A line of the final table: the ratios of one setup at one number of callers.
struct Line {
    setup: Setup,
    callers: usize,
    ratios: Vec<Ratio>,
}

/// Runs the bench.
pub fn main() {
    if let Some(task) = child::task() {
        return processes::serve(&bench::runtime(), task);
    }
    bench::main("mechanisms", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let databases = if bench.is_quick() { &[MARIADB][..] } else { &[MARIADB, MYSQL, None] };
    let mut lines = Vec::new();
    for database in databases {
        let is_wanted = |setup: &&Setup| setup.database == *database && wants(bench, setup);
        let setups: Vec<&Setup> = SETUPS.iter().filter(is_wanted).collect();
        if setups.is_empty() {
            continue;
        }
        let servers = database.map(Servers::start);
        bench.heading(servers.as_ref());
        for setup in setups {
            lines.extend(compare(bench, setup, servers.as_ref()));
        }
    }
    println!("{}\n", summary(&lines));
}

fn wants(bench: &Bench, setup: &Setup) -> bool {
    let groups = [setup.in_stock, setup.sold_out];
    groups.iter().any(|group| CROWDS.iter().any(|callers| bench.measures(group, *callers)))
}

/// Measures one setup, in stock and sold out.
fn compare(bench: &mut Bench, setup: &Setup, servers: Option<&Servers>) -> Vec<Line> {
    let variants: &[Variant] = if servers.is_some() { &ON_SERVERS } else { &IN_FILE };
    let crowds = bench.crowds(&CROWDS).iter();
    let mut lines: Vec<Line> =
        crowds.map(|&callers| Line { setup: *setup, callers, ratios: Vec::new() }).collect();
    let groups =
        [(setup.in_stock, "holds", PLENTY, variants), (setup.sold_out, "refusals", 0, &SOLD_OUT)];
    for (place, unit, stock, variants) in groups {
        // Each has its own product: those waiting for their turn are idle and
        // touch nothing.
        let open = |variant: &Variant| {
            let shop = bench.block_on(async {
                match servers {
                    Some(servers) => servers.shop(1, stock).await,
                    None => Shop::in_file(1, stock).await,
                }
            });
            Processes::open_without(variant.name, shop, setup.processes, variant.off)
        };
        let contenders: Vec<Processes> = variants.iter().map(open).collect();
        let invited: Vec<&dyn ErasedContender> =
            contenders.iter().map(|one| one as &dyn ErasedContender).collect();
        for line in &mut lines {
            let ratio = |variant: &Variant| Comparison::rate(variant.name, ALL_ON.name);
            let plan = GroupPlan {
                place,
                unit,
                callers: line.callers,
                comparisons: variants[1..].iter().map(ratio).collect(),
                figures: Vec::new(),
                // Criterion would run them one after the other, which says
                // nothing here.
                by_criterion: Vec::new(),
                lengths: lengths(bench, setup),
            };
            let all = bench.versus(&plan, &invited).unwrap_or_default();
            let ratios = plan.comparisons.iter();
            line.ratios.extend(ratios.filter_map(|wanted| rounds::compare(&all, *wanted)));
        }
        for contender in &contenders {
            bench.block_on(contender.close());
        }
    }
    lines
}

/// Several processes hand the lock over, so a run needs time for many turns.
fn lengths(bench: &Bench, setup: &Setup) -> Lengths {
    let measured = match (bench.is_quick(), setup.processes) {
        (true, _) => 300,
        (false, 1) => 500,
        (false, _) => 800,
    };
    let measured = Duration::from_millis(measured);
    let rounds = if bench.is_quick() { 3 } else { 11 };
    Lengths { warm_up: measured / 4, measured, rounds, ..bench.lengths() }
}

/// Formats all ratios as one Markdown table.
fn summary(lines: &[Line]) -> String {
    let columns: Vec<&str> =
        ON_SERVERS[1..].iter().chain(&SOLD_OUT[1..]).map(|variant| variant.name).collect();
    let mut header = vec!["store", "processes", "callers of each"];
    header.extend(&columns);
    let rows = lines.iter().map(|line| {
        let setup = &line.setup;
        let mut row =
            vec![setup.store.to_owned(), setup.processes.to_string(), line.callers.to_string()];
        row.extend(columns.iter().map(|column| {
            let ratio = line.ratios.iter().find(|ratio| ratio.of == *column);
            ratio.map_or_else(|| "-".to_owned(), cell)
        }));
        row
    });
    let title = "Rate relative to all on: median and middle half of rounds";
    format!("{title}\n\n{}", table::table(&header, rows))
}

fn cell(ratio: &Ratio) -> String {
    let Quartiles { lower, median, upper } = Quartiles::of(&ratio.rounds);
    format!("{median:.2} ({lower:.2}..{upper:.2})")
}

/// A hold without each of the mechanisms.
async fn smoke() {
    for variant in ON_SERVERS.iter().chain(&SOLD_OUT) {
        let shop = Shop::in_file(1, PLENTY).await;
        let builder = contenders::engine_without(&shop, variant.off);
        let stockade = Stockade::open_with(builder, shop, Products::One).await;
        assert_eq!(stockade.request(0).await, Answer::Done, "{}", variant.name);
        Contender::close(&stockade).await;
    }
}
