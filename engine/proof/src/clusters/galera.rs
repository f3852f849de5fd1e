//! Runs rounds on a Galera cluster.

use std::thread;

use stockade::Engine;
use stockade_testkit::{Galera, wait_until};

use super::load::{buy_while, stock_up};
use super::one_writer::{self, Cluster, Fault, SETTLED_WITHIN, open};
use super::verdict::StoreDump;
use crate::Extent;
use crate::results::Row;

const ALL_WRITE: &str = "Galera, multi-writer";
const SHORT: [Fault; 3] = [Fault::Killed, Fault::SteppedOut, Fault::HandedOver];
const LONG: [Fault; 6] = [
    Fault::Killed,
    Fault::SteppedOut,
    Fault::Stopped,
    Fault::HandedOver,
    Fault::AllKilled,
    Fault::Copied,
];

pub(super) fn run(extent: Extent) -> Vec<Row> {
    let galera = Galera::start();
    let mut rows = Vec::new();
    let mut writer = 0;
    for seed in (extent.seed..).take(usize::try_from(extent.seeds(1, 6)).unwrap_or(usize::MAX)) {
        let faults: &[Fault] = if extent.is_long { &LONG } else { &SHORT };
        for fault in faults {
            super::add(&mut rows, one_writer::round(&galera, &mut writer, *fault, seed));
        }
        for round in 0..if extent.is_long { 3 } else { 1 } {
            super::add(&mut rows, all_write(&galera, seed * 10 + round));
        }
    }
    rows
}

impl Cluster for Galera {
    const DEPLOYMENT: &'static str = "Galera, one writer";
    const STEPPED_OUT: &'static str = "writer isolated, reunited";

    fn query_in_step(&self, node: usize, sql: &str) -> String {
        self.query(node, &format!("SET wsrep_sync_wait = 1; {sql}"))
    }

    fn start_again(&self, node: usize) {
        self.restart(node);
    }

    fn start_as_copy(&self, node: usize) {
        self.restart_by_copy(node);
    }

    fn start_first(&self) -> usize {
        self.restart_first()
    }

    fn step_out(&self, node: usize) {
        self.isolate(node, true);
    }

    fn step_in(&self, node: usize) {
        self.isolate(node, false);
    }

    /// Every Galera node accepts writes.
    fn hand_over(&self, from: usize) -> usize {
        (from + 1) % self.nodes()
    }

    fn wait_for_next(&self, failed: usize) -> usize {
        let next = (failed + 1) % self.nodes();
        wait_until("the others go on", SETTLED_WITHIN, || {
            self.is_synced(next) && is_of_size(self, next, self.nodes() - 1)
        });
        next
    }

    fn is_whole(&self, node: usize) -> bool {
        self.is_synced(node) && is_of_size(self, node, self.nodes())
    }

    fn auditor_of(&self, node: usize, _writer: usize) -> usize {
        node
    }
}

fn is_of_size(galera: &Galera, node: usize, size: usize) -> bool {
    let shown = galera.try_query(node, "SHOW STATUS LIKE 'wsrep_cluster_size'");
    shown.is_ok_and(|shown| shown.ends_with(&format!("\t{size}")))
}

/// Runs an engine at each node; all sell the same products (multi-writer).
fn all_write(galera: &Galera, seed: u64) -> Row {
    let database = galera.fresh_database(0);
    // The other nodes apply its creation later.
    let shown = format!("SHOW DATABASES LIKE '{database}'");
    for node in 1..galera.nodes() {
        let found = galera.query_in_step(node, &shown);
        assert!(found.contains(&database), "node {node} lacks the database: {found}");
    }
    // Opened in parallel, so that their migrations race.
    let engines: Vec<Engine> = thread::scope(|scope| {
        let open = |node| {
            let url = galera.url(node, &database);
            scope.spawn(move || open(&url))
        };
        let opened: Vec<_> = (0..galera.nodes()).map(open).collect();
        opened.into_iter().map(|engine| engine.join().expect("an engine")).collect()
    });
    let products = stock_up(&engines[0]);
    let journal =
        buy_while(&engines, &products, seed, || thread::sleep(one_writer::LOAD_AROUND_FAULT * 3));
    let mut row = Row {
        fault: "none: a healthy cluster".to_owned(),
        deployment: ALL_WRITE.to_owned(),
        is_informative: true,
        ..Row::default()
    };
    one_writer::judge_all(&mut row, galera, 0, &database, &journal, &products, &engines[0]);
    row.recovery = None;
    let conflicts: u64 = engines.iter().map(conflicts).sum();
    row.injected = conflicts;
    let dump = StoreDump::read(&database, |sql| galera.query_in_step(0, sql));
    let (twice, torn) = (dump.versions_made_twice(), dump.holds_without_event());
    let found = if row.note.is_empty() { String::new() } else { format!("; {}", row.note) };
    row.note = format!(
        "not promised, told as found; injected: transactions that lost to another node's and were \
         tried again; versions that two transactions made: {twice}; holds without the event of \
         their transaction: {torn}{found}"
    );
    engines.iter().for_each(|engine| engine.close().expect("a close"));
    row
}

/// Returns the number of transactions retried after a certification conflict.
fn conflicts(engine: &Engine) -> u64 {
    let text = engine.metrics_text();
    let lines = text.lines().filter(|line| line.contains("cause=\"deadlock\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
