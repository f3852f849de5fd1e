//! The server's memory: when idle, and its growth under ten minutes of load.
//!
//! Expected: everything in the process is bounded (cache, queue, connection
//! buffers), so memory grows with the first requests and then stays flat.

use std::time::Duration;

use crate::bench::{self, Bench};
use crate::contenders::names;
use crate::erased::erase;
use crate::http::{self, Http};
use crate::memory::{self, MB, MemorySampler};
use crate::open::OpenPlan;
use crate::results::{Figure, Group, Load, Spread, Target};
use crate::rounds::Series;
use crate::server::Server;
use crate::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

const PRODUCTS: u64 = 1_000;
const CONNECTIONS: usize = 64;
/// Requests per second; every other one is a hold.
const RATE: f64 = 2_000.0;
/// Time after the start until the server counts as idle.
const SETTLING: Duration = Duration::from_secs(2);
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Runs the bench.
pub fn main() {
    bench::main("memory", measure, smoke);
}

fn measure(bench: &mut Bench) {
    if !bench.measures("sqlite", CONNECTIONS) {
        return;
    }
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    let shop = bench.block_on(servers.shop(PRODUCTS, PLENTY));
    let (redis, prefix) = shop.redis.as_ref().expect("a shop with Redis");
    let shared = Server::start(&[
        ("store", &*shop.url),
        ("redis", &**redis),
        ("redis_prefix", &**prefix),
        ("log_level", "warn"),
    ]);
    let file = bench.block_on(Shop::in_file(PRODUCTS, PLENTY));
    let embedded = Server::start(&[("store", &*file.url), ("log_level", "warn")]);
    std::thread::sleep(SETTLING);
    let idle = |server: &Server| {
        let bytes = memory::resident(server.id()).expect("the server runs");
        Spread::alone(bytes as f64 / MB)
    };
    let figure = |name: &str, value, wanted| Figure { name: name.to_owned(), value, wanted };
    let bound = Some(Target::AtMost(30.0));
    let mut figures = vec![
        figure("MB idle, SQLite", idle(&embedded), bound),
        figure("MB idle, MariaDB and Redis", idle(&shared), bound),
    ];
    drop(shared);

    let length = if bench.is_quick() { Duration::from_secs(6) } else { TEN_MINUTES };
    let requests = (1..=PRODUCTS).flat_map(|product| {
        [
            http::request("GET", &format!("/api/products/{product}")),
            http::request("POST", &format!("/api/holds/{product}/1")),
        ]
    });
    let load =
        erase(Http::new(names::STOCKADE, embedded.address(), requests.collect(), CONNECTIONS));
    let warm_up = length / 5;
    let plan = OpenPlan { rate: RATE, in_flight: CONNECTIONS, warm_up, measured: length - warm_up };
    let watch = MemorySampler::start(embedded.id(), length / 300);
    let run = bench.block_on(load.open(plan));
    let samples = watch.stop();
    // Growth during the first requests is not a leak.
    let warm = &samples[samples.partition_point(|sample| sample.at < warm_up)..];
    // A slope over seconds is noise.
    let flat = (!bench.is_quick()).then_some(Target::AtMost(1.0));
    let alone = Spread::alone;
    figures.extend([
        figure("MB at most under load, SQLite", alone(memory::most(warm) / MB), None),
        figure("MB a minute that it grows under load", alone(memory::slope(warm) / MB), flat),
    ]);
    let mut row = Series::of(&*load, vec![run]).row();
    row.contender = "server, reads and holds".to_owned();
    row.intended = Some(RATE);
    bench.add(Group {
        name: format!("memory/sqlite/{CONNECTIONS}"),
        unit: "requests".to_owned(),
        place: "sqlite".to_owned(),
        callers: CONNECTIONS,
        load: Load::Open,
        rows: vec![row],
        ratios: Vec::new(),
        figures,
    });
    bench.block_on(load.close());
}

/// This process's memory, which needs no server.
async fn smoke() {
    let watch = MemorySampler::start(std::process::id(), Duration::from_millis(1));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let samples = watch.stop();
    assert!(memory::most(&samples) > 0.0 && memory::slope(&samples).is_finite());
}
