//! A store with a long history of ended holds beside an empty one: bytes a hold,
//! and the time of each kind of request.
//!
//! Expected: a hold of the past is two bytes of a packed row and its share of that
//! row, of one entry in an index and of the events. Every request reads by keys, so
//! it takes as long as in an empty store; only an audit reads everything.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use stockade::{AsyncEngine, Error, HoldRequest, ProductId};
use stockade_testkit::Flavour;

use crate::bench::{self, Bench};
use crate::contenders::engine;
use crate::results::{Figure, Group, Spread, Target};
use crate::setup::{PLENTY, Servers, Shop};

const PRODUCTS: u64 = 8;
/// Holds of one batch call.
const CALL: u64 = 8_192;
const CALLS_AT_ONCE: u64 = 2;
/// The shortest life, so that the history is one of ended holds.
const TTL: Duration = Duration::from_secs(1);
/// Callers of the groups: each request is alone.
const CALLERS: usize = 1;

/// Runs the bench.
pub fn main() {
    bench::main("history", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let holds = if bench.is_quick() { 250_000 } else { 100_000_000 };
    if bench.measures("sqlite", CALLERS) {
        bench.heading(None);
        let (empty, full) = bench.block_on(async {
            (Shop::in_file(PRODUCTS, PLENTY).await, Shop::in_file(PRODUCTS, PLENTY).await)
        });
        let size = |shop: &Shop| {
            let file = shop.url.trim_start_matches("sqlite:").split('?').next().unwrap_or_default();
            std::fs::metadata(file).expect("the store's file").len()
        };
        let figures = bench.block_on(compare(&empty, &full, holds, &size));
        bench.add(group("sqlite", figures));
    }
    if bench.measures("mysql", CALLERS) {
        let servers = Servers::start(Flavour::MySql);
        bench.heading(Some(&servers));
        let (empty, full) = bench.block_on(async {
            (servers.shop(PRODUCTS, PLENTY).await, servers.shop(PRODUCTS, PLENTY).await)
        });
        let size = |shop: &Shop| {
            let database = shop.url.rsplit('/').next().unwrap_or_default();
            let sum = format!(
                "ANALYZE TABLE {database}.stockade_hold_batches, {database}.stockade_outbox; \
                 SET SESSION information_schema_stats_expiry = 0; \
                 SELECT CAST(SUM(data_length + index_length) AS SIGNED) \
                 FROM information_schema.tables WHERE table_schema = '{database}'"
            );
            let printed = servers.sql.query(&sum);
            printed.lines().last().and_then(|bytes| bytes.parse().ok()).expect("a size")
        };
        let figures = bench.block_on(compare(&empty, &full, holds, &size));
        bench.add(group("mysql", figures));
    }
}

fn group(place: &str, figures: Vec<Figure>) -> Group {
    Group::of_figures(format!("history/{place}/{CALLERS}"), "requests", place, CALLERS, figures)
}

/// Makes a history by the engine itself, and waits until all of it has expired.
async fn fill(shop: &Shop, holds: u64) -> Result<(), Error> {
    let engine = engine(shop).set("sweep_batch", "16384")?.open_async().await?;
    let mut made = 0;
    while made < holds {
        let calls = (0..CALLS_AT_ONCE).map(|call| {
            let product = (made / CALL + call) % PRODUCTS + 1;
            let requests = (0..CALL).map(|_| HoldRequest::new(product, 1).ttl(TTL)).collect();
            engine.create_hold_batch(requests)
        });
        for results in try_join_all(calls).await? {
            made += results.len() as u64;
            results.into_iter().collect::<Result<Vec<_>, Error>>()?;
        }
    }
    loop {
        engine.sweep().await?;
        let page = engine.products(None, 100).await?;
        if page.items.iter().all(|product| product.held == 0) {
            break;
        }
        tokio::time::sleep(TTL / 10).await;
    }
    engine.close().await;
    Ok(())
}

/// One kind of request.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Hold,
    Product,
    Sweep,
    Events,
    Start,
    Audit,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Hold, Self::Product, Self::Sweep, Self::Events, Self::Start, Self::Audit];

    fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Product => "product",
            Self::Sweep => "sweep",
            Self::Events => "newest events",
            Self::Start => "start",
            Self::Audit => "audit",
        }
    }

    fn times(self) -> usize {
        match self {
            Self::Audit => 1,
            Self::Start | Self::Sweep => 20,
            _ => 300,
        }
    }

    async fn run(self, store: &Store<'_>) -> Result<(), Error> {
        let engine = &store.engine;
        match self {
            Self::Hold => engine.create_hold(HoldRequest::new(1, 1)).await.map(drop),
            Self::Product => engine.products(Some(ProductId(1)), 1).await.map(drop),
            Self::Sweep => engine.sweep().await.map(drop),
            Self::Events => engine.events_after(store.cursor, 10).await.map(drop),
            Self::Start => {
                let another = self::engine(store.shop).open_async().await?;
                another.close().await;
                Ok(())
            }
            Self::Audit => engine.audit().await.map(drop),
        }
    }
}

