//! What a batch does with its locks and with what it is told, one step at a
//! time: without workers, on a store in memory, under a lock that notes what it
//! is asked.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::BoxFuture;
use stockade_testkit::MariaDb;
use tokio::runtime::Handle;

use super::batch::{Attempt, Commit, InDoubtCommits, attempt};
use super::leases::{Leases, part};
use super::replies::{BatchOutcome, UnusedIds};
use super::*;
use crate::clock::{HostClock, SystemClock};
use crate::ledger::NewHold;
use crate::lock::{Grant, Kept, Lease, LockName};
use crate::model::{Hold, HoldId, Money, OrderId, Token};
use crate::store::time::tests::SetClock;
use crate::store::{
    ProductInsert, ReadSet, Sequence, StoreOptions, batch_id, identity, open_store,
};

const LANE: LaneId = LaneId(7);
const PRODUCT: ProductId = ProductId(7);
const TTL: Duration = Duration::from_secs(60);

fn adjust() -> Command {
    Command::Adjust { product_id: PRODUCT, delta: 1, version: None, key: None }
}

/// What a lock was asked, and with which fence where one was shown.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Acquire(u64, Duration),
    Keep(Option<u64>),
    Release(Option<u64>),
    Raise(u64, u64),
}

#[derive(Clone, Copy)]
enum Answers {
    Grant,
    /// And hands over what is to be kept.
    GrantOnce,
    NotInTime,
    Down,
}

/// Answers all alike; each fence is ten.
struct NotingLock {
    answers: Answers,
    asked: Mutex<Vec<Asked>>,
}

impl NotingLock {
    fn note<T: Send + 'static>(&self, asked: Asked, answer: T) -> BoxFuture<'static, T> {
        self.asked.lock().expect("no panic").push(asked);
        Box::pin(std::future::ready(answer))
    }

    fn was_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

impl Lock for NotingLock {
    fn acquire(&self, name: LockName, wait: Duration) -> BoxFuture<'_, Grant> {
        let grant = match self.answers {
            Answers::Grant | Answers::GrantOnce => Grant::Granted(lease(10, Duration::ZERO)),
            Answers::NotInTime => Grant::NotInTime,
            Answers::Down => Grant::Down,
        };
        self.note(Asked::Acquire(name.0, wait), grant)
    }

    fn keep<'a>(&'a self, lease: &'a Lease) -> BoxFuture<'a, Kept> {
        let kept = match self.answers {
            Answers::GrantOnce => Kept::HandedOver,
            _ => Kept::Renewed,
        };
        self.note(Asked::Keep(lease.fence), kept)
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, ()> {
        self.note(Asked::Release(lease.fence), ())
    }

    fn raise_fence(&self, name: LockName, seen: u64) -> BoxFuture<'_, ()> {
        self.note(Asked::Raise(name.0, seen), ())
    }
}

fn lease(fence: u64, age: Duration) -> Lease {
    let granted_at = Instant::now().checked_sub(age).expect("the machine runs for longer");
    Lease { name: LockName(LANE.0), token: 1, fence: Some(fence), granted_at }
}

struct BatchState {
    combiner: Combiner,
    lock: Arc<NotingLock>,
}

