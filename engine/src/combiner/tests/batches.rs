//! Batches: bisection, ids, in-doubt commits, and shutdown.

use std::collections::BTreeMap;

use stockade_testkit::MariaDb;
use tokio_util::task::TaskTracker;

use super::*;
use crate::combiner::attempt::{Attempt, attempt};
use crate::combiner::completion::{IdReuse, UnusedIds};
use crate::combiner::in_doubt::{InDoubtCommit, InDoubtCommits};
use crate::combiner::{Combiner, worker};
use crate::model::OrderId;
use crate::services::Services;
use crate::store::ReadSet;
use crate::store::time::tests::SetClock;

#[tokio::test]
async fn reject_expired_drops_cancelled_and_rejects_late_requests() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    let request = |age: Duration| {
        let (sender, receiver) = oneshot::channel();
        let enqueued_at = Instant::now().checked_sub(age).expect("the machine runs for longer");
        let command = Command::Reclaim { product_id: PRODUCT };
        (PendingRequest::new(command, vec![LANE], sender, enqueued_at), receiver)
    };
    let (late, _late) = request(TTL * 2);
    let (gone, receiver) = request(Duration::ZERO);
    drop(receiver);
    let (waits, _waits) = request(Duration::ZERO);
    let (live, outcomes) = worker::reject_expired(&harness.context, vec![late, gone, waits]);
    assert_eq!(live.len(), 1);
    assert!(runtime::elapsed(live[0].enqueued_at) < TTL);
    let [RequestOutcome::Respond(_, Err(error))] = &outcomes[..] else { panic!("one is rejected") };
    assert_eq!(error.code(), "contention");
}

#[tokio::test]
async fn execute_isolates_the_fault_of_one_request() {
    let harness = Harness::new(LockBehavior::Grant, |config| config.retries = 0).await;
    harness.insert_product().await;
    let codes = |outcomes: &[RequestOutcome]| {
        let code = |outcome: &RequestOutcome| match outcome {
            RequestOutcome::Respond(_, response) => {
                response.as_ref().err().map(|error| error.code().to_owned())
            }
            RequestOutcome::Requeue(_) => Some("requeued".to_owned()),
        };
        outcomes.iter().map(code).collect::<Vec<_>>()
    };
    let first = harness.execute(vec![hold()]).await;
    assert_eq!(codes(&first), [None]);
    let Services { cache, store, .. } = &*harness.context.services;
    let cached = cache.peek(PRODUCT, store.now());
    assert_eq!(cached.map(|cached| cached.product.stock), Some(4), "the cache is current");
    // The second hold of the next batch violates a CHECK constraint.
    let mut none = hold();
    none.command.new_holds_mut()[0].quantity = 0;
    let outcomes = harness.execute(vec![hold(), none, hold(), hold()]).await;
    assert_eq!(codes(&outcomes), [None, Some("internal".to_owned()), None, None]);
}

#[tokio::test]
async fn execute_renews_ids_that_are_taken() {
    stockade_testkit::skip_without!(MariaDb);
    for (url, retries) in [("sqlite::memory:", 0), (&*MariaDb::shared().fresh_database(), 5)] {
        let change = |config: &mut Config| {
            config.retries = retries;
            url.clone_into(&mut config.store);
        };
        let harness = Harness::new(LockBehavior::Grant, change).await;
        harness.insert_product().await;
        let first = created(&harness.execute(vec![hold()]).await)[0].clone();
        harness.context.ids.release(Sequence::Hold, vec![first.id.0]);
        let others = created(&harness.execute(vec![hold(), hold(), hold()]).await);
        assert!(others.iter().all(|hold| hold.id > first.id), "{others:?}");
        let Services { store, .. } = &*harness.context.services;
        let (stored, _) = store.hold(first.id).await.expect("reads").expect("is there");
        assert_eq!(stored, first, "it is left as it was");
        for hold in others {
            let (stored, _) = store.hold(hold.id).await.expect("reads").expect("is there");
            assert_eq!(stored, hold);
        }
    }
}

#[tokio::test]
async fn execute_keeps_hold_times_when_the_wall_clock_steps() {
    stockade_testkit::skip_without!(MariaDb);
    let host = SetClock::new();
    let url = MariaDb::shared().fresh_database();
    let change = |config: &mut Config| url.clone_into(&mut config.store);
    let harness = Harness::with_clock(Arc::clone(&host) as _, LockBehavior::Grant, change).await;
    harness.insert_product().await;
    let Services { store, .. } = &*harness.context.services;
    let hour = Duration::from_secs(3_600);
    // The product is hot before the clock steps.
    for (at, step) in [(0, None), (1, None), (2, None), (3, Some(hour)), (4, Some(hour))] {
        if let Some(by) = step {
            host.step(by);
            assert_eq!(store.speculative_now(), None);
        }
        let hold = created(&harness.execute(vec![hold()]).await)[0].clone();
        let (_, now) = store.hold(hold.id).await.expect("reads").expect("is there");
        let error = hold.created_at.until(now).max(now.until(hold.created_at));
        assert!(error < Duration::from_secs(30), "{at}: {error:?}");
        assert_eq!(hold.created_at.until(hold.expires_at), TTL);
        assert!(store.speculative_now().is_some(), "the store's clock was observed");
    }
}

