//! Derives the read set of a batch from its commands, and the ids that they use.

use std::sync::Arc;
use std::time::Duration;

use super::request::PendingRequest;
use crate::ledger::{
    Command, IdempotencyKey, NewHold, Policy, awaited_by_payment, awaited_by_reference,
};
use crate::model::{CartId, HoldId, OrderId, ProductId, TokenDeriver, TokenSeed};
use crate::store::ReadSet;

/// Counts the products whose ids are to be drawn.
pub(super) fn count_products(requests: &[Box<PendingRequest>]) -> usize {
    let is_drawn = |command: &Command| match command {
        Command::WriteProduct { product, .. } => product.is_drawn,
        _ => false,
    };
    requests.iter().map(|request| usize::from(is_drawn(&request.command))).sum()
}

/// Assigns ids from `first` on to the products whose ids are to be drawn.
pub(super) fn assign_products(requests: &mut [Box<PendingRequest>], first: u64) {
    let mut ids = first..;
    for request in requests {
        if let Command::WriteProduct { product, .. } = &mut request.command
            && product.is_drawn
        {
            product.id = ProductId(ids.next().unwrap_or_default());
        }
    }
}

/// Counts the hold and order ids that the commands may use.
pub(super) fn count_ids(requests: &[Box<PendingRequest>]) -> (usize, usize) {
    let holds = requests.iter().map(|request| request.command.new_holds().len()).sum();
    let is_order = |command: &&Command| matches!(command, Command::Order { .. });
    (holds, requests.iter().map(|request| &request.command).filter(is_order).count())
}

/// Assigns an id to each hold and order that the commands may create, and a token to
/// each hold. Returns the seed of the tokens.
///
/// Holds that one row can carry get consecutive ids, whatever the order of their
/// requests: those of one product and one life.
pub(super) fn assign_ids(
    requests: &mut [Box<PendingRequest>],
    holds: Vec<u64>,
    orders: Vec<u64>,
) -> TokenSeed {
    let seed = TokenSeed::random();
    let deriver = seed.deriver();
    let mut orders = orders.into_iter().map(OrderId);
    let mut new: Vec<(ProductId, Duration, &mut NewHold)> = Vec::with_capacity(holds.len());
    for request in requests.iter_mut() {
        let command = &mut request.command;
        if let Command::Order { order_id, .. } = command {
            *order_id = orders.next().unwrap_or(*order_id);
        }
        if let Command::Hold { ttl, .. } | Command::Cart { ttl, .. } = command {
            let ttl = *ttl;
            let lines = command.new_holds_mut().iter_mut();
            new.extend(lines.map(|hold| (hold.product_id, ttl, hold)));
        }
    }
    // Stable: the holds of one row are in the order of their requests.
    new.sort_by_key(|(product, ttl, _)| (*product, *ttl));
    for ((.., hold), id) in new.into_iter().zip(holds) {
        hold.id = HoldId(id);
        hold.token = deriver.token(hold.id);
    }
    assign_cart_tokens(requests, &deriver);
    seed
}

/// Assigns the tokens of carts, whose holds have their ids.
fn assign_cart_tokens(requests: &mut [Box<PendingRequest>], deriver: &TokenDeriver) {
    for request in requests {
        if let Command::Cart { lines, token, .. } = &mut request.command
            && let Some(id) = lines.iter().map(|line| line.id.0).min()
        {
            *token = deriver.cart_token(CartId(id));
        }
    }
}

pub(super) fn collect_ids(command: &Command, holds: &mut Vec<u64>, orders: &mut Vec<u64>) {
    holds.extend(command.new_holds().iter().map(|hold| hold.id.0));
    if let Command::Order { order_id, .. } = command {
        orders.push(order_id.0);
    }
}

/// Builds the read set of the requests, without their fresh keys.
///
/// A fresh key is almost never in the table, so reading it would be wasted. It
/// is there only if a later copy of its request overtook this one, whose caller
/// is long gone: a client sends the second only after it gave up on the first.
/// Nobody receives a refusal of such a copy, and its effects are written with
/// its key in one transaction, which the unique key of the table fails as
/// [`Fault::Duplicate`](crate::store::Fault). The whole batch is then retried
/// [with every key](read_every_key).
///
/// `seed` is that of the new holds' tokens.
pub(super) fn build(
    requests: &[Box<PendingRequest>],
    policy: &Policy,
    due_limit: u32,
    seed: TokenSeed,
) -> ReadSet {
    let customer_window = policy.customer_window;
    let mut read_set = ReadSet { due_limit, seed, customer_window, ..ReadSet::default() };
    for request in requests {
        let lanes = request.lanes.iter().map(|lane| ProductId(lane.0));
        read_set.products.extend(lanes.filter(|product| product.is_possible()));
        add(&mut read_set, &request.command);
        if policy.needs_customer_holds(&request.command) {
            add_customer(&mut read_set, &request.command);
        }
        if let Command::ChangeQuantity { hold_id, .. } = &request.command
            && policy.max_per_customer.is_some()
        {
            read_set.holds_of_customers.push(*hold_id);
        }
    }
    read_set.products.sort_unstable();
    read_set.products.dedup();
    read_set.holds.sort_unstable();
    read_set.holds.dedup();
    read_set.orders.sort_unstable();
    read_set.orders.dedup();
    read_set
}