impl BatchState {
    async fn with(answers: Answers, change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Arc::new(SystemClock), answers, change).await
    }

    async fn on(
        host: Arc<dyn HostClock>,
        answers: Answers,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config { lock_ttl: TTL, queue_wait: TTL, ..Config::default() };
        "sqlite::memory:".clone_into(&mut config.store);
        change(&mut config);
        let options = StoreOptions { host, ..StoreOptions::at(&config.store) };
        let store = open_store(&options).await.expect("opens");
        let lock = Arc::new(NotingLock { answers, asked: Mutex::default() });
        let (metrics, runtime) = (Arc::new(Metrics::new()), Runtime::Tokio(Handle::current()));
        let parts = Parts {
            process_shared: ProcessShared::of(identity(&config.store)),
            config: Arc::new(config),
            policy: Policy::PLAIN,
            lock: Arc::clone(&lock) as Arc<dyn Lock>,
            cache: Arc::new(ProductCache::new(TTL, 9, None, Arc::clone(&metrics))),
            metrics,
            sweeper_waker: Arc::new(SweeperWaker::new()),
            product_index: ProductIndex::new(&store, &runtime),
            store,
        };
        Self { combiner: Combiner::new(parts), lock }
    }

    /// Lets requests for the product come, of which one is under way.
    fn begin(&self) -> BatchSlot {
        let mut lanes = self.combiner.lanes();
        lanes.push(hold()).expect("room");
        let taken = lanes.take().expect("one waits");
        lanes.push(hold()).expect("room");
        BatchSlot { lanes: taken.lanes, requests: 1, number: taken.number }
    }

    async fn acquire(&self, lanes: &[LaneId], requests: usize) -> (Leases, Result<()>) {
        let slot = BatchSlot { lanes: lanes.to_vec(), requests, number: 1 };
        let mut leases = Leases::default();
        let had = leases.acquire(&self.combiner, &slot).await;
        (leases, had)
    }

    /// Inserts the product, and answers as which batch.
    async fn insert_product(&self) -> u64 {
        let batch_id =
            batch_id(self.combiner.ids.take(Sequence::Batch, 1).await.expect("drawn")[0]);
        let price = Money::from_minor(100).expect("a price");
        let new = ProductInsert { id: PRODUCT, name: "Lamp", price, stock: 5, batch_id, key: None };
        self.combiner.parts.store.insert_product(new).await.expect("inserted");
        batch_id
    }

    async fn decide(&self, requests: Vec<Request>) -> Vec<BatchOutcome> {
        let slot = BatchSlot { lanes: vec![LANE], requests: requests.len(), number: 1 };
        let mut leases = Leases::default();
        worker::decide_all(&self.combiner, requests, &slot, &mut leases).await
    }

    fn kept_fence(&self) -> Option<u64> {
        self.combiner.lanes().lease(LANE).and_then(|lease| lease.fence)
    }
}

/// Asks for one unit.
fn hold() -> Request {
    let line = NewHold { id: HoldId(0), token: Token(1), product_id: PRODUCT, qty: 1, at: None };
    let command = Command::Hold { hold: line, ttl: TTL, customer: None, key: None };
    Request::new(command, vec![LANE], oneshot::channel().0, runtime::now())
}

/// The holds that were made, in the order of their requests.
fn made(outcomes: &[BatchOutcome]) -> Vec<Hold> {
    let hold = |outcome: &BatchOutcome| match outcome {
        BatchOutcome::Reply(_, Ok(Done { answer: Answer::Hold(hold), .. })) => hold.clone(),
        _ => panic!("one was not made"),
    };
    outcomes.iter().map(hold).collect()
}

fn fence(leases: &Leases) -> Option<u64> {
    leases.fences().get(&PRODUCT).copied()
}

#[tokio::test]
async fn a_lock_is_asked_for_a_crowd_on_one_product_only() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    let asked_by = async |lanes: &[LaneId], requests| {
        let (leases, had) = batch.acquire(lanes, requests).await;
        had.expect("had");
        (batch.lock.was_asked(), fence(&leases))
    };
    assert_eq!(asked_by(&[LANE], 7).await, (vec![], None), "no crowd");
    assert_eq!(asked_by(&[LANE], 8).await, (vec![Asked::Acquire(7, TTL * 2)], Some(10)));
    assert_eq!(asked_by(&[LaneId(3), LANE], 99).await, (vec![], None), "several products");
}

