//! The seam between the rules and the databases.
//!
//! A store loads rows, writes changes and commits; it knows SQL and no rules.
//! The traits are open for reading and closed for implementing outside.

mod audit;
mod codes;
mod connection;
mod error;
mod events;
#[cfg(feature = "mysql")]
mod mysql;
mod outbox;
mod pool;
mod reads;
mod retry;
mod rows;
mod schema;
mod session;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;
mod statements;
pub(crate) mod time;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use prometheus_client::metrics::counter::Counter;

pub(crate) use error::{Fault, StoreError, StoreResult};
use reads::SqlStore;
pub(crate) use retry::{pauses, with_retries};

use crate::audit::AuditFacts;
use crate::cache::CachedProduct;
use crate::clock::{Clock, HostClock};
use crate::config::Migrate;
use crate::ledger::{Changes, KeyRow, OrderRow, Rows};
use crate::model::{Event, Hold, HoldId, Money, OrderId, ProductId, Timestamp};
use crate::runtime;

/// What a store's URL looks like.
pub(crate) const STORES: &str =
    "a store is sqlite:FILE, sqlite::memory: or mysql://USER@HOST/DATABASE";

/// How a store is reached and for how long it is waited for.
#[derive(Clone)]
pub(crate) struct StoreOptions {
    pub url: String,
    pub connections: u32,
    pub store_timeout: Duration,
    pub lock_wait: Duration,
    /// How often reads, and writes that may happen twice, are tried again.
    pub retries: u32,
    pub migrate: Migrate,
    pub clock: Arc<dyn Clock>,
    pub host: Arc<dyn HostClock>,
    /// Counts steps of the host's wall clock.
    pub clock_steps: Counter,
}

#[cfg(test)]
impl StoreOptions {
    /// One connection to it, and patience.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            connections: 1,
            store_timeout: Duration::from_secs(30),
            lock_wait: Duration::from_secs(3),
            retries: 1,
            migrate: Migrate::Auto,
            clock: Arc::new(crate::clock::StoreClock),
            host: Arc::new(crate::clock::SystemClock),
            clock_steps: Counter::default(),
        }
    }
}

/// What a batch of commands needs to be decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadSet {
    /// Ascending, each once.
    pub products: Vec<ProductId>,
    pub holds: Vec<HoldId>,
    /// Holds for which it must be known whether an order used them.
    pub used_holds: Vec<HoldId>,
    pub orders: Vec<OrderId>,
    pub payments: Vec<String>,
    /// Orders to be made, for which events may wait.
    pub awaited_orders: Vec<OrderId>,
    pub keys: Vec<String>,
    /// Customers whose active holds of a product are to be counted.
    pub customers: BTreeMap<ProductId, BTreeSet<Arc<str>>>,
    /// Holds to be written before the products are locked.
    pub early_inserts: Vec<Hold>,
    /// The units of a product that new holds want, if any. Who has them left
    /// needs none that are due.
    pub wanted: BTreeMap<ProductId, u64>,
    /// Products whose due rows are wanted in any case, besides those of `orders`.
    pub due: BTreeSet<ProductId>,
    /// The most due holds, and as many due orders, loaded of all products.
    pub due_limit: u32,
}

/// The rows of a transaction, and its time.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub rows: Rows,
    pub now: Timestamp,
}

/// What one transaction writes.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Shows, when a commit's answer was lost, whether it landed.
    pub id: u64,
    pub now: Timestamp,
    pub changes: &'a Changes,
    /// Holds of the changes that were written before the products were locked.
    pub early_inserts: &'a [Hold],
    /// The fencing tokens under which products are written.
    pub fences: &'a BTreeMap<ProductId, u64>,
    /// Whether the products are as this process remembers them, and not as they
    /// were read under their locks.
    pub is_speculative: bool,
}

/// The sequences that ids are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Product,
    Hold,
    Order,
    Batch,
}

impl Sequence {
    /// The name under which it is kept.
    fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Hold => "hold",
            Self::Order => "order",
            Self::Batch => "batch",
        }
    }

    /// The table whose rows have these ids; those of batches are random in part.
    fn table(self) -> Option<&'static str> {
        match self {
            Self::Product => Some("stockade_products"),
            Self::Hold => Some("stockade_holds"),
            Self::Order => Some("stockade_orders"),
            Self::Batch => None,
        }
    }
}

/// How many bits of a batch's id are random.
const BATCH_RANDOM_BITS: u32 = 24;
/// So many numbers of batches fit before the random bits.
const BATCH_NUMBERS: u64 = 1 << (63 - BATCH_RANDOM_BITS);

/// The id of the batch with this number: the number, so that the ids of a
/// process ascend, and random bits, so that no two processes have the same id
/// even where a database has lost the draw of one and given both one number.
pub(crate) fn batch_id(number: u64) -> u64 {
    let random = runtime::random::<u64>() >> (64 - BATCH_RANDOM_BITS);
    (number % BATCH_NUMBERS) << BATCH_RANDOM_BITS | random
}

/// What belongs to a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owned {
    Hold,
    Order,
}

/// A product to be written, complete.
#[derive(Debug)]
pub(crate) struct ProductInsert<'a> {
    pub id: ProductId,
    pub name: &'a str,
    pub price: Money,
    pub stock: u64,
    pub batch_id: u64,
    /// The idempotency key of the request, with the answer to keep under it.
    pub key: Option<&'a KeyRow>,
}

/// What is due by now, and when the next is.
#[derive(Debug)]
pub(crate) struct DueProducts {
    /// Products whose `next_due` has come, soonest first, with that moment.
    pub products: Vec<(ProductId, Timestamp)>,
    /// The soonest `next_due` there is.
    pub next: Option<Timestamp>,
    pub now: Timestamp,
}

