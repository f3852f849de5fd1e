//! What can go wrong between the engine and a database, and what to do then.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// The classes of database errors, by what they mean for the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The database rolled the transaction back for another one: try again.
    Deadlock,
    /// A row lock was not acquired in time: try again.
    LockWait,
    /// A row was not as it was read: try again.
    Conflict,
    /// A unique key was taken meanwhile: try again with what is there now.
    Duplicate,
    /// The connection or the database is gone, or never answered.
    Lost,
    /// The server lacks room, memory or connections, or an account has used up
    /// what it may: try again.
    Exhausted,
    /// What was sent is more than the server takes at once: send it in parts.
    TooLarge,
    /// The server cannot be used as it is set up, found when the store is
    /// opened. The words say what to change.
    Refused,
    /// The database would break a rule of its own, such as `stock >= 0`.
    Invariant,
    /// The URL names no store.
    Unknown,
    /// The store is not there or lacks tables: somebody must make it first.
    Unfit,
    /// Anything else; trying again would not help.
    Fatal,
}

impl Fault {
    /// The cause, as metrics name it.
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

    /// Whether the same transaction may succeed when tried again.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Deadlock
            | Self::LockWait
            | Self::Conflict
            | Self::Duplicate
            | Self::Lost
            | Self::Exhausted => true,
            Self::TooLarge
            | Self::Refused
            | Self::Invariant
            | Self::Unknown
            | Self::Unfit
            | Self::Fatal => false,
        }
    }
}

/// A fault with the driver's words.
#[derive(Debug)]
pub(crate) struct StoreError {
    pub fault: Fault,
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// Which of the statements run at once the database refused, if it said so.
    pub statement: Option<usize>,
    /// Whether the words are a sentence that says which setting to change.
    pub is_worded: bool,
}

pub(crate) type StoreResult<T> = Result<T, StoreError>;

impl StoreError {
    pub fn new(fault: Fault, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { fault, source: source.into(), statement: None, is_worded: false }
    }

    /// A fault whose words tell the operator what to change.
    pub fn worded(fault: Fault, words: String) -> Self {
        Self { is_worded: true, ..Self::new(fault, words) }
    }

    /// Sorts a driver's error by the database's own code; `by_code` knows the
    /// dialect's codes.
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

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault.cause(), self.source)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}

impl From<StoreError> for Error {
    /// What a fault means to a caller once trying again has not helped.
    fn from(error: StoreError) -> Self {
        match error.fault {
            Fault::Deadlock | Fault::LockWait | Fault::Conflict | Fault::Duplicate => {
                Self::caused(ErrorKind::Contention, "the store is busy", error)
            }
            Fault::Lost => {
                Self::caused(ErrorKind::Unavailable, "the store cannot be reached", error)
            }
            Fault::Exhausted => {
                tracing::warn!(%error, "the store lacks room, memory or connections");
                Self::caused(ErrorKind::Unavailable, "the store has no room for it now", error)
            }
            Fault::TooLarge => {
                tracing::error!(%error, "the store takes no text of that size");
                let why = "the store does not take so much at once: raise its max_allowed_packet";
                Self::caused(ErrorKind::Unavailable, why, error)
            }
            Fault::Refused => Self::new(ErrorKind::Unavailable, error.source.to_string()),
            Fault::Unknown => Self::invalid_argument(error.source.to_string()),
            Fault::Unfit => Self::new(ErrorKind::Unavailable, error.source.to_string()),
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
    async fn a_driver_s_error_is_sorted_by_its_kind_where_no_code_says_it() {
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
    fn a_fault_keeps_the_driver_s_words() {
        let error = StoreError::new(Fault::Lost, sqlx::Error::WorkerCrashed);
        let words = sqlx::Error::WorkerCrashed.to_string();
        assert_eq!(error.source().map(ToString::to_string), Some(words.clone()));
        assert_eq!(error.to_string(), format!("lost_connection: {words}"));
    }

    #[test]
    fn trying_again_helps_against_others_and_not_against_oneself() {
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
