//! What the databases have in common: connections that run text, and the few
//! words in which the dialects differ.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, TryStreamExt};
use sqlx::Either;

use super::error::{Fault, StoreError, StoreResult};
use super::rows::{Cells, RawCells};
use crate::model::Timestamp;

/// Gets each row with the position of its statement.
pub(super) type Keep<'a> = &'a mut (dyn FnMut(usize, Cells<'_>) -> sqlx::Result<()> + Send);

/// What a connection is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Write,
    Read,
}

/// A connection on loan from a pool.
pub(super) trait Connection: Send {
    /// Runs statements in one round trip. Returns the rows that each hit.
    fn run<'a>(&'a mut self, sql: String, keep: Keep<'a>) -> BoxFuture<'a, StoreResult<Vec<u64>>>;

    /// Closes the connection rather than lending it out again.
    fn give_up(&mut self);
}

/// A dialect and its pools.
pub(super) trait Database: Send + Sync + 'static {
    /// Whether all writers wait for each other anyway.
    const SINGLE_WRITER: bool;
    /// Begins a transaction that will write.
    const BEGIN: &'static str;
    /// Begins a transaction that sees one snapshot throughout.
    const BEGIN_SNAPSHOT: &'static str;
    /// What makes a SELECT lock its rows, if anything must.
    const LOCK: &'static str;
    /// The clock in microseconds; `None` where the process's clock is it.
    const NOW: Option<&'static str>;
    /// How many rows the statement before hit.
    const ROWS_AFFECTED: &'static str;
    /// What gives a row of events its first cursor as it is written. NULL where
    /// rows commit in another order than they are written: a reader numbers them.
    const CURSOR: &'static str;

    fn take(&self, used_for: Use) -> BoxFuture<'_, StoreResult<Box<dyn Connection>>>;

    /// Takes a connection that writes for a check of readiness. `None` where all
    /// of them are on loan and commits are answered.
    fn probe(&self) -> BoxFuture<'_, StoreResult<Option<Box<dyn Connection>>>>;

    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Keeps the last row.
pub(super) fn one<'a, T: Send>(
    into: &'a mut Option<T>,
    read: impl Fn(Cells<'_>) -> sqlx::Result<T> + Send + 'a,
) -> impl FnMut(usize, Cells<'_>) -> sqlx::Result<()> + Send + 'a {
    move |_, row| {
        *into = Some(read(row)?);
        Ok(())
    }
}

/// Keeps every row.
pub(super) fn each<'a, T: Send>(
    into: &'a mut Vec<T>,
    read: impl Fn(Cells<'_>) -> sqlx::Result<T> + Send + 'a,
) -> impl FnMut(usize, Cells<'_>) -> sqlx::Result<()> + Send + 'a {
    move |_, row| {
        into.push(read(row)?);
        Ok(())
    }
}

/// Reads the database's clock, if it has one.
pub(super) async fn read_clock<D: Database>(
    connection: &mut dyn Connection,
) -> StoreResult<Option<Timestamp>> {
    let mut time = None;
    if let Some(now) = D::NOW {
        connection.run(format!("SELECT {now}"), &mut one(&mut time, |row| row.time(0))).await?;
    }
    Ok(time)
}

pub(super) fn timed_out() -> StoreError {
    StoreError::new(Fault::Lost, "the database did not answer in time")
}

/// Why not all that statements answer could be read.
pub(super) struct StreamError {
    /// `None` when it took too long.
    pub error: Option<sqlx::Error>,
    /// The statement that the database refused. `None` when it did not say, and
    /// then the connection cannot be used on.
    pub statement: Option<usize>,
}

impl StreamError {
    pub fn into_error(self, of_sqlx: impl FnOnce(sqlx::Error) -> StoreError) -> StoreError {
        let error = self.error.map_or_else(timed_out, of_sqlx);
        StoreError { statement: self.statement, ..error }
    }
}

/// Reads all that statements answer, for at most `bound`.
pub(super) async fn drain<D, R>(
    mut stream: BoxStream<'_, sqlx::Result<Either<D, R>>>,
    hit: impl Fn(&D) -> u64,
    bound: Duration,
    keep: Keep<'_>,
) -> Result<Vec<u64>, StreamError>
where
    R: RawCells,
{
    let mut rows_affected = Vec::new();
    let work = async {
        while let Some(step) = stream.try_next().await? {
            match step {
                Either::Left(done) => rows_affected.push(hit(&done)),
                Either::Right(row) => keep(rows_affected.len(), Cells(&row))?,
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
