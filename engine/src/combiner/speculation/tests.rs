use super::*;
use crate::ledger::{Keyed, NewHold, ProductChange};
use crate::model::{HoldId, Product, Token};

const ID: ProductId = ProductId(7);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn row(version: u64, stock: u64) -> ProductRow {
    let price = crate::model::Money::from_minor(100).expect("a price");
    let (name, held, pending, sold) = ("Lamp".to_owned(), 0, 0, 0);
    let product = Product { id: ID, name, price, stock, held, pending, sold, version };
    ProductRow { product, received: stock, fence: 3, next_due: None }
}

/// What a batch did that found the product so, and left it one version on.
fn changes(before: ProductRow) -> Changes {
    let mut after = before.clone();
    after.product.version += 1;
    Changes { products: vec![ProductChange { before, after }], ..Changes::default() }
}

fn now() -> Range<Instant> {
    let now = Instant::now();
    now..now
}

fn fences(fence: u64) -> BTreeMap<ProductId, u64> {
    BTreeMap::from([(ID, fence)])
}

fn hold(qty: u32, key: Option<Keyed>) -> Command {
    let hold = NewHold { id: HoldId(1), token: Token(1), product_id: ID, qty, at: None };
    Command::Hold { hold, ttl: Duration::from_secs(1), customer: None, key }
}

fn keyed(is_fresh: bool) -> Option<Keyed> {
    let key = "k".to_owned();
    Some(Keyed { key, fingerprint: [0; 32], keeps_refusals: false, is_fresh })
}

/// Knows a product from two batches, one right after the other.
fn with(row: ProductRow) -> Speculation {
    let speculation = Speculation::default();
    let mut before = row.clone();
    before.product.version -= 2;
    speculation.learn(&changes(before.clone()), &fences(3), now());
    before.product.version += 1;
    let mut second = changes(before);
    second.products[0].after = row;
    speculation.learn(&second, &fences(3), now());
    speculation
}

fn decide_by(speculation: &Speculation, commands: &[Command]) -> Option<SpeculativeDecision> {
    speculation.decide(&Policy::PLAIN, &[ID], commands, &fences(3), NOW)
}

#[test]
fn each_batch_goes_by_what_the_one_before_it_leaves() {
    let speculation = with(row(9, 10));
    for (version, stock) in [(9, 10), (10, 6), (11, 2)] {
        let Some(speculative) = decide_by(&speculation, &[hold(4, None)]) else {
            assert_eq!(stock, 2, "there was enough");
            return;
        };
        let change = &speculative.changes.products[0];
        assert_eq!((change.before.product.version, change.before.product.stock), (version, stock));
        assert_eq!(speculative.changes.new_holds[0].created_at, NOW);
    }
    panic!("there was not enough");
}

#[test]
fn a_product_that_others_write_is_not_foreseen() {
    let speculation = Speculation::default();
    let is_speculative = || decide_by(&speculation, &[hold(1, None)]).is_some();
    assert!(!is_speculative(), "it is not known");
    speculation.learn(&changes(row(1, 10)), &fences(3), now());
    assert!(!is_speculative(), "who writes it is not known");
    speculation.learn(&changes(row(3, 10)), &fences(3), now());
    assert!(!is_speculative(), "someone wrote it in between");
    speculation.learn(&changes(row(4, 10)), &fences(3), now());
    assert!(is_speculative(), "no one did");
    speculation.forget(&[ID]);
    assert!(!is_speculative(), "a batch failed");
}

#[test]
fn a_batch_that_overtook_its_own_elder_is_no_reason_to_doubt() {
    let is_foreseen_after = |failures: usize, found: u64| {
        let speculation = with(row(9, 10));
        for _ in 0..2 {
            assert!(decide_by(&speculation, &[hold(1, None)]).is_some(), "9 to 10, then to 11");
        }
        (0..failures).for_each(|_| speculation.forget(&[ID]));
        assert!(decide_by(&speculation, &[hold(1, None)]).is_none(), "a batch failed");
        speculation.learn(&changes(row(found, 10)), &fences(3), now());
        decide_by(&speculation, &[hold(1, None)]).is_some()
    };
    assert!(is_foreseen_after(1, 10), "as the elder left it");
    assert!(!is_foreseen_after(1, 9), "the elder came to nothing");
    assert!(!is_foreseen_after(1, 11), "someone else wrote it");
    assert!(!is_foreseen_after(2, 10), "the elder failed, too");
}

