//! Carts of three distinct products out of a thousand, drawn from a Zipf
//! distribution.
//!
//! Expected: with row locks, nearly every cart contains one of the hottest
//! products, so nearly all queue for the same locks. No deadlock may surface:
//! both contenders lock products by ascending id.

use crate::bench::{self, Bench, FigureTarget, GroupPlan, close, over_row_lock, try_each};
use crate::contenders::{Products, RowLockCarts, StockadeCarts, names};
use crate::erased::{ErasedContender, erase};
use crate::results::{Spread, Target};
use crate::setup::{PLENTY, Servers};
use stockade_testkit::Flavour;

const PRODUCTS: u32 = 1_000;

const CROWDS: [usize; 2] = [64, 512];

/// Runs the bench.
pub fn main() {
    bench::main("cart", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let crowds = bench.crowds(&CROWDS);
    bench.on_servers(&Flavour::ALL, crowds, |bench, servers| {
        let contenders = bench.block_on(open(servers));
        bench.by_callers(&CROWDS, &contenders, |bench, callers| {
            let failures = FigureTarget {
                contender: names::STOCKADE,
                name: "carts that failed, deadlocks among them,",
                figure: |series| Spread::alone(series.failures() as f64),
                wanted: Target::AtMost(0.0),
            };
            GroupPlan {
                place: servers.place(),
                unit: "carts",
                callers,
                comparisons: vec![over_row_lock(callers, 20.0)],
                figures: vec![failures],
                by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
                lengths: bench.lengths(),
            }
        });
        bench.block_on(close(contenders));
    });
}

async fn open(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(u64::from(PRODUCTS), PLENTY).await;
    vec![
        erase(StockadeCarts::open(shop().await, Products::Zipf(PRODUCTS)).await),
        erase(RowLockCarts::open(&shop().await, Products::Zipf(PRODUCTS)).await),
    ]
}

async fn smoke() {
    try_each(open).await;
}
