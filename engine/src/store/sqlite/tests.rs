//! SQLite's files, clocks and result codes.

use prometheus_client::metrics::counter::Counter;

use super::*;
use crate::clock::HostClock;
use crate::model::ProductId;
use crate::store::time::tests::SetClock;
use crate::store::{Sequence, open_store};
use crate::test_support::{insert_product, lamp};

#[test]
fn result_codes_are_classified() {
    for (code, fault) in [
        (5, Fault::LockWait),
        (517, Fault::LockWait),
        (6, Fault::LockWait),
        (13, Fault::Lost),
        (778, Fault::Lost),
        (11, Fault::Lost),
        (275, Fault::Invariant),
        (1299, Fault::Conflict),
        (1555, Fault::Duplicate),
        (2067, Fault::Duplicate),
        (8, Fault::Lost),
        (14, Fault::Lost),
    ] {
        assert_eq!(fault_by_code(code), Some(fault), "{code}");
    }
    assert_eq!(fault_by_code(1), None, "a syntax error is not retried");
    assert_eq!(fault_by_code(787), None, "nor is a foreign key that is not there");
}

fn at(folder: &std::path::Path, name: &str) -> StoreOptions {
    StoreOptions::at(&format!("sqlite:{}/{name}", folder.display()))
}

#[tokio::test]
async fn a_store_is_made_at_any_path() {
    let folder = tempfile::tempdir().expect("a folder");
    for (written, name) in [
        ("my shop.db", "my shop.db"),
        ("my%2520shop.db", "my%20shop.db"),
        ("100%25.db", "100%.db"),
        ("what%3F.db?mode=rwc", "what?.db"),
        ("a#1.db", "a#1.db"),
        ("größe.db", "größe.db"),
    ] {
        let store = open_store(&at(folder.path(), written)).await.expect(written);
        store.ping().await.expect(written);
        store.close().await;
        assert!(folder.path().join(name).is_file(), "{written}");
    }
}

#[tokio::test]
async fn only_a_policy_that_creates_tables_creates_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for migrate in [Migrate::Check, Migrate::Off] {
        let mut options = at(folder.path(), "typo.db");
        options.config.migrate = migrate;
        let refused = open_store(&options).await.map(drop).expect_err("refused");
        assert_eq!(refused.fault, Fault::Unfit, "{refused}");
        assert!(refused.to_string().contains("there is no store at"), "{refused}");
        assert!(!folder.path().join("typo.db").exists());
    }
}

#[tokio::test]
async fn databases_in_memory_are_separate() {
    for url in ["sqlite::memory:", "sqlite:separate?mode=memory"] {
        let one = open_store(&StoreOptions::at(url)).await.expect("opens");
        let other = open_store(&StoreOptions::at(url)).await.expect("opens");
        assert_eq!(one.draw(Sequence::Hold, 5).await.expect("drawn"), 1, "{url}");
        assert_eq!(other.draw(Sequence::Hold, 5).await.expect("drawn"), 1, "{url}");
    }
}

#[tokio::test]
async fn a_clock_that_was_an_hour_ahead_does_not_stop_time_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (host, clock_steps) = (SetClock::new(), Counter::default());
    let options = StoreOptions {
        host: Arc::clone(&host) as _,
        clock_steps: clock_steps.clone(),
        ..at(folder.path(), "shop.db")
    };
    let (real, secs) = (host.wall(), Duration::from_secs);
    // When the store is opened, how far ahead the clock is at its commit, the
    // store's time then, and the steps found so far.
    for (second, ahead, expected, found) in
        [(0, 3_600, 0, 0), (0, 0, 0, 1), (1, 3, 1, 1), (2, 0, 4, 1)]
    {
        host.set(real.after(secs(second)));
        let store = open_store(&options).await.expect("opens");
        assert_eq!(store.now(), real.after(secs(expected)), "{second}");
        assert_eq!(clock_steps.get(), found, "{second}");
        host.step(secs(ahead));
        let batch_id = store.draw(Sequence::Batch, 1).await.expect("drawn");
        let id = ProductId(store.draw(Sequence::Product, 1).await.expect("drawn"));
        insert_product(store.as_ref(), lamp(id, 0), batch_id).await;
        store.close().await;
    }
}
