//! What a batch does with its locks and with what it is told, one step at a
//! time: without workers, on a store in memory, under a lock that notes what it
//! is asked.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::BoxFuture;
use stockade_testkit::MariaDb;
use tokio::runtime::Handle;

use super::answers::{Outcome, UnusedIds};
use super::batch::{Commit, Job, Uncertain, attempt};
use super::leases::{Leases, part};
use super::*;
use crate::clock::{HostClock, SystemClock};
use crate::ledger::NewHold;
use crate::lock::{Grant, Kept, Lease, LockName};
use crate::model::{Hold, HoldId, Money, OrderId, Token};
use crate::store::time::tests::SetClock;
use crate::store::{Needs, ProductInsert, Sequence, StoreOptions, batch_id, identity, open_store};

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

struct Desk {
    combiner: Combiner,
    lock: Arc<NotingLock>,
}

impl Desk {
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
            siblings: Siblings::of(identity(&config.store)),
            config: Arc::new(config),
            policy: Policy::PLAIN,
            lock: Arc::clone(&lock) as Arc<dyn Lock>,
            cache: Arc::new(ProductCache::new(TTL, 9, None, Arc::clone(&metrics))),
            metrics,
            due_notice: Arc::new(DueNotice::new()),
            routes: Routes::new(&store, &runtime),
            store,
        };
        Self { combiner: Combiner::new(parts), lock }
    }

    /// Lets requests for the product come, of which one is under way.
    fn begin(&self) -> Turn {
        let mut lanes = self.combiner.lanes();
        lanes.push(hold()).expect("room");
        let taken = lanes.take().expect("one waits");
        lanes.push(hold()).expect("room");
        Turn { lanes: taken.lanes, requests: 1, number: taken.number }
    }

    async fn acquire(&self, lanes: &[LaneId], requests: usize) -> (Leases, Result<()>) {
        let turn = Turn { lanes: lanes.to_vec(), requests, number: 1 };
        let mut leases = Leases::default();
        let had = leases.acquire(&self.combiner, &turn).await;
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

    async fn decide(&self, requests: Vec<Request>) -> Vec<Outcome> {
        let turn = Turn { lanes: vec![LANE], requests: requests.len(), number: 1 };
        let mut leases = Leases::default();
        worker::decide_all(&self.combiner, requests, &turn, &mut leases).await
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
fn made(outcomes: &[Outcome]) -> Vec<Hold> {
    let hold = |outcome: &Outcome| match outcome {
        Outcome::Reply(_, Ok(Done { answer: Answer::Hold(hold), .. })) => hold.clone(),
        _ => panic!("one was not made"),
    };
    outcomes.iter().map(hold).collect()
}

fn fence(leases: &Leases) -> Option<u64> {
    leases.fences().get(&PRODUCT).copied()
}

#[tokio::test]
async fn a_lock_is_asked_for_a_crowd_on_one_product_only() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    let asked_by = async |lanes: &[LaneId], requests| {
        let (leases, had) = desk.acquire(lanes, requests).await;
        had.expect("had");
        (desk.lock.was_asked(), fence(&leases))
    };
    assert_eq!(asked_by(&[LANE], 7).await, (vec![], None), "no crowd");
    assert_eq!(asked_by(&[LANE], 8).await, (vec![Asked::Acquire(7, TTL * 2)], Some(10)));
    assert_eq!(asked_by(&[LaneId(3), LANE], 99).await, (vec![], None), "several products");
}

#[tokio::test]
async fn strict_mode_asks_for_every_lock_and_waits_but_briefly_among_several() {
    let desk = Desk::with(Answers::Grant, |config| config.strict = true).await;
    let (_, had) = desk.acquire(&[LANE], 1).await;
    had.expect("had");
    assert_eq!(desk.lock.was_asked(), [Asked::Acquire(7, TTL * 2)]);
    let (_, had) = desk.acquire(&[LaneId(3), LANE], 2).await;
    had.expect("had");
    let brief = Duration::from_millis(100);
    assert_eq!(desk.lock.was_asked(), [Asked::Acquire(3, brief), Asked::Acquire(7, brief)]);
}

#[tokio::test]
async fn a_lock_that_is_not_had_stops_strict_mode_only() {
    for (answers, code) in [(Answers::NotInTime, "contention"), (Answers::Down, "unavailable")] {
        let desk = Desk::with(answers, |config| config.strict = true).await;
        let (_, had) = desk.acquire(&[LANE], 8).await;
        assert_eq!(had.expect_err("refused").code(), code);
        let desk = Desk::with(answers, |_| ()).await;
        let (mut leases, had) = desk.acquire(&[LANE], 8).await;
        had.expect("the row lock is enough");
        assert_eq!(fence(&leases), None);
        assert_eq!(desk.lock.was_asked().len(), 1);
        let turn = Turn { lanes: vec![LANE], requests: 8, number: 1 };
        leases.acquire(&desk.combiner, &turn).await.expect("the row lock is enough");
        assert_eq!(desk.lock.was_asked(), [], "the next attempt does not wait again");
    }
}

#[tokio::test]
async fn a_lock_of_an_earlier_batch_is_used_for_half_of_its_time() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    let turn = desk.begin();
    desk.combiner.lanes().keep_lease(LANE, lease(3, TTL / 4));
    let (leases, _) = desk.acquire(&turn.lanes, 1).await;
    assert_eq!(fence(&leases), Some(3));
    assert_eq!((desk.lock.was_asked(), desk.kept_fence()), (vec![], Some(3)));
    desk.combiner.lanes().keep_lease(LANE, lease(3, TTL / 2));
    let (leases, _) = desk.acquire(&turn.lanes, 1).await;
    assert_eq!(fence(&leases), None, "no crowd wants another");
    assert_eq!((desk.lock.was_asked(), desk.kept_fence()), (vec![Asked::Release(Some(3))], None));
    desk.combiner.lanes().keep_lease(LANE, lease(3, TTL / 2));
    let (leases, _) = desk.acquire(&turn.lanes, 8).await;
    assert_eq!(fence(&leases), Some(10));
    let asked = [Asked::Release(Some(3)), Asked::Acquire(7, TTL * 2)];
    assert_eq!((desk.lock.was_asked(), desk.kept_fence()), (asked.into(), Some(10)));
}