/// What names a store in this process: all engines with the same one share
/// what they remember of it. `None` where the store is one engine's alone.
pub(crate) fn identity(url: &str) -> Option<String> {
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        return sqlite::identity(url);
    }
    Some(url.to_owned())
}

/// Opens the store that a URL names, brings its tables up to date if it is told
/// to, and checks that they are what this version needs.
pub(crate) async fn open_store(options: &StoreOptions) -> StoreResult<Arc<dyn Store>> {
    match options.url.split_once(':').map(|(scheme, _)| scheme) {
        #[cfg(feature = "sqlite")]
        Some("sqlite") => {
            let database = sqlite::SqliteDatabase::open(options).await?;
            Ok(Arc::new(SqlStore::open(database, options).await?))
        }
        #[cfg(feature = "mysql")]
        Some("mysql" | "mariadb") => {
            let database = mysql::MySqlDatabase::open(options).await?;
            Ok(Arc::new(SqlStore::open(database, options).await?))
        }
        _ => Err(StoreError::new(Fault::Unknown, STORES)),
    }
}

/// Why a transaction was not seen to end.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// It surely left nothing behind.
    RolledBack(StoreError),
    /// COMMIT was sent and no answer came: it may have landed.
    InDoubt(StoreError),
    /// A text that ends with COMMIT met a row that stands otherwise or a key
    /// that is taken. It left nothing behind, but an earlier run of it may have:
    /// a proxy that loses the answer to a text may send the text again.
    Rejected(StoreError),
}

/// A writing connection, for one transaction after another.
///
/// Dropped within a transaction, it closes the connection, which rolls back.
pub(crate) trait Session: Send {
    /// Begins a transaction: runs the early inserts, locks the products, then
    /// reads the rest of the read set.
    fn begin<'a>(&'a mut self, read_set: &'a ReadSet) -> BoxFuture<'a, StoreResult<Loaded>>;

    /// Whether the transaction with this batch id was committed: resolves an
    /// in-doubt commit. Call it after [`Session::begin`] has locked the same
    /// products, which waits for a commit in flight, or once none can be.
    fn landed(&mut self, batch_id: u64) -> BoxFuture<'_, StoreResult<bool>>;

    /// Writes, each transition guarded by the state it comes from, and commits.
    /// Calls `at_commit` before the round trip of COMMIT.
    fn commit<'a>(
        &'a mut self,
        batch: &'a Batch<'a>,
        at_commit: &'a (dyn Fn() + Sync),
    ) -> BoxFuture<'a, Result<(), CommitError>>;

    /// Runs a whole transaction in one round trip: writes, guarded as in
    /// [`Session::commit`], and commits. For a speculative batch, which has no
    /// reads and no early inserts.
    fn write<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>>;

    fn rollback(&mut self) -> BoxFuture<'_, StoreResult<()>>;
}

/// A database.
pub(crate) trait Store: Send + Sync {
    /// Whether the store has one writer, so that all requests share batches.
    fn single_writer(&self) -> bool;

    /// Takes a connection that writes.
    fn session(&self) -> BoxFuture<'_, StoreResult<Box<dyn Session>>>;

    /// Draws `count` ids, of which no row has any, and returns the first.
    fn draw(&self, sequence: Sequence, count: u64) -> BoxFuture<'_, StoreResult<u64>>;

    /// The store's own id, the same for all who open it and for no other store.
    fn identity(&self) -> BoxFuture<'_, StoreResult<u64>>;

    /// Checks that the store answers and has its tables.
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>>;

    /// The product as it is now, due holds and orders counted as returned.
    fn product(
        &self,
        id: ProductId,
    ) -> BoxFuture<'_, StoreResult<Option<(CachedProduct, Timestamp)>>>;

    /// Products with ids above `after`, ascending, due holds and orders
    /// counted as returned.
    fn products(&self, after: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<CachedProduct>>>;

    /// Inserts a product and, in the same transaction, the row that shows that
    /// its batch landed.
    fn insert_product<'a>(&'a self, product: ProductInsert<'a>) -> BoxFuture<'a, StoreResult<()>>;

    fn hold(&self, id: HoldId) -> BoxFuture<'_, StoreResult<Option<(Hold, Timestamp)>>>;

    fn order(&self, id: OrderId) -> BoxFuture<'_, StoreResult<Option<(OrderRow, Timestamp)>>>;

    /// The products that these holds or orders belong to.
    fn owners<'a>(
        &'a self,
        kind: Owned,
        ids: &'a [u64],
    ) -> BoxFuture<'a, StoreResult<HashMap<u64, ProductId>>>;

    fn due_products(&self, limit: u32) -> BoxFuture<'_, StoreResult<DueProducts>>;

    /// The events after `cursor`, at a cost that does not grow with the history.
    fn events_after(&self, cursor: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<Event>>>;

    /// Forgets up to `limit` answers kept under idempotency keys since before
    /// `life` ago; says how many.
    fn forget_keys(&self, life: Duration, limit: u32) -> BoxFuture<'_, StoreResult<u64>>;

    /// Everything an audit compares, read in one snapshot.
    fn audit(&self) -> BoxFuture<'_, StoreResult<AuditFacts>>;

    /// The store's time without asking it, as near as it is known.
    fn now(&self) -> Timestamp;

    /// The store's time without asking it, where it is known well enough to
    /// decide by it.
    fn speculative_now(&self) -> Option<Timestamp>;

    fn close(&self) -> BoxFuture<'_, ()>;
}
