//! The engine's process killed, or stopped for longer than its lock lives, at
//! each failpoint, while another process's engine goes on.

use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::SliceRandom;
use stockade::failpoints::Failpoint;
use stockade_testkit::{Flavour, wait_until};

use super::check::check;
use super::child::{Act, Child, Orders};
use super::found::Found;
use super::journal::{Ask, Journal, Said};
use super::load::{Crowd, dice, first_answers, intent, stock_up, under_load};
use super::place::Place;
use crate::outcome::StreamError;

const SHOPPERS: u64 = 8;
const NEIGHBOURS: u64 = 3;
/// The child ends itself at one of so many passes once it is armed.
const PASSES: u64 = 25;
/// Numbers of callers that each child has for itself.
const CALLERS_EACH: u64 = 100;
const PROBES: u64 = 5_000;
/// Others are delayed by an orphaned lock for no longer.
const ORPHANED_LOCK_MAX: Duration = Duration::from_secs(2);
/// Longer than a lock lives by default.
const STANDSTILL: Duration = Duration::from_millis(1_300);
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
const STALE: &str = "metric stockade_lock_stale_total";

fn orders(place: &Place, products: &[u64], seed: u64, number: u64) -> Orders {
    Orders {
        settings: place.settings(),
        products: products.to_vec(),
        seed,
        first: (number + 1) * CALLERS_EACH,
        shoppers: SHOPPERS,
        at: None,
        shell: None,
    }
}

/// SIGKILL at each failpoint once, on a database server with Redis. In every other case
/// all take Redis locks for every product, so that a dead process leaves one.
pub fn on_server(database: Flavour, seed: u64) -> Found {
    let place = Place::on(database).with_redis();
    let strict = seed.is_multiple_of(2);
    kill_everywhere(&place.set("strict", strict.to_string()), strict, seed)
}

/// SIGKILL at each failpoint once, on one SQLite file that both processes use.
pub fn on_sqlite(seed: u64) -> Found {
    kill_everywhere(&Place::sqlite(), false, seed)
}

/// `locks` says whether all take Redis locks for everything.
fn kill_everywhere(place: &Place, locks: bool, seed: u64) -> Found {
    let mut found = Found::default();
    let engines = [place.open()];
    let [engine] = &engines;
    let products = stock_up(engine);
    let mut dice = dice(seed, 9_999);
    let mut points = Failpoint::ALL;
    points.shuffle(&mut dice);
    let mut told = Journal::default();
    let crowd = Crowd::new(seed, NEIGHBOURS);
    let mut journal = under_load(&engines, &products, crowd, |_| {
        let mut died: Option<(Instant, Failpoint)> = None;
        for number in 0..=points.len() {
            let mut orders = orders(place, &products, seed, number as u64);
            let point = points.get(number).copied();
            let pass = dice.random_range(1..=PASSES);
            orders.at = point.map(|point| (point.name().to_owned(), pass, Act::Kill));
            let mut child = Child::start(&orders);
            if let Some((since, point)) = died {
                let (took, journal) =
                    first_answers(engine, &products, (since, PROBES + number as u64));
                told.absorb(journal);
                found.recovered(took);
                if locks && point == Failpoint::AfterLock {
                    let what = "others delayed after a death with the lock";
                    found.measure_within(ORPHANED_LOCK_MAX, what, took);
                }
            }
            child.wait_for("served");
            if let Some((since, _)) = died {
                found.recovered(since.elapsed());
            }
            if let Some(point) = point {
                child.arm();
                died = Some((child.wait_until_dead(), point));
                found.injected += 1;
            } else {
                child.finish();
            }
            told.absorb(child.journal());
        }
    });
    journal.absorb(told);
    check(engine, &mut journal, false, &mut found);
    found
}

/// The process stops in mid-transaction for longer than its Redis lock lives,
/// and then goes on. In every other case the database drops its connections
/// meanwhile, and with them its row locks.
pub fn stopped(database: Flavour, seed: u64) -> Found {
    let mut found = Found::default();
    let place = Place::on(database).with_redis().set("strict", "true");
    let engines = [place.open()];
    let [engine] = &engines;
    let products = stock_up(engine);
    let mut dice = dice(seed, 9_999);
    let mut told = Journal::default();
    let mut journal = under_load(&engines, &products, Crowd::new(seed, NEIGHBOURS), |_| {
        for (number, point) in (0..).zip(Failpoint::ALL) {
            let mut orders = orders(&place, &products, seed, number);
            let pass = dice.random_range(1..=PASSES);
            orders.at = Some((point.name().to_owned(), pass, Act::Stop));
            if point == Failpoint::AfterLock {
                // Alone, so that no other transaction of its keeps a row.
                orders.shoppers = 1;
            }
            let mut child = Child::start(&orders);
            child.wait_for("served");
            child.arm();
            child.wait_until_stopped();
            let stopped = Instant::now();
            found.injected += 1;
            if point == Failpoint::AfterLock {
                // Whoever asks meanwhile waits for the lock and for nothing else.
                let probe = PROBES + 200 + number;
                let (took, journal) = first_answers(engine, &products, (stopped, probe));
                told.absorb(journal);
                let what = "others delayed by a stopped holder";
                found.measure_within(ORPHANED_LOCK_MAX, what, took);
            }
            thread::sleep(STANDSTILL.saturating_sub(stopped.elapsed()));
            if point == Failpoint::AfterLock {
                // The lock is no one's any more, and the row never was.
                overtake(engine, &products, PROBES + number, &mut told);
            } else if seed.is_multiple_of(2) {
                disconnect_all(database, &place);
                overtake(engine, &products, PROBES + number, &mut told);
            }
            child.go_on();
            let since = Instant::now();
            let probe = PROBES + 100 + number;
            let (_, journal) = first_answers(engine, &products, (since, probe));
            told.absorb(journal);
            found.recovered(since.elapsed());
            child.finish();
            told.absorb(child.journal());
            let stale = child.said(STALE).first().and_then(|count| count.parse::<u64>().ok());
            let stale = stale.unwrap_or_default();
            found.count("overtaken locks noticed", stale);
            if point == Failpoint::AfterLock && stale == 0 {
                let why = || "the fence let an overtaken holder pass".to_owned();
                found.blame(StreamError::Unexplained, 1, why);
            }
        }
    });
    journal.absorb(told);
    check(engine, &mut journal, false, &mut found);
    found
}

/// Writes every product under a newer lock.
fn overtake(engine: &stockade::Engine, products: &[u64], caller: u64, told: &mut Journal) {
    for (number, product) in (0..).zip(products) {
        let (intent, ask) =
            (intent(caller, 100 + number), Ask::Adjust { product: *product, delta: 1 });
        // Those of the stopped process who wait for the lock come first, one
        // lease each: Redis hears that they are there.
        wait_until("a product is written", WRITTEN_WITHIN, || {
            told.call(engine, intent, &ask) == Said::Adjusted
        });
    }
}

fn disconnect_all(database: Flavour, place: &Place) {
    let server = database.shared();
    let list =
        format!("SELECT id FROM information_schema.processlist WHERE db = '{}'", place.database());
    for id in server.query(&list).lines() {
        // It may be gone by itself.
        let _ = server.try_query(&format!("KILL CONNECTION {id}"));
    }
}
