//! The dialect interface: connections that run statements, and the few words
//! in which the dialects differ.
//!
//! # A further dialect
//!
//! Implement [`Database`] and [`Connection`], choose it in
//! [`open_store`](super::open_store), and add its migrations to
//! `stockade-migrations`. Statements are built once for all dialects, in SQL
//! that SQLite, MySQL and MariaDB share; what differs are the constants of
//! [`Database`]. [`Connection::run`] receives a list of statements and decides
//! how many of them travel together: SQLite runs them as one text, MySQL joins
//! them up to the server's packet limit, and a database that takes one statement
//! at a time would loop. Rows are decoded by [`Statement`](super::statement::Statement)s
//! from [`Cells`], for which the driver's row implements [`RawCells`]. Errors
//! become a [`Fault`] in a table of the dialect's own codes.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, TryStreamExt};
use sqlx::Either;

use super::error::{Fault, StoreError, StoreResult};
use super::rows::{Cells, RawCells};
use super::statement;
use crate::model::Timestamp;

/// Receives each row with the position of its statement in the list.
pub(super) type OnRow<'a> = &'a mut (dyn FnMut(usize, &mut Cells<'_>) -> sqlx::Result<()> + Send);

/// The pool that a connection is acquired from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Write,
    Read,
}

/// A connection on loan from a pool.
pub(super) trait Connection: Send {
    /// Runs statements, in one round trip if the dialect can. Returns the number
    /// of rows that each affected. After a failed statement none is run.
    fn run<'a>(
        &'a mut self,
        statements: &'a [&'a str],
        on_row: OnRow<'a>,
    ) -> BoxFuture<'a, StoreResult<Vec<u64>>>;
    /// Closes the connection instead of returning it to the pool.
    fn discard(&mut self);
}

/// A dialect and its pools.
pub(super) trait Database: Send + Sync + 'static {
    /// Whether the database serializes all writers.
    const SINGLE_WRITER: bool;
    /// Begins a transaction that will write.
    const BEGIN: &'static str;
    /// Begins a read-only transaction on one snapshot.
    const BEGIN_SNAPSHOT: &'static [&'static str];
    /// The suffix of a locking read, if the dialect needs one.
    const LOCK: &'static str;
    /// The expression of the database's clock in microseconds; `None` where the
    /// process's clock is used.
    const NOW: Option<&'static str>;
    /// The expression of the rows that the statement before affected.
    const ROWS_AFFECTED: &'static str;
    /// The expression of an outbox row's first cursor at insert. NULL where rows
    /// commit in another order than they are inserted: a reader numbers them.
    const CURSOR: &'static str;

    /// Acquires a connection from the pool for this use.
    fn acquire(&self, used_for: Use) -> BoxFuture<'_, StoreResult<Box<dyn Connection>>>;

    /// Acquires a writing connection for a readiness check. `None` if all are in
    /// use and commits succeed: the store is busy and ready.
    fn probe(&self) -> BoxFuture<'_, StoreResult<Option<Box<dyn Connection>>>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Reads the database's clock, if it has one.
pub(super) async fn read_clock<D: Database>(
    connection: &mut dyn Connection,
) -> StoreResult<Option<Timestamp>> {
    statement::run_timed::<D, ()>(connection, &[], &mut ()).await
}

pub(super) fn timed_out() -> StoreError {
    StoreError::new(Fault::Lost, "the database did not answer in time")
}

/// Why the result stream of a list of statements broke off.
pub(super) struct StreamError {
    /// `None` for a timeout.
    pub error: Option<sqlx::Error>,
    /// The position of the statement that the database rejected. `None` when it
    /// did not say: then the connection's state is unknown.
    pub statement: Option<usize>,
}

impl StreamError {
    pub fn into_error(self, of_sqlx: impl FnOnce(sqlx::Error) -> StoreError) -> StoreError {
        let error = self.error.map_or_else(timed_out, of_sqlx);
        StoreError { statement: self.statement, ..error }
    }
}

/// Reads the result stream of a list of statements, for at most `bound`.
pub(super) async fn drain<D, R>(
    mut stream: BoxStream<'_, sqlx::Result<Either<D, R>>>,
    hit: impl Fn(&D) -> u64,
    bound: Duration,
    on_row: OnRow<'_>,
) -> Result<Vec<u64>, StreamError>
where
    R: RawCells,
{
    let mut rows_affected = Vec::new();
    let work = async {
        while let Some(step) = stream.try_next().await? {
            match step {
                Either::Left(done) => rows_affected.push(hit(&done)),
                Either::Right(row) => on_row(rows_affected.len(), &mut Cells::new(&row))?,
            }
        }
        Ok(())
    };
    match tokio::time::timeout(bound, work).await {
        Ok(Ok(())) => Ok(rows_affected),
        Ok(Err(error)) => {
            let is_refusal = matches!(error, sqlx::Error::Database(_));
            Err(StreamError {
                error: Some(error),
                statement: is_refusal.then_some(rows_affected.len()),
            })
        }
        Err(_) => Err(StreamError { error: None, statement: None }),
    }
}
