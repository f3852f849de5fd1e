//! An open loop at ten times the maximum rate of holds of one product: goodput,
//! memory, and the time to recover.
//!
//! Expected: the engine's queue is bounded (backpressure). It rejects what does
//! not fit with `contention` (load shedding), which costs the accepted requests
//! almost nothing, and drains the queue within seconds of the last request. The
//! load generator runs in the same process and takes its share of cores and
//! memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bench::{self, Bench};
use crate::closed::ClosedPlan;
use crate::contender::{Answer, Contender};
use crate::contenders::{Products, Stockade};
use crate::erased::ErasedContender;
use crate::memory::{self, MB, MemorySampler};
use crate::open::{OpenPlan, run_until};
use crate::results::{Figure, Group, Load, Row, Spread, Target};
use crate::rounds::Series;
use crate::run::Run;
use crate::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

/// Requests in flight during the overload: more than the engine's queue
/// accepts, so that the engine's bound applies and not this one. Rejected
/// requests are repeated at once; many thousands of such tasks would measure
/// tokio's scheduler.
const IN_FLIGHT: usize = 66_560;
/// Callers that determine the maximum.
const CALLERS: usize = 512;
/// The window over which a latency is taken, before and after.
const WINDOW: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the bench.
pub fn main() {
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
    let erase = &stockade as &dyn ErasedContender;
    let warm_up = Duration::from_millis(500);
    let plan = ClosedPlan { callers: CALLERS, warm_up, measured: length / 3 };
    let mut maxima = Vec::new();
    for _ in 0..3 {
        maxima.push(erase.closed(plan).await.rate());
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
        before.push(erase.open(half).await);
    }
    // Windows vary: the second worst still counts as normal.
    let mut normal: Vec<u64> = before.iter().map(p99).collect();
    normal.sort_unstable();
    let normal = normal[normal.len() - 2];

    let resident = memory::resident(std::process::id()).unwrap_or_default() as f64;
    let watch = MemorySampler::start(std::process::id(), Duration::from_millis(50));
    let ten = OpenPlan {
        rate: most * 10.0,
        in_flight: IN_FLIGHT,
        warm_up: Duration::ZERO,
        measured: length,
    };
    let since = Instant::now();
    let mut flood = run_until(&stockade, ten, std::future::pending()).await;
    // Draining the queue after the last request is part of recovery; its holds
    // and its time count.
    flood.elapsed = since.elapsed();
    let ended = since + length;
    let samples = watch.stop();
    let mut after = Vec::new();
    let back = loop {
        let run = erase.open(half).await;
        let is_normal = p99(&run) <= 2 * normal && run.failed.is_empty();
        after.push(run);
        if is_normal || ended.elapsed() > TIMEOUT {
            // The latency was already normal when this run began to count.
            break ended.elapsed().saturating_sub(WINDOW);
        }
    };
    let goodput = flood.done as f64 / flood.elapsed.as_secs_f64();
    let (first, second) =
        samples.split_at(samples.partition_point(|sample| sample.at < length / 2));
    let figures = vec![
        Figure::alone("maximum, closed loop", most, None),
        Figure::alone(
            "holds made in the flood / maximum",
            goodput / most,
            Some(Target::AtLeast(0.9)),
        ),
        Figure::alone("seconds until p99 is normal", back.as_secs_f64(), Some(Target::AtMost(5.0))),
        Figure::alone(
            "MB that memory grew at most",
            (memory::most(&samples) - resident) / MB,
            None,
        ),
        Figure::alone(
            "most memory, second half of the flood / first",
            memory::most(second) / memory::most(first).max(1.0),
            Some(Target::AtMost(1.2)),
        ),
    ];
    let row = |name: &str, rate, runs| {
        let mut row = Series::of(erase, runs).row();
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

/// A queue of one with two callers.
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
