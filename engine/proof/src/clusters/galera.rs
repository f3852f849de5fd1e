//! Rounds on a Galera cluster.

use std::thread;
use std::time::{Duration, Instant};

use stockade::Engine;
use stockade_testkit::{Galera, Proxy, wait_until};

use super::load::{Journal, buy_while, stock_up};
use super::verdict::{Left, judge};
use crate::Extent;
use crate::outcome::Row;

const ONE_WRITER: &str = "Galera, one writer";
const ALL_WRITE: &str = "Galera, all nodes written to";
/// Load before a fault, and after the service is back.
const AROUND: Duration = Duration::from_millis(1_500);
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// What is done to the node that is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Killed,
    Stopped,
    CutOff,
    /// Nothing fails: the proxy leads elsewhere, as before an upgrade.
    Switched,
    /// All nodes die at once.
    AllKilled,
    /// It is killed and loses its place, so that it copies all from another.
    Copied,
}

impl Fault {
    const SHORT: [Self; 3] = [Self::Killed, Self::CutOff, Self::Switched];
    const LONG: [Self; 6] =
        [Self::Killed, Self::CutOff, Self::Stopped, Self::Switched, Self::AllKilled, Self::Copied];

    fn name(self) -> &'static str {
        match self {
            Self::Killed => "writing node killed, rejoins",
            Self::Stopped => "writing node stopped, goes on later",
            Self::CutOff => "writing node cut off, let back",
            Self::Switched => "another node written to, nothing failed",
            Self::AllKilled => "all nodes killed at once",
            Self::Copied => "writing node killed, rejoins as a copy",
        }
    }
}

pub(super) fn run(extent: Extent) -> Vec<Row> {
    let galera = Galera::start();
    let mut rows = Vec::new();
    let mut writer = 0;
    for seed in (extent.seed..).take(usize::try_from(extent.seeds(1, 6)).unwrap_or(usize::MAX)) {
        let faults: &[Fault] = if extent.is_long { &Fault::LONG } else { &Fault::SHORT };
        for fault in faults {
            super::add(&mut rows, one_writer(&galera, &mut writer, *fault, seed));
        }
        for round in 0..if extent.is_long { 3 } else { 1 } {
            super::add(&mut rows, all_write(&galera, seed * 10 + round));
        }
    }
    rows
}

fn open(url: &str) -> Engine {
    let settings = [("store_timeout", "4s"), ("lock_wait", "1s"), ("hold_ttl", "10m")];
    let with = |builder: stockade::EngineBuilder, (name, value): (&str, &str)| {
        builder.set(name, value).expect("a setting")
    };
    settings.into_iter().fold(Engine::builder().store(url), with).open().expect("an engine")
}

/// Engines reach the cluster by one address, which leads to one node.
fn one_writer(galera: &Galera, writer: &mut usize, fault: Fault, seed: u64) -> Row {
    let database = galera.fresh_database(*writer);
    let proxy = Proxy::start(galera.addr(*writer));
    let url = proxy.url(&galera.url(*writer, &database));
    let engines = [open(&url), open(&url)];
    let products = stock_up(&engines[0]);
    let mut ready_after = Duration::ZERO;
    let journal = buy_while(&engines, &products, seed, || {
        thread::sleep(AROUND);
        let before = *writer;
        let since = Instant::now();
        *writer = inject(galera, before, fault);
        ready_after = since.elapsed();
        proxy.lead_to(galera.addr(*writer));
        proxy.cut();
        thread::sleep(AROUND);
        heal(galera, before, *writer, fault);
        thread::sleep(AROUND / 3);
    });
    let mut row = Row {
        fault: fault.name().to_owned(),
        place: ONE_WRITER.to_owned(),
        injected: 1,
        ..Row::default()
    };
    judge_all(&mut row, galera, &database, &journal, &products, &engines[0]);
    if row.note.is_empty() && fault != Fault::Switched {
        row.note = format!("the next node was ready after {ready_after:.1?}");
    }
    engines.iter().for_each(|engine| engine.close().expect("a close"));
    row
}

/// Does it, and returns when another node may be written to, and which.
fn inject(galera: &Galera, node: usize, fault: Fault) -> usize {
    let next = (node + 1) % galera.nodes();
    match fault {
        Fault::Killed | Fault::Copied => galera.kill(node),
        Fault::Stopped => galera.pause(node),
        Fault::CutOff => galera.isolate(node, true),
        Fault::Switched => return next,
        Fault::AllKilled => {
            (0..galera.nodes()).for_each(|node| galera.kill(node));
            return galera.restart_first();
        }
    }
    wait_until("the others go on", SETTLED_WITHIN, || {
        galera.is_synced(next) && is_of_size(galera, next, 2)
    });
    next
}

