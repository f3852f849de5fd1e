//! The payment events that wait for their order: their list, and how they end.

use std::time::Duration;

use super::database::Database;
use super::error::{Fault, StoreResult};
use super::reads::SqlStore;
use super::rows;
use super::statement::{ReadRow, Statement, run_checked};
use super::statements::{hex, hex_list, list};
use super::{Purge, PurgeStep, purge};
use crate::ledger::PaymentRow;
use crate::model::Timestamp;

impl<D: Database> SqlStore<D> {
    /// Reads waiting events by age, those after one that arrived then with this key.
    pub(super) async fn list_waiting(
        &self,
        after: Option<(Timestamp, &str)>,
        limit: usize,
    ) -> StoreResult<(Vec<PaymentRow>, Timestamp)> {
        let columns = rows::PAYMENT;
        let after = after.map(|(at, key)| {
            let (at, key) = (at.micros(), hex(key.as_bytes()));
            format!(" AND received_at >= {at} AND (received_at > {at} OR idempotency_key > {key})")
        });
        let after = after.unwrap_or_default();
        let sql = format!(
            "SELECT {columns} FROM stockade_payments WHERE waiting = 1{after} \
             ORDER BY received_at, idempotency_key LIMIT {limit}"
        );
        self.select_all(sql, rows::payment).await
    }

    /// Ends the waiting of the event with this key, and returns it; `None` if none with
    /// it waits.
    pub(super) async fn settle_waiting(&self, key: &str) -> StoreResult<Option<PaymentRow>> {
        let (columns, literal) = (rows::PAYMENT, hex(key.as_bytes()));
        let which = format!("idempotency_key = {literal} AND waiting = 1");
        let sql = format!("SELECT {columns} FROM stockade_payments WHERE {which}");
        let Some(row) = self.select_one(sql, rows::payment).await?.0 else { return Ok(None) };
        let delete = format!(
            "DELETE FROM stockade_payments_waiting WHERE order_id = {} \
             AND idempotency_key = {literal}",
            row.order_id
        );
        let settle = format!("UPDATE stockade_payments SET waiting = 0 WHERE {which}");
        let mut session = self.writer().await?;
        session.open().await?;
        let writes = [delete, settle].map(|sql| Statement::guarded(sql, 1));
        match run_checked(session.connection(), &writes, &mut ()).await {
            Ok(_) => session.finish("COMMIT").await.map(|()| Some(row)),
            // Its order was made meanwhile, or another has ended it.
            Err(error) if error.fault == Fault::Conflict => {
                session.finish("ROLLBACK").await.map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the waiting of some events that have waited for too long. They stay
    /// recorded. An order that is made at the same time fails if it has read one of
    /// them, and is made again without.
    pub(super) async fn end_waiting(
        &self,
        now: Timestamp,
        (by_id, by_token): (Duration, Duration),
    ) -> StoreResult<PurgeStep> {
        let [by_id_before, by_token_before] = [by_id, by_token].map(|it| now.before(it).micros());
        let limit = purge::ROWS_MAX;
        let over = format!(
            "waiting = 1 AND CASE WHEN secret IS NULL THEN received_at <= {by_id_before} \
             ELSE received_at <= {by_token_before} END"
        );
        let latest = by_id_before.max(by_token_before);
        let sql = format!(
            "SELECT order_id, idempotency_key FROM stockade_payments WHERE waiting = 1 \
             AND received_at <= {latest} AND {over} ORDER BY received_at LIMIT {limit}"
        );
        let read: ReadRow<(u64, String)> = |row| Ok((row.count()?, row.key()?));
        let (found, _) = self.select_all(sql, read).await?;
        if found.is_empty() {
            return Ok(PurgeStep::default());
        }
        let keys = hex_list(found.iter().map(|(_, key)| key));
        let orders = list(found.iter().map(|(order, _)| *order));
        let writes = [
            Statement::new(format!(
                "DELETE FROM stockade_payments_waiting WHERE order_id IN ({orders}) \
                 AND idempotency_key IN ({keys})"
            )),
            Statement::new(format!(
                "UPDATE stockade_payments SET waiting = 0 \
                 WHERE idempotency_key IN ({keys}) AND waiting = 1"
            )),
        ];
        let rows = self.transact(&writes).await?.last().copied().unwrap_or(0);
        let again = Purge::Waiting { by_id, by_token };
        let is_full = found.len() == limit as usize;
        Ok(PurgeStep { rows, next: is_full.then_some(again) })
    }
}
