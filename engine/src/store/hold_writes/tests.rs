//! Random transactions on packed rows, compared with a model of single holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stockade_testkit::MariaDb;

use super::*;
use crate::ledger::{ProductRowChange, Rows};
use crate::model::ProductId;
use crate::store::{
    Batch, CommitError, Owned, ReadSet, Sequence, Session, Store, StoreOptions, open_store,
};
use crate::test_support::{insert_product, lamp};

const PRODUCT: ProductId = ProductId(1);
const STOCK: u64 = 1 << 40;
/// Ends of holds, before any time that the store's clock can have.
const SOON: i64 = 1_000_000;

/// What one transaction does.
#[derive(Debug, Clone)]
struct Step {
    /// Units of new holds, each with its place among the ends.
    new: Vec<(u32, i64)>,
    /// A gap in the ids before them.
    gap: u64,
    /// Holds by their place in the model, with what happens to them.
    changed: Vec<(usize, Change)>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Release,
    Expire,
    Extend,
    ExtendAndRelease,
    /// To so many units.
    Resize(u32),
    ResizeAndRelease(u32),
    ExtendAndResize(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let quantity = prop_oneof![6 => 1..=3_u32, 1 => 250..=300_u32, 1 => 65_000..=66_000_u32];
    let new = quantity.clone();
    let new = prop::collection::vec((new, prop_oneof![9 => Just(0_i64), 1 => Just(1)]), 0..300);
    let change = prop_oneof![
        quantity.clone().prop_map(Change::Resize),
        quantity.clone().prop_map(Change::ResizeAndRelease),
        quantity.clone().prop_map(Change::ExtendAndResize),
        Just(Change::Release),
        Just(Change::Expire),
        Just(Change::Extend),
        Just(Change::ExtendAndRelease)
    ];
    let changed = prop::collection::vec((0..2_000_usize, change), 0..40);
    (new, 0..3_u64, changed).prop_map(|(new, gap, changed)| Step { new, gap, changed })
}

struct World {
    store: Arc<dyn Store>,
    model: BTreeMap<HoldId, HoldRow>,
    next: u64,
    batch_id: u64,
}

impl World {
    async fn new(url: &str) -> Self {
        let store = open_store(&StoreOptions::at(url)).await.expect("opens");
        let batch_id = 1;
        insert_product(store.as_ref(), lamp(PRODUCT, STOCK), batch_id).await;
        Self { store, model: BTreeMap::new(), next: 1, batch_id }
    }

    async fn begin(&self, session: &mut dyn Session, holds: &[HoldId]) -> Rows {
        let (products, holds) = (vec![PRODUCT], holds.to_vec());
        let read_set = ReadSet { products, holds, ..ReadSet::default() };
        session.begin(&read_set).await.expect("begins").rows
    }

