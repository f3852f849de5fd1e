//! Carts of three distinct products out of a thousand, drawn from a Zipf distribution,
//! that become orders; and orders of one and of five holds that were made before.
//!
//! Expected: an order of five lines is one row, one event and one payment token, as an
//! order of one; its holds and products are rows of the same reads and writes.

use stockade_testkit::Flavour;

use crate::bench::{self, Bench, GroupPlan, close, over_row_lock, try_each};
use crate::contenders::{OrdersOfLines, Products, RowLockCartOrders, StockadeCartOrders, names};
use crate::erased::{ErasedContender, erase};
use crate::results::Target;
use crate::rounds::Comparison;
use crate::setup::{PLENTY, Servers};

const PRODUCTS: u32 = 1_000;

const CROWDS: [usize; 3] = [1, 64, 512];

/// Runs the bench.
pub fn main() {
    bench::main("orders", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let crowds = bench.crowds(&CROWDS);
    bench.on_servers(&Flavour::ALL, crowds, |bench, servers| {
        let contenders = bench.block_on(open(servers));
        bench.by_callers(&CROWDS, &contenders, |bench, callers| {
            let lines = Comparison::rate(names::FIVE_LINES, names::ONE_LINE);
            GroupPlan {
                place: servers.place(),
                unit: "orders",
                callers,
                comparisons: vec![
                    over_row_lock(callers, 10.0),
                    lines.wanted(Target::AtLeast(1.0 / 1.5)),
                ],
                figures: Vec::new(),
                by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
                lengths: bench.lengths(),
            }
        });
        bench.block_on(close(contenders));
    });
}

async fn open(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let products = Products::Zipf(PRODUCTS);
    let shop = async || servers.shop(u64::from(PRODUCTS), PLENTY).await;
    vec![
        erase(StockadeCartOrders::open(shop().await, products).await),
        erase(RowLockCartOrders::open(&shop().await, products).await),
        erase(OrdersOfLines::<1>::open(names::ONE_LINE, shop().await, products).await),
        erase(OrdersOfLines::<5>::open(names::FIVE_LINES, shop().await, products).await),
    ]
}

async fn smoke() {
    try_each(open).await;
}