struct Store<'a> {
    shop: &'a Shop,
    engine: AsyncEngine,
    /// A little before the newest event.
    cursor: u64,
}

impl<'a> Store<'a> {
    async fn open(shop: &'a Shop) -> Result<Self, Error> {
        let engine = engine(shop).open_async().await?;
        // By doubling steps, then by halving ones: the history is long.
        let (mut cursor, mut step) = (0, 1_u64);
        while !engine.events_after(cursor + step, 1).await?.is_empty() {
            cursor += step;
            step *= 2;
        }
        while step > 1 {
            step /= 2;
            if !engine.events_after(cursor + step, 1).await?.is_empty() {
                cursor += step;
            }
        }
        Ok(Self { shop, engine, cursor: cursor.saturating_sub(10) })
    }
}

async fn compare(
    empty: &Shop,
    full: &Shop,
    holds: u64,
    size: &(dyn Fn(&Shop) -> u64 + Sync),
) -> Vec<Figure> {
    let since = Instant::now();
    fill(full, holds).await.expect("the history is made");
    let took = since.elapsed().as_secs_f64();
    let bytes = size(full).saturating_sub(size(empty)) as f64;
    let mut figures = vec![
        Figure::alone("holds of history", holds as f64, None),
        Figure::alone("seconds to make it, and for it to expire", took, None),
        Figure::alone("bytes a hold", bytes / holds as f64, Some(Target::AtMost(20.0))),
    ];
    let stores =
        [Store::open(empty).await.expect("opens"), Store::open(full).await.expect("opens")];
    for kind in Kind::ALL {
        let mut micros = [Vec::new(), Vec::new()];
        for _ in 0..kind.times() {
            // In turn, so that both see the same machine.
            for (store, micros) in stores.iter().zip(&mut micros) {
                let since = Instant::now();
                kind.run(store).await.expect("answers");
                micros.push(since.elapsed().as_secs_f64() * 1e6);
            }
        }
        let [empty, full] = micros.map(|micros| Spread::of(&micros).median);
        let name = kind.name();
        figures.push(Figure::alone(format!("{name}: microseconds in an empty store"), empty, None));
        // An audit reads everything.
        let wanted = (!matches!(kind, Kind::Audit)).then_some(Target::AtMost(1.2));
        figures.push(Figure::alone(format!("{name}: with history / empty"), full / empty, wanted));
    }
    for store in stores {
        store.engine.close().await;
    }
    figures
}

/// A short history.
async fn smoke() {
    let shop = Shop::in_file(PRODUCTS, PLENTY).await;
    let engine = engine(&shop).open_async().await.expect("opens");
    engine.create_hold(HoldRequest::new(1, 1)).await.expect("held");
    engine.close().await;
    let store = Store::open(&shop).await.expect("opens");
    for kind in Kind::ALL {
        let name = kind.name();
        kind.run(&store).await.expect(name);
    }
    store.engine.close().await;
}
