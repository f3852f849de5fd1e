//! Tests engines with skewed clocks, and a clock that is set back.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::RngExt;
use stockade::{Clock, Timestamp};
use stockade_testkit::Flavour;

use super::check::check;
use super::deployment::Deployment;
use super::findings::Findings;
use super::load::{Crowd, rng, stock_up, under_load};

const TEN_MINUTES: i64 = 600_000_000;
const SHOPPERS: u64 = 12;
const STEPS: u64 = 40;
const SERVED_BETWEEN: u64 = 4;

/// The store's clock plus an offset in microseconds.
struct Skewed(AtomicI64);

impl Clock for Skewed {
    fn now(&self, store: Timestamp) -> Timestamp {
        Timestamp::from_micros(store.micros().saturating_add(self.0.load(Ordering::SeqCst)))
    }
}

/// Two engines on a database server.
pub fn on_server(database: Flavour, seed: u64) -> Findings {
    apart(Deployment::on(database), seed)
}

/// Two engines on a SQLite file.
pub fn on_sqlite(seed: u64) -> Findings {
    apart(Deployment::sqlite(), seed)
}

/// Runs two engines on one store with clocks ten minutes apart; one clock is set
/// forward and back repeatedly. Some holds are expired by one clock only.
fn apart(deployment: Deployment, seed: u64) -> Findings {
    let deployment = deployment.set("sweeper", "true");
    let clocks = [0, TEN_MINUTES].map(|skew| Arc::new(Skewed(AtomicI64::new(skew))));
    let open = |clock: &Arc<Skewed>| deployment.builder().clock(Arc::clone(clock) as _).open();
    let engines = clocks.each_ref().map(|clock| open(clock).expect("opens"));
    let products = stock_up(&engines[0]);
    let mut findings = Findings::default();
    let crowd = Crowd { short_lived_holds: true, ..Crowd::new(seed, SHOPPERS) };
    let mut journal = under_load(&engines, &products, crowd, |load| {
        let mut rng = rng(seed, 9_999);
        load.wait_for(SHOPPERS);
        findings.injected += 1;
        for _ in 0..STEPS {
            // The clock starts ahead, so it is set back at least as often as
            // forward.
            let skew = rng.random_range(-TEN_MINUTES..=TEN_MINUTES);
            clocks[1].0.store(skew, Ordering::SeqCst);
            findings.injected += 1;
            load.wait_for(SERVED_BETWEEN);
        }
    });
    check(&engines[0], &mut journal, true, &mut findings);
    findings
}
