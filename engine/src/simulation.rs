//! A deterministic simulation of the engine: its combiner, sweeper, locks,
//! cache and retries, in one to three processes, on a simulated database and a
//! simulated Redis that delay, fail, break before and after a commit, lose
//! locks and reorder.
//!
//! One seed draws a whole history: the settings, who calls for what and when,
//! which faults there are and where they strike, and which of the tasks that
//! can go on does. A seed replays exactly; [`a_seed_replays_exactly`] compares
//! a hash of every step. When all callers are answered the faults end, and the
//! rows are held against the log of what was asked and answered
//! ([`checks`]).
//!
//! # Why a scheduler of its own
//!
//! The engine is async code that shares memory between tasks only through
//! mutexes held for moments and tokio's `oneshot`, `Notify`, `Mutex` and
//! `OnceCell`, which work under any executor. So what can differ from run to
//! run is the order in which tasks are polled and the moment at which timers
//! end, and [`world`] draws both. `shuttle` and `loom` would want their own
//! primitives in place of tokio's all through the engine, and check orders of
//! memory accesses, which the engine leaves to mutexes. `madsim` replaces tokio
//! as a whole in every build of the tests. `turmoil` and tokio's paused time
//! order events by their times only: tasks that are ready at once always run in
//! the same order.
//!
//! # What would differ from run to run, and what was done about it
//!
//! - Time, timers, tasks, tokens and the jitter of retries come through
//!   [`crate::runtime`], which asks the world here and is tokio, the machine's
//!   clock and the thread's generator elsewhere.
//! - `tokio::select!` draws the first branch from a generator of the thread: all
//!   on the way are `biased`.
//! - The order of a `HashMap` differs: on the way they are looked up in and
//!   filtered, but never gone through in order. What is simulated has ordered maps.
//! - moka drops what is old by the machine's clock: the simulated cache keeps
//!   entries for a day, and what it serves is decided by the world's clock. It
//!   has room for all products, so nothing is evicted.
//!
//! # What is not simulated
//!
//! SQL (the simulated database does what each statement does: locks, guards,
//! unique keys, READ COMMITTED), the Redis protocol and the shared cache (only
//! its invalidations are), SQLite's single writer, and reading the outbox.

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

/// The longest history, of its own time.
const SIMULATED_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Histories of the short form, and of those how many are played twice.
const SEEDS: u64 = 500;
const REPLAYED: u64 = 100;
/// How many findings are shown in full.
const FINDINGS_SHOWN: usize = 20;

/// How many histories are played, and the first of them; without a number, it
/// alone is.
const SEEDS_VARIABLE: &str = "STOCKADE_SIMULATION_SEEDS";
const SEED_VARIABLE: &str = "STOCKADE_SIMULATION_SEED";
/// Ends it at the first history that breaks a promise, if it is there.
const UNTIL_BROKEN_VARIABLE: &str = "STOCKADE_SIMULATION_UNTIL_BROKEN";
/// Names the file for the row of the report.
const OUT_VARIABLE: &str = "STOCKADE_SIMULATION_OUT";

/// A history that was played.
struct Run {
    /// Tells it from others.
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
            let what = format!("it did not end: {steps} steps, {:?}", ended.took);
            let findings = vec![(Violation::Unexplained, what)];
            Run { trace, steps, operations: 0, struck: BTreeMap::new(), findings }
        }
    }
}

/// The row of the report, with the names that it has there.
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
        fault: "every fault at drawn moments, every order of the tasks".to_owned(),
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
