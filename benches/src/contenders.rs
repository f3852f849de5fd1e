//! The contenders: Stockade, hand-written code, and ceilings.
//!
//! The hand-written code is written well: prepared statements, connections
//! opened before measuring, READ COMMITTED like Stockade, ids from a counter of
//! the process, Stockade's own tables and indexes. It writes no events and has
//! no expiry, which is less work than Stockade does.

mod advisory_lock;
mod atomic_update;
mod cart;
mod ceiling;
mod file;
mod hold_batch;
mod http_batch;
mod lifecycle;
mod orders;
mod raw;
mod reads;
mod redis_lock;
mod redis_script;
mod row_lock;
mod seed;
mod sold_out;
mod sql;
mod stockade;
mod unit_rows;

pub use advisory_lock::AdvisoryLock;
pub use atomic_update::AtomicUpdate;
pub use cart::{RowLockCarts, StockadeCarts};
pub use ceiling::Ceiling;
pub use file::{FileCeiling, FileRowLock};
pub use hold_batch::StockadeBatch;
pub use http_batch::HttpBatch;
pub use lifecycle::{RowLockLifecycle, StockadeLifecycle};
pub use orders::{OrdersOfLines, RowLockCartOrders, StockadeCartOrders};
pub use reads::{BareCache, Reads, SqlReads, StockadeReads};
pub use redis_lock::Wake;
pub use redis_script::{AppendFsync, RedisScript};
pub use row_lock::RowLock;
pub use seed::Seed;
pub use sold_out::SoldOut;
pub use sql::Products;
pub use stockade::{Blocking, Stockade, engine, engine_without};
pub use unit_rows::UnitRows;

/// The names by which contenders are compared.
pub mod names {
    /// Stockade's asynchronous calls.
    pub const STOCKADE: &str = "stockade";
    /// Stockade's blocking calls.
    pub const BLOCKING: &str = "stockade, blocking";
    /// Stockade with a customer on each hold and a limit for each.
    pub const CUSTOMERS: &str = "stockade, customers limited";
    /// A Redis lock per request, acquired by polling.
    pub const SEED_POLL: &str = "redis lock, 250 ms poll";
    /// A Redis lock per request, acquired by notification.
    pub const SEED_PROMPT: &str = "redis lock, prompt";
    /// The database's row lock.
    pub const ROW_LOCK: &str = "row lock only";
    /// One conditional update.
    pub const ATOMIC: &str = "atomic update";
    /// A row for each unit, with `SKIP LOCKED`.
    pub const UNIT_ROWS: &str = "unit rows, skip locked";
    /// PostgreSQL's advisory lock and transaction.
    pub const ADVISORY: &str = "postgresql advisory lock";
    /// A Lua script in a Redis that syncs before each answer.
    pub const REDIS_SCRIPT: &str = "redis script, fsync always";
    /// A Lua script in a Redis that syncs once in a second.
    pub const REDIS_SCRIPT_LOSSY: &str = "redis script, everysec (not durable)";
    /// A plain `SELECT` by primary key.
    pub const SELECT: &str = "select by key";
    /// A bare quick_cache.
    pub const BARE_CACHE: &str = "bare quick_cache";
    /// Stockade's batch call over HTTP.
    pub const HTTP_BATCH: &str = "stockade, over http";
    /// Stockade's orders of one hold.
    pub const ONE_LINE: &str = "stockade, orders of one line";
    /// Stockade's orders of five holds.
    pub const FIVE_LINES: &str = "stockade, orders of five lines";
    /// hyper without an application.
    pub const HYPER: &str = "bare hyper";
    /// Stockade's rows without callers.
    pub const CEILING: &str = "ceiling";
}