    async fn run(&mut self, step: Step) {
        let mut changes = Changes::default();
        let active: Vec<HoldId> = self
            .model
            .values()
            .filter(|hold| hold.status == HoldStatus::Active)
            .map(|hold| hold.id)
            .collect();
        let mut chosen: BTreeMap<HoldId, Change> = BTreeMap::new();
        for (at, change) in step.changed {
            if !active.is_empty() {
                chosen.insert(active[at % active.len()], change);
            }
        }
        let holds: Vec<HoldId> = chosen.keys().copied().collect();
        let mut session = self.store.session().await.expect("a session");
        let rows = self.begin(session.as_mut(), &holds).await;
        for (id, change) in chosen {
            let hold = self.model.get_mut(&id).expect("is there");
            assert_eq!(rows.holds[&id], *hold, "read as it was left");
            if let Change::Resize(to) | Change::ResizeAndRelease(to) | Change::ExtendAndResize(to) =
                change
            {
                changes.quantities.push(QuantityChange { id, from: hold.quantity, to });
                hold.quantity = to;
            }
            if matches!(
                change,
                Change::Extend | Change::ExtendAndRelease | Change::ExtendAndResize(_)
            ) {
                hold.expires_at = Timestamp::from_micros(hold.expires_at.micros() + 7);
                changes.extensions.push((id, hold.expires_at));
            }
            let to = match change {
                Change::Extend | Change::Resize(_) | Change::ExtendAndResize(_) => continue,
                Change::Expire => HoldStatus::Expired,
                Change::Release | Change::ExtendAndRelease | Change::ResizeAndRelease(_) => {
                    HoldStatus::Released
                }
            };
            hold.status = to;
            changes.hold_moves.push(HoldMove { from: HoldStatus::Active, to, ids: vec![id] });
        }
        let seed = TokenSeed(self.batch_id.into());
        let created_at = Timestamp::from_micros(i64::try_from(self.batch_id).expect("small"));
        self.next += step.gap;
        for (quantity, end) in step.new {
            let id = HoldId(self.next);
            self.next += 1;
            let hold = HoldRow {
                id,
                product_id: PRODUCT,
                quantity,
                status: HoldStatus::Active,
                expires_at: Timestamp::from_micros(SOON + end),
                created_at,
                token: seed.deriver().token(id),
                cart_id: self.next.is_multiple_of(3).then_some(CartId(self.next)),
            };
            changes.new_holds.push(hold);
            self.model.insert(id, hold);
        }
        let before = rows.products[&PRODUCT].clone();
        let mut after = before.clone();
        let is_active = |hold: &&HoldRow| hold.status == HoldStatus::Active;
        let held = || self.model.values().filter(is_active);
        after.product.held = held().map(|hold| u64::from(hold.quantity)).sum();
        after.product.set_in_stock(STOCK - after.product.held);
        after.product.version += 1;
        after.next_due = held().map(|hold| hold.expires_at).min();
        changes.products.push(ProductRowChange { before, after });
        self.batch_id += 1;
        let fences = BTreeMap::new();
        let batch = Batch {
            id: self.batch_id,
            now: created_at,
            changes: &changes,
            seed,
            fences: &fences,
            is_speculative: false,
        };
        session.commit(&batch).await.expect("commits");
    }

