//! The operations on lists of holds, orders and waiting payments, and on customers.

use std::sync::Arc;

use super::operations::page_limit;
use super::{LocalBackend, commands, order_commands};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger::{PaymentRow, is_awaited_by_name};
use crate::model::{
    Erased, Hold, HoldId, HoldPage, HoldQuery, Order, OrderId, OrderPage, OrderQuery, ProductRef,
    Timestamp, Token, WaitingPayment, WaitingPaymentPage,
};
use crate::store::{Listed, Owned, Sequence, Store, StoreResult, batch_id};

/// The most reads of the store for one page of holds or orders, when few of them match.
const PAGE_READS_MAX: usize = 16;

impl LocalBackend {
    /// Replaces the SKU that a list is filtered by with its product's id, 0 for one that
    /// no product has.
    async fn find_filter(&self, filter: &mut Option<ProductRef>) -> Result<()> {
        match filter {
            Some(ProductRef::Id(id)) if !id.is_possible() => {
                Err(Error::invalid_argument("product_id is one that no product can have"))
            }
            Some(product @ ProductRef::Sku(_)) => {
                let skus = self.find_skus(std::iter::once(&*product), true).await?;
                *product = skus.id(product).into();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads a page of a list, and the id after which the next one begins. `id_of` is
    /// the id of an item, `read` a read of a bounded number of rows.
    async fn read_page<T: Send + 'static, Reading>(
        &self,
        kind: Owned,
        (after, limit, created_after): (u64, usize, Option<Timestamp>),
        id_of: impl Fn(&T) -> u64,
        read: impl Fn(Arc<dyn Store>, u64, usize) -> Reading + Clone + Send + 'static,
    ) -> Result<(Vec<T>, Option<u64>)>
    where
        Reading: Future<Output = StoreResult<Listed<T>>> + Send,
    {
        let (mut after, mut page) = (after, Vec::new());
        // Stores keep ids as signed integers: none is larger.
        if after >= i64::MAX.unsigned_abs() {
            return Ok((page, None));
        }
        if let Some(at) = created_after {
            let first = move |store: Arc<dyn Store>| async move {
                store.first_created(kind, at, after).await
            };
            after = self.read_store(first).await?;
        }
        for _ in 0..PAGE_READS_MAX {
            let (read, wanted) = (read.clone(), limit + 1 - page.len());
            let Listed { items, next } =
                self.read_store(move |store| read(store, after, wanted)).await?;
            // One more than asked for shows that there is a next page.
            page.extend(items);
            if page.len() > limit {
                page.truncate(limit);
                let next = page.last().map(id_of);
                return Ok((page, next));
            }
            match next {
                Some(id) => after = id,
                None => return Ok((page, None)),
            }
        }
        Ok((page, Some(after)))
    }

    pub async fn holds(&self, mut query: HoldQuery) -> Result<HoldPage> {
        let limit = page_limit(query.limit)?;
        self.find_filter(&mut query.product).await?;
        commands::customer(query.customer.as_deref())?;
        let from = (query.after.map_or(0, |id| id.0), limit, query.created_after);
        let query = Arc::new(query);
        let read = move |store: Arc<dyn Store>, after, wanted| {
            let query = Arc::clone(&query);
            async move { store.holds(&query, after, wanted).await }
        };
        let (mut items, next) =
            self.read_page(Owned::Hold, from, |hold: &Hold| hold.id.0, read).await?;
        items.iter_mut().for_each(|hold| hold.token = None);
        Ok(HoldPage { items, next: next.map(HoldId) })
    }

    pub async fn orders(&self, mut query: OrderQuery) -> Result<OrderPage> {
        let limit = page_limit(query.limit)?;
        self.find_filter(&mut query.product).await?;
        commands::customer(query.customer.as_deref())?;
        if let Some(reference) = &query.reference {
            order_commands::check_reference(reference)?;
        }
        if let Some(name) = &query.payment_reference {
            order_commands::check_payment_name(name)?;
        }
        let from = (query.after.map_or(0, |id| id.0), limit, query.created_after);
        let query = Arc::new(query);
        let read = move |store: Arc<dyn Store>, after, wanted| {
            let query = Arc::clone(&query);
            async move { store.orders(&query, after, wanted).await }
        };
        let id_of = |order: &Order| order.id.0;
        let (items, next) = self.read_page(Owned::Order, from, id_of, read).await?;
        Ok(OrderPage { items, next: next.map(OrderId) })
    }

    pub async fn waiting_payments(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<WaitingPaymentPage> {
        let limit = page_limit(limit)?;
        let after = after.as_deref().map(parse_cursor).transpose()?;
        let read = move |store: Arc<dyn Store>| async move {
            let after = after.as_ref().map(|(at, key)| (*at, key.as_str()));
            store.waiting_payments(after, limit + 1).await
        };
        let (mut rows, now) = self.read_store(read).await?;
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| !is_last).map(cursor);
        let items = rows.into_iter().map(|row| self.waiting_payment(row));
        // One that waited for too long no longer waits, swept or not.
        let items = items.filter(|event| event.ends_at > now).collect();
        Ok(WaitingPaymentPage { items, next })
    }

    fn waiting_payment(&self, row: PaymentRow) -> WaitingPayment {
        let ends_at = self.services.policy.waits_until(&row);
        WaitingPayment {
            key: row.key,
            order_id: (!is_awaited_by_name(row.order_id)).then_some(row.order_id),
            order_reference: row.terms.order_reference,
            by_token: row.secret.is_some(),
            outcome: row.outcome,
            amount: row.terms.amount,
            currency: row.terms.currency,
            payment_reference: row.terms.reference,
            received_at: row.received_at,
            ends_at,
        }
    }

    pub async fn remove_waiting_payment(&self, key: String) -> Result<WaitingPayment> {
        let wanted = key.clone();
        let remove =
            move |store: Arc<dyn Store>| async move { store.remove_waiting(&wanted).await };
        let removed = self.read_store(remove).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "no payment event with this key waits for its order")
        })?;
        let removed = self.waiting_payment(removed);
        let order_id = removed.order_id.map(|id| id.0);
        tracing::info!(key, order_id, "removed a waiting payment event");
        Ok(removed)
    }

    pub async fn erase_customer(&self, customer: String) -> Result<Erased> {
        commands::customer(Some(&customer))?;
        // Random, so that no name that a shop gives is another customer's.
        let replacement = format!("erased-{}", Token::random());
        let actor = self.actor.clone();
        let erase = move |store: Arc<dyn Store>| async move {
            let batch = batch_id(store.draw(Sequence::Batch, 1).await?);
            store.erase_customer(&customer, &replacement, (batch, actor.as_deref())).await
        };
        let erased = self.read_store(erase).await?;
        // Without the name, which logs would keep.
        tracing::info!(holds = erased.holds, orders = erased.orders, "erased a customer");
        Ok(erased)
    }
}

/// The cursor of a page of waiting events that ends with this one.
fn cursor(row: &PaymentRow) -> String {
    format!("{}-{}", row.received_at.micros(), row.key)
}

fn parse_cursor(cursor: &str) -> Result<(Timestamp, String)> {
    let parts = cursor.split_once('-');
    let parsed = parts.and_then(|(at, key)| Some((at.parse().ok()?, key.to_owned())));
    let (micros, key) = parsed.ok_or_else(|| {
        Error::invalid_argument("after must be the `next` of a page of waiting payment events")
    })?;
    Ok((Timestamp::from_micros(micros), key))
}
