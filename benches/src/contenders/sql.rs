//! Code shared by the contenders on database servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rand_distr::{Distribution, Zipf};
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPool};
use sqlx::pool::PoolOptions;
use sqlx::{Executor, MySql, MySqlConnection, Pool};

use crate::contender::Answer;

/// The TTL of holds in benches that are not about expiry: no hold expires while
/// it is measured.
pub(super) const HOLD_TTL: Duration = Duration::from_secs(12 * 3600);
/// Connections of a hand-written contender. More do not make it faster.
const CONNECTIONS: u32 = 32;

const INSERT_HOLD: &str = "INSERT INTO contender_holds \
     (id, product_id, qty, status, expires_at, created_at, token) VALUES (?, ?, ?, 0, ?, ?, ?)";

/// The distribution of requests over products.
#[derive(Debug, Clone, Copy)]
pub enum Products {
    /// Always product 1.
    One,
    /// So many products by Zipf with s = 1; the first is the most frequent.
    Zipf(u32),
}

impl Products {
    /// Draws a product's id.
    ///
    /// # Panics
    /// When there are no products.
    #[must_use]
    pub fn draw(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Zipf(count) => {
                let zipf = Zipf::new(f64::from(count), 1.0).expect("there are products");
                zipf.sample(&mut rand::rng()) as u64
            }
        }
    }
}

/// An id counter of the process, so that no contender waits for the database's.
#[derive(Debug, Clone)]
pub(super) struct Ids(Arc<AtomicU64>);

impl Ids {
    pub fn new() -> Self {
        Self::from(1)
    }

    pub fn from(first: u64) -> Self {
        Self(Arc::new(AtomicU64::new(first)))
    }

    /// Reserves so many ids and returns the first.
    pub fn draw(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::Relaxed)
    }
}

/// Microseconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// Returns when a hold created now expires.
pub(super) fn end_of_hold(now: u64) -> u64 {
    now + HOLD_TTL.as_secs() * 1_000_000
}

pub(super) fn token() -> [u8; 16] {
    rand::random()
}

/// The options of a contender's pool, on each database: all connections stay open.
pub(super) fn pool_options<DB: sqlx::Database>() -> PoolOptions<DB> {
    PoolOptions::new()
        .min_connections(CONNECTIONS)
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(60))
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Waits until a pool has opened its connections, which it does in the background.
pub(super) async fn fill<DB: sqlx::Database>(pool: &Pool<DB>) {
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(pool.acquire().await.expect("connects"));
    }
}

/// Opens a pool with all its connections.
pub(super) async fn pool(url: &str) -> MySqlPool {
    let pool = pool_options::<MySql>()
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection
                    .execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                    .await?;
                Ok(())
            })
        })
        .connect_with(url.parse::<MySqlConnectOptions>().expect("a URL"))
        .await
        .expect("connects");
    fill(&pool).await;
    pool
}

/// Inserts the row of a hold of `units`.
pub(super) async fn insert_hold(
    connection: &mut MySqlConnection,
    ids: &Ids,
    product: u64,
    units: u32,
) -> sqlx::Result<u64> {
    let (id, now) = (ids.draw(1), now());
    sqlx::query(INSERT_HOLD)
        .bind(id)
        .bind(product)
        .bind(units)
        .bind(end_of_hold(now))
        .bind(now)
        .bind(token().as_slice())
        .execute(connection)
        .await?;
    Ok(id)
}

/// Converts whether it was granted to an answer.
pub(super) fn answer(granted: sqlx::Result<bool>) -> Answer {
    match granted {
        Ok(true) => Answer::Done,
        Ok(false) => Answer::Refused,
        Err(error) => Answer::Failed(cause(&error)),
    }
}

/// Names the cause of a database error.
pub(super) fn cause(error: &sqlx::Error) -> &'static str {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return "no connection";
    }
    let database = error.as_database_error();
    match database.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>()) {
        Some(error) if error.number() == 1213 => "deadlock",
        Some(error) if error.number() == 1205 => "lock wait",
        _ => "error",
    }
}
