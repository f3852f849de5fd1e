//! Reads products, and the SKUs of what is read of them.

use std::collections::{BTreeSet, HashMap};

use super::database::Database;
use super::error::StoreResult;
use super::reads::SqlStore;
use super::rows;
use super::statement::ReadRow;
use super::statements::{hex_list, list, put};
use crate::cache::CachedProduct;
use crate::ledger::ProductRow;
use crate::model::{Event, EventKind, Hold, Order, ProductId, Timestamp};

impl<D: Database> SqlStore<D> {
    /// Reads the products that meet a condition, and the store's time.
    pub(super) async fn select_products(
        &self,
        which: &str,
    ) -> StoreResult<(Vec<CachedProduct>, Timestamp)> {
        let columns = rows::PRODUCT;
        let sql = format!("SELECT {columns} FROM stockade_products WHERE {which}");
        let (mut products, now) = self.select_all(sql, rows::product).await?;
        let due = products.iter().filter(|row| row.next_due.is_some_and(|at| at <= now));
        let due = list(due.map(|row| row.product.id));
        if !due.is_empty() {
            for fresh in self.select_with_due_returned(&due, now).await? {
                let stale = products.iter_mut().find(|row| row.product.id == fresh.product.id);
                if let Some(stale) = stale {
                    *stale = fresh;
                }
            }
        }
        Ok((products.into_iter().map(CachedProduct::from).collect(), now))
    }

    /// Reads products with their due holds and orders, and counts these as
    /// returned, whether or not a sweep has returned them. The products are read
    /// again: they may have changed since the read that found them due.
    async fn select_with_due_returned(
        &self,
        ids: &str,
        now: Timestamp,
    ) -> StoreResult<Vec<ProductRow>> {
        let (columns, now) = (rows::PRODUCT, now.micros());
        let aggregate = |table: &str, which: &str, column: &str, edge: &str, value: &str| {
            format!(
                "(SELECT {value} FROM stockade_{table} d WHERE d.product_id = p.id{which} \
                 AND d.{column} {edge} {now})"
            )
        };
        let sum = |units: &str| format!("CAST(COALESCE(SUM({units}), 0) AS SIGNED)");
        let mut columns = columns.to_owned();
        for (table, which, column, units) in [
            ("hold_batches", "", "due", "active_units"),
            ("detached_holds", " AND d.status = 0", "expires_at", "qty"),
            ("orders", " AND d.status = 0", "due_at", "qty"),
        ] {
            let due = aggregate(table, which, column, "<=", &sum(units));
            let next = aggregate(table, which, column, ">", &format!("MIN({column})"));
            put(&mut columns, format_args!(", {due}, {next}"));
        }
        let sql = format!("SELECT {columns} FROM stockade_products p WHERE id IN ({ids})");
        let read: ReadRow<ProductRow> = |row| {
            let mut fresh = rows::product(row)?;
            let (in_batches, first) = (row.count()?, row.opt_time()?);
            let (detached, second) = (row.count()?, row.opt_time()?);
            let (orders, third) = (row.count()?, row.opt_time()?);
            let holds = in_batches + detached;
            let product = &mut fresh.product;
            product.held = product.held.saturating_sub(holds);
            product.pending = product.pending.saturating_sub(orders);
            product.set_in_stock(product.in_stock + holds + orders);
            fresh.next_due = [first, second, third].into_iter().flatten().min();
            Ok(fresh)
        };
        Ok(self.select_all(sql, read).await?.0)
    }

    /// Finds the products of SKUs; those that no product has are missing.
    pub(super) async fn find_skus(
        &self,
        skus: &[String],
    ) -> StoreResult<HashMap<String, ProductId>> {
        let skus = hex_list(skus);
        let sql = format!("SELECT id, sku FROM stockade_products WHERE sku IN ({skus})");
        let read: ReadRow<(String, ProductId)> = |row| {
            let id = ProductId(row.count()?);
            Ok((row.key()?, id))
        };
        Ok(self.select_all(sql, read).await?.0.into_iter().collect())
    }

    /// Reads the SKUs of products.
    async fn skus(
        &self,
        products: impl Iterator<Item = ProductId>,
    ) -> StoreResult<HashMap<ProductId, String>> {
        let ids: BTreeSet<ProductId> = products.collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = list(ids);
        let sql = format!(
            "SELECT id, sku FROM stockade_products WHERE id IN ({ids}) AND sku IS NOT NULL"
        );
        let read: ReadRow<(ProductId, String)> = |row| Ok((ProductId(row.count()?), row.key()?));
        Ok(self.select_all(sql, read).await?.0.into_iter().collect())
    }

    /// Sets the SKUs of holds.
    pub(super) async fn name_holds(&self, holds: &mut [Hold]) -> StoreResult<()> {
        let skus = self.skus(holds.iter().map(|hold| hold.product_id)).await?;
        for hold in holds {
            hold.sku = skus.get(&hold.product_id).cloned();
        }
        Ok(())
    }

    /// Sets the SKUs of orders' lines.
    pub(super) async fn name_products(&self, orders: &mut [&mut Order]) -> StoreResult<()> {
        let skus = self.skus(orders.iter().flat_map(|order| order.products())).await?;
        for line in orders.iter_mut().flat_map(|order| order.lines.iter_mut()) {
            line.sku = skus.get(&line.product_id).cloned();
        }
        Ok(())
    }

    /// Sets the SKUs of events, but for those about the product itself, which tell the
    /// SKU that it had after them.
    pub(super) async fn name_events(&self, events: &mut [Event]) -> StoreResult<()> {
        let is_later = |event: &Event| {
            use EventKind::{ProductArchived, ProductChanged, ProductCreated};
            !matches!(event.kind, ProductCreated | ProductChanged | ProductArchived)
        };
        let later = events.iter().filter(|event| is_later(event));
        let skus = self.skus(later.map(|event| event.product_id)).await?;
        for event in events.iter_mut().filter(|event| is_later(event)) {
            event.sku = skus.get(&event.product_id).cloned();
        }
        Ok(())
    }
}
