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
use super::pool::{self, Lending, Recently, lend, while_fresh};
use super::rows::Cells;
use errors::store_error;
use migrate::migrate;
use session::Sessions;
use text::TextBound;

/// Has a node of a Galera cluster apply all that was committed before. After a
/// fail-over it may still have work queued, and rows that were answered for
/// would be missing.
const CATCH_UP: &str =
    "SET SESSION wsrep_sync_wait = 1; SELECT 1; SET SESSION wsrep_sync_wait = DEFAULT";

/// After how long a silence a connection is asked whether it is still there
/// before it is lent: servers and proxies end idle connections without a word.
const UNASKED_MAX: Duration = Duration::from_secs(1);
/// How long that answer is waited for.
const ASKED_MAX: Duration = Duration::from_secs(1);

/// What the connections of a database have found out together.
#[derive(Debug, Default)]
struct Known {
    /// Whether the last connection led to a node of a Galera cluster.
    is_galera: AtomicBool,
    text: TextBound,
    /// Raised by each lost connection. What was made before and has not been
    /// of use since is not lent again: the cause mostly is the server's end.
    losses: AtomicU64,
    /// When a commit was last answered.
    commits: Recently,
}

/// A connection, and how many others were lost when it was last of use.
struct Live {
    connection: MySqlConnection,
    losses: u64,
}

/// Makes connections.
#[derive(Clone)]
struct Maker {
    sessions: Sessions,
    known: Arc<Known>,
}

impl Manager for Maker {
    type Type = Live;
    type Error = StoreError;

    async fn create(&self) -> StoreResult<Live> {
        let losses = self.known.losses.load(Ordering::Relaxed);
        let (mut connection, found) = self.sessions.connect().await?;
        self.known.text.hear(found.max_allowed_packet);
        self.known.is_galera.store(found.is_galera, Ordering::Relaxed);
        if found.is_galera {
            connection.execute(CATCH_UP).await.map_err(store_error)?;
        }
        Ok(Live { connection, losses })
    }

    async fn recycle(&self, live: &mut Live, metrics: &Metrics) -> RecycleResult<StoreError> {
        while_fresh(metrics)?;
        if live.losses != self.known.losses.load(Ordering::Relaxed) {
            return Err(RecycleError::message("another connection was lost since its last use"));
        }
        if metrics.last_used() > UNASKED_MAX {
            let answer = tokio::time::timeout(ASKED_MAX, live.connection.ping()).await;
            if !matches!(answer, Ok(Ok(()))) {
                self.known.losses.fetch_add(1, Ordering::Relaxed);
                return Err(RecycleError::message("it was closed while it was idle"));
            }
        }
        Ok(())
    }
}

/// Pools of connections to a MySQL or MariaDB database.
pub(crate) struct MySqlDatabase {
    writers: Pool<Maker>,
    readers: Pool<Maker>,
    timeout: Duration,
    known: Arc<Known>,
}

impl MySqlDatabase {
    /// Brings the tables up to date and prepares pools. A server that cannot be
    /// used as it is set up is refused with a sentence that says what to change.
    pub async fn open(options: &StoreOptions) -> StoreResult<Self> {
        let sessions = Sessions::of(options)?;
        let migrated = migrate(options).await;
        migrated.map_err(|error| refusal::at_start(error, &sessions.target))?;
        Self::with(options, sessions)
    }

    /// Prepares pools; connections are made when they are first needed.
    fn with(options: &StoreOptions, sessions: Sessions) -> StoreResult<Self> {
        let known = Arc::new(Known::default());
        let maker = Maker { sessions, known: Arc::clone(&known) };
        let timeout = options.store_timeout;
        Ok(Self {
            writers: pool::pool(maker.clone(), options.connections, timeout)?,
            readers: pool::pool(maker, options.connections, timeout)?,
            timeout,
            known,
        })
    }

    fn lent(&self, connection: Object<Maker>) -> Lent {
        Lent {
            one_by_one: self.known.is_galera.load(Ordering::Relaxed),
            connection: Some(connection),
            known: Arc::clone(&self.known),
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
            let lent: Box<dyn Connection> = Box::new(self.lent(lend(pool).await?));
            Ok(lent)
        })
    }

    fn probe(&self) -> BoxFuture<'_, StoreResult<Option<Box<dyn Connection>>>> {
        Box::pin(async move {
            let lent = match pool::lend_unless_busy(&self.writers, &self.known.commits).await? {
                Lending::Lent(connection) => self.lent(connection),
                Lending::BusyAtWork => return Ok(None),
            };
            let lent: Box<dyn Connection> = Box::new(lent);
            Ok(Some(lent))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for live in pool::close(&self.writers).into_iter().chain(pool::close(&self.readers)) {
                // It is of no use any more, whatever came of that.
                let _ = live.connection.close().await;
            }
        })
    }
}

struct Lent {
    /// `None` once it was given up.
    connection: Option<Object<Maker>>,
    /// Whether each statement is sent by itself. Where another node's write
    /// comes first, Galera rolls the transaction back; between two statements
    /// of one text that goes unseen, and the rest of the text would be done
    /// outside of any transaction.
    one_by_one: bool,
    known: Arc<Known>,
    timeout: Duration,
    /// Whether statements are under way.
    is_busy: bool,
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Whoever waited for the statements has gone; no one else shall.
        if self.is_busy {
            self.discard();
        }
    }
}

impl Connection for Lent {
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
                let max = self.known.text.at(Instant::now());
                text::join(statements, max).map_err(|length| too_large(length, max))?
            };
            self.is_busy = true;
            let mut rows_affected = Vec::new();
            let mut done = Ok(());
            for text in texts {
                let (before, length) = (rows_affected.len(), text.len());
                let live = &mut connection.connection;
                let stream = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(live);
                let hit = |done: &MySqlQueryResult| done.rows_affected();
                let mut on_row = |at: usize, row: &mut Cells<'_>| on_row(before + at, row);
                match drain(stream, hit, self.timeout, &mut on_row).await {
                    Ok(more) => rows_affected.extend(more),
                    Err(broken) => {
                        if matches!(broken.error, Some(sqlx::Error::Io(_))) {
                            self.known.text.hung_up(length, Instant::now());
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
                    connection.losses = self.known.losses.load(Ordering::Relaxed);
                    if commits {
                        self.known.commits.now();
                    }
                    Ok(rows_affected)
                }
                Err(broken) => {
                    let error = broken.into_error(store_error);
                    // A server that cannot serve may say so and stay connected; the
                    // next connection may lead to the one that took over.
                    if error.statement.is_none() || error.fault == Fault::Lost {
                        self.known.losses.fetch_add(1, Ordering::Relaxed);
                        self.discard();
                    }
                    Err(error)
                }
            }
        })
    }

    fn discard(&mut self) {
        // Dropped, it is closed, and with it goes what it had under way.
        drop(self.connection.take().map(Object::take));
    }
}

fn too_large(length: usize, max: usize) -> StoreError {
    let why = format!("a statement of {length} bytes, where the server takes {max} at once");
    StoreError::new(Fault::TooLarge, why)
}

#[cfg(test)]
mod tests;
