//! Holds on one product by 1, 2, 4 and 8 processes with 1 and with 64 callers
//! each: the Redis lock moves from process to process.
//!
//! Expected: a process keeps the lock (a lease) for a run of batches, so the
//! cost is one handover per run; with one caller each, a run is one batch. All
//! processes share the machine's cores.

use std::time::Duration;

use crate::bench::{self, Bench, FigureTarget, GroupPlan};
use crate::child;
use crate::erased::ErasedContender;
use crate::processes::{self, Processes};
use crate::results::Target;
use crate::rounds::Comparison;
use crate::setup::{PLENTY, Servers, Shop};
use stockade_testkit::Flavour;

const ONE: &str = "1 process";
const EIGHT: &str = "8 processes";
const ALL: [(usize, &str); 4] = [(1, ONE), (2, "2 processes"), (4, "4 processes"), (8, EIGHT)];

/// Runs the bench.
pub fn main() {
    if let Some(task) = child::task() {
        return processes::serve(&bench::runtime(), task);
    }
    bench::main("processes", measure, smoke);
}

fn measure(bench: &mut Bench) {
    let servers = Servers::start(Flavour::MariaDb);
    bench.heading(Some(&servers));
    // Each number of processes has its own product: those waiting for their
    // turn are idle and touch nothing.
    let contenders = ALL.map(|(count, name)| {
        let shop = bench.block_on(servers.shop(1, PLENTY));
        Processes::open(name, shop, count)
    });
    let invited: Vec<&dyn ErasedContender> =
        contenders.iter().map(|one| one as &dyn ErasedContender).collect();
    for &callers in bench.crowds(&[1, 64]) {
        bench.versus(&plan(bench, callers), &invited);
    }
    for contender in &contenders {
        bench.block_on(contender.close());
    }
}

fn plan(bench: &Bench, callers: usize) -> GroupPlan {
    let total = Comparison::rate(EIGHT, ONE);
    let comparison = if callers == 64 { total.wanted(Target::AtLeast(0.9)) } else { total };
    let fairness = FigureTarget {
        contender: EIGHT,
        name: "Jain's index among processes",
        figure: |series| series.jain_among(8),
        wanted: Target::AtLeast(0.99),
    };
    GroupPlan {
        place: "mariadb",
        unit: "holds",
        callers,
        comparisons: vec![comparison, Comparison::rate("2 processes", ONE)],
        figures: if callers == 64 { vec![fairness] } else { Vec::new() },
        // Criterion would run them one after the other, which says nothing
        // here.
        by_criterion: Vec::new(),
        lengths: processes::lengths(bench),
    }
}

/// One hold by a child process.
async fn smoke() {
    let shop = Shop::in_file(1, PLENTY).await;
    let alone = Processes::open(ONE, shop, 1);
    assert!(alone.each(2, 1).await > Duration::ZERO);
    alone.close().await;
}
