//! Holds on one product, by the number of callers, on MariaDB and on MySQL with
//! Redis and in a SQLite file: Stockade against what people write by hand and
//! against the ceiling that the database sets.
//!
//! Expected: code written by hand does one durable transaction at a time,
//! which is some thousand a second whatever the number of callers. Stockade's
//! batches grow with the callers, so it goes up with them towards the ceiling.

use stockade_benches::bench::{self, Bench, Match, Wish, close};
use stockade_benches::contender::{Answer, Contender};
use stockade_benches::contenders::{
    AtomicUpdate, Blocking, Ceiling, FileCeiling, FileRowLock, Products, RowLock, Seed, Stockade,
    Wake, names,
};
use stockade_benches::entrant::{Entrant, entrant};
use stockade_benches::results::Wanted;
use stockade_benches::rounds::{Comparison, Series};
use stockade_benches::setup::{self, PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

/// The place of SQLite's groups.
const IN_FILE: &str = "sqlite";

fn main() {
    bench::main("contention", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let crowds = crowds(bench);
    bench.on_servers(&Flavour::ALL, crowds, |bench, servers| {
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

fn meet(bench: &mut Bench, place: &'static str, contenders: &[Box<dyn Entrant>]) {
    for &callers in crowds(bench) {
        let plan = plan(bench, place, callers);
        // A blocking call is for one caller; a crowd would be one of threads.
        let invited: Vec<&dyn Entrant> = contenders
            .iter()
            .map(|contender| &**contender)
            .filter(|contender| callers == 1 || contender.name() != names::BLOCKING)
            .collect();
        let all = bench.versus(&plan, &invited);
        if let Some(all) = all.filter(|_| callers == 512) {
            let patient = [names::STOCKADE, names::ROW_LOCK];
            let patient = &patient[..if bench.is_quick() { 1 } else { 2 }];
            let asked: Vec<&dyn Entrant> =
                invited.into_iter().filter(|one| patient.contains(&one.name())).collect();
            bench.at_fixed_rates(&plan, &asked, &all);
        }
    }
}

async fn on_server(servers: &Servers) -> Vec<Box<dyn Entrant>> {
    let shop = async || servers.shop(1, PLENTY).await;
    vec![
        entrant(Stockade::open(shop().await, Products::One).await),
        entrant(Blocking::open(shop().await)),
        entrant(Seed::open(&shop().await, Wake::Poll).await),
        entrant(Seed::open(&shop().await, Wake::Prompt).await),
        entrant(RowLock::open(&shop().await, Products::One).await),
        entrant(AtomicUpdate::open(&shop().await, Products::One).await),
        entrant(Ceiling::open(&shop().await).await),
    ]
}

async fn in_file() -> Vec<Box<dyn Entrant>> {
    let shop = async || Shop::in_file(1, PLENTY).await;
    vec![
        entrant(Stockade::open(shop().await, Products::One).await),
        entrant(Blocking::open(shop().await)),
        entrant(FileRowLock::open(shop().await).await),
        entrant(FileCeiling::open(shop().await).await),
    ]
}

/// What Stockade is to reach of its ceiling in a crowd.
fn of_ceiling(place: &str) -> f64 {
    if place == setup::place(Flavour::MySql) { 0.6 } else { 0.7 }
}

fn plan(bench: &Bench, place: &'static str, callers: usize) -> Match {
    let ratio = |to| Comparison::rate(names::STOCKADE, to);
    let (over_seed, over_ceiling) = match callers {
        512 => (Some(Wanted::AtLeast(50.0)), Some(Wanted::AtLeast(of_ceiling(place)))),
        _ => (None, None),
    };
    let mut comparisons = vec![
        ratio(names::SEED_POLL),
        Comparison { wanted: over_seed, ..ratio(names::SEED_PROMPT) },
        ratio(names::ROW_LOCK),
        ratio(names::ATOMIC),
        Comparison { wanted: over_ceiling, ..ratio(names::CEILING) },
    ];
    if callers == 1 {
        let alone = |of| Comparison::latency(of, names::ROW_LOCK).wanted(Wanted::AtMost(1.25));
        comparisons.extend([alone(names::STOCKADE), alone(names::BLOCKING)]);
    }
    let fairness = [
        Wish {
            contender: names::STOCKADE,
            name: "Jain's index",
            figure: Series::jain,
            wanted: Wanted::AtLeast(0.99),
        },
        Wish {
            contender: names::STOCKADE,
            name: "longest wait over median",
            figure: Series::longest_over_median,
            wanted: Wanted::AtMost(5.0),
        },
    ];
    Match {
        place,
        unit: "holds",
        callers,
        comparisons,
        figures: if callers == 512 { fairness.into() } else { Vec::new() },
        lengths: bench.lengths(),
        // Those that poll would take Criterion minutes.
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
