//! The ceiling of a database server: transactions of holds without callers,
//! decisions or locks, one round trip each.

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use tokio::sync::Mutex;

use super::names;
use super::raw::{self, RawIds, RawTransaction};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// Writes one transaction after another on each of its connections.
pub struct Ceiling {
    connections: Vec<Mutex<MySqlConnection>>,
    ids: RawIds,
    transaction: RawTransaction,
}

impl Ceiling {
    /// Opens the ceiling of one row for each hold. It has two connections: one sends
    /// its rows while the other commits.
    pub async fn open(shop: &Shop) -> Self {
        Self::with(shop, raw::SINGLE_ROWS, 2).await
    }

    /// Opens the ceiling of packed rows, with one connection.
    pub async fn packed(shop: &Shop) -> Self {
        Self::with(shop, raw::PACKED_ROWS, 1).await
    }

    async fn with(shop: &Shop, transaction: RawTransaction, connections: usize) -> Self {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Mutex::new(MySqlConnection::connect(&shop.url).await.expect("connects")));
        }
        Self { connections: open, ids: RawIds::new(), transaction }
    }

    async fn write(&self, caller: usize) -> sqlx::Result<()> {
        let mut connection = self.connections[caller].lock().await;
        // The product last: its row lock is held for the shortest time, which
        // maximizes concurrency.
        let [holds, events, product] = (self.transaction.statements)(&self.ids);
        let sql = format!("START TRANSACTION;{holds};{events};{product};COMMIT");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        Ok(())
    }
}

impl Contender for Ceiling {
    fn name(&self) -> &str {
        names::CEILING
    }

    fn units(&self) -> u64 {
        self.transaction.holds
    }

    fn own_callers(&self) -> Option<usize> {
        Some(self.connections.len())
    }

    async fn request(&self, caller: usize) -> Answer {
        match self.write(caller).await {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Failed(super::sql::cause(&error)),
        }
    }
}