#[tokio::test]
async fn strict_mode_asks_for_every_lock_and_waits_but_briefly_among_several() {
    let batch = BatchState::with(Answers::Grant, |config| config.strict = true).await;
    let (_, had) = batch.acquire(&[LANE], 1).await;
    had.expect("had");
    assert_eq!(batch.lock.was_asked(), [Asked::Acquire(7, TTL * 2)]);
    let (_, had) = batch.acquire(&[LaneId(3), LANE], 2).await;
    had.expect("had");
    let brief = Duration::from_millis(100);
    assert_eq!(batch.lock.was_asked(), [Asked::Acquire(3, brief), Asked::Acquire(7, brief)]);
}

#[tokio::test]
async fn a_lock_that_is_not_had_stops_strict_mode_only() {
    for (answers, code) in [(Answers::NotInTime, "contention"), (Answers::Down, "unavailable")] {
        let batch = BatchState::with(answers, |config| config.strict = true).await;
        let (_, had) = batch.acquire(&[LANE], 8).await;
        assert_eq!(had.expect_err("refused").code(), code);
        let batch = BatchState::with(answers, |_| ()).await;
        let (mut leases, had) = batch.acquire(&[LANE], 8).await;
        had.expect("the row lock is enough");
        assert_eq!(fence(&leases), None);
        assert_eq!(batch.lock.was_asked().len(), 1);
        let slot = BatchSlot { lanes: vec![LANE], requests: 8, number: 1 };
        leases.acquire(&batch.combiner, &slot).await.expect("the row lock is enough");
        assert_eq!(batch.lock.was_asked(), [], "the next attempt does not wait again");
    }
}

#[tokio::test]
async fn a_lock_of_an_earlier_batch_is_used_for_half_of_its_time() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    let slot = batch.begin();
    batch.combiner.lanes().keep_lease(LANE, lease(3, TTL / 4));
    let (leases, _) = batch.acquire(&slot.lanes, 1).await;
    assert_eq!(fence(&leases), Some(3));
    assert_eq!((batch.lock.was_asked(), batch.kept_fence()), (vec![], Some(3)));
    batch.combiner.lanes().keep_lease(LANE, lease(3, TTL / 2));
    let (leases, _) = batch.acquire(&slot.lanes, 1).await;
    assert_eq!(fence(&leases), None, "no crowd wants another");
    assert_eq!((batch.lock.was_asked(), batch.kept_fence()), (vec![Asked::Release(Some(3))], None));
    batch.combiner.lanes().keep_lease(LANE, lease(3, TTL / 2));
    let (leases, _) = batch.acquire(&slot.lanes, 8).await;
    assert_eq!(fence(&leases), Some(10));
    let asked = [Asked::Release(Some(3)), Asked::Acquire(7, TTL * 2)];
    assert_eq!((batch.lock.was_asked(), batch.kept_fence()), (asked.into(), Some(10)));
}

#[tokio::test]
async fn an_overtaken_lock_is_dropped_and_asked_for_anew_if_told_so() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    let slot = BatchSlot { requests: 8, ..batch.begin() };
    let mut leases = Leases::default();
    let (asked_anew, not) = (true, false);
    for ask_anew in [asked_anew, not] {
        leases.acquire(&batch.combiner, &slot).await.expect("had");
        assert_eq!(batch.lock.was_asked(), [Asked::Acquire(7, TTL * 2)]);
        leases.drop_stale(&batch.combiner, PRODUCT, 12, ask_anew).await;
        assert_eq!(batch.lock.was_asked(), [Asked::Raise(7, 12), Asked::Release(Some(10))]);
        assert_eq!((fence(&leases), batch.kept_fence()), (None, None));
    }
    leases.acquire(&batch.combiner, &slot).await.expect("not needed");
    assert_eq!(batch.lock.was_asked(), []);
    // The lane's next batch has taken a lock of its own meanwhile.
    let mut elder = Leases::default();
    elder.acquire(&batch.combiner, &slot).await.expect("had");
    batch.combiner.lanes().keep_lease(LANE, lease(11, Duration::ZERO));
    batch.lock.was_asked();
    elder.drop_stale(&batch.combiner, PRODUCT, 12, asked_anew).await;
    assert_eq!((batch.lock.was_asked(), batch.kept_fence()), (vec![Asked::Raise(7, 12)], Some(11)));
}

