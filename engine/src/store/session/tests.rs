//! Guards of writes: a transition whose rows have changed is rejected, whatever
//! was decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use stockade_testkit::{MariaDb, TempDb};

use crate::ledger::{
    Changes, HoldMove, HoldRow, LedgerEvent, OrderMove, OrderRow, PaymentRow, PaymentTerms,
    ProductRow, ProductRowChange,
};
use crate::model::{
    EventKind, HoldId, HoldStatus, OrderId, OrderStatus, Outcome, PaymentDisposition,
    PaymentStatus, Product, ProductId, Timestamp, TokenSeed,
};
use crate::store::{
    Batch, CommitError, Fault, ReadSet, Store, StoreError, StoreOptions, open_store,
};
use crate::test_support::{insert_product, lamp, order_of};

const PRODUCT: ProductId = ProductId(1);
const SEED: TokenSeed = TokenSeed(5);

async fn store() -> Arc<dyn Store> {
    store_at("sqlite::memory:").await
}

async fn store_at(url: &str) -> Arc<dyn Store> {
    let store = open_store(&StoreOptions::at(url)).await.expect("opens");
    insert_product(store.as_ref(), lamp(PRODUCT, 5), 1).await;
    store
}

/// Changes the stored product, writes the changes, and commits unless rejected.
async fn write(
    store: &Arc<dyn Store>,
    id: u64,
    change: impl FnOnce(&mut ProductRowChange, &mut Changes),
) -> Result<(), Fault> {
    let mut session = store.session().await.expect("a session");
    let (products, holds) = (vec![PRODUCT], vec![HoldId(7)]);
    let read_set = ReadSet { products, holds, ..ReadSet::default() };
    let loaded = session.begin(&read_set).await.expect("begins");
    let before = loaded.rows.products[&PRODUCT].clone();
    let mut product = ProductRowChange { after: before.clone(), before };
    let mut changes = Changes::default();
    change(&mut product, &mut changes);
    changes.products.push(product);
    let fences = BTreeMap::new();
    let batch = Batch {
        id,
        now: loaded.now,
        changes: &changes,
        seed: SEED,
        fences: &fences,
        is_speculative: false,
    };
    match session.commit(&batch).await {
        Ok(()) => Ok(()),
        Err(CommitError::InDoubt(error)) => panic!("{error}"),
        Err(CommitError::RolledBack(error) | CommitError::Rejected(error)) => {
            session.rollback().await.expect("rolls back");
            Err(error.fault)
        }
    }
}

fn hold(status: HoldStatus) -> HoldRow {
    let at = Timestamp::from_micros(1_000);
    let expires_at = Timestamp::from_micros(i64::MAX / 2);
    let (id, token) = (HoldId(7), SEED.deriver().token(HoldId(7)));
    let (product_id, created_at) = (PRODUCT, at);
    HoldRow { id, product_id, quantity: 2, status, expires_at, created_at, token, cart_id: None }
}

fn order() -> OrderRow {
    let mut row = order_of(OrderId(3), &[(HoldId(7), PRODUCT, 2)]);
    row.order.status = OrderStatus::Paid;
    row
}

/// A hold that was released, and an order that was paid.
async fn with_rows() -> Arc<dyn Store> {
    let store = store().await;
    let written = write(&store, 2, |product, changes| {
        product.after.product.version += 1;
        changes.new_holds.push(hold(HoldStatus::Released));
        changes.new_orders.push(order());
    });
    written.await.expect("written");
    store
}

#[tokio::test]
async fn a_hold_that_has_changed_is_not_moved() {
    let store = with_rows().await;
    let expire = |from| HoldMove { from, to: HoldStatus::Expired, ids: vec![HoldId(7)] };
    let moved = write(&store, 3, |_, changes| changes.hold_moves.push(expire(HoldStatus::Active)));
    assert_eq!(moved.await, Err(Fault::Conflict));
    let moment = Timestamp::from_micros(5);
    let extended = write(&store, 4, |_, changes| changes.extensions.push((HoldId(7), moment)));
    assert_eq!(extended.await, Err(Fault::Conflict));
    let (stored, _) = store.hold(HoldId(7)).await.expect("reads").expect("is there");
    assert_eq!(stored, hold(HoldStatus::Released).to_hold());
    let moved =
        write(&store, 5, |_, changes| changes.hold_moves.push(expire(HoldStatus::Released)));
    assert_eq!(moved.await, Ok(()));
}

#[tokio::test]
async fn an_order_that_has_changed_is_not_moved() {
    let store = with_rows().await;
    let cancel = |status, disposition| OrderMove {
        from: (status, disposition),
        to: (OrderStatus::Cancelled, PaymentDisposition::None),
        ids: vec![OrderId(3)],
    };
    for from in [
        (OrderStatus::PendingPayment, PaymentDisposition::None),
        (OrderStatus::Paid, PaymentDisposition::NeedsRefund),
    ] {
        let moved = write(&store, 3, |_, changes| changes.order_moves.push(cancel(from.0, from.1)));
        assert_eq!(moved.await, Err(Fault::Conflict));
    }
    let (stored, _) = store.order(OrderId(3)).await.expect("reads").expect("is there");
    assert_eq!(stored, order());
}

