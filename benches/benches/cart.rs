//! Carts of three different products out of a thousand, drawn by Zipf.
//!
//! Expected: by row locks, nearly every cart has one of the hottest products,
//! so nearly all wait for each other. No deadlock may surface: both lock
//! products by ascending id.

use stockade_benches::bench::{self, Bench, Match, Wish, close, over_row_lock};
use stockade_benches::contender::{Answer, Contender};
use stockade_benches::contenders::{Products, RowLockCarts, StockadeCarts, names};
use stockade_benches::entrant::{Entrant, entrant};
use stockade_benches::results::{Spread, Wanted};
use stockade_benches::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

const PRODUCTS: u32 = 1_000;

const CROWDS: [usize; 2] = [64, 512];

fn main() {
    bench::main("cart", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let crowds = bench.crowds(&CROWDS);
    bench.on_servers(&Flavour::ALL, crowds, |bench, servers| {
        let contenders = bench.block_on(open(servers));
        bench.by_callers(&CROWDS, &contenders, |bench, callers| {
            let failures = Wish {
                contender: names::STOCKADE,
                name: "carts that failed, deadlocks among them,",
                figure: |series| Spread::alone(series.failures() as f64),
                wanted: Wanted::AtMost(0.0),
            };
            Match {
                place: servers.place(),
                unit: "carts",
                callers,
                comparisons: vec![over_row_lock(callers, 10.0)],
                figures: vec![failures],
                by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
                lengths: bench.lengths(),
            }
        });
        bench.block_on(close(contenders));
    });
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