#[tokio::test]
async fn a_lock_kept_for_long_is_kept_on_if_no_one_wants_it() {
    for (answers, fence) in [(Answers::Grant, Some(3)), (Answers::GrantOnce, None)] {
        let batch = BatchState::with(answers, |_| ()).await;
        let slot = batch.begin();
        batch.combiner.lanes().keep_lease(LANE, lease(3, TTL));
        let lease_actions = batch.combiner.finish(&slot, Vec::new());
        assert!(!batch.combiner.lanes().has_ready(), "it waits for its lock");
        part(&batch.combiner, lease_actions).await;
        assert_eq!(batch.lock.was_asked(), [Asked::Keep(Some(3))]);
        assert!(batch.combiner.lanes().has_ready());
        let lanes = batch.combiner.lanes();
        let kept = lanes.lease(LANE);
        assert_eq!(kept.and_then(|lease| lease.fence), fence);
        assert!(kept.is_none_or(|lease| runtime::elapsed(lease.granted_at) < TTL), "renewed");
    }
}

#[tokio::test]
async fn a_lock_that_no_one_here_wants_is_given_back() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    part(&batch.combiner, vec![LeaseAction::Release(lease(3, Duration::ZERO))]).await;
    assert_eq!(batch.lock.was_asked(), [Asked::Release(Some(3))]);
}

#[tokio::test]
async fn who_has_gone_or_waited_too_long_is_not_served() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    let request = |age: Duration| {
        let (reply, answer) = oneshot::channel();
        let since = Instant::now().checked_sub(age).expect("the machine runs for longer");
        let command = Command::Reclaim { product_id: PRODUCT };
        (Request::new(command, vec![LANE], reply, since), answer)
    };
    let (late, _late) = request(TTL * 2);
    let (gone, answer) = request(Duration::ZERO);
    drop(answer);
    let (waits, _waits) = request(Duration::ZERO);
    let (alive, outcomes) = worker::reject_expired(&batch.combiner, vec![late, gone, waits]);
    assert_eq!(alive.len(), 1);
    assert!(runtime::elapsed(alive[0].since) < TTL);
    let [BatchOutcome::Reply(_, Err(error))] = &outcomes[..] else { panic!("one is refused") };
    assert_eq!(error.code(), "contention");
}

#[tokio::test]
async fn a_batch_lets_another_of_its_lanes_follow_it() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    let limits =
        BatchLimits { requests: 9, most: 9, lanes: 9, share_below: 9, in_flight: 2, lock_run: TTL };
    *batch.combiner.lanes() = Lanes::new(9, limits);
    let slot = batch.begin();
    assert!(!batch.combiner.lanes().has_ready());
    batch.combiner.open(&slot, Admission::Open);
    assert!(batch.combiner.lanes().has_ready());
}

#[tokio::test]
async fn no_request_gets_the_fault_of_a_neighbour() {
    let batch = BatchState::with(Answers::Grant, |config| config.retries = 0).await;
    batch.insert_product().await;
    let codes = |outcomes: &[BatchOutcome]| {
        let code = |outcome: &BatchOutcome| match outcome {
            BatchOutcome::Reply(_, reply) => {
                reply.as_ref().err().map(|error| error.code().to_owned())
            }
            BatchOutcome::Requeue(_) => Some("asked again".to_owned()),
        };
        outcomes.iter().map(code).collect::<Vec<_>>()
    };
    let first = batch.decide(vec![hold()]).await;
    assert_eq!(codes(&first), [None]);
    let Parts { cache, store, .. } = &batch.combiner.parts;
    assert_eq!(cache.last_stock(PRODUCT, store.now()), Some(4), "readers know of it");
    // The second of the next batch would break a rule of the table.
    let mut none = hold();
    none.command.new_holds_mut()[0].qty = 0;
    let outcomes = batch.decide(vec![hold(), none, hold(), hold()]).await;
    assert_eq!(codes(&outcomes), [None, Some("internal".to_owned()), None, None]);
}

