//! Statements: SQL text with what it must affect and how its rows are decoded.
//!
//! A transaction is a list of statements. The module that knows a statement's
//! meaning builds it; the dialect's [`Driver`](super::pool::Driver) decides how
//! many of a list travel in one round trip.

use std::borrow::Cow;

use super::connection::Connection;
use super::database::Database;
use super::error::{Fault, StoreError, StoreResult};
use super::rows::Cells;
use crate::model::Timestamp;

/// Decodes a row into `T`. It reads the columns in the order of the SELECT list.
pub(super) type Decode<T> = fn(&mut T, &mut Cells<'_>) -> sqlx::Result<()>;

/// A statement; its rows are decoded into `T`.
#[derive(Debug)]
pub(super) struct Statement<T> {
    pub sql: Cow<'static, str>,
    /// How many rows it must affect, if that is known: fewer are a conflict.
    pub rows: Option<usize>,
    /// Whether the database itself fails the statement unless it affects `rows`
    /// rows: then COMMIT may follow it in the same round trip.
    pub is_self_checking: bool,
    decode: Option<Decode<T>>,
}

impl<T> Statement<T> {
    /// A statement that returns no rows and may affect any number, such as BEGIN.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), rows: None, is_self_checking: true, decode: None }
    }

    pub fn read(sql: String, decode: Decode<T>) -> Self {
        Self { decode: Some(decode), ..Self::new(sql) }
    }

    /// A write that affects `rows` rows or fails, such as an insert.
    pub fn self_checking(sql: String, rows: usize) -> Self {
        Self { rows: Some(rows), ..Self::new(sql) }
    }

    /// A write under a guard, which affects fewer rows than it must on a conflict.
    pub fn guarded(sql: String, rows: usize) -> Self {
        Self { is_self_checking: false, ..Self::self_checking(sql, rows) }
    }
}

/// Runs statements and passes their rows to their decoders. Returns the number
/// of rows that each affected.
pub(super) async fn run<T: Send>(
    connection: &mut dyn Connection,
    statements: &[Statement<T>],
    into: &mut T,
) -> StoreResult<Vec<u64>> {
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<&str> = statements.iter().map(|statement| &*statement.sql).collect();
    let mut on_row = |at: usize, row: &mut Cells<'_>| decode(statements, at, row, into);
    connection.run(&texts, &mut on_row).await
}

/// Runs statements as [`run`] does and checks how many rows each affected.
///
/// # Errors
/// [`Fault::Conflict`] for a statement that affected fewer rows than it must.
pub(super) async fn run_checked<T: Send>(
    connection: &mut dyn Connection,
    statements: &[Statement<T>],
    into: &mut T,
) -> StoreResult<Vec<u64>> {
    let rows_affected = run(connection, statements, into).await?;
    for (statement, affected) in statements.iter().zip(&rows_affected) {
        let Some(rows) = statement.rows else { continue };
        if u64::try_from(rows).ok() != Some(*affected) {
            let head: String = statement.sql.chars().take(60).collect();
            let why = format!("`{head}…` affected {affected} rows instead of {rows}");
            return Err(StoreError::new(Fault::Conflict, why));
        }
    }
    Ok(rows_affected)
}

/// Runs statements as [`run`] does and reads the database's clock before them,
/// in the same round trip. Returns `None` where the process's clock is used.
pub(super) async fn run_timed<D: Database, T: Send>(
    connection: &mut dyn Connection,
    statements: &[Statement<T>],
    into: &mut T,
) -> StoreResult<Option<Timestamp>> {
    let Some(clock) = D::NOW.map(|now| format!("SELECT {now}")) else {
        return run(connection, statements, into).await.map(|_| None);
    };
    let mut texts = vec![&*clock];
    texts.extend(statements.iter().map(|statement| &*statement.sql));
    let mut time = None;
    let mut on_row = |at: usize, row: &mut Cells<'_>| match at.checked_sub(1) {
        None => row.time().map(|now| time = Some(now)),
        Some(at) => decode(statements, at, row, into),
    };
    connection.run(&texts, &mut on_row).await?;
    Ok(time)
}

pub(super) async fn read_clock<D: Database>(
    connection: &mut dyn Connection,
) -> StoreResult<Option<Timestamp>> {
    run_timed::<D, ()>(connection, &[], &mut ()).await
}

pub(super) async fn execute<S: AsRef<str>>(
    connection: &mut dyn Connection,
    statements: &[S],
) -> StoreResult<()> {
    let texts: Vec<&str> = statements.iter().map(AsRef::as_ref).collect();
    connection.run(&texts, &mut |_, _| Ok(())).await.map(drop)
}

/// Decodes a row of a read whose rows are all alike.
pub(super) type ReadRow<T> = fn(&mut Cells<'_>) -> sqlx::Result<T>;

pub(super) struct Collect<T> {
    read: ReadRow<T>,
    pub rows: Vec<T>,
}

impl<T> Collect<T> {
    /// Returns the statement and what it collects into.
    pub fn new(sql: String, read: ReadRow<T>) -> (Statement<Self>, Self) {
        let statement = Statement::read(sql, |collect: &mut Self, row| {
            collect.rows.push((collect.read)(row)?);
            Ok(())
        });
        (statement, Self { read, rows: Vec::new() })
    }
}

pub(super) async fn fetch_all<T: Send>(
    connection: &mut dyn Connection,
    sql: String,
    read: ReadRow<T>,
) -> StoreResult<Vec<T>> {
    let (statement, mut collect) = Collect::new(sql, read);
    run(connection, &[statement], &mut collect).await?;
    Ok(collect.rows)
}

pub(super) async fn fetch_optional<T: Send>(
    connection: &mut dyn Connection,
    sql: String,
    read: ReadRow<T>,
) -> StoreResult<Option<T>> {
    Ok(fetch_all(connection, sql, read).await?.pop())
}

fn decode<T>(
    statements: &[Statement<T>],
    at: usize,
    row: &mut Cells<'_>,
    into: &mut T,
) -> sqlx::Result<()> {
    match statements.get(at).and_then(|statement| statement.decode) {
        Some(decode) => decode(into, row),
        None => Ok(()),
    }
}
