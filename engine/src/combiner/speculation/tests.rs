use super::*;
use crate::ledger::{IdempotencyKey, NewHold, ProductRowChange};
use crate::model::{HoldId, Product, Token};
use crate::test_support::lamp;

const ID: ProductId = ProductId(7);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn row(version: u64, stock: u64) -> ProductRow {
    let product = Product { version, ..lamp(ID, stock) };
    ProductRow { product, received: stock, fence: 3, next_due: None }
}

/// The changes of a batch that raises the product's version by one.
fn changes(before: ProductRow) -> Changes {
    let mut after = before.clone();
    after.product.version += 1;
    Changes { products: vec![ProductRowChange { before, after }], ..Changes::default() }
}

fn now() -> Range<Instant> {
    let now = Instant::now();
    now..now
}

fn fences(fence: u64) -> BTreeMap<ProductId, u64> {
    BTreeMap::from([(ID, fence)])
}

fn hold(quantity: u32, key: Option<Box<IdempotencyKey>>) -> Command {
    let hold = NewHold {
        id: HoldId(1),
        token: Token(1),
        product_id: ID,
        sku: None,
        quantity,
        least: quantity,
    };
    Command::Hold { hold, ttl: Duration::from_secs(1), customer: None, metadata: None, key }
}

fn keyed(is_fresh: bool) -> Option<Box<IdempotencyKey>> {
    let key = "k".to_owned();
    Some(Box::new(IdempotencyKey { key, fingerprint: [0; 32], keeps_refusals: false, is_fresh }))
}

/// Records two consecutive batches that leave the row so.
fn after_batches(row: ProductRow) -> Speculation {
    let speculation = Speculation::default();
    let mut before = row.clone();
    before.product.version -= 2;
    speculation.record(&changes(before.clone()), &fences(3), now());
    before.product.version += 1;
    let mut second = changes(before);
    second.products[0].after = row;
    speculation.record(&second, &fences(3), now());
    speculation
}

fn decide_with(speculation: &Speculation, commands: &[Command]) -> Option<SpeculativeDecision> {
    speculation.decide(&Policy::PLAIN, &[ID], commands, &fences(3), NOW)
}

#[test]
fn decide_continues_from_what_the_previous_batch_leaves() {
    let speculation = after_batches(row(9, 10));
    for (version, stock) in [(9, 10), (10, 6), (11, 2)] {
        let Some(speculative) = decide_with(&speculation, &[hold(4, None)]) else {
            assert_eq!(stock, 2, "there was enough");
            return;
        };
        let change = &speculative.changes.products[0];
        assert_eq!((change.before.product.version, change.before.product.stock), (version, stock));
        assert_eq!(speculative.changes.new_holds[0].created_at, NOW);
        speculation.advance(&speculative.changes, &fences(3));
    }
    panic!("there was not enough");
}

#[test]
fn decide_without_a_lease_needs_a_row_that_no_other_process_writes() {
    let speculation = Speculation::default();
    let none = BTreeMap::new();
    let is_speculative =
        || speculation.decide(&Policy::PLAIN, &[ID], &[hold(1, None)], &none, NOW).is_some();
    assert!(!is_speculative(), "no row is cached");
    speculation.record(&changes(row(1, 10)), &none, now());
    assert!(!is_speculative(), "another process may write it");
    speculation.record(&changes(row(3, 10)), &none, now());
    assert!(!is_speculative(), "another process wrote it in between");
    speculation.record(&changes(row(4, 10)), &none, now());
    assert!(is_speculative(), "none did");
    speculation.invalidate(&[ID]);
    assert!(!is_speculative(), "a batch failed");
}

#[test]
fn decide_under_a_lease_needs_a_row_of_that_lease() {
    let speculation = Speculation::default();
    let is_speculative = |fence: u64| {
        let fences = fences(fence);
        speculation.decide(&Policy::PLAIN, &[ID], &[hold(1, None)], &fences, NOW).is_some()
    };
    assert!(!is_speculative(3), "no row is cached");
    speculation.record(&changes(row(1, 10)), &fences(3), now());
    assert!(is_speculative(3), "from the first batch on");
    assert!(!is_speculative(5), "another process may have had the lease in between");
    speculation.record(&changes(row(7, 10)), &fences(5), now());
    assert!(is_speculative(5), "again from the first batch on");
    speculation.invalidate(&[ID]);
    speculation.record(&changes(row(12, 10)), &fences(5), now());
    assert!(!is_speculative(5), "another process writes it without the lease");
    speculation.record(&changes(row(13, 10)), &fences(5), now());
    assert!(is_speculative(5), "it no longer does");
}

#[test]
fn record_revalidates_a_row_that_a_failed_batch_left_as_it_was() {
    let is_speculative_after = |found: u64| {
        let speculation = after_batches(row(9, 10));
        speculation.invalidate(&[ID]);
        assert!(decide_with(&speculation, &[hold(1, None)]).is_none(), "a batch failed");
        speculation.record(&changes(row(found, 10)), &fences(3), now());
        decide_with(&speculation, &[hold(1, None)]).is_some()
    };
    assert!(is_speculative_after(9), "the batch was rolled back");
    assert!(!is_speculative_after(10), "it was committed, or another process wrote the row");
}

#[test]
fn decide_rejects_a_row_that_is_no_longer_valid() {
    let speculation = after_batches(row(9, 10));
    let long_ago = Instant::now().checked_sub(VALID_FOR).expect("the machine runs for longer");
    speculation.record(&changes(row(9, 10)), &fences(3), long_ago..long_ago);
    assert!(decide_with(&speculation, &[hold(1, None)]).is_none());
}

