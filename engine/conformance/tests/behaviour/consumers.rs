//! Consumers of the events: their leases, positions, dead letters and rows.

use std::time::Duration;

use stockade::{
    Acquired, AsyncEngine, ConsumerChanges, ConsumerPosition, Consumers, ErrorKind, EventKind,
    EventRow, Lease, ProductId, Timestamp, Undelivered, UndeliveredState,
};

use crate::steps::secs;
use crate::world::World;
use crate::{Scenario, scenarios};

pub const SCENARIOS: &[Scenario] = scenarios!("consumers";
    a_consumer_is_leased_to_one_at_a_time_and_an_older_lease_writes_nothing,
    a_new_consumer_begins_where_it_says,
    what_was_not_delivered_is_kept_until_it_is,
    dead_letters_are_due_again_when_they_are_resent,
    a_name_or_a_limit_that_cannot_be_is_refused,
);

const TTL: Duration = Duration::from_secs(30);
const AT: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Runs on an engine with consumers; behind a socket there are none.
fn with_consumers(world: &World, run: impl AsyncFnOnce(&AsyncEngine, &Consumers)) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let engine = world.builder().open_async().await.expect("opens");
        match engine.consumers() {
            Ok(consumers) => run(&engine, &consumers).await,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Misuse);
                assert!(engine.config().store.starts_with("unix:"), "{error}");
            }
        }
        engine.close().await;
    });
}

async fn leased(consumers: &Consumers, from: ConsumerPosition) -> Lease {
    match consumers.acquire("erp", from, TTL).await.expect("asked") {
        Acquired::Leased(lease) => lease,
        Acquired::Held(left) => panic!("held for {left:?}"),
    }
}

fn at(position: u64) -> ConsumerChanges {
    ConsumerChanges { position, ..ConsumerChanges::default() }
}

fn a_consumer_is_leased_to_one_at_a_time_and_an_older_lease_writes_nothing(world: &World) {
    with_consumers(world, async |_, consumers| {
        let first = leased(consumers, ConsumerPosition::First).await;
        assert_eq!((first.position, first.undelivered.len()), (0, 0));
        assert_eq!(consumers.save(&first, &at(5), TTL).await.expect("saved"), Some(0));
        let again = consumers.acquire("erp", ConsumerPosition::First, TTL).await.expect("asked");
        assert!(matches!(again, Acquired::Held(left) if left <= TTL && !left.is_zero()));
        let other = consumers.acquire("other", ConsumerPosition::First, TTL).await.expect("asked");
        assert!(matches!(other, Acquired::Leased(_)));
        world.clock.advance(secs(31));
        let second = leased(consumers, ConsumerPosition::First).await;
        assert!(second.fence > first.fence && second.position == 5);
        let late = Undelivered::new(9, ProductId(1), AT);
        let late = ConsumerChanges { undelivered: vec![late], ..at(9) };
        assert_eq!(consumers.save(&first, &late, TTL).await.expect("asked"), None);
        // Given back, it can be leased at once.
        consumers.save(&second, &at(6), Duration::ZERO).await.expect("saved");
        let third = leased(consumers, ConsumerPosition::First).await;
        assert_eq!((third.position, third.undelivered.len()), (6, 0));
    });
}

fn a_new_consumer_begins_where_it_says(world: &World) {
    with_consumers(world, async |engine, consumers| {
        let lamp = stockade::NewProduct::new("Lamp", "1".parse().expect("a price"), 5);
        engine.create_product(lamp).await.expect("created");
        let events = engine.events_after(0, 100).await.expect("reads");
        let tail = leased(consumers, ConsumerPosition::Tail).await;
        assert_eq!(Some(tail.position), events.last().map(|event| event.cursor));
        let all = consumers.all().await.expect("reads");
        let names: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.position)).collect();
        assert_eq!(names, [("erp", tail.position)]);
    });
}

