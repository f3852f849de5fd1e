//! Kills the engine's process at each failpoint, or stops it for longer than its
//! lease, while another process's engine continues.

use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::SliceRandom;
use stockade::failpoints::Failpoint;
use stockade_testkit::{Flavour, wait_until};

use super::check::check;
use super::child::{Child, ChildTask, FaultAction};
use super::deployment::Deployment;
use super::findings::Findings;
use super::journal::{Journal, Request, Response};
use super::load::{Crowd, first_answers, intent, rng, stock_up, under_load};
use crate::results::Violation;

const SHOPPERS: u64 = 8;
const NEIGHBOURS: u64 = 3;
/// The armed child triggers at one of this many passes.
const PASSES: u64 = 25;
/// Caller numbers reserved for each child.
const CALLERS_EACH: u64 = 100;
const PROBES: u64 = 5_000;
/// The longest delay of others by an orphaned lock.
const ORPHANED_LOCK_MAX: Duration = Duration::from_secs(2);
/// Longer than the default lease.
const STANDSTILL: Duration = Duration::from_millis(1_300);
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
const STALE: &str = "metric stockade_lock_stale_total";

fn task(deployment: &Deployment, products: &[u64], seed: u64, number: u64) -> ChildTask {
    ChildTask {
        settings: deployment.settings(),
        products: products.to_vec(),
        seed,
        first: (number + 1) * CALLERS_EACH,
        shoppers: SHOPPERS,
        at: None,
        shell: None,
    }
}

/// Sends SIGKILL at each failpoint once, on a database server with Redis. In
/// every other case all engines take Redis locks for every product, so that a
/// dead process leaves an orphaned one.
pub fn on_server(database: Flavour, seed: u64) -> Findings {
    let deployment = Deployment::on(database).with_redis();
    let strict = seed.is_multiple_of(2);
    kill_everywhere(&deployment.set("strict", strict.to_string()), strict, seed)
}

/// Sends SIGKILL at each failpoint once, on one SQLite file shared by both
/// processes.
pub fn on_sqlite(seed: u64) -> Findings {
    kill_everywhere(&Deployment::sqlite(), false, seed)
}

/// Runs the kills. `locks` says whether engines take Redis locks for every
/// product.
fn kill_everywhere(deployment: &Deployment, locks: bool, seed: u64) -> Findings {
    let mut findings = Findings::default();
    let engines = [deployment.open()];
    let [engine] = &engines;
    let products = stock_up(engine);
    let mut rng = rng(seed, 9_999);
    let mut points = Failpoint::ALL.to_vec();
    points.shuffle(&mut rng);
    let mut observed = Journal::default();
    let crowd = Crowd::new(seed, NEIGHBOURS);
    let mut journal = under_load(&engines, &products, crowd, |_| {
        let mut died: Option<(Instant, Failpoint)> = None;
        for number in 0..=points.len() {
            let mut task = task(deployment, &products, seed, number as u64);
            let point = points.get(number).copied();
            let pass = rng.random_range(1..=PASSES);
            task.at = point.map(|point| (point.as_str().to_owned(), pass, FaultAction::Kill));
            let mut child = Child::start(&task);
            if let Some((since, point)) = died {
                let (took, journal) =
                    first_answers(engine, &products, (since, PROBES + number as u64));
                observed.absorb(journal);
                findings.recovered(took);
                if locks && point == Failpoint::AfterLock {
                    let what = "others delayed after a death with the lock";
                    findings.measure_within(ORPHANED_LOCK_MAX, what, took);
                }
            }
            child.wait_for("served");
            if let Some((since, _)) = died {
                findings.recovered(since.elapsed());
            }
            if let Some(point) = point {
                child.arm();
                died = Some((child.wait_until_dead(), point));
                findings.injected += 1;
            } else {
                child.finish();
            }
            observed.absorb(child.journal());
        }
    });
    journal.absorb(observed);
    check(engine, &mut journal, false, &mut findings);
    findings
}

/// Stops the process in mid-transaction for longer than its Redis lease, then
/// resumes it. In every other case the database drops the process's connections
/// meanwhile, and with them its row locks.
pub fn stopped(database: Flavour, seed: u64) -> Findings {
    let mut findings = Findings::default();
    let deployment = Deployment::on(database).with_redis().set("strict", "true");
    let engines = [deployment.open()];
    let [engine] = &engines;
    let products = stock_up(engine);
    let mut rng = rng(seed, 9_999);
    let mut observed = Journal::default();
    let mut journal = under_load(&engines, &products, Crowd::new(seed, NEIGHBOURS), |_| {
        for (number, point) in (0..).zip(Failpoint::ALL.iter().copied()) {
            let mut task = task(&deployment, &products, seed, number);
            let pass = rng.random_range(1..=PASSES);
            task.at = Some((point.as_str().to_owned(), pass, FaultAction::Stop));
            if point == Failpoint::AfterLock {
                // One shopper, so that no other transaction of the process holds
                // row locks.
                task.shoppers = 1;
            }
            let mut child = Child::start(&task);
            child.wait_for("served");
            child.arm();
            child.wait_until_stopped();
            let stopped = Instant::now();
            findings.injected += 1;
            if point == Failpoint::AfterLock {
                // Meanwhile the probes wait only for the lock.
                let probe = PROBES + 200 + number;
                let (took, journal) = first_answers(engine, &products, (stopped, probe));
                observed.absorb(journal);
                let what = "others delayed by a stopped holder";
                findings.measure_within(ORPHANED_LOCK_MAX, what, took);
            }
            thread::sleep(STANDSTILL.saturating_sub(stopped.elapsed()));
            if point == Failpoint::AfterLock {
                // The lease has expired and no row lock was ever taken.
                overtake(engine, &products, PROBES + number, &mut observed);
            } else if seed.is_multiple_of(2) {
                disconnect_all(database, &deployment);
                overtake(engine, &products, PROBES + number, &mut observed);
            }
            child.resume();
            let since = Instant::now();
            let probe = PROBES + 100 + number;
            let (_, journal) = first_answers(engine, &products, (since, probe));
            observed.absorb(journal);
            findings.recovered(since.elapsed());
            child.finish();
            observed.absorb(child.journal());
            let stale =
                child.lines_after(STALE).first().and_then(|count| count.parse::<u64>().ok());
            let stale = stale.unwrap_or_default();
            findings.count("overtaken locks noticed", stale);
            if point == Failpoint::AfterLock && stale == 0 {
                let why = || "the fence let an overtaken holder pass".to_owned();
                findings.blame(Violation::Unexplained, 1, why);
            }
        }
    });
    journal.absorb(observed);
    check(engine, &mut journal, false, &mut findings);
    findings
}

/// Writes every product under a newer fencing token.
fn overtake(engine: &stockade::Engine, products: &[u64], caller: u64, observed: &mut Journal) {
    for (number, product) in (0..).zip(products) {
        let (intent, request) =
            (intent(caller, 100 + number), Request::Adjust { product: *product, delta: 1 });
        // The stopped process's waiters come first in the lock's queue and use
        // one lease each.
        wait_until("a product is written", WRITTEN_WITHIN, || {
            observed.call(engine, intent, &request) == Response::Adjusted
        });
    }
}

fn disconnect_all(database: Flavour, deployment: &Deployment) {
    let server = database.shared();
    for id in server.connections_to(deployment.database()) {
        // The connection may have closed already.
        let _ = server.try_query(&format!("KILL CONNECTION {id}"));
    }
}