#[test]
fn record_drops_a_row_whose_read_took_too_long() {
    let speculation = after_batches(row(9, 10));
    let now = Instant::now();
    speculation.record(&changes(row(9, 10)), &fences(3), now..now + ROUND_TRIP_MAX * 2);
    assert!(decide_with(&speculation, &[hold(1, None)]).is_none());
    let speculation = after_batches(row(9, 10));
    speculation.record(&changes(row(9, 10)), &fences(3), now..now + ROUND_TRIP_MAX);
    assert!(decide_with(&speculation, &[hold(1, None)]).is_some(), "it was just in time");
}

/// A read that stays valid however long the test takes.
fn valid_read() -> Range<Instant> {
    let later = Instant::now() + Duration::from_secs(60);
    later..later
}

/// The changes of a batch of so many products, from this id on.
fn changes_of(first: u64, products: usize) -> Changes {
    let change = |id| {
        let mut change = changes(row(1, 10)).products.remove(0);
        change.before.product.id = ProductId(id);
        change.after.product.id = ProductId(id);
        change
    };
    let products = (first..).take(products).map(change).collect();
    Changes { products, ..Changes::default() }
}

#[test]
fn decide_accepts_up_to_the_maximum_of_products() {
    let is_speculative = |products: usize| {
        let speculation = Speculation::default();
        let mut done = changes_of(1, products);
        for _ in 0..2 {
            speculation.record(&done, &BTreeMap::new(), valid_read());
            for change in &mut done.products {
                change.before = change.after.clone();
                change.after.product.version += 1;
            }
        }
        let ids: Vec<ProductId> =
            done.products.iter().map(|change| change.after.product.id).collect();
        let commands: Vec<Command> = ids
            .iter()
            .map(|id| {
                let mut command = hold(1, None);
                command.new_holds_mut()[0].product_id = *id;
                command
            })
            .collect();
        speculation.decide(&Policy::PLAIN, &ids, &commands, &BTreeMap::new(), NOW).is_some()
    };
    assert!(is_speculative(1));
    assert!(is_speculative(PRODUCTS_MAX));
    assert!(!is_speculative(PRODUCTS_MAX + 1));
}

#[test]
fn record_evicts_invalid_rows_at_the_limit() {
    let speculation = Speculation::default();
    let count = || speculation.cached().len();
    let room = u64::try_from(CACHED_ROWS_MAX).expect("it is small");
    let long_ago = Instant::now().checked_sub(VALID_FOR).expect("the machine runs for longer");
    for id in 1..=room {
        speculation.record(&changes_of(id, 1), &fences(3), long_ago..long_ago);
    }
    assert_eq!(count(), CACHED_ROWS_MAX, "none is evicted below the limit");
    for id in room + 1..=room * 2 {
        speculation.record(&changes_of(id, 1), &fences(3), valid_read());
    }
    assert_eq!(count(), CACHED_ROWS_MAX, "invalid rows were evicted");
    assert!(speculation.cached().contains_key(&ProductId(room + 1)));
    speculation.record(&changes_of(room * 2 + 1, 1), &fences(3), valid_read());
    assert_eq!(count(), CACHED_ROWS_MAX, "all rows are valid");
}

#[test]
fn decide_accepts_only_fresh_holds_that_are_all_granted() {
    let due = after_batches(ProductRow { next_due: Some(NOW), ..row(9, 10) });
    assert!(decide_with(&due, &[hold(1, keyed(true))]).is_some(), "it needs none of the due holds");
    let plenty = after_batches(row(9, 10));
    let refused = |commands: &[Command]| decide_with(&plenty, commands).is_none();
    assert!(refused(&[hold(6, None), hold(5, None)]), "too many units together");
    assert!(refused(&[hold(1, keyed(false))]), "the key may be a replay");
    let release = Command::Release { hold_id: HoldId(1), token: None, by_operator: false };
    assert!(refused(&[hold(1, None), release]), "a row must be read");
    let mut theirs = hold(1, None);
    if let Command::Hold { customer, .. } = &mut theirs {
        *customer = Some("c".into());
    }
    let limited = Policy { max_per_customer: Some(9), ..Policy::PLAIN };
    let counted = plenty.decide(&limited, &[ID], &[hold(1, None), theirs], &fences(3), NOW);
    assert!(counted.is_none(), "the customer's holds must be read");
    let stale = plenty.decide(&Policy::PLAIN, &[ID], &[hold(1, None)], &fences(2), NOW);
    assert!(stale.is_none(), "our fencing token is older than the row's");
    assert!(!refused(&[hold(1, None)]));
}

#[test]
fn a_product_is_left_to_the_locking_path_near_the_ends_of_its_sale() {
    let decides = |change: &dyn Fn(&mut Product)| {
        let mut row = row(9, 50);
        change(&mut row.product);
        decide_with(&after_batches(row), &[hold(1, None)]).is_some()
    };
    let at = |micros: i64| Some(Timestamp::from_micros(NOW.micros() + micros));
    let margin = i64::try_from(SALE_MARGIN.as_micros()).expect("few");
    assert!(decides(&|_| {}));
    assert!(decides(&|product| product.on_sale_from = at(-margin)));
    assert!(!decides(&|product| product.on_sale_from = at(1 - margin)));
    assert!(!decides(&|product| product.on_sale_from = at(margin)));
    assert!(decides(&|product| product.on_sale_until = at(margin)));
    assert!(!decides(&|product| product.on_sale_until = at(margin - 1)));
    assert!(!decides(&|product| product.on_sale_until = at(-margin)));
    assert!(!decides(&|product| product.archived = true));
    assert!(!decides(&|product| {
        product.safety_stock = 50;
        product.set_in_stock(50);
    }));
}