#[tokio::test]
async fn a_product_that_has_changed_is_not_overwritten() {
    let store = with_rows().await;
    let lost = write(&store, 3, |product, _| {
        product.before.product.version -= 1;
        product.after.product.version += 1;
    });
    assert_eq!(lost.await, Err(Fault::Conflict));
    let wrong = write(&store, 4, |product, _| {
        product.after.product.version += 1;
        product.after.product.in_stock += 1;
    });
    assert_eq!(wrong.await, Err(Fault::Invariant), "the sum of the units must stay");
    let (stored, _) = store.product(PRODUCT).await.expect("reads").expect("is there");
    assert_eq!((stored.product.version, stored.product.stock), (2, 5));
}

#[tokio::test]
async fn a_single_round_trip_on_a_product_that_has_changed_writes_nothing() {
    let store = with_rows().await;
    let (stored, _) = store.product(PRODUCT).await.expect("reads").expect("is there");
    let write = async |id, version: u64| {
        let mut before =
            ProductRow { product: stored.product.clone(), received: 5, fence: 0, next_due: None };
        before.product.version = version;
        let mut after = before.clone();
        after.product.version += 1;
        let token = SEED.deriver().token(HoldId(id));
        let new = HoldRow { id: HoldId(id), token, ..hold(HoldStatus::Active) };
        let products = vec![ProductRowChange { before, after }];
        let changes = Changes { products, new_holds: vec![new], ..Changes::default() };
        let (fences, now) = (BTreeMap::new(), Timestamp::from_micros(1));
        let batch =
            Batch { id, now, changes: &changes, seed: SEED, fences: &fences, is_speculative: true };
        let mut session = store.session().await.expect("a session");
        let written = session.write(&batch).await;
        session.rollback().await.expect("rolls back");
        written.map_err(|unfinished| match unfinished {
            CommitError::RolledBack(error) | CommitError::Rejected(error) => error.fault,
            CommitError::InDoubt(error) => panic!("{error}"),
        })
    };
    assert_eq!(write(8, 1).await, Err(Fault::Conflict));
    assert!(store.hold(HoldId(8)).await.expect("reads").is_none());
    assert_eq!(write(9, 2).await, Ok(()));
    assert!(store.hold(HoldId(9)).await.expect("reads").is_some());
    let (stored, _) = store.product(PRODUCT).await.expect("reads").expect("is there");
    assert_eq!(stored.product.version, 3);
}

#[test]
fn a_commit_is_in_doubt_unless_it_is_known_to_have_failed() {
    let is_unknown = |fault, statement| {
        let error = StoreError { statement, ..StoreError::new(fault, "x") };
        matches!(super::commit_error(error, 3), CommitError::InDoubt(_))
    };
    assert!(!is_unknown(Fault::Duplicate, Some(2)), "it was rejected before COMMIT");
    assert!(is_unknown(Fault::Lost, Some(3)));
    assert!(is_unknown(Fault::Lost, None), "the failed statement is unknown");
    assert!(!is_unknown(Fault::Deadlock, Some(3)), "the cluster rolled it back");
    assert!(is_unknown(Fault::Deadlock, None));
}

#[tokio::test]
async fn due_rows_are_loaded_only_where_they_may_be_needed() {
    let store = store().await;
    let at = Timestamp::from_micros;
    let (dead, alive, other) = (HoldId(11), HoldId(12), HoldId(13));
    let written = write(&store, 2, |product, changes| {
        let of =
            |id, expires_at| HoldRow { id, expires_at, quantity: 1, ..hold(HoldStatus::Active) };
        let far = at(i64::MAX / 2);
        changes.new_holds = vec![of(dead, at(2_000)), of(alive, far), of(other, at(3_000))];
        let Product { in_stock, held, version, .. } = &mut product.after.product;
        (*in_stock, *held, *version) = (*in_stock - 3, *held + 3, *version + 1);
        product.after.next_due = Some(at(2_000));
    });
    written.await.expect("written");
    let due = async |read_set: ReadSet| {
        let read_set = ReadSet { products: vec![PRODUCT], ..read_set };
        let mut session = store.session().await.expect("a session");
        let mut loaded = session.begin(&read_set).await.expect("begins");
        session.rollback().await.expect("rolls back");
        let due = loaded.rows.due.remove(&PRODUCT).expect("some is due");
        (due.holds, due.more)
    };
    let left = (vec![], true);
    let all = || (vec![dead, other], false);
    let read_set = |holds| ReadSet { holds, due_limit: 9, ..ReadSet::default() };
    assert_eq!(due(read_set(vec![])).await, left);
    assert_eq!(due(read_set(vec![alive])).await, left, "it is not dead");
    assert_eq!(due(read_set(vec![dead])).await, all());
    let wants = |units| ReadSet { wanted: BTreeMap::from([(PRODUCT, units)]), ..read_set(vec![]) };
    assert_eq!(due(wants(2)).await, left, "two are left");
    assert_eq!(due(wants(3)).await, all());
    let swept = |due_limit| ReadSet { due: [PRODUCT].into(), due_limit, ..ReadSet::default() };
    assert_eq!(due(swept(2)).await, all());
    assert_eq!(due(swept(1)).await, (vec![dead], true));
    assert_eq!(due(swept(0)).await, (vec![dead], true), "a sweep goes on in any case");
}

