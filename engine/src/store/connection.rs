//! Connections that run statements, and the result stream of a text.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, TryStreamExt};
use sqlx::Either;

use super::error::{Fault, StoreError, StoreResult};
use super::rows::{Cells, RawCells};

/// Receives each row with the position of its statement in the list.
pub(super) type OnRow<'a> = &'a mut (dyn FnMut(usize, &mut Cells<'_>) -> sqlx::Result<()> + Send);

pub(super) trait Connection: Send {
    /// Runs statements, in one round trip if the dialect can. Returns the number
    /// of rows that each affected. After a failed statement none is run.
    fn run<'a>(
        &'a mut self,
        statements: &'a [&'a str],
        on_row: OnRow<'a>,
    ) -> BoxFuture<'a, StoreResult<Vec<u64>>>;
    fn discard(&mut self);
}

pub(super) fn timed_out() -> StoreError {
    StoreError::new(Fault::Lost, "the database did not answer in time")
}

/// Reads the result stream of a text within `timeout`, and appends the rows that
/// each statement affected.
///
/// # Errors
/// [`StoreError::statement`] is the statement that the database rejected. It is
/// `None` if the database did not say: then the connection's state is unknown.
pub(super) async fn drain<D, R: RawCells>(
    mut stream: BoxStream<'_, sqlx::Result<Either<D, R>>>,
    count: impl Fn(D) -> u64,
    store_error: fn(sqlx::Error) -> StoreError,
    timeout: Duration,
    rows_affected: &mut Vec<u64>,
    on_row: OnRow<'_>,
) -> StoreResult<()> {
    let read_all = async {
        while let Some(step) = stream.try_next().await? {
            match step {
                Either::Left(done) => rows_affected.push(count(done)),
                Either::Right(row) => on_row(rows_affected.len(), &mut Cells::new(&row))?,
            }
        }
        Ok::<(), sqlx::Error>(())
    };
    let done = tokio::time::timeout(timeout, read_all).await.map_err(|_| timed_out())?;
    done.map_err(|error| {
        let is_rejection = matches!(error, sqlx::Error::Database(_));
        let statement = is_rejection.then_some(rows_affected.len());
        StoreError { statement, ..store_error(error) }
    })
}
