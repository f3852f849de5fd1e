//! What a session is set to when its connection is made.
//!
//! Servers, their operators and what stands between have defaults of their own;
//! a session takes none of them over that matters here. What cannot be set is
//! refused with a sentence that says what to change.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection, Row};

use super::errors::store_error;
use super::url::Target;
use crate::store::StoreOptions;
use crate::store::error::{Fault, StoreError, StoreResult};

/// The smallest `max_allowed_packet` with which a cart of many lines with long
/// keys and customers can be written.
const PACKET_MIN: usize = 256 * 1024;
/// How long the server keeps a connection that is silent, in seconds: for
/// longer than the pool does (`pool::IDLE_MAX`), so that it is the pool that
/// lets it go.
const SILENT_MAX: u32 = 15 * 60;

/// What was found of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerInfo {
    /// Whether it is a node of a Galera cluster.
    pub is_galera: bool,
    /// The longest text that it takes.
    pub max_allowed_packet: usize,
}

/// Makes connections whose sessions are all set alike.
#[derive(Debug, Clone)]
pub(super) struct SessionFactory {
    pub target: Target,
    settings: String,
}

impl SessionFactory {
    pub fn of(options: &StoreOptions) -> StoreResult<Self> {
        let target = Target::of(&options.url)?;
        Ok(Self { target, settings: settings(options.lock_wait) })
    }

    /// Connects, sets the session and looks at what could not be set.
    pub async fn connect(&self) -> StoreResult<(MySqlConnection, ServerInfo)> {
        let connecting = MySqlConnection::connect_with(&self.target.options);
        let mut connection = connecting.await.map_err(store_error)?;
        let found = sqlx::raw_sql(AssertSqlSafe(self.settings.clone()))
            .fetch_all(&mut connection)
            .await
            .map_err(store_error)?;
        let mut variables = Vec::with_capacity(found.len());
        for row in found {
            let pair = row.try_get(0).and_then(|name| Ok((name, row.try_get(1)?)));
            variables.push(pair.map_err(store_error)?);
        }
        let variables = Variables(variables);
        if variables.logs_statements() {
            log_rows(&mut connection).await?;
        }
        Ok((connection, variables.server_info()?))
    }
}

/// The text that sets a session and reads what it needs to know of the server.
fn settings(lock_wait: Duration) -> String {
    // InnoDB counts whole seconds.
    let lock_wait = lock_wait.as_secs().clamp(1, 1_000_000);
    // MariaDB alone reads what stands in /*M! … */. CHECK is the last line that
    // keeps stock from going below zero.
    format!(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, \
         completion_type = 0, time_zone = '+00:00', sql_safe_updates = 0, \
         sql_select_limit = 18446744073709551615, sql_big_selects = 1, sql_auto_is_null = 0, \
         foreign_key_checks = 1, unique_checks = 1, innodb_lock_wait_timeout = {lock_wait}, \
         lock_wait_timeout = {lock_wait}, wait_timeout = {SILENT_MAX}, \
         default_storage_engine = InnoDB \
         /*M! , check_constraint_checks = 1 */, NAMES utf8mb4; \
         SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; \
         SHOW VARIABLES WHERE Variable_name IN \
         ('max_allowed_packet', 'wsrep_on', 'log_bin', 'sql_log_bin', 'binlog_format')"
    )
}

struct Variables(Vec<(String, String)>);

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), Some("ON" | "1"))
    }

    /// Whether writes at READ COMMITTED would be refused with 1665.
    fn logs_statements(&self) -> bool {
        self.is_on("log_bin")
            && self.is_on("sql_log_bin")
            && self.get("binlog_format") == Some("STATEMENT")
    }

    fn server_info(&self) -> StoreResult<ServerInfo> {
        let packet = self.get("max_allowed_packet").and_then(|size| size.parse().ok());
        let max_allowed_packet = packet.unwrap_or(PACKET_MIN);
        if max_allowed_packet < PACKET_MIN {
            let words = format!(
                "the server's max_allowed_packet is {max_allowed_packet} bytes: \
                 set it to {PACKET_MIN} or more"
            );
            return Err(StoreError::worded(Fault::Lost, words));
        }
        Ok(ServerInfo { is_galera: self.is_on("wsrep_on"), max_allowed_packet })
    }
}

/// Has the session's writes logged by rows, which asks for a right that few
/// accounts have.
async fn log_rows(connection: &mut MySqlConnection) -> StoreResult<()> {
    match connection.execute("SET SESSION binlog_format = 'ROW'").await {
        Ok(_) => Ok(()),
        Err(error @ sqlx::Error::Database(_)) => {
            tracing::debug!(%error, "the session's binlog_format cannot be set");
            let words = "the server writes its binary log by statements, which InnoDB refuses at \
                         READ COMMITTED: set its binlog_format to ROW or MIXED";
            Err(StoreError::worded(Fault::Lost, words.to_owned()))
        }
        Err(error) => Err(store_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Variables(pairs.iter().map(owned).collect())
    }

    #[test]
    fn a_server_that_logs_statements_is_told_from_one_that_does_not_log() {
        let logs = |log_bin, sql_log_bin, format| {
            variables(&[
                ("log_bin", log_bin),
                ("sql_log_bin", sql_log_bin),
                ("binlog_format", format),
            ])
            .logs_statements()
        };
        assert!(logs("ON", "ON", "STATEMENT"));
        assert!(!logs("OFF", "ON", "STATEMENT"));
        assert!(!logs("ON", "OFF", "STATEMENT"));
        assert!(!logs("ON", "ON", "MIXED"));
        assert!(!logs("ON", "ON", "ROW"));
        assert!(!variables(&[("log_bin", "ON")]).logs_statements(), "a server without the setting");
    }

    #[test]
    fn a_server_that_takes_short_texts_only_is_refused_by_its_setting() {
        let found = |size: &str| variables(&[("max_allowed_packet", size)]).server_info();
        let enough = found("262144").expect("enough");
        assert_eq!(enough, ServerInfo { is_galera: false, max_allowed_packet: 262_144 });
        let refused = found("262143").expect_err("refused");
        assert!(refused.is_worded && refused.to_string().contains("max_allowed_packet"));
        let galera = variables(&[("wsrep_on", "ON"), ("max_allowed_packet", "1048576")]);
        assert!(galera.server_info().expect("found").is_galera);
    }
}
