//! What rows a command needs, and the ids it uses up.

use std::sync::Arc;

use super::Request;
use crate::ledger::{Command, Keyed, Policy};
use crate::model::{HoldId, OrderId, ProductId};
use crate::store::Needs;

/// How many ids of each kind the commands may use up.
pub(super) fn count_ids(requests: &[Request]) -> (usize, usize) {
    let holds = requests.iter().map(|request| request.command.new_holds().len()).sum();
    let is_order = |request: &&Request| matches!(request.command, Command::Order { .. });
    (holds, requests.iter().filter(is_order).count())
}

/// Gives each hold and order to be made its id.
pub(super) fn assign_ids(requests: &mut [Request], holds: Vec<u64>, orders: Vec<u64>) {
    let mut holds = holds.into_iter().map(HoldId);
    let mut orders = orders.into_iter().map(OrderId);
    for request in requests {
        for hold in request.command.new_holds_mut() {
            hold.id = holds.next().unwrap_or(hold.id);
        }
        if let Command::Order { order_id, .. } = &mut request.command {
            *order_id = orders.next().unwrap_or(*order_id);
        }
    }
}

/// Adds the ids that the command would have used up.
pub(super) fn ids_of(command: &Command, holds: &mut Vec<u64>, orders: &mut Vec<u64>) {
    holds.extend(command.new_holds().iter().map(|hold| hold.id.0));
    if let Command::Order { order_id, .. } = command {
        orders.push(order_id.0);
    }
}

/// All rows that the requests need, but for the keys that are fresh.
///
/// A fresh key is looked for by no one, since all but never it is there. If it
/// is, then because a later copy of its request has overtaken this one, whose
/// caller is long gone: a client sends the second only once it has given up
/// the first. What such a copy is refused nobody hears, and what it does is
/// written with its key in one transaction, which the table's unique key fails
/// as [`Fault::Duplicate`](crate::store::Fault). The whole batch is then
/// tried again [with every key](read_every_key).
pub(super) fn of(requests: &[Request], policy: &Policy, due_limit: u32) -> Needs {
    let mut needs = Needs { due_limit, ..Needs::default() };
    for request in requests {
        let lanes = request.route.iter().map(|lane| ProductId(lane.0));
        needs.products.extend(lanes.filter(|product| product.is_possible()));
        add(&mut needs, &request.command);
        if policy.counts(&request.command) {
            add_customer(&mut needs, &request.command);
        }
    }
    needs.products.sort_unstable();
    needs.products.dedup();
    needs.holds.sort_unstable();
    needs.holds.dedup();
    needs.used_holds.sort_unstable();
    needs.used_holds.dedup();
    needs.orders.sort_unstable();
    needs.orders.dedup();
    needs
}

fn add(needs: &mut Needs, command: &Command) {
    for hold in command.new_holds() {
        needs.products.push(hold.product_id);
        *needs.wanted.entry(hold.product_id).or_default() += u64::from(hold.qty);
    }
    needs.keys.extend(command.key().filter(|keyed| !keyed.is_fresh).map(name));
    match command {
        Command::Hold { .. } | Command::Cart { .. } => {}
        Command::Order { order_id, hold_id, product_id, .. } => {
            needs.products.push(*product_id);
            needs.holds.push(*hold_id);
            needs.used_holds.push(*hold_id);
            needs.awaited_orders.push(*order_id);
        }
        Command::Release { hold_id, .. } | Command::Extend { hold_id, .. } => {
            needs.holds.push(*hold_id);
            needs.used_holds.push(*hold_id);
        }
        Command::Payment { key, order_id, .. } => {
            needs.orders.push(*order_id);
            needs.payments.push(key.clone());
        }
        Command::Adjust { product_id, .. } | Command::Reclaim { product_id } => {
            needs.products.push(*product_id);
            needs.due.insert(*product_id);
        }
    }
}

/// Adds what the command's customer holds of its products.
fn add_customer(needs: &mut Needs, command: &Command) {
    let Some(customer) = command.customer() else { return };
    for hold in command.new_holds() {
        needs.customers.entry(hold.product_id).or_default().insert(Arc::clone(customer));
    }
}

/// Adds the keys that were taken for fresh.
pub(super) fn read_every_key(needs: &mut Needs, commands: &[Command]) {
    needs.keys = commands.iter().filter_map(Command::key).map(name).collect();
}

fn name(keyed: &Keyed) -> String {
    keyed.key.clone()
}