#[tokio::test]
async fn a_batch_whose_ids_are_taken_draws_others() {
    stockade_testkit::skip_without!(MariaDb);
    for (url, retries) in [("sqlite::memory:", 0), (&*MariaDb::shared().fresh_database(), 5)] {
        let change = |config: &mut Config| {
            config.retries = retries;
            url.clone_into(&mut config.store);
        };
        let batch = BatchState::with(Answers::Grant, change).await;
        batch.insert_product().await;
        let first = made(&batch.decide(vec![hold()]).await)[0].clone();
        batch.combiner.ids.give_back(Sequence::Hold, vec![first.id.0]);
        let others = made(&batch.decide(vec![hold(), hold(), hold()]).await);
        assert!(others.iter().all(|hold| hold.id > first.id), "{others:?}");
        let Parts { store, .. } = &batch.combiner.parts;
        let (stored, _) = store.hold(first.id).await.expect("reads").expect("is there");
        assert_eq!(stored, first, "it is left as it was");
        for hold in others {
            let (stored, _) = store.hold(hold.id).await.expect("reads").expect("is there");
            assert_eq!(stored, hold);
        }
    }
}

#[tokio::test]
async fn a_wall_clock_that_steps_moves_no_hold_of_a_hot_product() {
    stockade_testkit::skip_without!(MariaDb);
    let host = SetClock::new();
    let url = MariaDb::shared().fresh_database();
    let change = |config: &mut Config| url.clone_into(&mut config.store);
    let batch = BatchState::on(Arc::clone(&host) as _, Answers::Grant, change).await;
    batch.insert_product().await;
    let Parts { store, .. } = &batch.combiner.parts;
    let hour = Duration::from_secs(3_600);
    // It is hot before the clock is set.
    for (at, step) in [(0, None), (1, None), (2, None), (3, Some(hour)), (4, Some(hour))] {
        if let Some(by) = step {
            host.step(by);
            assert_eq!(store.speculative_now(), None);
        }
        let hold = made(&batch.decide(vec![hold()]).await)[0].clone();
        let (_, now) = store.hold(hold.id).await.expect("reads").expect("is there");
        let off = hold.created_at.until(now).max(now.until(hold.created_at));
        assert!(off < Duration::from_secs(30), "{at}: {off:?}");
        assert_eq!(hold.created_at.until(hold.expires_at), TTL);
        assert!(store.speculative_now().is_some(), "the store was heard");
    }
}

#[tokio::test]
async fn ids_that_no_row_got_are_used_by_the_next() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    let ids = &batch.combiner.ids;
    let hold = ids.take(Sequence::Hold, 2).await.expect("drawn");
    let order = ids.take(Sequence::Order, 1).await.expect("drawn");
    let (token, secret, qty, at) = (Token(1), Token(1), 1, None);
    let line = |id| {
        let id = HoldId(id);
        NewHold { id, token, product_id: PRODUCT, qty, at }
    };
    let lines = hold.iter().copied().map(line).collect();
    let mut unused = UnusedIds::default();
    unused.add(&Command::Cart { lines, ttl: TTL, customer: None, key: None });
    unused.add(&Command::Order {
        order_id: OrderId(order[0]),
        secret,
        hold_id: HoldId(1),
        product_id: PRODUCT,
        token: None,
        key: None,
    });
    unused.give_back(ids);
    assert_eq!(ids.take(Sequence::Hold, 2).await.expect("kept"), hold);
    assert_eq!(ids.take(Sequence::Order, 1).await.expect("kept"), order);
}

