//! Units that are held, ordered and paid, all of one product.
//!
//! Expected: by row locks, each unit takes three transactions, each of which
//! waits for the product's row. Stockade's three requests are in three
//! batches, each with those of the other callers.

use std::time::Duration;

use stockade_benches::bench::{self, Bench, Lengths, Match, close};
use stockade_benches::contender::{Answer, Contender, Entrant, entrant};
use stockade_benches::contenders::{RowLockLifecycle, StockadeLifecycle, names};
use stockade_benches::results::Wanted;
use stockade_benches::rounds::Comparison;
use stockade_benches::setup::{PLENTY, Servers, Shop};

fn main() {
    bench::main("lifecycle", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let servers = Servers::start();
    bench.heading(Some(&servers));
    let contenders = bench.block_on(open(&servers));
    let invited: Vec<&dyn Entrant> = contenders.iter().map(|contender| &**contender).collect();
    for callers in [1, 512] {
        let ratio = Comparison::rate(names::STOCKADE, names::ROW_LOCK);
        let comparison = if callers == 512 { ratio.wanted(Wanted::AtLeast(15.0)) } else { ratio };
        // By row locks, a unit of one in 512 callers takes half a second.
        let measured = Duration::from_millis(if bench.is_quick() { 1200 } else { 2500 });
        let warm_up = measured / 4;
        let plan = Match {
            place: "mariadb",
            unit: "units",
            callers,
            comparisons: vec![comparison],
            figures: Vec::new(),
            by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
            lengths: Lengths { warm_up, measured, ..bench.lengths() },
        };
        let all = bench.versus(&plan, &invited);
        if let Some(all) = all.filter(|_| callers == 512) {
            bench.at_fixed_rates(&plan, &invited[..1], &all);
        }
    }
    bench.block_on(close(contenders));
}

async fn open(servers: &Servers) -> Vec<Box<dyn Entrant>> {
    let shop = async || servers.shop(1, PLENTY).await;
    vec![
        entrant(StockadeLifecycle::open(shop().await).await),
        entrant(RowLockLifecycle::open(&shop().await).await),
    ]
}

async fn smoke() {
    let stockade = StockadeLifecycle::open(Shop::in_file(1, PLENTY).await).await;
    for _ in 0..3 {
        assert_eq!(stockade.request(0).await, Answer::Done);
    }
    stockade.close().await;
}
