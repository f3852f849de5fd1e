//! The interface between the ledger and the databases.
//!
//! A store loads rows, writes changes and commits. It knows SQL; the ledger knows
//! the rules.

mod audit;
mod carts;
mod connection;
mod consumers;
mod customers;
mod database;
mod diagnose;
mod erasure;
mod error;
mod events;
mod hold_batch;
mod hold_list;
mod hold_metadata;
mod hold_rows;
mod hold_writes;
#[cfg(feature = "mysql")]
mod mysql;
mod order_lines;
mod order_list;
mod order_rows;
mod outbox;
mod owners;
mod pool;
mod product_reads;
mod purge;
mod purged_orders;
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
mod waiting;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use prometheus_client::metrics::counter::Counter;

pub(crate) use consumers::ConsumerStore;
pub(crate) use diagnose::diagnose;
pub(crate) use error::{Fault, StoreError, StoreResult};
#[cfg(feature = "sqlite")]
use reads::IDENTITY;
use reads::SqlStore;
pub(crate) use retry::pauses;
#[cfg(test)]
pub(crate) use retry::with_retries;
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::backup as sqlite_backup;

use crate::audit::AuditReport;
use crate::cache::CachedProduct;
use crate::clock::{Clock, HostClock};
use crate::config::Config;
use crate::ledger::{Changes, OrderRow, PaymentRow, Rows};
use crate::model::{
    Cart, CartId, Erased, Event, Hold, HoldId, HoldQuery, Order, OrderId, OrderQuery, ProductId,
    Timestamp, TokenSeed,
};
use crate::product_index::Products;
use crate::runtime;

/// The syntax of a store's URL.
pub(crate) const STORES: &str =
    "a store is sqlite:FILE, sqlite::memory: or mysql://USER@HOST/DATABASE";

#[derive(Clone)]
pub(crate) struct StoreOptions {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub host: Arc<dyn HostClock>,
    /// Counts steps of the host's wall clock.
    pub clock_steps: Counter,
}

/// The rows that a batch of commands reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadSet {
    /// Ascending, each once.
    pub products: Vec<ProductId>,
    /// SKUs whose products are looked up.
    pub skus: Vec<String>,
    /// Ascending, each once. The orders of those that became some are looked up.
    pub holds: Vec<HoldId>,
    pub orders: Vec<OrderId>,
    pub payments: Vec<String>,
    /// The shop's references of orders to be created.
    pub references: Vec<String>,
    /// Providers' names of payments whose orders are looked up.
    pub payment_references: Vec<String>,
    /// Orders to be created, for which payment events may wait.
    pub awaited_orders: Vec<OrderId>,
    pub keys: Vec<String>,
    /// Customers whose active holds of a product are counted.
    pub customers: BTreeMap<ProductId, BTreeSet<Arc<str>>>,
    /// Holds whose customers' active holds of the same product are counted.
    pub holds_of_customers: Vec<HoldId>,
    /// Holds that are to become orders, whose customers are read.
    pub ordered_holds: Vec<HoldId>,
    /// For how long the customers' paid orders count; `None`: no orders do.
    pub customer_window: Option<Duration>,
    /// Holds that are to have so many units: their product's due rows are loaded
    /// unless there is stock for it.
    pub resized: Vec<(HoldId, u32)>,
    /// The seed of the tokens of the batch's new holds.
    pub seed: TokenSeed,
    /// The units that new holds want of a product: one with that much stock needs
    /// none of its due rows.
    pub wanted: BTreeMap<ProductId, u64>,
    /// Products whose due rows are loaded in any case, besides those of `orders`.
    pub due: BTreeSet<ProductId>,
    /// The most due holds, and the most due orders, loaded of all products.
    pub due_limit: u32,
}

