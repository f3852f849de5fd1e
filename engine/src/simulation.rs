//! Simulates the engine deterministically: its combiner, sweeper, locks, cache
//! and retries, in one to three processes, on a simulated database and a
//! simulated Redis that delay, fail, disconnect before and after a commit, lose
//! locks and reorder messages.
//!
//! One seed draws a whole history: the settings, every caller's requests and
//! their times, the fault schedule, and which runnable task runs next. A seed
//! replays exactly; [`a_seed_replays_exactly`] compares a hash of every step.
//! When all callers have a response the faults end, and [`checks`] compares the
//! rows with the log of requests and responses.
//!
//! # Why a scheduler of its own
//!
//! The engine is async code whose tasks share memory only through briefly held
//! mutexes and tokio's `oneshot`, `Notify`, `Mutex` and `OnceCell`, which work
//! under any executor. Only the poll order of tasks and the firing order of
//! timers can therefore differ between runs, and [`world`] draws both. `shuttle`
//! and `loom` need their own primitives instead of tokio's throughout the engine,
//! and explore the order of memory accesses, which the engine leaves to mutexes.
//! `madsim` replaces all of tokio in every build of the tests. `turmoil` and
//! tokio's paused time order events by time only: tasks that are ready at the
//! same time always run in the same order.
//!
//! # Sources of nondeterminism and their replacements
//!
//! - Time, timers, tasks, tokens and retry jitter come from [`crate::runtime`],
//!   which asks the [`world`] here, and elsewhere uses tokio, the machine's clock
//!   and the thread's random generator.
//! - `tokio::select!` draws its first branch from a thread-local generator: every
//!   `select!` on a request's path is `biased`.
//! - A `HashMap`'s order differs between runs: code on a request's path looks keys
//!   up and filters, but never depends on iteration order. Simulated parts use
//!   ordered maps.
//! - moka evicts by the machine's clock: the simulated cache keeps entries for a
//!   day and decides freshness by the simulated clock. It has room for all
//!   products, so nothing is evicted.
//!
//! # What is not simulated
//!
//! SQL (the simulated database reproduces each statement's effects: locks,
//! guards, unique keys, READ COMMITTED), the Redis protocol, the shared cache
//! (except its invalidations), SQLite's single writer, and reads of the outbox.

mod callers;
mod checks;
mod database;
mod fault_schedule;
mod history;
mod invalidations;
mod log;
mod probe;
mod redis;
mod shop;
mod store;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::time::Duration;
use std::{env, fs};

use fault_schedule::FaultKind;
use log::{Findings, Violation};
use serde::Serialize;
use world::World;

/// Bounds a history's simulated time.
const SIMULATED_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Number of seeds in the short form, and how many seeds the replay test runs
/// twice.
const SEEDS: u64 = 500;
const REPLAYED: u64 = 100;
/// Bounds the findings that are printed in full.
const FINDINGS_SHOWN: usize = 20;

/// Name the number of seeds and the first seed. Without a number, only the first
/// seed runs.
const SEEDS_VARIABLE: &str = "STOCKADE_SIMULATION_SEEDS";
const SEED_VARIABLE: &str = "STOCKADE_SIMULATION_SEED";
/// When set, ends the run at the first history with a finding.
const UNTIL_BROKEN_VARIABLE: &str = "STOCKADE_SIMULATION_UNTIL_BROKEN";
/// Names the file that receives the report row as JSON.
const OUT_VARIABLE: &str = "STOCKADE_SIMULATION_OUT";

/// The result of one seed.
struct Run {
    /// A hash of every step: equal traces mean equal histories.
    trace: u64,
    steps: u64,
    operations: u64,
    struck: BTreeMap<FaultKind, u64>,
    findings: Findings,
}

fn run(seed: u64) -> Run {
    let ended = World::run(seed, SIMULATED_TIME_MAX, history::run);
    let (trace, steps) = (ended.trace, ended.steps);
    match ended.outcome {
        Some(outcome) => {
            let history::HistoryOutcome { operations, struck, findings } = outcome;
            Run { trace, steps, operations, struck, findings }
        }
        None => {
            let what = format!(
                "the history did not end within its limits: {steps} steps, {:?}",
                ended.took
            );
            let findings = vec![(Violation::Unexplained, what)];
            Run { trace, steps, operations: 0, struck: BTreeMap::new(), findings }
        }
    }
}

/// The report row. Field names match the serialized `Row` of `stockade-proof`.
#[derive(Serialize, Default)]
struct Row {
    fault: String,
    place: String,
    seeds: u64,
    injected: u64,
    operations: u64,
    oversold: u64,
    leaked: u64,
    lost: u64,
    doubled: u64,
    unexplained: u64,
    recovery: Option<Duration>,
    note: String,
}

impl Row {
    fn add(&mut self, run: &Run) {
        self.seeds += 1;
        self.injected += run.struck.values().sum::<u64>();
        self.operations += run.operations;
        for (violation, _) in &run.findings {
            *match violation {
                Violation::Oversold => &mut self.oversold,
                Violation::Leaked => &mut self.leaked,
                Violation::Lost => &mut self.lost,
                Violation::Doubled => &mut self.doubled,
                Violation::Unexplained => &mut self.unexplained,
            } += 1;
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, is {text}")))
}

#[test]
fn no_history_breaks_a_promise() {
    let first = variable(SEED_VARIABLE);
    let count = variable(SEEDS_VARIABLE).unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let first = first.unwrap_or(1);
    let seeds = first..first + count;
    let mut row = Row {
        fault: "all faults at random moments, random task order".to_owned(),
        place: "1 to 3 simulated processes on one simulated database and Redis".to_owned(),
        ..Row::default()
    };
    let (mut steps, mut broken, mut shown) = (0, Vec::new(), 0);
    let mut struck: BTreeMap<FaultKind, u64> = BTreeMap::new();
    let until_broken = env::var_os(UNTIL_BROKEN_VARIABLE).is_some();
    for seed in seeds {
        let run = run(seed);
        row.add(&run);
        steps += run.steps;
        run.struck.iter().for_each(|(kind, count)| *struck.entry(*kind).or_default() += count);
        for (violation, what) in &run.findings {
            if shown < FINDINGS_SHOWN {
                println!("seed {seed}: {violation:?}: {what}");
            }
            shown += 1;
        }
        if !run.findings.is_empty() {
            broken.push(seed);
            if until_broken {
                break;
            }
        }
    }
    row.note = format!("{} seeds, {steps} steps", row.seeds);
    println!("{}, {} operations, {} faults: {struck:?}", row.note, row.operations, row.injected);
    if let Ok(file) = env::var(OUT_VARIABLE) {
        let text = serde_json::to_vec_pretty(&row).expect("plain data");
        fs::write(&file, text).expect("the file can be written");
    }
    assert!(broken.is_empty(), "replay with {SEED_VARIABLE}: {broken:?}");
}

#[test]
fn a_seed_replays_exactly() {
    let seeds = match variable(SEED_VARIABLE) {
        Some(seed) => seed..=seed,
        None => 1..=REPLAYED,
    };
    let mut traces = std::collections::BTreeSet::new();
    for seed in seeds.clone() {
        let (first, again) = (run(seed), run(seed));
        assert_eq!((first.trace, first.steps), (again.trace, again.steps), "seed {seed}");
        traces.insert(first.trace);
    }
    assert_eq!(traces.len(), seeds.count(), "each seed is another history");
}