#[tokio::test]
async fn an_overtaken_lock_is_dropped_and_asked_for_anew_if_told_so() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    let turn = Turn { requests: 8, ..desk.begin() };
    let mut leases = Leases::default();
    let (asked_anew, not) = (true, false);
    for ask_anew in [asked_anew, not] {
        leases.acquire(&desk.combiner, &turn).await.expect("had");
        assert_eq!(desk.lock.was_asked(), [Asked::Acquire(7, TTL * 2)]);
        leases.drop_stale(&desk.combiner, PRODUCT, 12, ask_anew).await;
        assert_eq!(desk.lock.was_asked(), [Asked::Raise(7, 12), Asked::Release(Some(10))]);
        assert_eq!((fence(&leases), desk.kept_fence()), (None, None));
    }
    leases.acquire(&desk.combiner, &turn).await.expect("not needed");
    assert_eq!(desk.lock.was_asked(), []);
    // The lane's next batch has taken a lock of its own meanwhile.
    let mut elder = Leases::default();
    elder.acquire(&desk.combiner, &turn).await.expect("had");
    desk.combiner.lanes().keep_lease(LANE, lease(11, Duration::ZERO));
    desk.lock.was_asked();
    elder.drop_stale(&desk.combiner, PRODUCT, 12, asked_anew).await;
    assert_eq!((desk.lock.was_asked(), desk.kept_fence()), (vec![Asked::Raise(7, 12)], Some(11)));
}

