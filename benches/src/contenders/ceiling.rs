//! The ceiling of a database server with one row for each hold, in
//! transactions of 256 holds on two connections, without callers, decisions or
//! locks, one round trip per transaction.

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use tokio::sync::Mutex;

use super::names;
use super::raw::{self, BATCH, RawIds};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// Two connections: one sends its rows while the other commits.
pub struct Ceiling {
    connections: [Mutex<MySqlConnection>; 2],
    ids: RawIds,
}

impl Ceiling {
    /// Opens its connections.
    pub async fn open(shop: &Shop) -> Self {
        let connect =
            async || Mutex::new(MySqlConnection::connect(&shop.url).await.expect("connects"));
        Self { connections: [connect().await, connect().await], ids: RawIds::new() }
    }

    async fn write(&self, caller: usize) -> sqlx::Result<()> {
        let mut connection = self.connections[caller].lock().await;
        // The product last: its row lock is held for the shortest time, which
        // maximizes concurrency.
        let [holds, events, product] = raw::statements(&self.ids);
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
        BATCH
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
