//! MySQL and MariaDB, in the SQL that both understand, at READ COMMITTED.

mod errors;
mod migrate;
mod refusal;
mod session;
mod text;
mod url;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleError, RecycleResult};
use futures_util::future::BoxFuture;
use sqlx::mysql::MySqlQueryResult;
use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection};

use super::StoreOptions;
use super::connection::{Connection, Database, OnRow, StreamError, Use, drain};
use super::error::{Fault, StoreError, StoreResult};
use super::pool::{self, Acquired, LastSuccess, checkout, while_fresh};
use super::rows::{Cells, raw_cells};
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

/// What the connections of one pool share about their server.
#[derive(Debug, Default)]
struct PoolState {
    /// Whether the last connection led to a node of a Galera cluster.
    is_galera: AtomicBool,
    text: PacketLimit,
    /// The count of lost connections. A connection that has not been used since
    /// the last loss is not reused: most often the whole server is gone.
    losses: AtomicU64,
    /// When a commit last succeeded.
    commits: LastSuccess,
}

/// A connection with the count of losses at its last use.
struct MySqlSession {
    connection: MySqlConnection,
    losses: u64,
}

/// Opens and recycles connections for the pool.
#[derive(Clone)]
struct ConnectionFactory {
    sessions: SessionFactory,
    state: Arc<PoolState>,
}

impl Manager for ConnectionFactory {
    type Type = MySqlSession;
    type Error = StoreError;

    async fn create(&self) -> StoreResult<MySqlSession> {
        let losses = self.state.losses.load(Ordering::Relaxed);
        let (mut connection, info) = self.sessions.connect().await?;
        self.state.text.set_server_limit(info.max_allowed_packet);
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
                return Err(RecycleError::message("it was closed while it was idle"));
            }
        }
        Ok(())
    }
}

/// Pools of connections to a MySQL or MariaDB database.
pub(crate) struct MySqlDatabase {
    writers: Pool<ConnectionFactory>,
    readers: Pool<ConnectionFactory>,
    timeout: Duration,
    state: Arc<PoolState>,
}

impl MySqlDatabase {
    /// Brings the tables up to date and prepares pools. A server that cannot be
    /// used as it is set up is refused with a sentence that says what to change.
    pub async fn open(options: &StoreOptions) -> StoreResult<Self> {
        let sessions = SessionFactory::of(options)?;
        let migrated = migrate(options).await;
        migrated.map_err(|error| refusal::at_start(error, &sessions.target))?;
        Self::with(options, sessions)
    }

    /// Prepares pools; connections are made when they are first needed.
    fn with(options: &StoreOptions, sessions: SessionFactory) -> StoreResult<Self> {
        let state = Arc::new(PoolState::default());
        let maker = ConnectionFactory { sessions, state: Arc::clone(&state) };
        let timeout = options.store_timeout;
        Ok(Self {
            writers: pool::pool(maker.clone(), options.connections, timeout)?,
            readers: pool::pool(maker, options.connections, timeout)?,
            timeout,
            state,
        })
    }

    fn pooled(&self, connection: Object<ConnectionFactory>) -> PooledConnection {
        PooledConnection {
            one_by_one: self.state.is_galera.load(Ordering::Relaxed),
            connection: Some(connection),
            state: Arc::clone(&self.state),
            timeout: self.timeout,
            is_busy: false,
        }
    }
}

