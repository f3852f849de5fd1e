//! Units that are held, ordered and paid, all of one product.
//!
//! Expected: with row locks, each unit takes three transactions that each wait
//! for the product's row. Stockade batches its three requests with those of the
//! other callers.

use std::time::Duration;

use crate::bench::{self, Bench, GroupPlan, Lengths, close, over_row_lock};
use crate::contender::{Answer, Contender};
use crate::contenders::{RowLockLifecycle, StockadeLifecycle, names};
use crate::erased::{ErasedContender, erase};
use crate::setup::{PLENTY, Servers, Shop, place};
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
        bench.block_on(close(contenders));
    });
}

async fn open(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(1, PLENTY).await;
    vec![
        erase(StockadeLifecycle::open(shop().await).await),
        erase(RowLockLifecycle::open(&shop().await).await),
    ]
}

async fn smoke() {
    let stockade = StockadeLifecycle::open(Shop::in_file(1, PLENTY).await).await;
    for _ in 0..3 {
        assert_eq!(stockade.request(0).await, Answer::Done);
    }
    stockade.close().await;
}
