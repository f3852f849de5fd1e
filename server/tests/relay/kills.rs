//! Relays that are killed at any moment lose no event and no order.

use std::time::{Duration, Instant};

use stockade_testkit::wait_until;

use crate::receiver::{Answer, Receiver, SOON};
use crate::shop::{Backend, Shop};

/// A few numbers that look random and are the same in each run.
fn numbers() -> impl Iterator<Item = u64> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(7), next).map(|state| state >> 33)
}

/// Three relays share an endpoint that refuses some and is away for a while, and one of
/// them after the other is killed.
fn killed_relays(backend: Backend, rounds: usize, holds: usize) {
    let shop = Shop::on(backend, 40);
    let mut endpoint = Receiver::with(|message, before| {
        Answer::Status(if message.cursor % 97 == 0 && before == 0 { 503 } else { 200 })
    });
    let plan = endpoint.plan("erp", "").replace("[[webhook]]", "[[webhook]]\nin_flight = 8");
    let mut relays: Vec<_> = (0..3).map(|_| shop.relay(&plan)).collect();
    let mut random = numbers();
    for round in 0..rounds {
        shop.hold(holds / rounds);
        // The moment is the point: it differs from round to round.
        std::thread::sleep(Duration::from_millis(random.next().unwrap() % 400));
        let killed = round % relays.len();
        relays[killed].kill();
        relays[killed] = shop.relay(&plan);
        if round == rounds / 2 {
            endpoint.stop();
            shop.hold(1);
            endpoint.start();
        }
    }
    let started = Instant::now();
    endpoint.wait_for(shop.cursors());
    endpoint.assert_order();
    let (events, messages) = (shop.cursors().len(), endpoint.received().len());
    println!(
        "{backend:?}: {events} events, {messages} messages, {rounds} kills, all {:?} after the last",
        started.elapsed()
    );
    // What is sent again is what was not saved yet, and what was refused.
    assert!(messages < events * 3, "{messages} messages of {events} events");
}

#[test]
fn killed_relays_lose_nothing_on_sqlite() {
    killed_relays(Backend::Sqlite, 8, 80);
}

#[test]
fn killed_relays_lose_nothing_on_mariadb() {
    stockade_testkit::skip_without!(MariaDb);
    killed_relays(Backend::MariaDb, 8, 80);
}

/// The long run prints the figures that docs/events.md names.
#[test]
fn a_hundred_thousand_events_survive_kills() {
    if std::env::var_os("STOCKADE_TEST_LONG").is_none() {
        return;
    }
    for backend in [Backend::Sqlite, Backend::MariaDb] {
        killed_relays(backend, 60, 2_520);
    }
}

#[test]
fn an_idle_relay_costs_hardly_anything() {
    let shop = Shop::new(3);
    shop.hold(10);
    let endpoint = Receiver::accepting();
    let relay = shop.relay(&endpoint.plan("erp", ""));
    endpoint.wait_for(shop.cursors());
    let window = Duration::from_secs(6);
    let (before, started) = (relay.ticks(), Instant::now());
    wait_until("the window is over", SOON, || started.elapsed() >= window);
    let ticks = relay.ticks() - before;
    println!("an idle relay used {ticks} ticks of 10 ms in {window:?}");
    // 1% of a core is 6 ticks.
    assert!(ticks <= 6, "{ticks} ticks in {window:?}");
}