#[tokio::test]
async fn a_lost_commit_is_found_or_missed_for_good_under_the_locks_of_its_rows() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    let landed = batch.insert_product().await;
    let mut session = batch.combiner.parts.store.session().await.expect("a session");
    session.begin(&ReadSet::default()).await.expect("begins");
    // Whether it had locks, whether who looks has them, and what is left to know.
    for (had_locks, has_locks, is_open) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, true)]
    {
        let mut lost = InDoubtCommits::of_one(Commit::of_nothing(landed + 1, had_locks));
        let found = lost.look(session.as_mut(), has_locks).await.expect("looks");
        assert!(found.is_none());
        assert_eq!(lost.is_open(), is_open, "{had_locks} {has_locks}");
        assert!(!lost.is_empty(), "the next attempt looks again");
    }
    let mut lost = InDoubtCommits::of_one(Commit::of_nothing(landed + 1, true));
    lost.add(Commit::of_nothing(landed, true));
    assert!(lost.look(session.as_mut(), true).await.expect("looks").is_some());
    assert!(!lost.is_empty() && !lost.is_open());
    lost.look(session.as_mut(), false).await.expect("looks");
    assert!(!lost.is_open(), "what was missed once is not there");
}

#[tokio::test]
async fn a_combiner_ends_once_all_that_waits_is_served() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    batch.insert_product().await;
    assert!(!batch.combiner.close(Duration::from_millis(1)).await, "no worker was there to end");
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    batch.insert_product().await;
    let combiner = Combiner::start(batch.combiner.parts, &Runtime::Tokio(Handle::current()));
    let lanes = [combiner.lane(PRODUCT)];
    let (restock, late) = tokio::join!(combiner.submit(adjust(), &lanes), async {
        assert!(combiner.close(Duration::from_secs(20)).await);
        combiner.submit(adjust(), &lanes).await
    });
    restock.expect("it was served");
    assert_eq!(late.expect_err("refused").code(), "misuse");
}

#[tokio::test]
async fn the_way_to_a_new_hold_is_known_where_mariadb_would_have_to_be_asked() {
    stockade_testkit::skip_without!(MariaDb);
    let maria = MariaDb::shared().fresh_database();
    for (url, is_known) in [("sqlite::memory:", false), (&maria, true)] {
        let batch =
            BatchState::with(Answers::Grant, |config| url.clone_into(&mut config.store)).await;
        batch.insert_product().await;
        let made = batch.decide(vec![hold()]).await;
        let [BatchOutcome::Reply(request, Ok(_))] = &made[..] else { panic!("one was made") };
        let Parts { store, product_index, .. } = &batch.combiner.parts;
        store.close().await;
        let found = product_index.of_hold(request.command.new_holds()[0].id).await;
        assert_eq!(found.ok(), is_known.then_some(Some(PRODUCT)), "{url}");
    }
}

#[tokio::test]
async fn an_attempt_that_locks_no_row_does_not_tell_what_became_of_a_lost_commit() {
    let batch = BatchState::with(Answers::Grant, |_| ()).await;
    batch.insert_product().await;
    let Combiner { parts, speculation, .. } = &batch.combiner;
    let fences = BTreeMap::new();
    for (products, command, is_open) in [
        (vec![PRODUCT], adjust(), false),
        (vec![], Command::Release { hold_id: HoldId(99), token: None }, true),
    ] {
        let mut lost = InDoubtCommits::of_one(Commit::of_nothing(999, true));
        let (read_set, commands) = (ReadSet { products, ..ReadSet::default() }, [command]);
        let (read_set, commands, fences) = (&read_set, &commands[..], &fences);
        let input = Attempt { read_set, commands, batch_id: 500, fences, speculation };
        let mut session = parts.store.session().await.expect("a session");
        let result = attempt(parts, session.as_mut(), &input, &mut lost, &|_| ()).await;
        assert_eq!(result.expect("decided").decisions.len(), 1);
        assert_eq!(lost.is_open(), is_open, "{commands:?}");
    }
}
