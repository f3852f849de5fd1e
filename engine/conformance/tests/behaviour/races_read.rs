//! Reading while others write, and closing while others call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use stockade::{Engine, ErrorKind, EventKind, HoldRequest};
use stockade_testkit::wait_until;

use crate::Scenario;
use crate::crowd::{at_once, engines, kind, pick};
use crate::history::assert_exact;
use crate::scenarios;
use crate::world::{World, numbers, product};

pub const SCENARIOS: &[Scenario] = scenarios!("races";
    readers_never_see_a_product_go_back,
);

pub const SHARED: &[Scenario] = scenarios!("races";
    readers_never_see_a_product_go_back_by_two_engines,
    closing_answers_everyone,
);

const STOCK: u64 = 10_000;

fn readers_never_see_a_product_go_back(world: &World) {
    read(&engines(world, 1));
}

fn readers_never_see_a_product_go_back_by_two_engines(world: &World) {
    read(&engines(world, 2));
}

/// Counts a writer as done once it is dropped.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Twelve callers: eight write and look at once for what they wrote; four only
/// look, until the others are done.
fn read(engines: &[Engine]) {
    let id = product(&engines[0], STOCK);
    let writing = AtomicUsize::new(8);
    at_once(12, |at| {
        let engine = pick(engines, at);
        let look = |least: u64| {
            let product = engine.product(id).expect("reads");
            assert!(product.version >= least, "{} after {least}", product.version);
            assert_eq!(product.received(), STOCK, "{product:?}");
            product.version
        };
        let mut seen = 0;
        if at >= 8 {
            while writing.load(Ordering::Relaxed) > 0 {
                seen = look(seen);
            }
            return;
        }
        // Also when it fails: the others would look for ever.
        let _done = Done(&writing);
        for _ in 0..25 {
            seen = look(seen);
            let hold = engine.create_hold(HoldRequest::new(id, 1)).expect("held").value;
            // Its own write is newer than all that it saw before.
            seen = look(seen + 1);
            engine.release_hold(hold.id).expect("released");
            seen = look(seen + 1);
        }
    });
    let last = assert_exact(&engines[0], &[id], STOCK).replay()[&id].1;
    for engine in engines {
        wait_until("every cache has the last version", Duration::from_secs(10), || {
            engine.product(id).expect("reads").version == last
        });
    }
    assert_eq!(numbers(&engines[0], id), [STOCK, 0, 0, 0]);
}

fn closing_answers_everyone(world: &World) {
    let (engine, watcher) = (world.engine(), world.engine());
    let id = product(&watcher, STOCK);
    let held = AtomicUsize::new(0);
    thread::scope(|scope| {
        let call = || loop {
            let answer = engine.create_hold(HoldRequest::new(id, 1));
            if let Some(kind) = kind(&answer) {
                return kind;
            }
            held.fetch_add(1, Ordering::Relaxed);
        };
        let callers: Vec<_> = (0..32).map(|_| scope.spawn(call)).collect();
        wait_until("some were served", Duration::from_secs(30), || {
            held.load(Ordering::Relaxed) >= 100
        });
        engine.close().expect("closes");
        for caller in callers {
            assert_eq!(caller.join().expect("no panic"), ErrorKind::Misuse);
        }
    });
    let history = assert_exact(&watcher, &[id], STOCK);
    assert_eq!(history.count(EventKind::HoldCreated), held.load(Ordering::Relaxed));
}
