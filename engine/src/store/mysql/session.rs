//! Sets each session when its connection is opened.
//!
//! Servers, operators and proxies have defaults of their own; a session inherits
//! none that matters here. The error of a variable that cannot be set says what to
//! change.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor, MySqlConnection, Row};

use super::errors::store_error;
use super::url::Target;
use crate::config::Config;
use crate::store::StoreOptions;
use crate::store::error::{Fault, StoreError, StoreResult};

/// The smallest `max_allowed_packet` with which a cart of many lines with long
/// keys and customers can be written.
const PACKET_MIN: usize = 256 * 1024;
/// The server's idle timeout in seconds: longer than the pool's (`pool::IDLE_MAX`),
/// so that the pool closes idle connections.
const IDLE_TIMEOUT: u32 = 15 * 60;

/// What a new connection finds out about its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerInfo {
    /// Whether it is a node of a Galera cluster.
    pub is_galera: bool,
    /// The longest text that it accepts.
    pub max_allowed_packet: usize,
}

#[derive(Debug, Clone)]
pub(super) struct SessionFactory {
    pub target: Target,
    settings: String,
}

impl SessionFactory {
    pub fn new(options: &StoreOptions) -> StoreResult<Self> {
        Self::of(&options.config)
    }

    pub fn of(config: &Config) -> StoreResult<Self> {
        let target = Target::parse(&config.store)?;
        Ok(Self { target, settings: settings(config.lock_wait) })
    }

    /// Connects, sets the session and checks the server's variables.
    pub async fn connect(&self) -> StoreResult<(MySqlConnection, ServerInfo)> {
        let connecting = MySqlConnection::connect_with(&self.target.options);
        let mut connection = connecting.await.map_err(store_error)?;
        let rows = sqlx::raw_sql(AssertSqlSafe(self.settings.clone()))
            .fetch_all(&mut connection)
            .await
            .map_err(store_error)?;
        let mut variables = Vec::with_capacity(rows.len());
        for row in rows {
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

/// The text that sets a session and reads the server's variables.
fn settings(lock_wait: Duration) -> String {
    // InnoDB counts whole seconds.
    let lock_wait = lock_wait.as_secs().clamp(1, 1_000_000);
    // MariaDB alone reads /*M! … */. CHECK is the last guard against negative stock.
    format!(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, \
         completion_type = 0, time_zone = '+00:00', sql_safe_updates = 0, \
         sql_select_limit = 18446744073709551615, sql_big_selects = 1, sql_auto_is_null = 0, \
         foreign_key_checks = 1, unique_checks = 1, innodb_lock_wait_timeout = {lock_wait}, \
         lock_wait_timeout = {lock_wait}, wait_timeout = {IDLE_TIMEOUT}, \
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

    /// Whether the server would reject writes at READ COMMITTED with 1665.
    fn logs_statements(&self) -> bool {
        self.is_on("log_bin")
            && self.is_on("sql_log_bin")
            && self.get("binlog_format") == Some("STATEMENT")
    }

    fn server_info(&self) -> StoreResult<ServerInfo> {
        let packet = self.get("max_allowed_packet").and_then(|size| size.parse().ok());
        let max_allowed_packet = packet.unwrap_or(PACKET_MIN);
        if max_allowed_packet < PACKET_MIN {
            let message = format!(
                "the server's max_allowed_packet is {max_allowed_packet} bytes: \
                 set it to {PACKET_MIN} or more"
            );
            return Err(StoreError::actionable(Fault::Lost, message));
        }
        Ok(ServerInfo { is_galera: self.is_on("wsrep_on"), max_allowed_packet })
    }
}

/// Sets row-based logging for the session, which needs a privilege that few
/// accounts have.
async fn log_rows(connection: &mut MySqlConnection) -> StoreResult<()> {
    match connection.execute("SET SESSION binlog_format = 'ROW'").await {
        Ok(_) => Ok(()),
        Err(error @ sqlx::Error::Database(_)) => {
            tracing::debug!(%error, "the session's binlog_format cannot be set");
            let message = "the server's binlog_format is STATEMENT, which InnoDB rejects at READ \
                           COMMITTED: set it to ROW or MIXED";
            Err(StoreError::actionable(Fault::Lost, message.to_owned()))
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
    fn only_an_active_statement_log_is_found() {
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
    fn a_small_max_allowed_packet_is_rejected_by_its_name() {
        let found = |size: &str| variables(&[("max_allowed_packet", size)]).server_info();
        let enough = found("262144").expect("enough");
        assert_eq!(enough, ServerInfo { is_galera: false, max_allowed_packet: 262_144 });
        let refused = found("262143").expect_err("refused");
        assert!(refused.is_actionable && refused.to_string().contains("max_allowed_packet"));
        let galera = variables(&[("wsrep_on", "ON"), ("max_allowed_packet", "1048576")]);
        assert!(galera.server_info().expect("found").is_galera);
    }
}
