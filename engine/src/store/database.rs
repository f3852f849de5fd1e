//! The dialect interface: the SQL in which the dialects differ, and their pools.
//!
//! # A further dialect
//!
//! Implement [`Database`] and its [`Driver`], choose it in
//! [`open_store`](super::open_store), and add its migrations to
//! `stockade-migrations`. Statements are built once for all dialects, in SQL
//! that SQLite, MySQL and MariaDB share; what differs are the constants of
//! [`Database`]. [`Driver::join`] decides how many statements travel together:
//! SQLite joins all into one text, MySQL joins them up to the server's packet
//! limit, and a database that takes one statement at a time joins none. Rows are
//! decoded by [`Statement`](super::statement::Statement)s from
//! [`Cells`](super::rows::Cells), for which the driver's row implements
//! [`RawCells`](super::rows::RawCells). Errors become a [`Fault`](super::Fault)
//! in a table of the dialect's own codes.

use super::pool::{Driver, Pools};

pub(super) trait Database: Send + Sync + 'static {
    type Driver: Driver;
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

    /// Begins an insert that passes over rows whose key is taken.
    const INSERT_NEW: &'static str;
    /// Whether rows of a statement's own come from `JSON_TABLE`, or else from `VALUES`,
    /// which MySQL and MariaDB write in two ways.
    const JSON_TABLE: bool;

    /// A join that reads its tables in the order in which they are named.
    const JOIN_IN_ORDER: &'static str;

    fn pools(&self) -> &Pools<Self::Driver>;
}