#[derive(Debug)]
pub(crate) struct Loaded {
    pub rows: Rows,
    pub now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Resolves an in-doubt commit.
    pub id: u64,
    pub now: Timestamp,
    pub changes: &'a Changes,
    /// The seed of the new holds' tokens.
    pub seed: TokenSeed,
    /// The fencing tokens under which products are written.
    pub fences: &'a BTreeMap<ProductId, u64>,
    /// Whether the products come from this process's memory instead of a read under
    /// their locks.
    pub is_speculative: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Product,
    Hold,
    Order,
    Batch,
}

impl Sequence {
    /// Its row's name in `stockade_sequences`.
    fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Hold => "hold",
            Self::Order => "order",
            Self::Batch => "batch",
        }
    }

    /// The table with these ids, with the columns of a row's first and last id;
    /// those of batches are random in part.
    fn table(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Self::Product => Some(("stockade_products", "id", "id")),
            Self::Hold => Some(("stockade_hold_batches", "first_id", "first_id + count - 1")),
            Self::Order => Some(("stockade_orders", "id", "id")),
            Self::Batch => None,
        }
    }
}

/// The random bits of a batch's id.
const BATCH_RANDOM_BITS: u32 = 24;
/// The batch numbers that fit above the random bits.
const BATCH_NUMBERS: u64 = 1 << (63 - BATCH_RANDOM_BITS);

/// The id of the batch with this number: the number, so that the ids of a process
/// ascend, and random bits, so that two processes differ even if a fail-over lost
/// the draw of one and both have the same number.
pub(crate) fn batch_id(number: u64) -> u64 {
    let random = runtime::random::<u64>() >> (64 - BATCH_RANDOM_BITS);
    (number % BATCH_NUMBERS) << BATCH_RANDOM_BITS | random
}

/// The kind of a row that belongs to a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owned {
    Hold,
    Order,
}

/// The most SKUs of one lookup: its text stays below the smallest packet that is
/// accepted.
pub(crate) const SKUS_MAX: usize = 64;

/// Products with due holds or orders, and when the next falls due.
#[derive(Debug)]
pub(crate) struct DueProducts {
    /// Products whose `next_due` has passed, with it, soonest first.
    pub products: Vec<(ProductId, Timestamp)>,
    /// The soonest `next_due` of all products.
    pub next: Option<Timestamp>,
    pub now: Timestamp,
}

/// Holds or orders by ascending id, from a bounded number of rows.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub items: Vec<T>,
    /// The id after which the next read goes on; `None` if there is no further row.
    pub next: Option<u64>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next: None }
    }
}

/// How long after it was drawn an id may be used: ids ascend with time but for it.
pub(crate) const ID_BLOCK_AGE_MAX: Duration = Duration::from_secs(3_600);

/// Rows of history to delete, and the age at which they are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purge {
    /// Responses to idempotency keys.
    Keys { older_than: Duration },
    /// Not the rows, but the waiting of payment events that have waited so long for the
    /// order that they name by its id or by its token.
    Waiting { by_id: Duration, by_token: Duration },
    /// Payment events, but for those that wait for an order.
    Payments { older_than: Duration },
    /// Outbox rows with ids from `from` on.
    Events { older_than: Duration, from: u64 },
    /// Rows of the plain table of events.
    EventRows { older_than: Duration },
    /// Dead letters of consumers.
    DeadLetters { older_than: Duration },
    /// Rows of ended holds, with their orders if these are final and old; `None`
    /// keeps orders for ever. The store remembers how far it came.
    Holds { older_than: Duration, orders_older_than: Option<Duration> },
}

impl Purge {
    /// The kind of rows, for metrics.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Keys { .. } => "idempotency_keys",
            Self::Waiting { .. } => "payments_waiting",
            Self::Payments { .. } => "payments",
            Self::Events { .. } => "outbox",
            Self::EventRows { .. } => "event_rows",
            Self::DeadLetters { .. } => "dead_letters",
            Self::Holds { .. } => "hold_batches",
        }
    }
}

/// What a step deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PurgeStep {
    pub rows: u64,
    /// What the next step deletes; `None` once there are no more old rows.
    pub next: Option<Purge>,
}