fn add(read_set: &mut ReadSet, command: &Command) {
    for hold in command.new_holds().iter().filter(|hold| hold.product_id.is_possible()) {
        read_set.products.push(hold.product_id);
        *read_set.wanted.entry(hold.product_id).or_default() += u64::from(hold.quantity);
    }
    read_set.orders.extend(command.used_order());
    read_set.keys.extend(command.key().filter(|keyed| !keyed.is_fresh).map(key_of));
    match command {
        Command::Hold { .. } | Command::Cart { .. } => {}
        Command::Order { order_id, holds, terms, .. } => {
            read_set.products.extend(holds.iter().filter_map(|hold| hold.product.as_ref()?.id()));
            read_set.holds.extend(holds.iter().map(|hold| hold.hold_id));
            read_set.ordered_holds.extend(holds.iter().map(|hold| hold.hold_id));
            read_set.awaited_orders.push(*order_id);
            if let Some(reference) = terms.as_ref().and_then(|terms| terms.reference.as_ref()) {
                read_set.awaited_orders.push(awaited_by_reference(reference));
                read_set.references.push(reference.clone());
            }
        }
        Command::Release { hold_id, .. } | Command::Extend { hold_id, .. } => {
            read_set.holds.push(*hold_id);
        }
        Command::ChangeQuantity { hold_id, quantity, .. } => {
            read_set.holds.push(*hold_id);
            read_set.resized.push((*hold_id, *quantity));
        }
        Command::ReleaseCart { holds, .. } | Command::ExtendCart { holds, .. } => {
            read_set.holds.extend(holds);
        }
        Command::Payment { key, is_named, terms, .. } => {
            read_set.payments.push(key.clone());
            if let Some(terms) = terms.as_ref().filter(|_| *is_named) {
                read_set.references.extend(terms.order_reference.clone());
                read_set.payment_references.extend(terms.reference.clone());
            }
        }
        Command::SetPaymentReference { reference, .. } => {
            read_set.awaited_orders.push(awaited_by_payment(reference));
            read_set.payment_references.push(reference.clone());
        }
        Command::ExtendOrder { .. }
        | Command::CancelOrder { .. }
        | Command::Refund { .. }
        | Command::Restock { .. } => {}
        Command::Adjust { product_id, .. } | Command::Reclaim { product_id } => {
            if product_id.is_possible() {
                read_set.products.push(*product_id);
                read_set.due.insert(*product_id);
            }
        }
        Command::WriteProduct { product, .. } => {
            // No row has an id that was drawn.
            if !product.is_drawn && product.id.is_possible() {
                read_set.products.push(product.id);
                if product.stock().is_some() {
                    read_set.due.insert(product.id);
                }
            }
            read_set.skus.extend(product.skus().map(str::to_owned));
        }
    }
}

/// Adds the holds of the command's customer on its products.
fn add_customer(read_set: &mut ReadSet, command: &Command) {
    let Some(customer) = command.customer() else { return };
    for hold in command.new_holds() {
        read_set.customers.entry(hold.product_id).or_default().insert(Arc::clone(customer));
    }
}

/// Adds the fresh keys.
pub(super) fn read_every_key(read_set: &mut ReadSet, requests: &[Box<PendingRequest>]) {
    let keys = requests.iter().filter_map(|request| request.command.key());
    read_set.keys = keys.map(key_of).collect();
}

