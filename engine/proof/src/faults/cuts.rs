//! Resets connections in mid-transaction through proxies: at COMMIT, which leaves
//! the transaction in doubt, and elsewhere.

use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::IndexedRandom;
use stockade::Engine;
use stockade_testkit::{CutWhen, Flavour, Proxy};

use super::check::check;
use super::deployment::Deployment;
use super::findings::Findings;
use super::load::{Crowd, rng, stock_up, under_load};

const PROXIES: u64 = 10;
const CUTS_EACH: u64 = 10;
const SHOPPERS: u64 = 40;
const FIRED_WITHIN: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_micros(300);

const WHEN: [CutWhen; 3] = [CutWhen::BeforeForward, CutWhen::AfterForward, CutWhen::AfterReply];
const AT_COMMIT: [&str; 1] = ["COMMIT"];
const ELSEWHERE: [&str; 5] =
    ["START TRANSACTION", "FOR UPDATE", "INSERT INTO", "UPDATE stockade_hold_batches", "ROLLBACK"];

/// Resets connections during COMMIT: before it arrives, while it executes, and
/// instead of its response.
pub fn at_commit(database: Flavour, seed: u64) -> Findings {
    cut(database, seed, &AT_COMMIT)
}

/// Resets connections elsewhere in a transaction.
pub fn elsewhere(database: Flavour, seed: u64) -> Findings {
    cut(database, seed, &ELSEWHERE)
}

fn cut(database: Flavour, seed: u64, needles: &[&str]) -> Findings {
    let deployment = Deployment::on(database);
    let deployment = if seed.is_multiple_of(2) { deployment.with_redis() } else { deployment };
    let proxies: Vec<Proxy> =
        (0..PROXIES).map(|_| Proxy::start(database.shared().addr())).collect();
    let through = |proxy: &Proxy| deployment.builder().store(&proxy.url(&deployment.url)).open();
    let engines: Vec<Engine> = proxies.iter().map(|proxy| through(proxy).expect("opens")).collect();
    let engine = deployment.open();
    let products = stock_up(&engine);
    let mut journal = under_load(&engines, &products, Crowd::new(seed, SHOPPERS), |load| {
        thread::scope(|scope| {
            for (number, proxy) in (1_000..).zip(&proxies) {
                scope.spawn(move || {
                    let mut rng = rng(seed, number);
                    for _ in 0..CUTS_EACH {
                        let needle = needles.choose(&mut rng).expect("one");
                        // The pause lets some transactions succeed.
                        thread::sleep(Duration::from_millis(rng.random_range(0..20)));
                        shoot(proxy, needle, *WHEN.choose(&mut rng).expect("one"));
                    }
                });
            }
        });
        load.wait_for(SHOPPERS);
    });
    let mut findings = Findings::default();
    findings.injected += PROXIES * CUTS_EACH;
    check(&engine, &mut journal, false, &mut findings);
    findings
}

/// Cuts the next connection that sends this needle, and waits for the cut. Gives
/// up a needle that no connection sends any more.
fn shoot(proxy: &Proxy, needle: &str, when: CutWhen) {
    let before = proxy.fired();
    proxy.cut_after_client_sends(needle.as_bytes(), when);
    let since = Instant::now();
    while proxy.fired() == before {
        assert!(since.elapsed() < FIRED_WITHIN, "no connection sent {needle}");
        thread::sleep(POLL_INTERVAL);
    }
}