#[tokio::test]
async fn a_lock_kept_for_long_is_kept_on_if_no_one_wants_it() {
    for (answers, fence) in [(Answers::Grant, Some(3)), (Answers::GrantOnce, None)] {
        let desk = Desk::with(answers, |_| ()).await;
        let turn = desk.begin();
        desk.combiner.lanes().keep_lease(LANE, lease(3, TTL));
        let partings = desk.combiner.finish(&turn, Vec::new());
        assert!(!desk.combiner.lanes().has_ready(), "it waits for its lock");
        part(&desk.combiner, partings).await;
        assert_eq!(desk.lock.was_asked(), [Asked::Keep(Some(3))]);
        assert!(desk.combiner.lanes().has_ready());
        let lanes = desk.combiner.lanes();
        let kept = lanes.lease(LANE);
        assert_eq!(kept.and_then(|lease| lease.fence), fence);
        assert!(kept.is_none_or(|lease| runtime::elapsed(lease.granted_at) < TTL), "renewed");
    }
}

#[tokio::test]
async fn a_lock_that_no_one_here_wants_is_given_back() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    part(&desk.combiner, vec![Parting::Release(lease(3, Duration::ZERO))]).await;
    assert_eq!(desk.lock.was_asked(), [Asked::Release(Some(3))]);
}

#[tokio::test]
async fn who_has_gone_or_waited_too_long_is_not_served() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
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
    let (alive, outcomes) = worker::drop_dead(&desk.combiner, vec![late, gone, waits]);
    assert_eq!(alive.len(), 1);
    assert!(runtime::elapsed(alive[0].since) < TTL);
    let [Outcome::Reply(_, Err(error))] = &outcomes[..] else { panic!("one is refused") };
    assert_eq!(error.code(), "contention");
}

#[tokio::test]
async fn a_batch_lets_another_of_its_lanes_follow_it() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    let bounds =
        Bounds { requests: 9, most: 9, lanes: 9, share_below: 9, under_way: 2, lock_run: TTL };
    *desk.combiner.lanes() = Lanes::new(9, bounds);
    let turn = desk.begin();
    assert!(!desk.combiner.lanes().has_ready());
    desk.combiner.open(&turn, Gate::Open);
    assert!(desk.combiner.lanes().has_ready());
}

#[tokio::test]
async fn no_request_gets_the_fault_of_a_neighbour() {
    let desk = Desk::with(Answers::Grant, |config| config.retries = 0).await;
    desk.insert_product().await;
    let codes = |outcomes: &[Outcome]| {
        let code = |outcome: &Outcome| match outcome {
            Outcome::Reply(_, reply) => reply.as_ref().err().map(|error| error.code().to_owned()),
            Outcome::Again(_) => Some("asked again".to_owned()),
        };
        outcomes.iter().map(code).collect::<Vec<_>>()
    };
    let first = desk.decide(vec![hold()]).await;
    assert_eq!(codes(&first), [None]);
    let Parts { cache, store, .. } = &desk.combiner.parts;
    assert_eq!(cache.last_stock(PRODUCT, store.now()), Some(4), "readers know of it");
    // The second of the next batch would break a rule of the table.
    let mut none = hold();
    none.command.new_holds_mut()[0].qty = 0;
    let outcomes = desk.decide(vec![hold(), none, hold(), hold()]).await;
    assert_eq!(codes(&outcomes), [None, Some("internal".to_owned()), None, None]);
}

