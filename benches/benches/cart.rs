//! Carts of three different products out of a thousand, drawn by Zipf.
//!
//! Expected: by row locks, nearly every cart has one of the hottest products,
//! so nearly all wait for each other. No deadlock may surface: both lock
//! products by ascending id.

use stockade_benches::bench::{self, Bench, Match, Wish, close};
use stockade_benches::contender::{Answer, Contender, Entrant, entrant};
use stockade_benches::contenders::{Products, RowLockCarts, StockadeCarts, names};
use stockade_benches::results::{Spread, Wanted};
use stockade_benches::rounds::Comparison;
use stockade_benches::setup::{PLENTY, Servers, Shop};

const PRODUCTS: u32 = 1_000;

fn main() {
    bench::main("cart", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let servers = Servers::start();
    bench.heading(Some(&servers));
    let contenders = bench.block_on(open(&servers));
    let invited: Vec<&dyn Entrant> = contenders.iter().map(|contender| &**contender).collect();
    for callers in [64, 512] {
        let ratio = Comparison::rate(names::STOCKADE, names::ROW_LOCK);
        let comparison = if callers == 512 { ratio.wanted(Wanted::AtLeast(10.0)) } else { ratio };
        let failures = Wish {
            contender: names::STOCKADE,
            name: "carts that failed, deadlocks among them,",
            figure: |series| Spread::alone(series.failures() as f64),
            wanted: Wanted::AtMost(0.0),
        };
        let plan = Match {
            place: "mariadb",
            unit: "carts",
            callers,
            comparisons: vec![comparison],
            figures: vec![failures],
            by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
            lengths: bench.lengths(),
        };
        let all = bench.versus(&plan, &invited);
        if let Some(all) = all.filter(|_| callers == 512) {
            bench.at_fixed_rates(&plan, &invited[..1], &all);
        }
    }
    bench.block_on(close(contenders));
}

async fn open(servers: &Servers) -> Vec<Box<dyn Entrant>> {
    let shop = async || servers.shop(u64::from(PRODUCTS), PLENTY).await;
    vec![
        entrant(StockadeCarts::open(shop().await, Products::Zipf(PRODUCTS)).await),
        entrant(RowLockCarts::open(&shop().await, Products::Zipf(PRODUCTS)).await),
    ]
}

async fn smoke() {
    let shop = Shop::in_file(10, PLENTY).await;
    let stockade = StockadeCarts::open(shop, Products::Zipf(10)).await;
    for _ in 0..10 {
        assert_eq!(stockade.request(0).await, Answer::Done);
    }
    stockade.close().await;
}
