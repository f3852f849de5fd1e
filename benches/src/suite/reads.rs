//! Reads of products: cached, uncached, and mixed with holds.
//!
//! Expected: a cached read does no I/O and costs little more than a lookup in
//! the underlying cache. A miss costs a `SELECT`. One hold in twenty keeps
//! invalidating entries.

use crate::bench::{self, Bench, GroupPlan, close};
use crate::contender::{Answer, Contender};
use crate::contenders::{BareCache, Reads, SqlReads, StockadeReads, names};
use crate::erased::{ErasedContender, erase};
use crate::rounds::Comparison;
use crate::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

const PRODUCTS: u32 = 10_000;
const MIXED_PRODUCTS: u32 = 1_000;

/// Runs the bench.
pub fn main() {
    bench::main("reads", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    let kinds = [
        ("hits", Reads::Hits, 1),
        ("misses", Reads::Misses(PRODUCTS), PRODUCTS),
        ("mixed", Reads::Mixed(MIXED_PRODUCTS), MIXED_PRODUCTS),
    ];
    for (place, reads, products) in kinds {
        let contenders = bench.block_on(open(&servers, reads, products));
        let invited: Vec<&dyn ErasedContender> =
            contenders.iter().map(|contender| &**contender).collect();
        let plan = GroupPlan {
            place,
            unit: if place == "mixed" { "requests" } else { "reads" },
            callers: 64,
            comparisons: vec![
                Comparison::rate(names::STOCKADE, names::SELECT),
                Comparison::rate(names::STOCKADE, names::BARE_CACHE),
            ],
            figures: Vec::new(),
            by_criterion: vec![names::STOCKADE, names::SELECT, names::BARE_CACHE],
            lengths: bench.lengths(),
        };
        let all = bench.versus(&plan, &invited);
        if let Some(all) = all.filter(|_| place == "mixed") {
            bench.at_fixed_rates(&plan, &invited[..1], &all);
        }
        bench.block_on(close(contenders));
    }
}

async fn open(servers: &Servers, reads: Reads, products: u32) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(u64::from(products), PLENTY).await;
    let mut contenders = vec![
        erase(StockadeReads::open(shop().await, reads).await),
        erase(SqlReads::open(&shop().await, reads).await),
    ];
    if matches!(reads, Reads::Hits) {
        contenders.push(erase(BareCache::open()));
    }
    contenders
}

async fn smoke() {
    for reads in [Reads::Hits, Reads::Misses(5), Reads::Mixed(5)] {
        let stockade = StockadeReads::open(Shop::in_file(5, PLENTY).await, reads).await;
        for _ in 0..30 {
            assert_eq!(stockade.request(0).await, Answer::Done);
        }
        stockade.close().await;
    }
}
