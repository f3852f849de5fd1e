//! Holds on ten thousand products from a Zipf distribution with s = 1: the
//! first gets one request in ten.
//!
//! Expected: with row locks, transactions on the hottest product queue for its
//! lock, the others for the disk's fsync, which they share (group commit).
//! Stockade shares whole transactions.

use crate::bench::{self, Bench, GroupPlan, close, over_row_lock};
use crate::contender::{Answer, Contender};
use crate::contenders::{Products, RowLock, Stockade, names};
use crate::erased::{ErasedContender, erase};
use crate::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

const PRODUCTS: u32 = 10_000;

const CROWDS: [usize; 2] = [64, 512];

/// Runs the bench.
pub fn main() {
    bench::main("spread", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let crowds = bench.crowds(&CROWDS);
    // The quick form has seconds for each bench.
    let most = if bench.is_quick() { 1 } else { Flavour::ALL.len() };
    bench.on_servers(&Flavour::ALL[..most], crowds, |bench, servers| {
        let contenders = bench.block_on(open(servers));
        bench.by_callers(&CROWDS, &contenders, |bench, callers| GroupPlan {
            place: servers.place(),
            unit: "holds",
            callers,
            comparisons: vec![over_row_lock(callers, 8.0)],
            figures: Vec::new(),
            by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
            lengths: bench.lengths(),
        });
        bench.block_on(close(contenders));
    });
}

async fn open(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(u64::from(PRODUCTS), PLENTY).await;
    vec![
        erase(Stockade::open(shop().await, Products::Zipf(PRODUCTS)).await),
        erase(RowLock::open(&shop().await, Products::Zipf(PRODUCTS)).await),
    ]
}

async fn smoke() {
    let shop = Shop::in_file(10, PLENTY).await;
    let stockade = Stockade::open(shop, Products::Zipf(10)).await;
    for _ in 0..10 {
        assert_eq!(stockade.request(0).await, Answer::Done);
    }
    Contender::close(&stockade).await;
}
