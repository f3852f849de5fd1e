//! The batch call on one product: many holds in hand at one caller, on MariaDB and
//! MySQL with Redis and in a SQLite file, against raw transactions of as many
//! holds.
//!
//! Expected: the store takes a call's holds in a few packed rows, so that what the
//! engine does for each of them is the bound.

use crate::bench::{self, Bench, GroupPlan, close};
use crate::contender::{Answer, Contender};
use crate::contenders::{Ceiling, FileCeiling, StockadeBatch, names};
use crate::erased::{ErasedContender, erase};
use crate::results::Target;
use crate::rounds::Comparison;
use crate::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

/// The backend name of the SQLite groups.
const IN_FILE: &str = "sqlite";
const CALLERS: &[usize] = &[1, 2];

/// Runs the bench.
pub fn main() {
    bench::main("hold_batch", measure, smoke);
}

fn measure(bench: &mut Bench) {
    bench.on_servers(&Flavour::ALL, CALLERS, |bench, servers| {
        let contenders = bench.block_on(on_server(servers));
        bench.by_callers(CALLERS, &contenders, |bench, callers| {
            plan(bench, servers.place(), callers)
        });
        bench.block_on(close(contenders));
    });
    if CALLERS.iter().any(|callers| bench.wants(IN_FILE, *callers)) {
        let contenders = bench.block_on(in_file());
        bench.by_callers(CALLERS, &contenders, |bench, callers| plan(bench, IN_FILE, callers));
        bench.block_on(close(contenders));
    }
}

async fn on_server(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(1, PLENTY).await;
    vec![
        erase(StockadeBatch::open(shop().await).await),
        erase(Ceiling::packed(&shop().await).await),
    ]
}

async fn in_file() -> Vec<Box<dyn ErasedContender>> {
    let shop = async || Shop::in_file(1, PLENTY).await;
    vec![
        erase(StockadeBatch::open(shop().await).await),
        erase(FileCeiling::packed(shop().await).await),
    ]
}

fn plan(bench: &Bench, place: &'static str, callers: usize) -> GroupPlan {
    let ratio = Comparison::rate(names::STOCKADE, names::CEILING).wanted(Target::AtLeast(0.5));
    GroupPlan {
        place,
        unit: "holds",
        callers,
        comparisons: vec![ratio],
        figures: Vec::new(),
        lengths: bench.lengths(),
        by_criterion: vec![names::STOCKADE],
    }
}

/// One call by each contender that needs no server.
async fn smoke() {
    let shop = async || Shop::in_file(1, PLENTY).await;
    let stockade = StockadeBatch::open(shop().await).await;
    assert_eq!(stockade.request(0).await, Answer::Done);
    Contender::close(&stockade).await;
    let ceiling = FileCeiling::packed(shop().await).await;
    assert_eq!(ceiling.request(0).await, Answer::Done);
    ceiling.close().await;
}