fn what_was_not_delivered_is_kept_until_it_is(world: &World) {
    with_consumers(world, async |_, consumers| {
        let lease = leased(consumers, ConsumerPosition::First).await;
        let mut failed = Undelivered::new(7, ProductId(3), AT);
        failed.attempts = 2;
        // A character of several bytes lies across the end of what is kept.
        failed.error = format!("O'Hara {}", "\u{e4}".repeat(400));
        let behind = Undelivered::new(8, ProductId(3), AT);
        let row = |cursor, payload: &str| EventRow {
            cursor,
            product_id: ProductId(3),
            kind: EventKind::HoldCreated,
            at: AT,
            payload: payload.to_owned(),
        };
        let changes = ConsumerChanges {
            undelivered: vec![failed.clone(), behind.clone()],
            rows: vec![row(1, r#"{"a": "O'Hara \u00e4 \\ ä"}"#), row(2, "{}")],
            ..at(8)
        };
        // Once more changes nothing.
        for _ in 0..2 {
            assert_eq!(consumers.save(&lease, &changes, TTL).await.expect("saved"), Some(0));
        }
        world.clock.advance(secs(31));
        let next = leased(consumers, ConsumerPosition::First).await;
        let [kept, kept_behind] = &next.undelivered[..] else { panic!("{next:?}") };
        assert_eq!((kept.event, kept.attempts, kept.since), (7, 2, AT));
        assert!(failed.error.starts_with(&kept.error) && kept.error.len() > 500, "{kept:?}");
        assert_eq!(*kept_behind, behind);
        let delivered = ConsumerChanges { delivered: vec![7], ..at(8) };
        consumers.save(&next, &delivered, Duration::ZERO).await.expect("saved");
        let last = leased(consumers, ConsumerPosition::First).await;
        assert_eq!(last.undelivered, [behind]);
    });
}

fn dead_letters_are_due_again_when_they_are_resent(world: &World) {
    with_consumers(world, async |_, consumers| {
        let lease = leased(consumers, ConsumerPosition::First).await;
        let dead = |event| {
            let mut dead = Undelivered::new(event, ProductId(3), AT);
            dead.state = UndeliveredState::Dead;
            dead
        };
        let changes = ConsumerChanges { undelivered: vec![dead(4), dead(6), dead(9)], ..at(9) };
        consumers.save(&lease, &changes, TTL).await.expect("saved");
        let read = async |state, after, limit| {
            let page = consumers.undelivered("erp", state, after, limit).await.expect("reads");
            page.iter().map(|one| one.event).collect::<Vec<_>>()
        };
        assert_eq!(read(UndeliveredState::Dead, 0, 2).await, [4, 6]);
        assert_eq!(read(UndeliveredState::Dead, 6, 2).await, [9]);
        assert_eq!(consumers.resend("erp", Some(6)).await.expect("resent"), 1);
        assert_eq!(consumers.resend("erp", Some(6)).await.expect("asked"), 0);
        assert_eq!(consumers.resend("nobody", None).await.expect("asked"), 0);
        assert_eq!(read(UndeliveredState::Resent, 0, 9).await, [6]);
        // The relay that has the lease sees that something has changed.
        let revision = consumers.save(&lease, &at(9), TTL).await.expect("saved");
        assert!(revision.is_some_and(|revision| revision > lease.revision));
        assert_eq!(consumers.resend("erp", None).await.expect("resent"), 2);
        assert_eq!(read(UndeliveredState::Dead, 0, 9).await, []);
    });
}

fn a_name_or_a_limit_that_cannot_be_is_refused(world: &World) {
    with_consumers(world, async |_, consumers| {
        for name in ["", "a b", "x'", &"n".repeat(65)] {
            let refused = consumers.acquire(name, ConsumerPosition::First, TTL).await;
            assert_eq!(refused.expect_err(name).kind(), ErrorKind::InvalidArgument);
            let refused = consumers.resend(name, None).await;
            assert_eq!(refused.expect_err(name).kind(), ErrorKind::InvalidArgument);
        }
        for limit in [0, 1_001] {
            let refused = consumers.undelivered("erp", UndeliveredState::Dead, 0, limit).await;
            assert_eq!(refused.expect_err("refused").kind(), ErrorKind::InvalidArgument);
        }
        let beyond = consumers.undelivered("erp", UndeliveredState::Dead, u64::MAX, 1).await;
        assert_eq!(beyond.expect("reads"), []);
        assert_eq!(consumers.resend("erp", Some(u64::MAX)).await.expect("asked"), 0);
    });
}
