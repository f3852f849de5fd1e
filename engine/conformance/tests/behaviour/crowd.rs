//! Many callers at once, and dice that fall the same way each time.

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::thread;

use stockade::{Engine, ErrorKind, Result};

use crate::socket::counters;
use crate::world::{Builder, World};

/// Runs `work` on so many threads, all of which begin at the same moment;
/// answers what they answered, in their order.
pub fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let (start, work) = (&start, &work);
        let begin = |at| {
            scope.spawn(move || {
                start.wait();
                work(at)
            })
        };
        let callers: Vec<_> = (0..threads).map(begin).collect();
        let answers = callers.into_iter().map(|caller| caller.join());
        answers.map(|answer| answer.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Engines on one store: each has a queue and caches of its own, as each would
/// in a process of its own. SQLite serves writers in no order: on a loaded machine one
/// may wait long.
pub fn engines(world: &World, count: usize) -> Vec<Engine> {
    let open = |_| world.builder().set("queue_wait", "60s").and_then(Builder::open);
    (0..count).map(|at| open(at).expect("opens")).collect()
}

/// One of `engines` for each caller in turn.
pub fn pick(engines: &[Engine], at: usize) -> &Engine {
    &engines[at % engines.len()]
}

/// Seeds every choice; `STOCKADE_TEST_SEED` sets another.
fn seed() -> u64 {
    std::env::var("STOCKADE_TEST_SEED").map_or(20_261_123, |seed| seed.parse().expect("a seed"))
}

/// A caller's own dice. They tell their seed if the test fails while they are
/// held.
pub struct Dice {
    state: u64,
    caller: usize,
}

impl Dice {
    pub fn new(caller: usize) -> Self {
        // Far apart, so that no two callers throw the same numbers.
        let state = seed().wrapping_add((caller as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self { state, caller }
    }

    /// SplitMix64: the same numbers on every machine and for ever.
    fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.throw() % bound
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.below(all.len() as u64);
        all[usize::try_from(at).expect("an index")]
    }

    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let at = self.below(last as u64 + 1);
            all.swap(last, usize::try_from(at).expect("an index"));
        }
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("STOCKADE_TEST_SEED={} threw for caller {}", seed(), self.caller);
        }
    }
}

/// What went wrong, if anything did.
pub fn kind<T>(answer: &Result<T>) -> Option<ErrorKind> {
    answer.as_ref().err().map(stockade::Error::kind)
}

/// How many of the answers went wrong in this way.
pub fn count<T>(answers: &[Result<T>], of: ErrorKind) -> usize {
    answers.iter().filter(|answer| kind(answer) == Some(of)).count()
}

/// A counter of the engine's, or 0 if it has not counted yet.
pub fn metric(engine: &Engine, name: &str) -> f64 {
    let text = counters(engine, engine.metrics_text());
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().expect("a number"))
}
