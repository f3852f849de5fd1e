use serde_json::json;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn event(cursor: u64, product: u64) -> Event {
    serde_json::from_value(json!({
        "cursor": cursor, "type": "hold.created", "product_id": product, "quantity": 1,
        "version": cursor, "at": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

fn failure(why: &str) -> FailedAttempt {
    FailedAttempt { why: why.to_owned(), pause: Duration::from_secs(1), give_up: 3 * DAY }
}

fn later(now: Now, by: Duration) -> Now {
    Now { instant: now.instant + by, at: now.at.after(by) }
}

fn lanes_with(events: &[(u64, u64)], now: Now) -> Lanes {
    let mut lanes = Lanes::new(0, vec![], now);
    for (cursor, product) in events {
        lanes.offer(event(*cursor, *product), true, now);
    }
    lanes
}

fn next(lanes: &mut Lanes) -> Option<(LaneKey, u64)> {
    lanes.next().map(|job| (job.key, job.cursor))
}

#[tokio::test]
async fn one_event_of_a_product_is_sent_at_a_time() {
    let mut lanes = lanes_with(&[(1, 7), (2, 7), (3, 8)], Now::read());
    let (seven, eight) = (LaneKey::Product(7), LaneKey::Product(8));
    assert_eq!(next(&mut lanes), Some((seven, 1)));
    assert_eq!(next(&mut lanes), Some((eight, 3)));
    assert_eq!(next(&mut lanes), None);
    lanes.delivered(eight);
    assert_eq!((lanes.position(), next(&mut lanes)), (0, None));
    lanes.delivered(seven);
    assert_eq!((lanes.position(), next(&mut lanes)), (1, Some((seven, 2))));
    lanes.delivered(seven);
    assert_eq!(lanes.position(), 3);
    assert!(lanes.oldest().is_none() && lanes.is_unsaved());
    let changes = lanes.take_changes();
    assert_eq!((changes.position, changes.undelivered.len(), changes.delivered.len()), (3, 0, 0));
    assert!(!lanes.is_unsaved());
}

#[tokio::test]
async fn a_failed_event_waits_with_the_later_ones_of_its_product_alone() {
    let now = Now::read();
    let mut lanes = lanes_with(&[(1, 7), (2, 7), (3, 8)], now);
    let seven = LaneKey::Product(7);
    assert_eq!(next(&mut lanes), Some((seven, 1)));
    assert!(!lanes.failed(seven, failure("down"), now));
    lanes.offer(event(4, 7), true, now);
    lanes.offer(event(5, 9), false, now);
    assert_eq!(lanes.aside(), 3);
    let (key, cursor) = next(&mut lanes).unwrap();
    assert_eq!(cursor, 3);
    lanes.delivered(key);
    assert_eq!((lanes.position(), next(&mut lanes)), (5, None));
    let changes = lanes.take_changes();
    let aside: Vec<_> = changes.undelivered.iter().map(|one| (one.event, one.attempts)).collect();
    assert_eq!(aside, [(1, 1), (2, 0), (4, 0)]);
    assert_eq!(changes.undelivered[0].error, "down");
    lanes.wake(now.instant);
    assert_eq!(next(&mut lanes), None);
    lanes.wake(now.instant + Duration::from_secs(1));
    for cursor in [1, 2, 4] {
        assert_eq!(next(&mut lanes), Some((seven, cursor)));
        lanes.delivered(seven);
    }
    assert_eq!(lanes.take_changes().delivered, [1, 2, 4]);
    assert_eq!(lanes.aside(), 0);
}

#[tokio::test]
async fn changes_that_were_not_saved_are_not_lost_and_do_not_replace_newer_ones() {
    let now = Now::read();
    let mut lanes = lanes_with(&[(1, 7), (2, 8)], now);
    let seven = LaneKey::Product(7);
    next(&mut lanes).unwrap();
    lanes.failed(seven, failure("first"), now);
    let changes = lanes.take_changes();
    lanes.wake_all();
    let mut keys = vec![next(&mut lanes).unwrap().0, next(&mut lanes).unwrap().0];
    keys.sort();
    assert_eq!(keys, [seven, LaneKey::Product(8)]);
    lanes.failed(seven, failure("second"), now);
    lanes.put_back(changes);
    assert!(lanes.is_unsaved());
    let again = lanes.take_changes();
    assert_eq!((again.position, again.undelivered.len()), (1, 1));
    assert_eq!(again.undelivered[0].error, "second");
}

#[tokio::test]
async fn an_event_is_given_up_after_days_and_its_product_goes_on() {
    let now = Now::read();
    let mut lanes = lanes_with(&[(1, 7), (2, 7)], now);
    let seven = LaneKey::Product(7);
    next(&mut lanes).unwrap();
    lanes.failed(seven, failure("down"), now);
    lanes.wake_all();
    assert_eq!((next(&mut lanes), lanes.attempts(seven)), (Some((seven, 1)), 1));
    assert!(lanes.failed(seven, failure("still down"), later(now, 3 * DAY)));
    let changes = lanes.take_changes();
    let states: Vec<_> = changes.undelivered.iter().map(|one| one.state).collect();
    assert_eq!(states, [UndeliveredState::Dead, UndeliveredState::Waiting]);
    assert_eq!((next(&mut lanes), lanes.attempts(seven)), (Some((seven, 2)), 0));
    lanes.delivered(seven);
    assert_eq!((lanes.aside(), lanes.position()), (0, 2));
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_put_aside() {
    let now = Now::read();
    let mut aside = Undelivered::new(3, ProductId(7), now.at);
    aside.next_attempt = now.at.after(Duration::from_secs(5));
    let behind = Undelivered::new(6, ProductId(7), now.at);
    let mut resent = Undelivered::new(2, ProductId(7), now.at);
    resent.state = UndeliveredState::Resent;
    let mut lanes = Lanes::new(9, vec![aside, behind], now);
    lanes.restore(vec![resent.clone()], now);
    lanes.restore(vec![resent], now);
    assert_eq!((lanes.aside(), lanes.position(), lanes.is_unsaved()), (3, 9, false));
    lanes.offer(event(10, 7), true, now);
    lanes.wake(now.instant);
    // A dead letter that is sent again does not wait behind its product.
    assert_eq!(next(&mut lanes), Some((LaneKey::Resent(2), 2)));
    lanes.delivered(LaneKey::Resent(2));
    assert_eq!(next(&mut lanes), None);
    lanes.wake(now.instant + Duration::from_secs(5));
    for cursor in [3, 6, 10] {
        assert_eq!(next(&mut lanes), Some((LaneKey::Product(7), cursor)));
        lanes.delivered(LaneKey::Product(7));
    }
    assert_eq!(next(&mut lanes), None);
}

#[tokio::test]
async fn reading_stops_when_too_much_is_read_ahead_or_put_aside() {
    let now = Now::read();
    let mut lanes = lanes_with(&[], now);
    for cursor in 1..=WINDOW_MAX as u64 {
        assert!(lanes.may_read());
        lanes.offer(event(cursor, 7), true, now);
    }
    assert!(!lanes.may_read() && lanes.may_restore());
    next(&mut lanes).unwrap();
    lanes.failed(LaneKey::Product(7), failure("down"), now);
    for cursor in (WINDOW_MAX as u64 + 1)..=ASIDE_MAX as u64 {
        assert!(lanes.may_read());
        lanes.offer(event(cursor, 7), true, now);
    }
    assert!(!lanes.may_read() && !lanes.may_restore());
}