/// Identifies a store in this process: engines with the same identity share their
/// caches. `None` for a store of one engine alone.
pub(crate) fn identity(url: &str) -> Option<String> {
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        return sqlite::identity(url);
    }
    Some(url.to_owned())
}

/// Opens the store of a URL, migrates it as the policy says, and checks that its
/// tables have what this version needs.
pub(crate) async fn open_store(options: &StoreOptions) -> StoreResult<Arc<dyn Store>> {
    match options.config.store.split_once(':').map(|(scheme, _)| scheme) {
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

/// Why a transaction did not commit, or may not have.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// It was rolled back.
    RolledBack(StoreError),
    /// COMMIT was sent and got no response: it may have landed.
    InDoubt(StoreError),
    /// A text that ends with COMMIT found a changed row or a taken key, and was
    /// rolled back. An earlier run of it may have committed: a proxy that loses the
    /// response to a text may send it again.
    Rejected(StoreError),
}

/// A writing connection, for one transaction at a time.
///
/// Dropping it within a transaction closes the connection, which rolls back.
pub(crate) trait Session: Send {
    /// Begins a transaction: locks the products, then reads the rest of the read
    /// set.
    fn begin<'a>(&'a mut self, read_set: &'a ReadSet) -> BoxFuture<'a, StoreResult<Loaded>>;

    /// Whether the transaction with this batch id was committed: resolves an
    /// in-doubt commit. Call it after [`Session::begin`] has locked the same
    /// products, which waits for a commit in flight, or once none can be.
    fn landed(&mut self, batch_id: u64) -> BoxFuture<'_, StoreResult<bool>>;

    /// Writes, each transition guarded by the state it comes from, and commits.
    fn commit<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>>;

    /// Runs a whole transaction in one round trip: writes, guarded as in
    /// [`Session::commit`], and commits. For a speculative batch, which reads
    /// nothing.
    fn write<'a>(&'a mut self, batch: &'a Batch<'a>) -> BoxFuture<'a, Result<(), CommitError>>;

    fn rollback(&mut self) -> BoxFuture<'_, StoreResult<()>>;
}

/// How a store's connections are used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ConnectionUsage {
    pub open: usize,
    pub in_use: usize,
    /// Tasks that wait for one.
    pub waiting: usize,
}

pub(crate) trait Store: Send + Sync {
    /// Whether the store has one writer, so that all requests share batches.
    fn single_writer(&self) -> bool;

    /// Returns how its connections are used now.
    fn connection_usage(&self) -> ConnectionUsage;

    fn session(&self) -> BoxFuture<'_, StoreResult<Box<dyn Session>>>;

    /// Draws `count` consecutive ids that no row has, and returns the first.
    fn draw(&self, sequence: Sequence, count: u64) -> BoxFuture<'_, StoreResult<u64>>;

    /// The store's own id, unique to it and the same for all engines.
    fn identity(&self) -> BoxFuture<'_, StoreResult<u64>>;

    /// Checks that the store is reachable, accepts writes and has its tables.
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>>;

    /// Reads a product, with due holds and orders counted as returned.
    fn product(
        &self,
        id: ProductId,
    ) -> BoxFuture<'_, StoreResult<Option<(CachedProduct, Timestamp)>>>;

    /// Reads products with ids above `after`, ascending, with due holds and orders
    /// counted as returned.
    fn products(&self, after: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<CachedProduct>>>;

    /// Finds the products with these SKUs, at most [`SKUS_MAX`], as of one moment.
    fn products_of_skus<'a>(
        &'a self,
        skus: &'a [String],
    ) -> BoxFuture<'a, StoreResult<HashMap<String, ProductId>>>;

    fn hold(&self, id: HoldId) -> BoxFuture<'_, StoreResult<Option<(Hold, Timestamp)>>>;