fn key_of(keyed: &IdempotencyKey) -> String {
    keyed.key.clone()
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::combiner::LaneId;
    use crate::model::{OrderedHold, Token};
    use crate::runtime;

    const POLICY: Policy = Policy { max_per_customer: Some(9), ..Policy::PLAIN };

    fn line(product: u64, quantity: u32) -> NewHold {
        let product_id = ProductId(product);
        NewHold { id: HoldId(0), token: Token(1), product_id, sku: None, quantity, least: quantity }
    }

    fn hold(product: u64, quantity: u32, customer: Option<&str>, fresh: Option<bool>) -> Command {
        let (ttl, customer) = (Duration::from_secs(1), customer.map(Into::into));
        let key = fresh.map(|is_fresh| {
            let key = format!("of {product}");
            Box::new(IdempotencyKey { key, fingerprint: [0; 32], keeps_refusals: false, is_fresh })
        });
        Command::Hold { hold: line(product, quantity), ttl, customer, metadata: None, key }
    }

    fn order(hold_id: u64, product: u64) -> Command {
        let (hold_id, product_id) = (HoldId(hold_id), ProductId(product));
        let holds = [OrderedHold::new(hold_id).product(product_id)].into_iter().collect();
        Command::Order { order_id: OrderId(0), secret: Token(1), holds, terms: None, key: None }
    }

    fn requests(commands: Vec<Command>) -> Vec<Box<PendingRequest>> {
        let request = |command| {
            PendingRequest::new(command, vec![LaneId(0)], oneshot::channel().0, runtime::now())
        };
        commands.into_iter().map(request).collect()
    }

    #[test]
    fn assign_ids_gives_each_hold_and_order_its_own_id() {
        let cart = Command::Cart {
            lines: vec![line(1, 1), line(2, 1)],
            token: Token::UNASSIGNED,
            ttl: Duration::from_secs(1),
            customer: None,
            metadata: None,
            key: None,
        };
        let mut requests = requests(vec![cart, order(5, 1), hold(1, 1, None, None)]);
        assert_eq!(count_ids(&requests), (3, 1));
        let seed = assign_ids(&mut requests, vec![11, 12, 13], vec![21]);
        let (mut holds, mut orders) = (Vec::new(), Vec::new());
        requests.iter().for_each(|request| collect_ids(&request.command, &mut holds, &mut orders));
        assert_eq!((holds, orders), (vec![11, 13, 12], vec![21]), "by product");
        let deriver = seed.deriver();
        for hold in requests.iter().flat_map(|request| request.command.new_holds()) {
            assert!(hold.token.is(deriver.token(hold.id)));
        }
        let Command::Cart { token, .. } = &requests[0].command else { panic!("the cart") };
        assert!(token.is(deriver.cart_token(CartId(11))), "by the smallest id");
        assert!(!token.is(deriver.token(HoldId(11))));
    }

    #[test]
    fn build_lists_rows_once_in_order_and_sums_units() {
        let commands = vec![
            hold(4, 2, None, None),
            order(9, 4),
            Command::Release { hold_id: HoldId(8), token: None, by_operator: false },
            hold(3, 1, None, None),
            hold(4, 5, None, None),
            Command::Extend { hold_id: HoldId(8), ttl: Duration::ZERO, token: None },
            Command::Reclaim { product_id: ProductId(3) },
        ];
        let read_set = build(&requests(commands), &POLICY, 77, TokenSeed(3));
        assert_eq!(read_set.due_limit, 77);
        assert_eq!(read_set.products, [ProductId(3), ProductId(4)]);
        assert_eq!(read_set.wanted, [(ProductId(3), 1), (ProductId(4), 7)].into());
        assert_eq!(read_set.holds, [HoldId(8), HoldId(9)]);
        assert_eq!(read_set.awaited_orders, [OrderId(0)]);
        assert_eq!(read_set.due, [ProductId(3)].into());
        assert!(read_set.customers.is_empty());
    }

    #[test]
    fn build_reads_customer_holds_when_there_is_a_limit() {
        let commands = || requests(vec![hold(4, 2, Some("a"), None), hold(4, 1, None, None)]);
        let customers = build(&commands(), &POLICY, 1, TokenSeed(3)).customers;
        assert_eq!(customers, [(ProductId(4), [Arc::from("a")].into())].into());
        assert!(build(&commands(), &Policy::PLAIN, 1, TokenSeed(3)).customers.is_empty());
    }

    #[test]
    fn build_skips_fresh_keys_until_read_every_key() {
        let commands = vec![hold(1, 1, None, Some(true)), hold(2, 1, None, Some(false))];
        let requests = requests(commands);
        let mut read_set = build(&requests, &POLICY, 1, TokenSeed(3));
        assert_eq!(read_set.keys, ["of 2"]);
        read_every_key(&mut read_set, &requests);
        assert_eq!(read_set.keys, ["of 1", "of 2"]);
    }
}
