//! Holds on one product by the number of callers, on MariaDB and MySQL with
//! Redis and in a SQLite file: Stockade against hand-written code, against what
//! other shops chose, and against the ceiling of the database. Each contender is
//! first checked to sell exactly what there is.
//!
//! Expected: hand-written code commits one durable transaction at a time, some
//! thousand per second whatever the number of callers. Stockade's batches grow
//! with the callers (group commit), so its rate rises towards the ceiling.

use crate::bench::{self, Bench, FigureTarget, GroupPlan, close};
use crate::contender::{Answer, Contender};
use crate::contenders::{
    AdvisoryLock, AppendFsync, AtomicUpdate, Blocking, Ceiling, FileCeiling, FileRowLock, Products,
    RedisScript, RowLock, Seed, Stockade, UnitRows, Wake, names,
};
use crate::erased::{ErasedContender, erase};
use crate::exact::{self, check};
use crate::results::Target;
use crate::rounds::{Comparison, Series};
use crate::setup::{self, PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

/// The backend name of the SQLite groups.
const IN_FILE: &str = "sqlite";

/// Runs the bench.
pub fn main() {
    bench::main("contention", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let crowds = crowds(bench);
    bench.on_servers(&Flavour::ALL, crowds, |bench, servers| {
        bench.block_on(sell_exactly(servers));
        let contenders = bench.block_on(on_server(servers));
        meet(bench, servers.place(), &contenders);
        bench.block_on(close(contenders));
    });
    if crowds.iter().any(|callers| bench.wants(IN_FILE, *callers)) {
        let contenders = bench.block_on(in_file());
        meet(bench, IN_FILE, &contenders);
        bench.block_on(close(contenders));
    }
}

fn crowds(bench: &Bench) -> &'static [usize] {
    if bench.is_quick() { &[1, 512] } else { &[1, 8, 64, 512] }
}

fn meet(bench: &mut Bench, place: &'static str, contenders: &[Box<dyn ErasedContender>]) {
    for &callers in crowds(bench) {
        let plan = plan(bench, place, callers);
        // A blocking call needs a thread per caller: with many callers it would
        // measure the scheduler.
        let invited: Vec<&dyn ErasedContender> = contenders
            .iter()
            .map(|contender| &**contender)
            .filter(|contender| callers == 1 || contender.name() != names::BLOCKING)
            .collect();
        let all = bench.versus(&plan, &invited);
        if let Some(all) = all.filter(|_| callers == 512) {
            let patient = [names::STOCKADE, names::ROW_LOCK];
            let patient = &patient[..if bench.is_quick() { 1 } else { 2 }];
            let asked: Vec<&dyn ErasedContender> =
                invited.into_iter().filter(|one| patient.contains(&one.name())).collect();
            bench.at_fixed_rates(&plan, &asked, &all);
        }
    }
}

async fn on_server(servers: &Servers) -> Vec<Box<dyn ErasedContender>> {
    let shop = async || servers.shop(1, PLENTY).await;
    vec![
        erase(Stockade::open(shop().await, Products::One).await),
        erase(Stockade::with_customers(shop().await).await),
        erase(Blocking::open(shop().await)),
        erase(Seed::open(&shop().await, Wake::Poll).await),
        erase(Seed::open(&shop().await, Wake::Prompt).await),
        erase(RowLock::open(&shop().await, Products::One).await),
        erase(AtomicUpdate::open(&shop().await, Products::One).await),
        erase(UnitRows::open(&shop().await, None).await),
        erase(AdvisoryLock::open(PLENTY).await),
        erase(RedisScript::open(AppendFsync::Always, PLENTY).await),
        erase(RedisScript::open(AppendFsync::EverySecond, PLENTY).await),
        erase(Ceiling::open(&shop().await).await),
    ]
}

/// Checks each contender that decides itself whether there is stock.
async fn sell_exactly(servers: &Servers) {
    let stock = exact::STOCK;
    let shop = async || servers.shop(1, stock).await;
    check(Stockade::open(shop().await, Products::One).await).await;
    check(Seed::open(&shop().await, Wake::Poll).await).await;
    check(Seed::open(&shop().await, Wake::Prompt).await).await;
    check(RowLock::open(&shop().await, Products::One).await).await;
    check(AtomicUpdate::open(&shop().await, Products::One).await).await;
    check(UnitRows::open(&shop().await, Some(stock)).await).await;
    check(AdvisoryLock::open(stock).await).await;
    check(RedisScript::open(AppendFsync::Always, stock).await).await;
    check(RedisScript::open(AppendFsync::EverySecond, stock).await).await;
}

async fn in_file() -> Vec<Box<dyn ErasedContender>> {
    let shop = async || Shop::in_file(1, PLENTY).await;
    vec![
        erase(Stockade::open(shop().await, Products::One).await),
        erase(Stockade::with_customers(shop().await).await),
        erase(Blocking::open(shop().await)),
        erase(FileRowLock::open(shop().await).await),
        erase(FileCeiling::open(shop().await).await),
    ]
}

/// The share of the ceiling that Stockade must reach with many callers.
fn of_ceiling(place: &str) -> f64 {
    if place == setup::place(Flavour::MySql) { 0.6 } else { 0.7 }
}

fn plan(bench: &Bench, place: &'static str, callers: usize) -> GroupPlan {
    let ratio = |to| Comparison::rate(names::STOCKADE, to);
    let (over_seed, over_ceiling) = match callers {
        512 => (Some(Target::AtLeast(200.0)), Some(Target::AtLeast(of_ceiling(place)))),
        _ => (None, None),
    };
    let customers = Comparison::rate(names::CUSTOMERS, names::STOCKADE);
    let mut comparisons = vec![
        if callers == 512 { customers.wanted(Target::AtLeast(0.4)) } else { customers },
        ratio(names::SEED_POLL),
        Comparison { wanted: over_seed, ..ratio(names::SEED_PROMPT) },
        ratio(names::ROW_LOCK),
        ratio(names::ATOMIC),
        ratio(names::UNIT_ROWS),
        ratio(names::ADVISORY),
        ratio(names::REDIS_SCRIPT),
        ratio(names::REDIS_SCRIPT_LOSSY),
        Comparison { wanted: over_ceiling, ..ratio(names::CEILING) },
    ];
    if callers == 1 {
        let alone = |of| Comparison::latency(of, names::ROW_LOCK).wanted(Target::AtMost(1.25));
        comparisons.extend([alone(names::STOCKADE), alone(names::BLOCKING)]);
    }
    let fairness = [
        FigureTarget {
            contender: names::STOCKADE,
            name: "Jain's index",
            figure: Series::jain,
            wanted: Target::AtLeast(0.99),
        },
        FigureTarget {
            contender: names::STOCKADE,
            name: "longest wait over median",
            figure: Series::longest_over_median,
            wanted: Target::AtMost(5.0),
        },
    ];
    GroupPlan {
        place,
        unit: "holds",
        callers,
        comparisons,
        figures: if callers == 512 { fairness.into() } else { Vec::new() },
        lengths: bench.lengths(),
        // Criterion would take minutes for contenders that poll.
        by_criterion: vec![names::STOCKADE, names::ROW_LOCK],
    }
}

/// One hold by each contender that needs no server.
async fn smoke() {
    let shop = async || Shop::in_file(1, PLENTY).await;
    let stockade = Stockade::open(shop().await, Products::One).await;
    assert_eq!(stockade.request(0).await, Answer::Done);
    Contender::close(&stockade).await;
    let row_lock = FileRowLock::open(shop().await).await;
    assert_eq!(row_lock.request(0).await, Answer::Done);
    let ceiling = FileCeiling::open(shop().await).await;
    assert_eq!(ceiling.request(0).await, Answer::Done);
    let blocking = Blocking::open(shop().await);
    assert_eq!(blocking.request(0).await, Answer::Done);
    blocking.close().await;
}