#[test]
fn what_was_not_read_for_long_is_read_again() {
    let speculation = with(row(9, 10));
    let long_ago = Instant::now().checked_sub(TRUSTED_FOR).expect("the machine runs for longer");
    speculation.learn(&changes(row(9, 10)), &fences(3), long_ago..long_ago);
    assert!(decide_by(&speculation, &[hold(1, None)]).is_none());
}

#[test]
fn what_was_long_under_way_is_not_gone_by() {
    let speculation = with(row(9, 10));
    let now = Instant::now();
    speculation.learn(&changes(row(9, 10)), &fences(3), now..now + ROUND_TRIP_MAX * 2);
    assert!(decide_by(&speculation, &[hold(1, None)]).is_none());
    let speculation = with(row(9, 10));
    speculation.learn(&changes(row(9, 10)), &fences(3), now..now + ROUND_TRIP_MAX);
    assert!(decide_by(&speculation, &[hold(1, None)]).is_some(), "it was just in time");
}

/// A reading that is new however long the test takes.
fn fresh() -> Range<Instant> {
    let later = Instant::now() + Duration::from_secs(60);
    later..later
}

/// What a batch of so many products, from this one on, did.
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
fn a_batch_of_few_products_is_foreseen() {
    let is_speculative = |products: usize| {
        let speculation = Speculation::default();
        let mut done = changes_of(1, products);
        for _ in 0..2 {
            speculation.learn(&done, &BTreeMap::new(), fresh());
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
fn no_more_products_are_remembered_than_there_is_room_for() {
    let speculation = Speculation::default();
    let count = || speculation.known().len();
    let room = u64::try_from(REMEMBERED_MAX).expect("it is small");
    let long_ago = Instant::now().checked_sub(TRUSTED_FOR).expect("the machine runs for longer");
    for id in 1..=room {
        speculation.learn(&changes_of(id, 1), &fences(3), long_ago..long_ago);
    }
    assert_eq!(count(), REMEMBERED_MAX, "none made room before there was need");
    for id in room + 1..=room * 2 {
        speculation.learn(&changes_of(id, 1), &fences(3), fresh());
    }
    assert_eq!(count(), REMEMBERED_MAX, "what is out of date made room");
    assert!(speculation.known().contains_key(&ProductId(room + 1)));
    speculation.learn(&changes_of(room * 2 + 1, 1), &fences(3), fresh());
    assert_eq!(count(), REMEMBERED_MAX, "there was no room left");
}

#[test]
fn only_fresh_holds_that_are_surely_granted_are_foreseen() {
    let due = with(ProductRow { next_due: Some(NOW), ..row(9, 10) });
    assert!(decide_by(&due, &[hold(1, keyed(true))]).is_some(), "it needs none of what is due");
    let plenty = with(row(9, 10));
    let refused = |commands: &[Command]| decide_by(&plenty, commands).is_none();
    assert!(refused(&[hold(6, None), hold(5, None)]), "too many together");
    assert!(refused(&[hold(1, keyed(false))]), "the key may be known");
    let release = Command::Release { hold_id: HoldId(1), token: None };
    assert!(refused(&[hold(1, None), release]), "a row must be read");
    let mut theirs = hold(1, None);
    if let Command::Hold { customer, .. } = &mut theirs {
        *customer = Some("c".into());
    }
    let limited = Policy { max_per_customer: Some(9), ..Policy::PLAIN };
    let counted = plenty.decide(&limited, &[ID], &[hold(1, None), theirs], &fences(3), NOW);
    assert!(counted.is_none(), "what the customer holds must be read");
    let overtaken = plenty.decide(&Policy::PLAIN, &[ID], &[hold(1, None)], &fences(2), NOW);
    assert!(overtaken.is_none(), "our lease is older than the row's");
    let newer = plenty.decide(&Policy::PLAIN, &[ID], &[hold(1, None)], &fences(4), NOW);
    assert!(newer.is_some());
    assert!(refused(&[hold(1, None)]), "now the row has the newer one");
}
