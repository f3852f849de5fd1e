//! Classifies database errors by what they mean for a transaction.

use crate::error::{Error, ErrorKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The database rolled the transaction back for another one: retry.
    Deadlock,
    /// A row lock was not acquired in time: retry.
    LockWait,
    /// A row has changed since it was read: retry.
    Conflict,
    /// A unique key was taken meanwhile: read again and retry.
    Duplicate,
    /// The connection was lost, or the database did not respond.
    Lost,
    /// The server lacks disk, memory or connections, or an account has used up its
    /// quota: retry.
    Exhausted,
    /// The text is longer than the server accepts: send it in parts.
    TooLarge,
    /// The server cannot be used as it is configured, found when the store is
    /// opened. The message names the setting to change.
    Refused,
    /// The write would violate a CHECK constraint, such as `stock >= 0`.
    Invariant,
    /// The URL names no store.
    Unknown,
    /// The store does not exist or lacks tables: the operator must migrate it.
    Unfit,
    /// Any other error; a retry would not help.
    Fatal,
}

impl Fault {
    pub fn cause(self) -> &'static str {
        match self {
            Self::Deadlock => "deadlock",
            Self::LockWait => "lock_wait",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
            Self::Lost => "lost_connection",
            Self::Exhausted => "exhausted",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Invariant => "invariant",
            Self::Unknown => "unknown_store",
            Self::Unfit => "unfit_store",
            Self::Fatal => "fatal",
        }
    }

    /// Whether the same transaction may succeed in a retry.
    pub fn is_transient(self) -> bool {
        use Fault::{Conflict, Deadlock, Duplicate, Exhausted, LockWait, Lost};
        matches!(self, Deadlock | LockWait | Conflict | Duplicate | Lost | Exhausted)
    }
}

/// A fault with its cause, most often the driver's error.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", fault.cause())]
pub(crate) struct StoreError {
    pub fault: Fault,
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// The position of the statement that the database rejected, if it said so.
    pub statement: Option<usize>,
    /// Whether the message tells the operator what to change.
    pub is_actionable: bool,
}

pub(crate) type StoreResult<T> = Result<T, StoreError>;

impl StoreError {
    pub fn new(fault: Fault, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { fault, source: source.into(), statement: None, is_actionable: false }
    }

    /// A fault whose message tells the operator what to change.
    pub fn actionable(fault: Fault, message: String) -> Self {
        Self { is_actionable: true, ..Self::new(fault, message) }
    }

    /// Classifies a driver's error by the dialect's code (`by_code`), else by kind.
    pub fn from_sqlx(error: sqlx::Error, by_code: impl Fn(&sqlx::Error) -> Option<Fault>) -> Self {
        let fault = by_code(&error).unwrap_or(match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => Fault::Lost,
            sqlx::Error::Configuration(_) => Fault::Unknown,
            sqlx::Error::Database(database) if database.is_unique_violation() => Fault::Duplicate,
            sqlx::Error::Database(database) if database.is_check_violation() => Fault::Invariant,
            _ => Fault::Fatal,
        });
        Self::new(fault, error)
    }
}

impl From<StoreError> for Error {
    /// The error for a caller whose retries are used up.
    fn from(error: StoreError) -> Self {
        match error.fault {
            Fault::Deadlock | Fault::LockWait | Fault::Conflict | Fault::Duplicate => {
                Self::caused(ErrorKind::Contention, "the store is busy", error)
            }
            Fault::Lost => {
                Self::caused(ErrorKind::Unavailable, "the store cannot be reached", error)
            }
            Fault::Exhausted => {
                tracing::warn!(%error, "the store lacks disk, memory or connections");
                let why = "the store lacks disk, memory or connections";
                Self::caused(ErrorKind::Unavailable, why, error)
            }
            Fault::TooLarge => {
                tracing::error!(%error, "a statement exceeds the store's size limit");
                let why = "a statement exceeds the store's size limit: raise max_allowed_packet";
                Self::caused(ErrorKind::Unavailable, why, error)
            }
            Fault::Refused | Fault::Unfit => {
                Self::new(ErrorKind::Unavailable, error.source.to_string())
            }
            Fault::Unknown => Self::invalid_argument(error.source.to_string()),
            Fault::Invariant | Fault::Fatal => {
                tracing::error!(%error, "the store failed");
                Self::caused(ErrorKind::Internal, "the store failed", error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use sqlx::{Connection, Executor, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn a_driver_s_error_without_a_known_code_is_classified_by_its_kind() {
        let by_kind = |error| StoreError::from_sqlx(error, |_| None).fault;
        assert_eq!(by_kind(sqlx::Error::WorkerCrashed), Fault::Lost);
        assert_eq!(by_kind(sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into())), Fault::Lost);
        assert_eq!(by_kind(sqlx::Error::Configuration("x".into())), Fault::Unknown);
        assert_eq!(by_kind(sqlx::Error::RowNotFound), Fault::Fatal);
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("opens");
        let table = "CREATE TABLE t (v INTEGER NOT NULL UNIQUE CHECK (v > 0))";
        connection.execute(table).await.expect("created");
        connection.execute("INSERT INTO t VALUES (1)").await.expect("inserted");
        for (value, fault) in
            [("1", Fault::Duplicate), ("0", Fault::Invariant), ("NULL", Fault::Fatal)]
        {
            let insert = format!("INSERT INTO t VALUES ({value})");
            let refused = connection.execute(sqlx::AssertSqlSafe(insert)).await;
            assert_eq!(by_kind(refused.expect_err("refused")), fault, "{value}");
        }
    }

    #[test]
    fn a_fault_keeps_the_driver_s_message() {
        let error = StoreError::new(Fault::Lost, sqlx::Error::WorkerCrashed);
        let message = sqlx::Error::WorkerCrashed.to_string();
        assert_eq!(error.source().map(ToString::to_string), Some(message.clone()));
        assert_eq!(error.to_string(), format!("lost_connection: {message}"));
    }

    #[test]
    fn only_transient_faults_are_retried() {
        for (fault, is_transient) in [
            (Fault::Deadlock, true),
            (Fault::LockWait, true),
            (Fault::Conflict, true),
            (Fault::Duplicate, true),
            (Fault::Lost, true),
            (Fault::Exhausted, true),
            (Fault::TooLarge, false),
            (Fault::Refused, false),
            (Fault::Invariant, false),
            (Fault::Unknown, false),
            (Fault::Unfit, false),
            (Fault::Fatal, false),
        ] {
            assert_eq!(fault.is_transient(), is_transient, "{fault:?}");
        }
    }
}