fn heal(galera: &Galera, node: usize, writer: usize, fault: Fault) {
    match fault {
        Fault::Killed => galera.restart(node),
        Fault::Copied => galera.restart_by_copy(node),
        Fault::Stopped => galera.resume(node),
        Fault::CutOff => galera.isolate(node, false),
        Fault::Switched => {}
        Fault::AllKilled => {
            let others = (0..galera.nodes()).filter(|node| *node != writer);
            others.for_each(|node| galera.restart(node));
        }
    }
    // A node that was stopped does not know at first that the others went on,
    // so theirs is the word that it is back.
    for node in 0..galera.nodes() {
        wait_until("all nodes are back", SETTLED_WITHIN, || is_of_size(galera, node, 3));
    }
    (0..galera.nodes()).for_each(|node| galera.wait_synced(node));
}

fn is_of_size(galera: &Galera, node: usize, size: usize) -> bool {
    let shown = galera.try_query(node, "SHOW STATUS LIKE 'wsrep_cluster_size'");
    shown.is_ok_and(|shown| shown.ends_with(&format!("\t{size}")))
}

/// Judges by one node, and sees that the others have the same.
fn judge_all(
    row: &mut Row,
    galera: &Galera,
    database: &str,
    journal: &Journal,
    products: &[stockade::ProductId],
    engine: &Engine,
) {
    engine.sweep().expect("a sweep");
    let read = |node: usize| {
        // What was committed elsewhere must have come here first.
        let query = |sql: &str| galera.query(node, &format!("SET wsrep_sync_wait = 1; {sql}"));
        Left::read(database, query)
    };
    let all: Vec<Left> = (0..galera.nodes()).map(read).collect();
    for (node, left) in all.iter().enumerate() {
        let mut found = Row::default();
        let audit = open(&galera.url(node, database));
        judge(&mut found, left, journal, products, &audit);
        audit.close().expect("a close");
        row.operations = found.operations;
        row.recovery = found.recovery;
        row.oversold = row.oversold.max(found.oversold);
        row.leaked = row.leaked.max(found.leaked);
        row.lost = row.lost.max(found.lost);
        row.doubled = row.doubled.max(found.doubled);
        row.unexplained = row.unexplained.max(found.unexplained);
        if row.note.is_empty() {
            row.note = found.note;
        }
        if !left.is_equal_to(&all[0]) {
            row.unexplained += 1;
            row.note = format!("node {node} differs from node 0; {}", row.note);
        }
    }
}

/// An engine at each node, all selling the same products.
fn all_write(galera: &Galera, seed: u64) -> Row {
    let database = galera.fresh_database(0);
    // Side by side: they find each other's migrations.
    let engines: Vec<Engine> = thread::scope(|scope| {
        let open = |node| {
            let url = galera.url(node, &database);
            scope.spawn(move || open(&url))
        };
        let opened: Vec<_> = (0..galera.nodes()).map(open).collect();
        opened.into_iter().map(|engine| engine.join().expect("an engine")).collect()
    });
    let products = stock_up(&engines[0]);
    let journal = buy_while(&engines, &products, seed, || thread::sleep(AROUND * 3));
    let mut row = Row {
        fault: "none: a healthy cluster".to_owned(),
        place: ALL_WRITE.to_owned(),
        is_informative: true,
        ..Row::default()
    };
    judge_all(&mut row, galera, &database, &journal, &products, &engines[0]);
    row.recovery = None;
    let conflicts: u64 = engines.iter().map(conflicts).sum();
    row.injected = conflicts;
    let left = Left::read(&database, |sql| galera.query(0, sql));
    let (twice, torn) = (left.versions_made_twice(), left.holds_without_event());
    let found = if row.note.is_empty() { String::new() } else { format!("; {}", row.note) };
    row.note = format!(
        "not promised, told as found; injected: transactions that lost to another node's and were \
         tried again; versions that two transactions made: {twice}; holds without the event of \
         their transaction: {torn}{found}"
    );
    engines.iter().for_each(|engine| engine.close().expect("a close"));
    row
}

/// Transactions that were tried again since another node's came first.
fn conflicts(engine: &Engine) -> u64 {
    let text = engine.metrics_text();
    let lines = text.lines().filter(|line| line.contains("cause=\"deadlock\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