    async fn check(&self) {
        let ids: Vec<u64> = (1..self.next + 2).collect();
        for id in ids.iter().copied().step_by(7) {
            let stored = self.store.hold(HoldId(id)).await.expect("reads");
            let expected = self.model.get(&HoldId(id)).map(|hold| hold.to_hold());
            assert_eq!(stored.map(|(hold, _)| hold), expected);
        }
        let owners = self.store.owners(Owned::Hold, &ids).await.expect("reads");
        assert!(owners.len() == self.model.len() && owners.values().all(|of| of[..] == [PRODUCT]));
        let report = self.store.audit().await.expect("audits");
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        // All active holds are due, and a read counts them as returned.
        let (product, _) = self.store.product(PRODUCT).await.expect("reads").expect("is there");
        assert_eq!((product.product.stock, product.product.held), (STOCK, 0));
        let drawn = self.store.draw(Sequence::Hold, 40).await.expect("draws");
        let taken = self.model.range(HoldId(drawn)..HoldId(drawn + 40)).next();
        assert_eq!(taken, None, "40 ids from {drawn} on are free");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

async fn play(url: &str, steps: Vec<Step>) {
    let mut world = World::new(url).await;
    for step in steps {
        world.run(step).await;
        world.check().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn packed_rows_are_written_as_single_holds_would_be(
        steps in prop::collection::vec(step(), 1..6),
    ) {
        runtime().block_on(play("sqlite::memory:", steps));
    }
}

#[test]
fn packed_rows_are_written_as_single_holds_would_be_on_mariadb() {
    stockade_testkit::skip_without!(MariaDb);
    let mut runner = TestRunner::deterministic();
    for _ in 0..3 {
        let steps = prop::collection::vec(step(), 4..6).new_tree(&mut runner).expect("steps");
        let url = MariaDb::shared().fresh_database();
        runtime().block_on(play(&url, steps.current()));
    }
}

/// Two holds in one row, of which another transaction has moved one.
#[tokio::test]
async fn a_row_that_has_changed_is_not_overwritten() {
    let mut world = World::new("sqlite::memory:").await;
    let new = vec![(1, 0), (1, 0)];
    world.run(Step { new, gap: 0, changed: Vec::new() }).await;
    let ids = [HoldId(1), HoldId(2)];
    let mut session = world.store.session().await.expect("a session");
    let rows = world.begin(session.as_mut(), &ids).await;
    assert_eq!(rows.holds.len(), 2);
    let commit = async |session: &mut Box<dyn Session>, id: u64, hold: HoldId| {
        let (from, to) = (HoldStatus::Active, HoldStatus::Converted);
        let hold_moves = vec![HoldMove { from, to, ids: vec![hold] }];
        let changes = Changes { hold_moves, ..Changes::default() };
        let (fences, now) = (BTreeMap::new(), Timestamp::from_micros(1));
        let (changes, fences, seed) = (&changes, &fences, TokenSeed(1));
        let is_speculative = false;
        let batch = Batch { id, now, changes, seed, fences, is_speculative };
        session.commit(&batch).await
    };
    commit(&mut session, 70, ids[0]).await.expect("commits");
    // The session still has the row as it was before.
    let Err(CommitError::RolledBack(error)) = commit(&mut session, 71, ids[1]).await else {
        panic!("the version is not checked")
    };
    assert_eq!(error.fault, Fault::Conflict);
    session.rollback().await.expect("rolls back");
    drop(session);
    let status = async |id| world.store.hold(id).await.expect("reads").expect("is there").0.status;
    assert_eq!(status(ids[0]).await, HoldStatus::Converted);
    assert_eq!(status(ids[1]).await, HoldStatus::Active);
}

#[test]
fn all_transitions_of_a_row_are_one_update() {
    let at = Timestamp::from_micros(9);
    let hold = |id| HoldRow {
        id: HoldId(id),
        product_id: PRODUCT,
        quantity: 2,
        status: HoldStatus::Active,
        expires_at: at,
        created_at: at,
        token: TokenSeed(1).deriver().token(HoldId(id)),
        cart_id: None,
    };
    let mut read = HoldRows::default();
    let holds: Vec<HoldRow> = [5, 6, 7, 20].map(hold).into();
    HoldBatch::pack(&holds, TokenSeed(1)).into_iter().for_each(|row| read.add_batch(row));
    let moved = |to, ids: &[u64]| {
        let ids = ids.iter().copied().map(HoldId).collect();
        HoldMove { from: HoldStatus::Active, to, ids }
    };
    let changes = Changes {
        extensions: vec![(HoldId(7), Timestamp::from_micros(99))],
        hold_moves: vec![moved(HoldStatus::Converted, &[5, 20]), moved(HoldStatus::Released, &[6])],
        ..Changes::default()
    };
    let sql: Vec<_> = change_holds::<()>(&changes, &read)
        .expect("fits")
        .into_iter()
        .map(|statement| (statement.sql.into_owned(), statement.rows))
        .collect();
    let of = |low, high| format!("CASE WHEN first_id < 20 THEN {low} ELSE {high} END");
    let (once, statuses) = (of("1", "0"), of("x'010204'", "x'01'"));
    let update = format!(
        "UPDATE stockade_hold_batches SET active = 0, detached = {once}, converted = 1, \
         released = {once}, expired = 0, active_units = 0, due = NULL, statuses = {statuses}, \
         version = version + 1 WHERE first_id IN (5,20) AND version = 1"
    );
    let insert = "INSERT INTO stockade_detached_holds (hold_id, product_id, qty, status, \
         expires_at, created_at, seed) VALUES (7,1,2,0,99,9,x'00000000000000000000000000000001')";
    assert_eq!(sql, [(update, Some(2)), (insert.to_owned(), Some(1))]);
    let again =
        Changes { hold_moves: vec![moved(HoldStatus::Expired, &[8])], ..Changes::default() };
    let unread = change_holds::<()>(&again, &read).expect_err("was not read");
    assert_eq!(unread.fault, Fault::Conflict);
}
