//! From a transaction's decisions to its callers' answers.

use super::batch::Decided;
use super::ids::Ids;
use super::{Combiner, Done, Parts, Reply, Request, read_set};
use crate::cache::CachedProduct;
use crate::error::Error;
use crate::ledger::{Changes, Command, Decision, Refusal};
use crate::model::{EventKind, ProductId};
use crate::store::Sequence;

/// What is to be said to a request, or done with it.
pub(super) enum BatchOutcome {
    Reply(Request, Reply),
    /// To be asked again, first in its lane.
    Requeue(Request),
}

/// Tells all who must know of a transaction before its callers do, and turns
/// its decisions into answers.
pub(super) fn settle(
    combiner: &Combiner,
    requests: Vec<Request>,
    decided: Decided,
) -> Vec<BatchOutcome> {
    let parts = &combiner.parts;
    let Decided { decisions, changes, products, locked_at } = decided;
    parts.process_shared.sold_out.record(products, &refused_products(&decisions), locked_at);
    tell(parts, &changes);
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut unused = UnusedIds::default();
    for (mut request, decision) in requests.into_iter().zip(decisions) {
        match decision {
            Decision::Done { answer, replayed } => {
                if answer.is_err() || replayed {
                    unused.add(&request.command);
                }
                if replayed && matches!(request.command, Command::Payment { .. }) {
                    parts.metrics.payment_duplicates.inc();
                }
                let reply = answer
                    .map(|answer| Done { answer, replayed })
                    .map_err(|refusal| Error::refused(refusal, replayed));
                outcomes.push(BatchOutcome::Reply(request, reply));
            }
            Decision::Later => {
                unused.add(&request.command);
                outcomes.push(BatchOutcome::Requeue(request));
            }
            Decision::Elsewhere(product) => {
                request.route = vec![combiner.lane(product)];
                outcomes.push(BatchOutcome::Requeue(request));
            }
        }
    }
    unused.give_back(&combiner.ids);
    outcomes
}

fn tell(parts: &Parts, changes: &Changes) {
    for event in &changes.events {
        match event.kind {
            EventKind::HoldExpired => drop(parts.metrics.holds_expired.inc()),
            EventKind::OrderCancelled => drop(parts.metrics.orders_cancelled.inc()),
            _ => {}
        }
    }
    let soonest = changes.products.iter().filter_map(|change| change.after.next_due).min();
    if let Some(soonest) = soonest {
        parts.sweeper_waker.falls_due(soonest);
    }
    if !changes.products.is_empty() {
        let written = changes.products.iter().map(|change| CachedProduct::from(&change.after));
        parts.cache.committed(written.collect());
    }
    if !parts.store.single_writer() {
        parts
            .product_index
            .remember_holds(changes.new_holds.iter().map(|hold| (hold.id, hold.product_id)));
        let orders = changes.new_orders.iter();
        parts.product_index.remember_orders(orders.map(|row| (row.order.id, row.order.product_id)));
    }
}

/// The products that someone was refused for want of stock.
fn refused_products(decisions: &[Decision]) -> Vec<ProductId> {
    let mut short = Vec::new();
    for decision in decisions {
        if let Decision::Done { answer: Err(Refusal::Insufficient(lines)), .. } = decision {
            short.extend(lines.iter().map(|line| line.product_id));
            short.dedup();
        }
    }
    short
}

/// Ids that no row got.
#[derive(Default)]
pub(super) struct UnusedIds {
    holds: Vec<u64>,
    orders: Vec<u64>,
}

impl UnusedIds {
    pub fn add(&mut self, command: &Command) {
        read_set::ids_of(command, &mut self.holds, &mut self.orders);
    }

    pub fn give_back(self, ids: &Ids) {
        ids.give_back(Sequence::Hold, self.holds);
        ids.give_back(Sequence::Order, self.orders);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ShortLine;

    #[test]
    fn products_are_short_for_whom_someone_was_refused() {
        let line = |product| {
            let product_id = ProductId(product);
            ShortLine { product_id, requested: 2, available: 1 }
        };
        let refused = |products: &[u64]| {
            let lines = products.iter().copied().map(line).collect();
            let answer = Err(Refusal::Insufficient(lines));
            Decision::Done { answer, replayed: false }
        };
        let other =
            Decision::Done { answer: Err(Refusal::NoProduct(ProductId(9))), replayed: false };
        let decisions = [refused(&[3]), Decision::Later, refused(&[3]), other, refused(&[1, 4])];
        assert_eq!(refused_products(&decisions), [3, 1, 4].map(ProductId));
    }
}
