//! MySQL and MariaDB, in the SQL that both understand, at READ COMMITTED.

mod diagnose;
mod errors;
mod migrate;
mod open_error;
mod session;
mod text;
mod url;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use sqlx::mysql::MySqlQueryResult;
use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection};

use super::StoreOptions;
use super::connection::{OnRow, drain};
use super::database::Database;
use super::error::{Fault, StoreError, StoreResult};
use super::pool::{Driver, Pools, while_fresh};
use super::rows::raw_cells;
pub(super) use diagnose::diagnose;
use errors::store_error;
use migrate::migrate;
use session::SessionFactory;
use text::PacketLimit;

/// Makes a Galera node apply all earlier commits of the cluster (a causality
/// check). After a fail-over it may still have write sets queued, and rows whose
/// commit was acknowledged would be missing.
const CATCH_UP: &str =
    "SET SESSION wsrep_sync_wait = 1; SELECT 1; SET SESSION wsrep_sync_wait = DEFAULT";

/// The idle time after which the pool pings a connection before it reuses it:
/// servers and proxies close idle connections without notice.
const UNVERIFIED_MAX: Duration = Duration::from_secs(1);
/// The timeout of that ping.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

raw_cells!(sqlx::mysql::MySqlRow);

/// What all connections share about their server.
#[derive(Debug, Default)]
struct ServerState {
    /// Whether the last connection led to a node of a Galera cluster.
    is_galera: AtomicBool,
    packet_limit: PacketLimit,
    /// The count of lost connections. A connection that has not been used since
    /// the last loss is not reused: most often the whole server is gone.
    losses: AtomicU64,
}

/// A connection with the count of losses at its last use.
pub(super) struct MySqlSession {
    connection: MySqlConnection,
    losses: u64,
}

#[derive(Clone)]
pub(super) struct MySqlDriver {
    sessions: SessionFactory,
    state: Arc<ServerState>,
}

impl Manager for MySqlDriver {
    type Type = MySqlSession;
    type Error = StoreError;

    async fn create(&self) -> StoreResult<MySqlSession> {
        let losses = self.state.losses.load(Ordering::Relaxed);
        let (mut connection, info) = self.sessions.connect().await?;
        self.state.packet_limit.set_server_limit(info.max_allowed_packet);
        self.state.is_galera.store(info.is_galera, Ordering::Relaxed);
        if info.is_galera {
            connection.execute(CATCH_UP).await.map_err(store_error)?;
        }
        Ok(MySqlSession { connection, losses })
    }

    async fn recycle(
        &self,
        session: &mut MySqlSession,
        metrics: &Metrics,
    ) -> RecycleResult<StoreError> {
        while_fresh(metrics)?;
        if session.losses != self.state.losses.load(Ordering::Relaxed) {
            return Err(RecycleError::message("another connection was lost since its last use"));
        }
        if metrics.last_used() > UNVERIFIED_MAX {
            let answer = tokio::time::timeout(PING_TIMEOUT, session.connection.ping()).await;
            if !matches!(answer, Ok(Ok(()))) {
                self.state.losses.fetch_add(1, Ordering::Relaxed);
                return Err(RecycleError::message("the server closed it while it was idle"));
            }
        }
        Ok(())
    }
}

impl Driver for MySqlDriver {
    /// On Galera each statement travels alone. Where another node's write wins the
    /// certification, Galera rolls the transaction back; between two statements of
    /// one text that stays unseen, and the rest would run outside any transaction.
    fn join(&self, statements: &[&str]) -> StoreResult<Vec<String>> {
        if self.state.is_galera.load(Ordering::Relaxed) {
            return Ok(statements.iter().map(|statement| (*statement).to_owned()).collect());
        }
        let max = self.state.packet_limit.at(Instant::now());
        text::join(statements, max).map_err(|length| {
            let why = format!("a statement has {length} bytes, and the server accepts {max}");
            StoreError::new(Fault::TooLarge, why)
        })
    }

    async fn send(
        session: &mut MySqlSession,
        text: String,
        timeout: Duration,
        rows_affected: &mut Vec<u64>,
        on_row: OnRow<'_>,
    ) -> StoreResult<()> {
        let stream = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut session.connection);
        let count = |done: MySqlQueryResult| done.rows_affected();
        drain(stream, count, store_error, timeout, rows_affected, on_row).await
    }

    async fn close(session: MySqlSession) {
        // No caller uses it any more, whether or not closing succeeds.
        let _ = session.connection.close().await;
    }

    fn record_success(&self, session: &mut MySqlSession) {
        session.losses = self.state.losses.load(Ordering::Relaxed);
    }

    fn record_failure(&self, error: &StoreError, length: usize) -> bool {
        if let Some(sqlx::Error::Io(_)) = error.source.downcast_ref() {
            self.state.packet_limit.record_loss(length, Instant::now());
        }
        // A server that cannot serve may say so and stay connected; the next
        // connection may lead to the one that took over.
        let is_lost = error.statement.is_none() || error.fault == Fault::Lost;
        if is_lost {
            self.state.losses.fetch_add(1, Ordering::Relaxed);
        }
        is_lost
    }
}

pub(crate) struct MySqlDatabase(Pools<MySqlDriver>);

impl MySqlDatabase {
    /// Applies the missing migrations and prepares pools. The error of a server
    /// that cannot be used names the setting to change.
    pub async fn open(options: &StoreOptions) -> StoreResult<Self> {
        let sessions = SessionFactory::new(options)?;
        let migrated = migrate(options).await;
        migrated.map_err(|error| open_error::explain(error, &sessions.target))?;
        Self::new(options, sessions)
    }

    fn new(options: &StoreOptions, sessions: SessionFactory) -> StoreResult<Self> {
        let driver = MySqlDriver { sessions, state: Arc::default() };
        let size = options.config.connections;
        Ok(Self(Pools::new(driver, size, Some(size), options.config.store_timeout)?))
    }
}

impl Database for MySqlDatabase {
    type Driver = MySqlDriver;
    const SINGLE_WRITER: bool = false;
    const BEGIN: &'static str = "START TRANSACTION";
    const BEGIN_SNAPSHOT: &'static [&'static str] = &[
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    ];
    const LOCK: &'static str = " FOR UPDATE";
    // SYSDATE, since NOW is the time at which a statement began to wait for locks.
    const NOW: Option<&'static str> = Some("CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)");
    const ROWS_AFFECTED: &'static str = "ROW_COUNT()";
    const INSERT_NEW: &'static str = "INSERT IGNORE";
    const JSON_TABLE: bool = true;
    const JOIN_IN_ORDER: &'static str = "STRAIGHT_JOIN";
    const CURSOR: &'static str = "NULL";

    fn pools(&self) -> &Pools<MySqlDriver> {
        &self.0
    }
}

#[cfg(test)]
mod tests;