#[tokio::test]
async fn a_batch_whose_ids_are_taken_draws_others() {
    for (url, retries) in [("sqlite::memory:", 0), (&*MariaDb::shared().fresh_database(), 5)] {
        let change = |config: &mut Config| {
            config.retries = retries;
            url.clone_into(&mut config.store);
        };
        let desk = Desk::with(Answers::Grant, change).await;
        desk.insert_product().await;
        let first = made(&desk.decide(vec![hold()]).await)[0].clone();
        desk.combiner.ids.give_back(Sequence::Hold, vec![first.id.0]);
        let others = made(&desk.decide(vec![hold(), hold(), hold()]).await);
        assert!(others.iter().all(|hold| hold.id > first.id), "{others:?}");
        let Parts { store, .. } = &desk.combiner.parts;
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
    let host = SetClock::new();
    let url = MariaDb::shared().fresh_database();
    let change = |config: &mut Config| url.clone_into(&mut config.store);
    let desk = Desk::on(Arc::clone(&host) as _, Answers::Grant, change).await;
    desk.insert_product().await;
    let Parts { store, .. } = &desk.combiner.parts;
    let hour = Duration::from_secs(3_600);
    // It is hot before the clock is set.
    for (at, step) in [(0, None), (1, None), (2, None), (3, Some(hour)), (4, Some(hour))] {
        if let Some(by) = step {
            host.step(by);
            assert_eq!(store.speculative_now(), None);
        }
        let hold = made(&desk.decide(vec![hold()]).await)[0].clone();
        let (_, now) = store.hold(hold.id).await.expect("reads").expect("is there");
        let off = hold.created_at.until(now).max(now.until(hold.created_at));
        assert!(off < Duration::from_secs(30), "{at}: {off:?}");
        assert_eq!(hold.created_at.until(hold.expires_at), TTL);
        assert!(store.speculative_now().is_some(), "the store was heard");
    }
}

#[tokio::test]
async fn ids_that_no_row_got_are_used_by_the_next() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    let ids = &desk.combiner.ids;
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
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    let landed = desk.insert_product().await;
    let mut session = desk.combiner.parts.store.session().await.expect("a session");
    session.begin(&Needs::default()).await.expect("begins");
    // Whether it had locks, whether who looks has them, and what is left to know.
    for (had_locks, has_locks, is_open) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, true)]
    {
        let mut lost = Uncertain::of_one(Commit::of_nothing(landed + 1, had_locks));
        let found = lost.look(session.as_mut(), has_locks).await.expect("looks");
        assert!(found.is_none());
        assert_eq!(lost.is_open(), is_open, "{had_locks} {has_locks}");
        assert!(!lost.is_empty(), "the next attempt looks again");
    }
    let mut lost = Uncertain::of_one(Commit::of_nothing(landed + 1, true));
    lost.add(Commit::of_nothing(landed, true));
    assert!(lost.look(session.as_mut(), true).await.expect("looks").is_some());
    assert!(!lost.is_empty() && !lost.is_open());
    lost.look(session.as_mut(), false).await.expect("looks");
    assert!(!lost.is_open(), "what was missed once is not there");
}

#[tokio::test]
async fn a_combiner_ends_once_all_that_waits_is_served() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    desk.insert_product().await;
    assert!(!desk.combiner.close(Duration::from_millis(1)).await, "no worker was there to end");
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    desk.insert_product().await;
    let combiner = Combiner::start(desk.combiner.parts, &Runtime::Tokio(Handle::current()));
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
    let maria = MariaDb::shared().fresh_database();
    for (url, is_known) in [("sqlite::memory:", false), (&maria, true)] {
        let desk = Desk::with(Answers::Grant, |config| url.clone_into(&mut config.store)).await;
        desk.insert_product().await;
        let made = desk.decide(vec![hold()]).await;
        let [Outcome::Reply(request, Ok(_))] = &made[..] else { panic!("one was made") };
        let Parts { store, routes, .. } = &desk.combiner.parts;
        store.close().await;
        let found = routes.of_hold(request.command.new_holds()[0].id).await;
        assert_eq!(found.ok(), is_known.then_some(Some(PRODUCT)), "{url}");
    }
}

#[tokio::test]
async fn an_attempt_that_locks_no_row_does_not_tell_what_became_of_a_lost_commit() {
    let desk = Desk::with(Answers::Grant, |_| ()).await;
    desk.insert_product().await;
    let Combiner { parts, foresight, .. } = &desk.combiner;
    let fences = BTreeMap::new();
    for (products, command, is_open) in [
        (vec![PRODUCT], adjust(), false),
        (vec![], Command::Release { hold_id: HoldId(99), token: None }, true),
    ] {
        let mut lost = Uncertain::of_one(Commit::of_nothing(999, true));
        let (needs, commands) = (Needs { products, ..Needs::default() }, [command]);
        let (needs, commands, fences) = (&needs, &commands[..], &fences);
        let job = Job { needs, commands, batch_id: 500, fences, foresight };
        let mut session = parts.store.session().await.expect("a session");
        let tried = attempt(parts, session.as_mut(), &job, &mut lost, &|_| ()).await;
        assert_eq!(tried.expect("decided").decisions.len(), 1);
        assert_eq!(lost.is_open(), is_open, "{commands:?}");
    }
}
