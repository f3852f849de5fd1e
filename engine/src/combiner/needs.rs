//! What rows a command needs, and the ids it uses up.

use super::Request;
use crate::ledger::Command;
use crate::model::{HoldId, OrderId, ProductId};
use crate::store::Needs;

/// How many ids of each kind the commands may use up.
pub(super) fn count_ids(requests: &[Request]) -> (usize, usize) {
    let (mut holds, mut orders) = (0, 0);
    for request in requests {
        match &request.command {
            Command::Hold { .. } => holds += 1,
            Command::Cart { lines, .. } => holds += lines.len(),
            Command::Order { .. } => orders += 1,
            _ => {}
        }
    }
    (holds, orders)
}

/// Gives each hold and order to be made its id.
pub(super) fn assign_ids(requests: &mut [Request], holds: Vec<u64>, orders: Vec<u64>) {
    let mut holds = holds.into_iter().map(HoldId);
    let mut orders = orders.into_iter().map(OrderId);
    for request in requests {
        match &mut request.command {
            Command::Hold { hold, .. } => hold.id = holds.next().unwrap_or(hold.id),
            Command::Cart { lines, .. } => {
                for line in lines {
                    line.id = holds.next().unwrap_or(line.id);
                }
            }
            Command::Order { order_id, .. } => *order_id = orders.next().unwrap_or(*order_id),
            _ => {}
        }
    }
}

/// Adds the ids that the command would have used up.
pub(super) fn ids_of(command: &Command, holds: &mut Vec<u64>, orders: &mut Vec<u64>) {
    match command {
        Command::Hold { hold, .. } => holds.push(hold.id.0),
        Command::Cart { lines, .. } => holds.extend(lines.iter().map(|line| line.id.0)),
        Command::Order { order_id, .. } => orders.push(order_id.0),
        _ => {}
    }
}

/// All rows that the requests need.
pub(super) fn of(requests: &[Request], due_limit: u32) -> Needs {
    let mut needs = Needs { due_limit, ..Needs::default() };
    for request in requests {
        let lanes = request.route.iter().map(|lane| ProductId(lane.0));
        needs.products.extend(lanes.filter(|product| product.is_possible()));
        add(&mut needs, &request.command);
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
    let key = match command {
        Command::Hold { hold, key, .. } => {
            needs.products.push(hold.product_id);
            key
        }
        Command::Cart { lines, key, .. } => {
            needs.products.extend(lines.iter().map(|line| line.product_id));
            key
        }
        Command::Order { order_id, hold_id, product_id, key, .. } => {
            needs.products.push(*product_id);
            needs.holds.push(*hold_id);
            needs.used_holds.push(*hold_id);
            needs.awaited_orders.push(*order_id);
            key
        }
        Command::Release { hold_id } | Command::Extend { hold_id, .. } => {
            needs.holds.push(*hold_id);
            needs.used_holds.push(*hold_id);
            &None
        }
        Command::Payment { key, order_id, .. } => {
            needs.orders.push(*order_id);
            needs.payments.push(key.clone());
            &None
        }
        Command::Adjust { product_id, .. } | Command::Reclaim { product_id } => {
            needs.products.push(*product_id);
            &None
        }
    };
    needs.keys.extend(key.as_ref().map(|keyed| keyed.key.clone()));
}
