//! How customers' names go: by an erasure, and by retention.

use super::database::Database;
use super::error::StoreResult;
use super::hold_metadata::delete_metadata;
use super::reads::SqlStore;
use super::statement::{ReadRow, Statement, fetch_all, fetch_optional, run_checked};
use super::statements::{IDS_MAX, hex, list};
use super::writes::insert_outbox;
use crate::ledger::{EventDetails, LedgerEvent};
use crate::model::{Erased, EventKind, ProductId};

impl<D: Database> SqlStore<D> {
    /// Replaces a customer's name and empties the metadata of its holds and orders, with
    /// the event of it, in one transaction.
    pub(super) async fn replace_name(
        &self,
        name: &str,
        replacement: &str,
        (batch_id, actor): (u64, Option<&str>),
    ) -> StoreResult<Erased> {
        let mut session = self.writer().await?;
        session.open().await?;
        let now = self.time_of(&mut session).await?;
        let (old, new) = (hex(name.as_bytes()), hex(replacement.as_bytes()));
        let lock = D::LOCK;
        // A hold that is made for the customer meanwhile waits, or is waited for.
        let sql = format!("SELECT id FROM stockade_customers WHERE name = {old}{lock}");
        let id = fetch_optional(session.connection(), sql, |row| row.count()).await?;
        let Some(id) = id else {
            session.finish("ROLLBACK").await?;
            return Ok(Erased::default());
        };
        let sql = format!(
            "SELECT (SELECT COUNT(*) FROM stockade_customer_holds WHERE customer = {id}), \
             (SELECT COUNT(DISTINCT order_id) FROM stockade_customer_orders WHERE customer = {id})"
        );
        let read: ReadRow<Erased> = |row| Ok(Erased { holds: row.count()?, orders: row.count()? });
        let erased = fetch_optional(session.connection(), sql, read).await?.unwrap_or_default();
        let event = LedgerEvent {
            kind: EventKind::CustomerErased,
            product_id: ProductId(0),
            hold_id: None,
            order_id: None,
            // A reader looks up the name by it.
            quantity: i64::try_from(id).unwrap_or(i64::MAX),
            version: 0,
            details: actor.map(|actor| {
                Box::new(EventDetails { actor: Some(actor.to_owned()), ..EventDetails::default() })
            }),
        };
        let sql = format!("UPDATE stockade_customers SET name = {new} WHERE id = {id}");
        let mut writes = vec![
            Statement::guarded(sql, 1),
            Statement::self_checking(insert_outbox(batch_id, D::CURSOR, "1", now, &[event]), 1),
        ];
        // Read by the index of the customer: an UPDATE with a subquery reads every row.
        let holds = format!(
            "SELECT m.hold_id FROM stockade_customer_holds h \
             JOIN stockade_hold_metadata m ON m.hold_id = h.hold_id WHERE h.customer = {id}"
        );
        let orders = format!(
            "SELECT DISTINCT o.id FROM stockade_customer_orders x \
             JOIN stockade_orders o ON o.id = x.order_id \
             WHERE x.customer = {id} AND o.metadata IS NOT NULL"
        );
        let read: ReadRow<u64> = |row| row.count();
        let holds = fetch_all(session.connection(), holds, read).await?;
        let orders = fetch_all(session.connection(), orders, read).await?;
        writes.extend(delete_metadata(&holds));
        writes.extend(orders.chunks(IDS_MAX).map(|some| {
            let ids = list(some);
            Statement::new(format!(
                "UPDATE stockade_orders SET metadata = NULL WHERE id IN ({ids})"
            ))
        }));
        run_checked(session.connection(), &writes, &mut ()).await?;
        session.finish("COMMIT").await?;
        Ok(erased)
    }

    /// The statements that delete what is kept of the customers of the holds with ids
    /// in these ranges, whose orders are deleted before: the rows of these holds, and
    /// the names that nothing else refers to.
    pub(super) async fn delete_customers(
        &self,
        ranges: &[(u64, u64)],
    ) -> StoreResult<Vec<Statement<()>>> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let range = |(first, end): &(u64, u64)| format!("(hold_id >= {first} AND hold_id < {end})");
        let which = ranges.iter().map(range).collect::<Vec<_>>().join(" OR ");
        let sql = format!("SELECT DISTINCT customer FROM stockade_customer_holds WHERE {which}");
        let (customers, _) = self.select_all(sql, |row| row.count()).await?;
        if customers.is_empty() {
            return Ok(Vec::new());
        }
        let mut all =
            vec![Statement::new(format!("DELETE FROM stockade_customer_holds WHERE {which}"))];
        for some in customers.chunks(IDS_MAX) {
            let (ids, lock) = (list(some), D::LOCK);
            // A batch that names one of them has its row locked, or waits and inserts it
            // again. So the statement after the lock sees all rows that refer to it.
            all.push(Statement::new(format!(
                "SELECT id FROM stockade_customers WHERE id IN ({ids}){lock}"
            )));
            all.push(Statement::new(format!(
                "DELETE FROM stockade_customers WHERE id IN ({ids}) AND NOT EXISTS \
                 (SELECT 1 FROM stockade_customer_holds h WHERE h.customer = stockade_customers.id) \
                 AND NOT EXISTS (SELECT 1 FROM stockade_customer_orders o \
                 WHERE o.customer = stockade_customers.id)"
            )));
        }
        Ok(all)
    }
}
