//! Reads orders by ascending id, from a bounded number of rows.

use super::customers::of_customer;
use super::database::Database;
use super::error::StoreResult;
use super::order_rows;
use super::reads::SqlStore;
use super::statement::ReadRow;
use super::statements::list;
use super::{ID_BLOCK_AGE_MAX, Listed, Owned};
use crate::ledger::OrderRow;
use crate::model::{Coded, Order, OrderId, OrderQuery, PaymentDisposition, Timestamp};

/// The most rows of one read.
const ROWS_MAX: usize = 1_000;
/// How many ids a search by time may leave unread before the first one that it looks
/// for: a read passes over them faster than another probe would.
const SEARCH_ENOUGH: u64 = 256;
/// The most probes of a search by time: each halves the ids.
const SEARCH_PROBES: u32 = 64;

impl<D: Database> SqlStore<D> {
    /// Reads orders that match and have ids above `after`.
    pub(super) async fn list_orders(
        &self,
        query: &OrderQuery,
        after: u64,
        wanted: usize,
    ) -> StoreResult<Listed<Order>> {
        let limit = wanted.clamp(1, ROWS_MAX);
        let ids = match self.candidates(query, after, limit).await? {
            Some(ids) if ids.is_empty() => return Ok(Listed::default()),
            ids => ids,
        };
        let columns = order_rows::columns("stockade_orders");
        let (which, rows_max) = match &ids {
            Some(ids) => (format!("id IN ({})", list(ids)), limit),
            None => (format!("id > {after}"), ROWS_MAX),
        };
        let sql = format!(
            "SELECT id, {columns} FROM stockade_orders WHERE {which} ORDER BY id LIMIT {rows_max}"
        );
        // One of which a part is deleted has an id alone.
        let read: ReadRow<(OrderId, Option<OrderRow>)> =
            |row| Ok((OrderId(row.count()?), order_rows::order(row)?));
        let (found, now) = self.select_all(sql, read).await?;
        let next = match &ids {
            Some(ids) => ids.last().copied().filter(|_| ids.len() == limit),
            None => found.last().map(|(id, _)| id.0).filter(|_| found.len() == ROWS_MAX),
        };
        let rows = found.into_iter().filter_map(|(_, row)| row);
        let mut orders: Vec<Order> = rows.map(|row| row.order).collect();
        let is_beyond = |order: &Order| {
            query.created_before.is_some_and(|end| order.created_at >= end.after(ID_BLOCK_AGE_MAX))
        };
        // Ids ascend with time but for the age of a block of them.
        let next = next.filter(|_| !orders.iter().any(is_beyond));
        orders.iter_mut().for_each(|order| order.end_if_due(now));
        orders.retain(|order| query.matches(order));
        self.name_products(&mut orders.iter_mut().collect::<Vec<_>>()).await?;
        Ok(Listed { items: orders, next })
    }

    /// Returns the ids above `after` of orders that may match, ascending, from an index
    /// that few orders have an entry of; `None` if there is none for the query.
    async fn candidates(
        &self,
        query: &OrderQuery,
        after: u64,
        limit: usize,
    ) -> StoreResult<Option<Vec<u64>>> {
        let named = [
            ("order_references", &query.reference),
            ("payment_references", &query.payment_reference),
        ];
        let mut only = None;
        for (table, name) in named {
            let Some(name) = name else { continue };
            let found = self.order_named(table, name).await?.filter(|id| id.0 > after);
            let Some(id) = found.filter(|id| only.is_none_or(|only| only == *id)) else {
                return Ok(Some(Vec::new()));
            };
            only = Some(id);
        }
        if let Some(id) = only {
            return Ok(Some(vec![id.0]));
        }
        let sql = if let Some(customer) = &query.customer {
            let of = of_customer(customer);
            format!(
                "SELECT DISTINCT order_id FROM stockade_customer_orders WHERE customer = {of} \
                 AND order_id > {after} ORDER BY order_id LIMIT {limit}"
            )
        } else {
            let Some(disposition) = query.disposition else { return Ok(None) };
            let of = |disposition: PaymentDisposition| {
                let code = disposition.code();
                format!(
                    "SELECT order_id FROM (SELECT order_id FROM stockade_order_dispositions \
                     WHERE disposition = {code} AND order_id > {after} \
                     ORDER BY order_id LIMIT {limit}) d{code}"
                )
            };
            match disposition {
                PaymentDisposition::None => return Ok(None),
                // Money of a wrong amount must be refunded once the order is due.
                PaymentDisposition::NeedsRefund => {
                    let [owed, wrong] = [disposition, PaymentDisposition::AmountMismatch].map(of);
                    format!("{owed} UNION ALL {wrong} ORDER BY order_id LIMIT {limit}")
                }
                other => of(other),
            }
        };
        let (mut ids, _) = self.select_all(sql, |row| row.count()).await?;
        ids.sort_unstable();
        Ok(Some(ids))
    }

    /// Finds an id not below `after` up to which all rows were created before `at`.
    /// Ids ascend with time, but for the age of a block of them.
    pub(super) async fn find_created(
        &self,
        kind: Owned,
        at: Timestamp,
        after: u64,
    ) -> StoreResult<u64> {
        let (table, id) = match kind {
            Owned::Hold => ("hold_batches", "first_id"),
            Owned::Order => ("orders", "id"),
        };
        let before = at.before(ID_BLOCK_AGE_MAX);
        let read: ReadRow<(u64, Timestamp)> = |row| Ok((row.count()?, row.time()?));
        let probe = |above: u64| {
            let sql = format!(
                "SELECT {id}, created_at FROM stockade_{table} WHERE {id} > {above} \
                 ORDER BY {id} LIMIT 1"
            );
            async move { Ok::<_, super::StoreError>(self.select_one(sql, read).await?.0) }
        };
        let newest = format!("SELECT {id} FROM stockade_{table} ORDER BY {id} DESC LIMIT 1");
        let (newest, _) = self.select_one(newest, |row| row.count()).await?;
        let (mut low, mut high) = (after, newest.unwrap_or(0));
        // The first look tells most pages that there is nothing to pass over.
        let mut middle = after;
        for _ in 0..SEARCH_PROBES {
            if high.saturating_sub(low) <= SEARCH_ENOUGH {
                break;
            }
            match probe(middle).await? {
                Some((found, created_at)) if created_at < before => low = found,
                _ if middle == after => break,
                _ => high = middle,
            }
            middle = low + high.saturating_sub(low) / 2;
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests;