    /// Reads holds that match and have ids above `after`, ascending, from a bounded
    /// number of rows. There may be more of them than `wanted`. A hold that is due
    /// has expired.
    fn holds<'a>(
        &'a self,
        query: &'a HoldQuery,
        after: u64,
        wanted: usize,
    ) -> BoxFuture<'a, StoreResult<Listed<Hold>>>;

    /// Reads orders that match and have ids above `after`, ascending, from a bounded
    /// number of rows. There may be more of them than `wanted`. An order that is due is
    /// cancelled.
    fn orders<'a>(
        &'a self,
        query: &'a OrderQuery,
        after: u64,
        wanted: usize,
    ) -> BoxFuture<'a, StoreResult<Listed<Order>>>;

    /// Reads payment events that wait for their order, by age, those after one that
    /// arrived then with this key; and the store's time.
    fn waiting_payments<'a>(
        &'a self,
        after: Option<(Timestamp, &'a str)>,
        limit: usize,
    ) -> BoxFuture<'a, StoreResult<(Vec<PaymentRow>, Timestamp)>>;

    /// Ends the waiting of the event with this key, and returns it; `None` if none with
    /// it waits.
    fn remove_waiting<'a>(&'a self, key: &'a str)
    -> BoxFuture<'a, StoreResult<Option<PaymentRow>>>;

    /// Replaces a customer's name, empties the metadata of its holds and orders, and
    /// writes the event of it in this batch, with who asked for it.
    fn erase_customer<'a>(
        &'a self,
        name: &'a str,
        replacement: &'a str,
        event: (u64, Option<&'a str>),
    ) -> BoxFuture<'a, StoreResult<Erased>>;

    /// Finds an id not below `after` up to which all holds, or orders, were created
    /// before `at`, and that few such ids follow.
    fn first_created(
        &self,
        kind: Owned,
        at: Timestamp,
        after: u64,
    ) -> BoxFuture<'_, StoreResult<u64>>;

    /// Reads a cart with its holds, which still have the statuses that are stored, and
    /// the store's time.
    fn cart(&self, id: CartId) -> BoxFuture<'_, StoreResult<Option<(Cart, Timestamp)>>>;

    fn order(&self, id: OrderId) -> BoxFuture<'_, StoreResult<Option<(OrderRow, Timestamp)>>>;

    /// Finds the order with the shop's own number.
    fn order_of_reference<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrderId>>>;

    /// Finds the order to which a provider's name of a payment is tied.
    fn order_of_payment<'a>(
        &'a self,
        reference: &'a str,
    ) -> BoxFuture<'a, StoreResult<Option<OrderId>>>;

    /// Reads which products these holds or orders belong to.
    fn owners<'a>(
        &'a self,
        kind: Owned,
        ids: &'a [u64],
    ) -> BoxFuture<'a, StoreResult<HashMap<u64, Products>>>;

    fn due_products(&self, limit: u32) -> BoxFuture<'_, StoreResult<DueProducts>>;

    /// Reads the events after `cursor`, at a cost independent of the history's length.
    fn events_after(&self, cursor: u64, limit: u32) -> BoxFuture<'_, StoreResult<Vec<Event>>>;

    /// The part that keeps consumers of the events; `None` for a store without.
    fn consumers(&self) -> Option<&dyn ConsumerStore> {
        None
    }

    /// Deletes some rows of history, in one short transaction.
    fn purge(&self, purge: Purge) -> BoxFuture<'_, StoreResult<PurgeStep>>;

    /// Claims the scan of all rows of holds for this process, until `pause` from now.
    /// Returns `false` if it is claimed, for at most `longest`.
    fn claim_scan(&self, pause: Duration, longest: Duration) -> BoxFuture<'_, StoreResult<bool>>;

    /// Reads everything that an audit compares, in one snapshot.
    fn audit(&self) -> BoxFuture<'_, StoreResult<AuditReport>>;

    /// Estimates the store's time without a round trip.
    fn now(&self) -> Timestamp;

    /// Estimates the store's time without a round trip; `None` unless the estimate is
    /// exact enough for speculation.
    fn speculative_now(&self) -> Option<Timestamp>;

    fn close(&self) -> BoxFuture<'_, ()>;
}
