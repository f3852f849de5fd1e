//! Completes a committed batch: publishes its changes to the caches, wakes the
//! sweeper, and turns the decisions into responses.

use smallvec::smallvec;

use super::context::Context;
use super::ids::IdAllocator;
use super::in_doubt::DecidedBatch;
use super::read_set;
use super::request::{CommandResponse, PendingRequest};
use crate::cache::CachedProduct;
use crate::error::{Error, Result};
use crate::ledger::{Answer, Changes, Command, Decision, IdempotencyKey, Refusal};
use crate::model::{EventKind, ProductId};
use crate::services::Services;
use crate::store::Sequence;

pub(super) enum RequestOutcome {
    Respond(Box<PendingRequest>, Result<CommandResponse>),
    /// Puts the request back at the front of its lanes.
    Requeue(Box<PendingRequest>),
}

/// Publishes what a transaction changed, then turns its decisions into
/// responses. Callers must not get a response before the caches are current:
/// they would not read their own writes.
pub(super) fn complete(
    context: &Context,
    requests: Vec<Box<PendingRequest>>,
    decided: DecidedBatch,
    id_reuse: IdReuse,
) -> Vec<RequestOutcome> {
    let services = &context.services;
    let DecidedBatch { decisions, changes, locked_at } = decided;
    publish(services, &changes);
    let committed = changes.products.into_iter().map(|change| change.after);
    let committed = committed.chain(changes.new_products).map(CachedProduct::from).collect();
    let unchanged = changes.unchanged.into_iter().map(CachedProduct::from).collect();
    services.cache.record(committed, unchanged, &short_products(&decisions), locked_at);
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut unused = UnusedIds::default();
    for (mut request, decision) in requests.into_iter().zip(decisions) {
        match decision {
            Decision::Done { answer, replayed } => {
                if answer.is_err() || replayed {
                    unused.add(&request.command);
                }
                if replayed && matches!(request.command, Command::Payment { .. }) {
                    services.metrics.payment_duplicates.inc();
                }
                // Only a caller's own key replays: one that its client drew is
                // unknown to it.
                let is_own = |key: &IdempotencyKey| key.keeps_refusals;
                let replayed = replayed && request.command.key().is_none_or(is_own);
                let response = answer
                    .map(|answer| CommandResponse { answer, replayed })
                    .map_err(|refusal| Error::refused(refusal, replayed));
                outcomes.push(RequestOutcome::Respond(request, response));
            }
            Decision::StaleName => {
                unused.add(&request.command);
                let response = CommandResponse { answer: Answer::StaleName, replayed: false };
                outcomes.push(RequestOutcome::Respond(request, Ok(response)));
            }
            Decision::Deferred => {
                unused.add(&request.command);
                outcomes.push(RequestOutcome::Requeue(request));
            }
            Decision::ReadSetMiss(products) => {
                request.add_lanes(products.into_iter().map(|product| context.lane(product)));
                outcomes.push(RequestOutcome::Requeue(request));
            }
        }
    }
    unused.release(&context.ids, id_reuse);
    outcomes
}

fn publish(services: &Services, changes: &Changes) {
    for event in &changes.events {
        match event.kind {
            EventKind::HoldExpired => drop(services.metrics.holds_expired.inc()),
            EventKind::OrderCancelled => drop(services.metrics.orders_cancelled.inc()),
            EventKind::OrderPaid => drop(services.metrics.orders_paid.inc()),
            EventKind::PaymentNeedsRefund => {
                services.metrics.payments_needing_refund.inc();
            }
            _ => {}
        }
    }
    let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
    services.metrics.holds_created.inc_by(number(changes.new_holds.len()));
    services.metrics.orders_created.inc_by(number(changes.new_orders.len()));
    let written = changes.products.iter().map(|change| &change.after).chain(&changes.new_products);
    services.sku_index.record(changes);
    let soonest = written.filter_map(|row| row.next_due).min();
    if let Some(soonest) = soonest {
        services.sweeper_waker.falls_due(soonest);
    }
    services.product_index.carts.remember(&changes.new_holds);
    if !services.store.single_writer() {
        let index = &services.product_index;
        let holds = changes.new_holds.iter();
        index.holds.remember(holds.map(|hold| (hold.id.0, smallvec![hold.product_id])));
        let orders = changes.new_orders.iter().map(|row| &row.order);
        index.orders.remember(orders.map(|order| (order.id.0, order.products().collect())));
    }
}

/// Returns the products for which a command was refused as `insufficient`.
fn short_products(decisions: &[Decision]) -> Vec<ProductId> {
    let mut short = Vec::new();
    for decision in decisions {
        if let Decision::Done { answer: Err(Refusal::Insufficient(lines)), .. } = decision {
            short.extend(lines.iter().map(|line| line.product_id));
            short.dedup();
        }
    }
    short
}

/// Whether ids that no row used may be assigned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdReuse {
    Allowed,
    /// A connection was lost, or a commit is in doubt: a transaction with these ids
    /// may still be on its way, and its rows would overlap with others unnoticed,
    /// since only equal first ids collide.
    Forbidden,
}

#[derive(Default)]
pub(super) struct UnusedIds {
    holds: Vec<u64>,
    orders: Vec<u64>,
}

impl UnusedIds {
    pub fn add(&mut self, command: &Command) {
        read_set::collect_ids(command, &mut self.holds, &mut self.orders);
    }

    pub fn release(self, ids: &IdAllocator, reuse: IdReuse) {
        if reuse == IdReuse::Forbidden {
            return;
        }
        ids.release(Sequence::Hold, self.holds);
        ids.release(Sequence::Order, self.orders);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ShortLine;

    #[test]
    fn short_products_lists_each_insufficient_product_once_in_a_row() {
        let line = |product| {
            let product_id = ProductId(product);
            ShortLine { product_id, sku: None, requested: 2, available: 1 }
        };
        let refused = |products: &[u64]| {
            let lines = products.iter().copied().map(line).collect();
            let answer = Err(Refusal::Insufficient(lines));
            Decision::Done { answer, replayed: false }
        };
        let other =
            Decision::Done { answer: Err(Refusal::NoProduct(ProductId(9))), replayed: false };
        let decisions = [refused(&[3]), Decision::Deferred, refused(&[3]), other, refused(&[1, 4])];
        assert_eq!(short_products(&decisions), [3, 1, 4].map(ProductId));
    }
}