impl Database for MySqlDatabase {
    const SINGLE_WRITER: bool = false;
    const BEGIN: &'static str = "START TRANSACTION";
    const BEGIN_SNAPSHOT: &'static [&'static str] = &[
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    ];
    const LOCK: &'static str = " FOR UPDATE";
    // SYSDATE and not NOW: a statement that waited for a lock must not go by
    // the time at which it began to wait.
    const NOW: Option<&'static str> = Some("CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)");
    const ROWS_AFFECTED: &'static str = "ROW_COUNT()";
    const CURSOR: &'static str = "NULL";

    fn acquire(&self, used_for: Use) -> BoxFuture<'_, StoreResult<Box<dyn Connection>>> {
        Box::pin(async move {
            let pool = match used_for {
                Use::Write => &self.writers,
                Use::Read => &self.readers,
            };
            let pooled: Box<dyn Connection> = Box::new(self.pooled(checkout(pool).await?));
            Ok(pooled)
        })
    }

    fn probe(&self) -> BoxFuture<'_, StoreResult<Option<Box<dyn Connection>>>> {
        Box::pin(async move {
            let pooled =
                match pool::checkout_unless_busy(&self.writers, &self.state.commits).await? {
                    Acquired::Connection(connection) => self.pooled(connection),
                    Acquired::BusyAtWork => return Ok(None),
                };
            let pooled: Box<dyn Connection> = Box::new(pooled);
            Ok(Some(pooled))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for session in pool::close(&self.writers).into_iter().chain(pool::close(&self.readers))
            {
                // It is of no use any more, whatever came of that.
                let _ = session.connection.close().await;
            }
        })
    }
}

struct PooledConnection {
    /// `None` once it was discarded.
    connection: Option<Object<ConnectionFactory>>,
    /// Whether each statement travels alone. Where another node's write wins the
    /// certification, Galera rolls the transaction back; between two statements
    /// of one text that goes unseen, and the rest of the text would run outside
    /// of any transaction.
    one_by_one: bool,
    state: Arc<PoolState>,
    timeout: Duration,
    /// Whether statements are in flight.
    is_busy: bool,
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        // The caller was cancelled: the rest of the response must not reach the
        // next one.
        if self.is_busy {
            self.discard();
        }
    }
}

impl Connection for PooledConnection {
    fn run<'a>(
        &'a mut self,
        statements: &'a [&'a str],
        on_row: OnRow<'a>,
    ) -> BoxFuture<'a, StoreResult<Vec<u64>>> {
        Box::pin(async move {
            let Some(connection) = &mut self.connection else {
                return Err(StoreError::new(Fault::Lost, "the connection was discarded"));
            };
            let commits = statements.last() == Some(&"COMMIT");
            let texts: Vec<String> = if self.one_by_one {
                statements.iter().map(|statement| (*statement).to_owned()).collect()
            } else {
                let max = self.state.text.at(Instant::now());
                text::join(statements, max).map_err(|length| too_large(length, max))?
            };
            self.is_busy = true;
            let mut rows_affected = Vec::new();
            let mut done = Ok(());
            for text in texts {
                let (before, length) = (rows_affected.len(), text.len());
                let session = &mut connection.connection;
                let stream = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(session);
                let hit = |done: &MySqlQueryResult| done.rows_affected();
                let mut on_row = |at: usize, row: &mut Cells<'_>| on_row(before + at, row);
                match drain(stream, hit, self.timeout, &mut on_row).await {
                    Ok(more) => rows_affected.extend(more),
                    Err(broken) => {
                        if matches!(broken.error, Some(sqlx::Error::Io(_))) {
                            self.state.text.record_loss(length, Instant::now());
                        }
                        let statement = broken.statement.map(|at| before + at);
                        done = Err(StreamError { statement, ..broken });
                        break;
                    }
                }
            }
            self.is_busy = false;
            match done {
                Ok(()) => {
                    connection.losses = self.state.losses.load(Ordering::Relaxed);
                    if commits {
                        self.state.commits.now();
                    }
                    Ok(rows_affected)
                }
                Err(broken) => {
                    let error = broken.into_error(store_error);
                    // A server that cannot serve may say so and stay connected; the
                    // next connection may lead to the one that took over.
                    if error.statement.is_none() || error.fault == Fault::Lost {
                        self.state.losses.fetch_add(1, Ordering::Relaxed);
                        self.discard();
                    }
                    Err(error)
                }
            }
        })
    }

    fn discard(&mut self) {
        // Dropping it closes it, which ends what is in flight.
        drop(self.connection.take().map(Object::take));
    }
}

fn too_large(length: usize, max: usize) -> StoreError {
    let why = format!("a statement of {length} bytes, where the server takes {max} at once");
    StoreError::new(Fault::TooLarge, why)
}

#[cfg(test)]
mod tests;