#[tokio::test]
async fn unused_ids_are_allocated_again_if_they_may_be() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    let ids = &harness.context.ids;
    let hold = ids.take(Sequence::Hold, 2).await.expect("allocated");
    let order = ids.take(Sequence::Order, 1).await.expect("allocated");
    let (token, secret, quantity) = (Token(1), Token(1), 1);
    let line = |id| {
        let id = HoldId(id);
        NewHold { id, token, product_id: PRODUCT, sku: None, quantity, least: quantity }
    };
    let unused = || {
        let mut unused = UnusedIds::default();
        let lines = hold.iter().copied().map(line).collect();
        unused.add(&Command::Cart {
            lines,
            token: Token(1),
            ttl: TTL,
            customer: None,
            metadata: None,
            key: None,
        });
        unused.add(&Command::Order {
            order_id: OrderId(order[0]),
            secret,
            holds: [crate::model::OrderedHold::new(1)].into_iter().collect(),
            terms: None,
            key: None,
        });
        unused
    };
    unused().release(ids, IdReuse::Allowed);
    assert_eq!(ids.take(Sequence::Hold, 2).await.expect("free"), hold);
    assert_eq!(ids.take(Sequence::Order, 1).await.expect("free"), order);
    unused().release(ids, IdReuse::Forbidden);
    let next = ids.take(Sequence::Hold, 2).await.expect("allocated");
    assert!(next[0] > hold[1], "a transaction with these ids may still be applied");
}

#[tokio::test]
async fn resolve_is_conclusive_only_under_the_row_locks_of_the_commit() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    let committed_id = harness.insert_product().await;
    let mut session = harness.context.services.store.session().await.expect("a session");
    session.begin(&ReadSet::default()).await.expect("begins");
    // Whether the commit had locks, whether the lookup has them, and whether the
    // outcome stays unknown.
    for (had_locks, has_locks, is_unresolved) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, true)]
    {
        let mut in_doubt =
            InDoubtCommits::from_one(InDoubtCommit::empty(committed_id + 1, had_locks));
        let committed = in_doubt.resolve(session.as_mut(), has_locks).await.expect("reads");
        assert!(committed.is_none());
        assert_eq!(in_doubt.is_unresolved(), is_unresolved, "{had_locks} {has_locks}");
        assert!(!in_doubt.is_empty(), "the next attempt looks again");
    }
    let mut in_doubt = InDoubtCommits::from_one(InDoubtCommit::empty(committed_id + 1, true));
    in_doubt.add(InDoubtCommit::empty(committed_id, true));
    assert!(in_doubt.resolve(session.as_mut(), true).await.expect("reads").is_some());
    assert!(!in_doubt.is_empty() && !in_doubt.is_unresolved());
    in_doubt.resolve(session.as_mut(), false).await.expect("reads");
    assert!(!in_doubt.is_unresolved(), "absent once is absent");
}

#[tokio::test]
async fn close_drains_the_queue_and_stops_the_workers() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    harness.insert_product().await;
    let idle = Combiner { context: Arc::new(harness.context), workers: TaskTracker::new() };
    assert!(!idle.close(Duration::from_millis(1)).await, "the tracker has not been closed");
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    harness.insert_product().await;
    let combiner = Combiner::start(harness.context.services);
    let lanes = [combiner.lane(PRODUCT)];
    let (adjusted, late) = tokio::join!(combiner.submit(adjust(), None, lanes.to_vec()), async {
        assert!(combiner.close(Duration::from_secs(20)).await);
        combiner.submit(adjust(), None, lanes.to_vec()).await
    });
    adjusted.expect("it was executed");
    assert_eq!(late.expect_err("rejected").code(), "misuse");
}

#[tokio::test]
async fn execute_adds_new_holds_to_the_product_index_except_on_sqlite() {
    stockade_testkit::skip_without!(MariaDb);
    let maria = MariaDb::shared().fresh_database();
    for (url, is_known) in [("sqlite::memory:", false), (&maria, true)] {
        let harness =
            Harness::new(LockBehavior::Grant, |config| url.clone_into(&mut config.store)).await;
        harness.insert_product().await;
        let outcomes = harness.execute(vec![hold()]).await;
        let [RequestOutcome::Respond(request, Ok(_))] = &outcomes[..] else {
            panic!("one was created")
        };
        let Services { store, product_index, .. } = &*harness.context.services;
        store.close().await;
        let found = product_index.holds.find(request.command.new_holds()[0].id.0).await;
        assert_eq!(found.ok(), is_known.then(|| Some([PRODUCT].into())), "{url}");
    }
}

#[tokio::test]
async fn attempt_without_row_locks_leaves_a_commit_in_doubt() {
    let harness = Harness::new(LockBehavior::Grant, |_| ()).await;
    harness.insert_product().await;
    let Context { services, speculation, .. } = &harness.context;
    let fences = BTreeMap::new();
    for (products, command, is_unresolved) in [
        (vec![PRODUCT], adjust(), false),
        (vec![], Command::Release { hold_id: HoldId(99), token: None, by_operator: false }, true),
    ] {
        let mut in_doubt = InDoubtCommits::from_one(InDoubtCommit::empty(999, true));
        let (read_set, commands) =
            (ReadSet { products, ..ReadSet::default() }, [(&command).into()]);
        let (read_set, commands, fences) = (&read_set, &commands[..], &fences);
        let input = Attempt { read_set, commands, batch_id: 500, fences, speculation };
        let mut session = services.store.session().await.expect("a session");
        let result = attempt(services, session.as_mut(), &input, &mut in_doubt).await;
        assert_eq!(result.expect("decided").decisions.len(), 1);
        assert_eq!(in_doubt.is_unresolved(), is_unresolved, "{commands:?}");
    }
}
