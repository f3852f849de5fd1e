//! Ten times as many holds of one product as can be had, at a fixed rate that
//! does not care: how many are made all the same, what memory it takes, and
//! how soon all is as before.
//!
//! Expected: the engine's queue is bounded. What does not fit is refused at
//! once with `contention`, which costs the requests that fit next to nothing,
//! and the queue is served within seconds of the last request. The load comes
//! from the same process and takes its share of the cores and of the memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_benches::bench::{self, Bench};
use stockade_benches::closed::ClosedPlan;
use stockade_benches::contender::{Answer, Contender};
use stockade_benches::contenders::{Products, Stockade};
use stockade_benches::entrant::Entrant;
use stockade_benches::memory::{self, MB, Watch};
use stockade_benches::open::{OpenPlan, run_until};
use stockade_benches::results::{Figure, Group, Load, Row, Spread, Wanted};
use stockade_benches::rounds::Series;
use stockade_benches::run::Run;
use stockade_benches::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

/// Requests under way in the overload: more than the engine's queue takes, so
/// that the engine's bound is met and not this one. Those beyond it are refused
/// and ask again at once; many thousands of such tasks would measure how tokio
/// shares its threads out.
const IN_FLIGHT: usize = 66_560;
/// Callers who find the maximum.
const CALLERS: usize = 512;
/// A latency is taken over so long, before and after.
const WINDOW: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    bench::main("overload", measure, smoke);
}

fn measure(bench: &mut Bench) {
    if !bench.measures("mariadb", CALLERS) {
        return;
    }
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    let length = Duration::from_secs(if bench.is_quick() { 3 } else { 15 });
    let (rows, figures) = bench.block_on(overload(&servers, length));
    bench.add(Group {
        name: format!("overload/mariadb/{CALLERS}"),
        unit: "holds".to_owned(),
        place: "mariadb".to_owned(),
        callers: IN_FLIGHT,
        load: Load::Open,
        rows,
        ratios: Vec::new(),
        figures,
    });
}

async fn overload(servers: &Servers, length: Duration) -> (Vec<Row>, Vec<Figure>) {
    let stockade = Arc::new(Stockade::open(servers.shop(1, PLENTY).await, Products::One).await);
    let entrant = &stockade as &dyn Entrant;
    let warm_up = Duration::from_millis(500);
    let plan = ClosedPlan { callers: CALLERS, warm_up, measured: length / 3 };
    let mut maxima = Vec::new();
    for _ in 0..3 {
        maxima.push(entrant.closed(plan).await.rate());
    }
    let most = Spread::of(&maxima).median;
    let half = OpenPlan {
        rate: most / 2.0,
        in_flight: 4096,
        warm_up: Duration::from_millis(20),
        measured: WINDOW,
    };
    let mut before = Vec::new();
    for _ in 0..8 {
        before.push(entrant.open(half).await);
    }
    // Windows differ: the worst but one is still normal.
    let mut normal: Vec<u64> = before.iter().map(p99).collect();
    normal.sort_unstable();
    let normal = normal[normal.len() - 2];

    let resident = memory::resident(std::process::id()).unwrap_or_default() as f64;
    let watch = Watch::start(std::process::id(), Duration::from_millis(50));
    let ten = OpenPlan {
        rate: most * 10.0,
        in_flight: IN_FLIGHT,
        warm_up: Duration::ZERO,
        measured: length,
    };
    let since = Instant::now();
    let mut flood = run_until(&stockade, ten, std::future::pending()).await;
    // The queue is served after the last request, which is part of the way
    // back; what is made then counts, and so does the time that it takes.
    flood.elapsed = since.elapsed();
    let ended = since + length;
    let samples = watch.stop();
    let mut after = Vec::new();
    let back = loop {
        let run = entrant.open(half).await;
        let is_normal = p99(&run) <= 2 * normal && run.failed.is_empty();
        after.push(run);
        if is_normal || ended.elapsed() > PATIENCE {
            // Normal it was when this run began to count.
            break ended.elapsed().saturating_sub(WINDOW);
        }
    };
    let goodput = flood.done as f64 / flood.elapsed.as_secs_f64();
    let (first, second) =
        samples.split_at(samples.partition_point(|sample| sample.at < length / 2));
    let figure = |name: &str, value, wanted| Figure {
        name: name.to_owned(),
        value: Spread::alone(value),
        wanted,
    };
    let figures = vec![
        figure("maximum, closed loop", most, None),
        figure("holds made in the flood / maximum", goodput / most, Some(Wanted::AtLeast(0.8))),
        figure("seconds until p99 is normal", back.as_secs_f64(), Some(Wanted::AtMost(5.0))),
        figure("MB that memory grew at most", (memory::most(&samples) - resident) / MB, None),
        figure(
            "most memory, second half of the flood / first",
            memory::most(second) / memory::most(first).max(1.0),
            Some(Wanted::AtMost(1.2)),
        ),
    ];
    let row = |name: &str, rate, runs| {
        let mut row = Series::of(entrant, runs).row();
        row.contender = name.to_owned();
        row.intended = Some(rate);
        row
    };
    let rows = vec![
        row("at 50%, before", half.rate, before),
        row("at 1000%", ten.rate, vec![flood]),
        row("at 50%, after", half.rate, after),
    ];
    Contender::close(&*stockade).await;
    (rows, figures)
}

fn p99(run: &Run) -> u64 {
    run.latency.value_at_quantile(0.99)
}

/// A queue of one that two meet.
async fn smoke() {
    let stockade = Stockade::open(Shop::in_file(1, PLENTY).await, Products::One).await;
    let stockade = Arc::new(stockade);
    assert_eq!(stockade.request(0).await, Answer::Done);
    let plan = OpenPlan {
        rate: 1e5,
        in_flight: 100,
        warm_up: Duration::ZERO,
        measured: Duration::from_millis(20),
    };
    assert!(run_until(&stockade, plan, std::future::pending()).await.done > 0);
    Contender::close(&*stockade).await;
}