fn payment(waiting: bool) -> PaymentRow {
    PaymentRow {
        key: format!("waits: {waiting}"),
        fingerprint: [1; 32],
        order_id: OrderId(3),
        secret: None,
        outcome: Outcome::Success,
        terms: PaymentTerms {
            reference: Some("stripe/pi_1".to_owned()),
            ..PaymentTerms::default()
        },
        answer: PaymentStatus::Recorded,
        waiting,
        received_at: Timestamp::from_micros(1_000),
    }
}

#[tokio::test]
async fn payments_are_read_as_they_were_written() {
    let store = store().await;
    let payments = [payment(true), payment(false)];
    let written = write(&store, 2, |_, changes| changes.new_payments = payments.to_vec());
    written.await.expect("written");
    let mut session = store.session().await.expect("a session");
    let keys: Vec<String> = payments.iter().map(|row| row.key.clone()).collect();
    let read_set =
        ReadSet { payments: keys.clone(), awaited_orders: vec![OrderId(3)], ..ReadSet::default() };
    let loaded = session.begin(&read_set).await.expect("begins");
    session.rollback().await.expect("rolls back");
    let read = keys.iter().map(|key| loaded.rows.payments[key].clone());
    assert!(read.eq(payments.clone()));
    assert_eq!(loaded.rows.waiting[&OrderId(3)], payments[..1]);
}

#[tokio::test]
async fn an_order_conflicts_with_a_waiting_event_on_mariadb() {
    stockade_testkit::skip_without!(MariaDb);
    for (waiting, wanted) in [(false, Ok(())), (true, Err(Fault::Conflict))] {
        let store = store_at(&MariaDb::shared().fresh_database()).await;
        let came = write(&store, 2, |_, changes| changes.new_payments.push(payment(waiting)));
        came.await.expect("written");
        let made = write(&store, 3, |product, changes| {
            product.after.product.version += 1;
            changes.new_holds.push(hold(HoldStatus::Released));
            changes.new_orders.push(order());
        });
        assert_eq!(made.await, wanted, "waiting: {waiting}");
    }
}

#[tokio::test]
async fn events_are_read_from_the_middle_of_a_row() {
    let store = store().await;
    let event = |kind| LedgerEvent {
        kind,
        product_id: PRODUCT,
        hold_id: Some(HoldId(7)),
        order_id: None,
        quantity: 1,
        version: 2,
        details: None,
    };
    let kinds_written = [EventKind::HoldCreated, EventKind::HoldReleased, EventKind::HoldExpired];
    let written = write(&store, 2, |product, changes| {
        product.after.product.version += 1;
        changes.events = kinds_written.map(event).to_vec();
    });
    written.await.expect("written");
    let kinds = async |cursor, limit| {
        let events = store.events_after(cursor, limit).await.expect("reads");
        events.into_iter().map(|event| event.kind).collect::<Vec<_>>()
    };
    let first = store.events_after(0, 9).await.expect("reads")[0].cursor;
    assert_eq!(kinds(first - 1, 9).await, kinds_written);
    assert_eq!(kinds(first, 9).await, kinds_written[1..]);
    assert_eq!(kinds(first, 1).await, kinds_written[1..2]);
    assert_eq!(kinds(first + 2, 9).await, []);
}

/// Drops a session that has written a hold and not committed.
async fn writes_nothing_when_dropped(url: &str) {
    let store = store_at(url).await;
    let mut session = store.session().await.expect("a session");
    let read_set = ReadSet { products: vec![PRODUCT], ..ReadSet::default() };
    session.begin(&read_set).await.expect("begins");
    drop(session);
    let next = write(&store, 2, |product, _| product.after.product.version += 1);
    assert_eq!(next.await, Ok(()));
    assert!(store.hold(HoldId(7)).await.expect("reads").is_none());
}

#[tokio::test]
async fn a_session_dropped_in_a_transaction_writes_nothing() {
    writes_nothing_when_dropped("sqlite::memory:").await;
    writes_nothing_when_dropped(&TempDb::new().url()).await;
}

#[tokio::test]
async fn a_session_on_mariadb_dropped_in_a_transaction_writes_nothing() {
    stockade_testkit::skip_without!(MariaDb);
    writes_nothing_when_dropped(&MariaDb::shared().fresh_database()).await;
}
