//! Tests a Redis lock whose holder outlives its lease: the next owner must not
//! lose it to the old holder's release or renewal.

use rand::RngExt;
use stockade::failpoints::Failpoint;
use stockade_testkit::{Flavour, Redis};

use super::check::check;
use super::child::{Child, ChildTask, FaultAction};
use super::deployment::Deployment;
use super::findings::Findings;
use super::load::{rng, stock_up};
use crate::results::Violation;

/// Longer than the test needs to see that the process has stopped.
const LOCK_TTL: &str = "2s";
/// The process stops at one of this many passes of the failpoint.
const PASSES: u64 = 25;
const FIRST_CALLER: u64 = 100;
const CROWD: u64 = 8;
/// The next owner's token and its lease in milliseconds, longer than any case.
const OTHER: &str = "another";
const OTHERS_TTL: &str = "600000";

/// Stops the process while it holds a product's lock, gives the lock to another
/// owner and resumes the process. In every other case callers queue behind the
/// holder, so that it renews the lock instead of releasing it.
pub fn outlived(database: Flavour, seed: u64) -> Findings {
    let mut findings = Findings::default();
    let deployment =
        Deployment::on(database).with_redis().set("strict", "true").set("lock_ttl", LOCK_TTL);
    let engine = deployment.open();
    let products = stock_up(&engine);
    let mut child = Child::start(&ChildTask {
        settings: deployment.settings(),
        products: products.clone(),
        seed,
        first: FIRST_CALLER,
        shoppers: if seed.is_multiple_of(2) { CROWD } else { 1 },
        at: Some((
            Failpoint::AfterLock.as_str().to_owned(),
            rng(seed, 9_999).random_range(1..=PASSES),
            FaultAction::Stop,
        )),
        shell: None,
    });
    child.wait_for("served");
    child.arm();
    child.wait_until_stopped();
    let redis = Redis::shared();
    let keys: Vec<String> =
        products.iter().map(|product| deployment.lock_of(&engine, *product)).collect();
    let is_held = |key: &String| redis.command(&["EXISTS", key]).trim() == "1";
    assert!(keys.iter().any(is_held), "the process stopped without a lock");
    for key in &keys {
        redis.command(&["SET", key, OTHER, "PX", OTHERS_TTL]);
    }
    findings.injected += 1;
    child.resume();
    child.finish();
    for key in &keys {
        let holder = redis.command(&["GET", key]);
        if holder.trim() != OTHER {
            let why = || format!("{key} was another's, and was then {:?}'s", holder.trim());
            findings.blame(Violation::Unexplained, 1, why);
        }
        redis.command(&["DEL", key]);
    }
    let mut journal = child.journal();
    check(&engine, &mut journal, false, &mut findings);
    findings
}
