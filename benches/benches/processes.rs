//! Holds on one product by 1, 2, 4 and 8 processes with 1 and with 64 callers
//! each: the Redis lock goes from process to process.
//!
//! Expected: a process keeps the lock for a run of batches, so that what is
//! lost is one hand-over for each run; with one caller each, a run is one
//! batch. All share the machine's cores.

use std::time::Duration;

use stockade_benches::bench::{self, Bench, Match, Wish};
use stockade_benches::child;
use stockade_benches::entrant::Entrant;
use stockade_benches::processes::{self, Processes};
use stockade_benches::results::Wanted;
use stockade_benches::rounds::Comparison;
use stockade_benches::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

const ONE: &str = "1 process";
const EIGHT: &str = "8 processes";
const ALL: [(usize, &str); 4] = [(1, ONE), (2, "2 processes"), (4, "4 processes"), (8, EIGHT)];

fn main() {
    if let Some(task) = child::task() {
        return processes::serve(&bench::runtime(), task);
    }
    bench::main("processes", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    // Each number of processes has a product of its own: those that wait for
    // their turn are idle and touch nothing.
    let contenders = ALL.map(|(count, name)| {
        let shop = bench.block_on(servers.shop(1, PLENTY));
        Processes::open(name, shop, count)
    });
    let invited: Vec<&dyn Entrant> = contenders.iter().map(|one| one as &dyn Entrant).collect();
    for &callers in bench.crowds(&[1, 64]) {
        bench.versus(&plan(bench, callers), &invited);
    }
    for contender in &contenders {
        bench.block_on(contender.close());
    }
}

fn plan(bench: &Bench, callers: usize) -> Match {
    let total = Comparison::rate(EIGHT, ONE);
    let comparison = if callers == 64 { total.wanted(Wanted::AtLeast(0.8)) } else { total };
    let fairness = Wish {
        contender: EIGHT,
        name: "Jain's index among processes",
        figure: |series| series.jain_among(8),
        wanted: Wanted::AtLeast(0.99),
    };
    Match {
        place: "mariadb",
        unit: "holds",
        callers,
        comparisons: vec![comparison, Comparison::rate("2 processes", ONE)],
        figures: if callers == 64 { vec![fairness] } else { Vec::new() },
        // It would take them one after the other, which says nothing here.
        by_criterion: Vec::new(),
        lengths: processes::lengths(bench),
    }
}

/// One hold by a process of its own.
async fn smoke() {
    let shop = Shop::in_file(1, PLENTY).await;
    let alone = Processes::open(ONE, shop, 1);
    assert!(alone.each(2, 1).await > Duration::ZERO);
    alone.close().await;
}
