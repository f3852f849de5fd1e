//! Holds by the batch call, and their ceiling: raw transactions of as many holds
//! in the same packed rows.

use std::fmt::Write;

use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use stockade::{AsyncEngine, HoldRequest};
use tokio::sync::Mutex;

use super::names;
use super::raw::RawIds;
use super::stockade::engine;
use super::{file, sql};
use crate::contender::{Answer, Contender};
use crate::setup::Shop;

/// Holds of one call: the most that fit one message of TigerBeetle, for comparison.
pub const HOLDS: u64 = 8_189;

/// Holds of one packed row.
const ROW: u64 = 256;

/// Holds [`HOLDS`] times one unit of product 1 by each call.
pub struct StockadeBatch {
    engine: AsyncEngine,
    _shop: Shop,
}

impl StockadeBatch {
    /// Opens an engine, with Redis if the shop has one.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn open(shop: Shop) -> Self {
        Self { engine: engine(&shop).open_async().await.expect("opens"), _shop: shop }
    }
}

impl Contender for StockadeBatch {
    fn name(&self) -> &str {
        names::STOCKADE
    }

    fn units(&self) -> u64 {
        HOLDS
    }

    async fn request(&self, _caller: usize) -> Answer {
        let requests = (0..HOLDS).map(|_| HoldRequest::new(1, 1)).collect();
        match self.engine.create_hold_batch(requests).await {
            Ok(results) => match results.into_iter().find_map(Result::err) {
                None => Answer::Done,
                Some(error) => Answer::Failed(error.code()),
            },
            Err(error) => Answer::Failed(error.code()),
        }
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

/// Builds the statements of one transaction of [`HOLDS`] holds on product 1.
fn statements(ids: &RawIds) -> [String; 3] {
    let now = sql::now();
    let end = sql::end_of_hold(now);
    let (first, batch) = (ids.holds.draw(HOLDS), ids.batches.draw(1));
    let seed: u128 = rand::random();
    let (mut rows, mut events) = (String::new(), String::new());
    let mut at = 0;
    while at < HOLDS {
        let count = (HOLDS - at).min(ROW);
        let comma = if at == 0 { "" } else { "," };
        let id = first + at;
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            "{comma}({id},1,{count},{count},0,0,0,0,{count},{end},{now},{end},1,x'{seed:032x}',\
             x'{}',x'{}')",
            "01".repeat(count as usize),
            "00".repeat(count as usize),
        );
        let _ = write!(events, "{comma}[0,1,{id},0,-1,{batch},{count}]");
        at += count;
    }
    [
        format!(
            "INSERT INTO stockade_hold_batches (first_id, product_id, count, active, detached, \
             converted, released, expired, active_units, expires_at, created_at, due, version, \
             seed, quantities, statuses) VALUES {rows}"
        ),
        format!(
            "INSERT INTO stockade_outbox (batch_id, events, at, body) \
             VALUES ({batch}, {HOLDS}, {now}, '[{events}]')"
        ),
        format!(
            "UPDATE stockade_products SET stock = stock - {HOLDS}, held = held + {HOLDS}, \
             version = version + 1 WHERE id = 1"
        ),
    ]
}

/// The ceiling of a store: one connection that writes one transaction after
/// another, without callers, decisions or locks.
pub struct PackedCeiling {
    connection: PackedConnection,
    ids: RawIds,
    _shop: Shop,
}

enum PackedConnection {
    Server(Box<Mutex<MySqlConnection>>),
    File(SqlitePool),
}

impl PackedCeiling {
    /// Opens its connection to a database server.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn open(shop: Shop) -> Self {
        let connection = MySqlConnection::connect(&shop.url).await.expect("connects");
        let connection = PackedConnection::Server(Box::new(Mutex::new(connection)));
        Self { connection, ids: RawIds::new(), _shop: shop }
    }

    /// Opens its connection to a SQLite file.
    pub async fn in_file(shop: Shop) -> Self {
        let connection = PackedConnection::File(file::writer(&shop).await);
        Self { connection, ids: RawIds::new(), _shop: shop }
    }

    async fn write(&self) -> sqlx::Result<()> {
        let [holds, events, product] = statements(&self.ids);
        match &self.connection {
            PackedConnection::Server(connection) => {
                let sql = format!("START TRANSACTION;{holds};{events};{product};COMMIT");
                connection.lock().await.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            }
            PackedConnection::File(pool) => {
                let sql = format!("BEGIN IMMEDIATE;{holds};{events};{product};COMMIT");
                pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            }
        }
        Ok(())
    }
}

impl Contender for PackedCeiling {
    fn name(&self) -> &str {
        names::CEILING
    }

    fn units(&self) -> u64 {
        HOLDS
    }

    fn own_callers(&self) -> Option<usize> {
        Some(1)
    }

    async fn request(&self, _caller: usize) -> Answer {
        match self.write().await {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Failed(sql::cause(&error)),
        }
    }

    async fn close(&self) {
        if let PackedConnection::File(pool) = &self.connection {
            pool.close().await;
        }
    }
}
