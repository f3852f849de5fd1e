//! Units that are held, ordered and paid, all of one product.
//!
//! Expected: with row locks, each unit takes three transactions that each wait
//! for the product's row. Stockade batches its three requests with those of the
//! other callers.

use std::time::Duration;

use crate::bench::{self, Bench, CROWD, GroupPlan, Lengths, close, over_row_lock, try_each};
use crate::closed::ClosedPlan;
use crate::contenders::{RowLockLifecycle, StockadeLifecycle, names};
use crate::erased::{ErasedContender, erase};
use crate::results::{Figure, Group};
use crate::setup::{PLENTY, Servers, place};
use stockade_testkit::Flavour;

const CROWDS: [usize; 2] = [1, 512];

/// Runs the bench.
pub fn main() {
    bench::main("lifecycle", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let crowds = bench.crowds(&CROWDS);
    bench.on_servers(&Flavour::ALL, crowds, |bench, servers| {
        let contenders = bench.block_on(open(servers));
        bench.by_callers(&CROWDS, &contenders, |bench, callers| {
            // With row locks, one unit at 512 callers takes a second on MariaDB
            // and two on MySQL: a shorter run would see none of them finish.
            let of_a_unit = if servers.place() == place(Flavour::MySql) { 4 } else { 1 };
            let measured = Duration::from_millis(if bench.is_quick() { 1200 } else { 2500 });
            let measured = measured * of_a_unit;
            let warm_up = measured / 4;
            GroupPlan {
                place: servers.place(),
                unit: "units",
                callers,
                comparisons: vec![over_row_lock(callers, 35.0)],
                figures: Vec::new(),
                by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
                lengths: Lengths { warm_up, measured, ..bench.lengths() },
            }
        });
        if servers.place() == place(Flavour::MySql) && bench.measures(servers.place(), CROWD) {
            let group = bench.block_on(binary_log(servers, &*contenders[0]));
            bench.add(group);
        }
        bench.block_on(close(contenders));
    });
}

/// The bytes of MySQL's binary log for each unit: what a replica has to read.
async fn binary_log(servers: &Servers, stockade: &dyn ErasedContender) -> Group {
    let bytes = || -> u64 {
        let logs = servers.sql.query("SHOW BINARY LOGS");
        let size = |line: &str| line.split('\t').nth(1).and_then(|size| size.parse::<u64>().ok());
        logs.lines().filter_map(size).sum()
    };
    let before = bytes();
    let plan = ClosedPlan {
        callers: CROWD,
        warm_up: Duration::ZERO,
        measured: Duration::from_millis(500),
    };
    let run = stockade.closed(plan).await;
    // Units in flight at the end are in the log and not counted.
    let units = (run.done + CROWD as u64 / 2) as f64;
    let bytes = (bytes() - before) as f64 / units;
    let figures = vec![Figure::alone("bytes of the binary log a unit", bytes, None)];
    let name = format!("lifecycle/mysql/{CROWD}/binary-log");
    Group::of_figures(name, "units", servers.place(), CROWD, figures)
}

async fn open(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(1, PLENTY).await;
    vec![
        erase(StockadeLifecycle::open(shop().await).await),
        erase(RowLockLifecycle::open(&shop().await).await),
    ]
}

async fn smoke() {
    try_each(open).await;
}
