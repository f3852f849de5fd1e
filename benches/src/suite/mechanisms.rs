//! What each optimization of the engine earns: holds on one product, and carts of
//! many products, with one of them switched off, relative to all of them on, by
//! processes and callers.
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
use crate::contenders::{self, Products, Stockade, StockadeCarts};
use crate::erased::{ErasedContender, erase};
use crate::processes::{self, Processes};
use crate::results::{Quartiles, Ratio};
use crate::rounds::{self, Comparison};
use crate::setup::{PLENTY, Servers, Shop};
use crate::table;

/// Callers of each process.
const CROWDS: [usize; 3] = [1, 64, 512];
/// Products of the carts, as in the bench `cart`.
const CART_PRODUCTS: u32 = 1_000;

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

/// Leases are kept in Redis, so a SQLite store has none.
const ON_SERVERS: [Variant; 3] =
    [ALL_ON, NO_SPECULATION, Variant { name: "leases not kept", off: &[Mechanism::KeptLeases] }];
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
    /// Measured in one process.
    carts: Option<&'static str>,
}

const fn setup(
    database: Option<Flavour>,
    store: &'static str,
    processes: usize,
    in_stock: &'static str,
    sold_out: &'static str,
) -> Setup {
    Setup { database, store, processes, in_stock, sold_out, carts: None }
}

impl Setup {
    const fn with_carts(self, carts: &'static str) -> Self {
        Self { carts: Some(carts), ..self }
    }

    fn groups(&self) -> impl Iterator<Item = &'static str> {
        [self.in_stock, self.sold_out].into_iter().chain(self.carts)
    }
}

const MARIADB: Option<Flavour> = Some(Flavour::MariaDb);
const MYSQL: Option<Flavour> = Some(Flavour::MySql);

const SETUPS: [Setup; 6] = [
    setup(MARIADB, "MariaDB + Redis", 1, "mariadb/1", "mariadb/1/sold-out")
        .with_carts("mariadb/1/carts"),
    setup(MARIADB, "MariaDB + Redis", 4, "mariadb/4", "mariadb/4/sold-out"),
    setup(MYSQL, "MySQL + Redis", 1, "mysql/1", "mysql/1/sold-out").with_carts("mysql/1/carts"),
    setup(MYSQL, "MySQL + Redis", 4, "mysql/4", "mysql/4/sold-out"),
    setup(None, "SQLite", 1, "sqlite/1", "sqlite/1/sold-out"),
    setup(None, "SQLite", 4, "sqlite/4", "sqlite/4/sold-out"),
];

/// A line of the final table: the ratios of one setup at one number of callers.
struct Line {
    setup: Setup,
    requests: &'static str,
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
    setup.groups().any(|group| CROWDS.iter().any(|callers| bench.measures(group, *callers)))
}

/// Measures one setup: in stock and sold out, then carts.
///
/// Each contender has its own products: those waiting for their turn are idle and
/// touch nothing.
fn compare(bench: &mut Bench, setup: &Setup, servers: Option<&Servers>) -> Vec<Line> {
    let variants: &[Variant] = if servers.is_some() { &ON_SERVERS } else { &IN_FILE };
    let shop = async |products, stock| match servers {
        Some(servers) => servers.shop(products, stock).await,
        None => Shop::in_file(products, stock).await,
    };
    let crowds = bench.crowds(&CROWDS);
    let lines = |requests| {
        let line = |&callers: &usize| Line { setup: *setup, requests, callers, ratios: Vec::new() };
        crowds.iter().map(line).collect::<Vec<_>>()
    };
    let mut holds = lines("holds");
    let groups =
        [(setup.in_stock, "holds", PLENTY, variants), (setup.sold_out, "refusals", 0, &SOLD_OUT)];
    for (place, unit, stock, variants) in groups {
        let open = |variant: &Variant| -> Box<dyn ErasedContender> {
            let shop = bench.block_on(shop(1, stock));
            Box::new(Processes::open_without(variant.name, shop, setup.processes, variant.off))
        };
        let contenders = variants.iter().map(open).collect();
        take_turns(bench, setup, (place, unit, variants), contenders, &mut holds);
    }
    let Some(place) = setup.carts else { return holds };
    let mut carts = lines("carts");
    let open = |variant: &Variant| {
        bench.block_on(async {
            let shop = shop(u64::from(CART_PRODUCTS), PLENTY).await;
            let builder = contenders::engine_without(&shop, variant.off);
            let products = Products::Zipf(CART_PRODUCTS);
            erase(StockadeCarts::open_with(variant.name, builder, shop, products).await)
        })
    };
    let contenders = variants.iter().map(open).collect();
    take_turns(bench, setup, (place, "carts", variants), contenders, &mut carts);
    holds.extend(carts);
    holds
}

/// Compares the variants of a group, and adds the ratios to the lines.
fn take_turns(
    bench: &mut Bench,
    setup: &Setup,
    (place, unit, variants): (&'static str, &'static str, &[Variant]),
    contenders: Vec<Box<dyn ErasedContender>>,
    lines: &mut [Line],
) {
    let invited: Vec<&dyn ErasedContender> = contenders.iter().map(AsRef::as_ref).collect();
    for line in lines {
        let ratio = |variant: &Variant| Comparison::rate(variant.name, ALL_ON.name);
        let plan = GroupPlan {
            place,
            unit,
            callers: line.callers,
            comparisons: variants[1..].iter().map(ratio).collect(),
            figures: Vec::new(),
            // Criterion would run them one after the other, which says nothing
            // here.
            by_criterion: Vec::new(),
            lengths: lengths(bench, setup),
        };
        let all = bench.versus(&plan, &invited).unwrap_or_default();
        let ratios = plan.comparisons.iter();
        line.ratios.extend(ratios.filter_map(|wanted| rounds::compare(&all, *wanted)));
    }
    bench.block_on(bench::close(contenders));
}

/// Several processes hand the lock over, so a run needs time for many turns.
fn lengths(bench: &Bench, setup: &Setup) -> Lengths {
    let measured = match (bench.is_quick(), setup.processes) {
        (true, _) => 300,
        (false, 1) => 500,
        (false, _) => 800,
    };
    let measured = Duration::from_millis(measured);
    let rounds = if bench.is_quick() { 1 } else { 11 };
    Lengths { warm_up: measured / 4, measured, rounds, ..bench.lengths() }
}

/// Formats all ratios as one Markdown table.
fn summary(lines: &[Line]) -> String {
    let columns: Vec<&str> =
        ON_SERVERS[1..].iter().chain(&SOLD_OUT[1..]).map(|variant| variant.name).collect();
    let mut header = vec!["store", "processes", "requests", "callers of each"];
    header.extend(&columns);
    let measured = lines.iter().filter(|line| !line.ratios.is_empty());
    let rows = measured.map(|line| {
        let setup = &line.setup;
        let mut row = vec![
            setup.store.to_owned(),
            setup.processes.to_string(),
            line.requests.to_owned(),
            line.callers.to_string(),
        ];
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
