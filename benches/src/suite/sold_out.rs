//! A product with stock for one request in a hundred: the rest is rejected.
//!
//! Expected: with row locks, a rejection costs a read transaction. Stockade
//! rejects from memory once it knows that no stock is left.

use std::time::Duration;

use crate::bench::{self, Bench, FigureTarget, GroupPlan, Lengths, close};
use crate::contender::{Answer, Contender};
use crate::contenders::{Products, RowLock, SoldOut, Stockade, names};
use crate::erased::{ErasedContender, erase};
use crate::results::Target;
use crate::rounds::{Comparison, Series};
use crate::setup::{Servers, Shop};
use stockade_testkit::Flavour;

/// Runs the bench.
pub fn main() {
    bench::main("sold_out", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    let contenders = bench.block_on(open(&servers));
    let invited: Vec<&dyn ErasedContender> =
        contenders.iter().map(|contender| &**contender).collect();
    for &callers in bench.crowds(&[64, 512]) {
        let refusals = FigureTarget {
            contender: names::STOCKADE,
            name: "refusals/s",
            figure: Series::refusals,
            wanted: Target::AtLeast(300_000.0),
        };
        // Counted from the first unit on: a warm-up would sell them all.
        let lengths = Lengths { warm_up: Duration::ZERO, ..bench.lengths() };
        let plan = GroupPlan {
            place: "mariadb",
            unit: "answers",
            callers,
            comparisons: vec![Comparison::rate(names::STOCKADE, names::ROW_LOCK)],
            figures: vec![refusals],
            by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
            lengths,
        };
        bench.versus(&plan, &invited);
    }
    bench.block_on(close(contenders));
}

async fn open(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(1, 0).await;
    let stockade = Stockade::open(shop().await, Products::One).await;
    let row_lock = RowLock::open(&shop().await, Products::One).await;
    vec![erase(SoldOut::new(stockade)), erase(SoldOut::new(row_lock))]
}

async fn smoke() {
    let shop = Shop::in_file(1, 0).await;
    let stockade = SoldOut::new(Stockade::open(shop, Products::One).await);
    stockade.prepare(1).await;
    let mut answers = Vec::new();
    for _ in 0..101 {
        answers.push(stockade.request(0).await);
    }
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::Done).count(), 100);
    assert_eq!(answers.last(), Some(&Answer::Refused));
    stockade.close().await;
}
