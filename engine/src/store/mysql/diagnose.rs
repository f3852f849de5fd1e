//! Facts about a database of MySQL or MariaDB.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use sqlx::mysql::MySqlRow;
use sqlx::{Connection as _, Executor, MySqlConnection, Row};

use super::errors::store_error;
use super::open_error;
use super::session::SessionFactory;
use super::url::Target;
use crate::config::Config;
use crate::diagnosis::{MySqlFacts, TableSize, clock_ahead_us, host_us};
use crate::store::connection::timed_out;
use crate::store::error::StoreResult;

/// The variables that matter to durability, capacity and replication.
const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', \
     'version_comment', 'innodb_flush_log_at_trx_commit', 'sync_binlog', 'log_bin', \
     'binlog_format', 'innodb_doublewrite', 'innodb_buffer_pool_size', 'max_allowed_packet', \
     'max_connections', 'read_only', 'super_read_only', 'wsrep_on', 'datadir', \
     'transaction_isolation', 'tx_isolation', 'innodb_deadlock_detect')";

/// A privilege list of a grant that gives them all.
const ALL: &str = "ALL PRIVILEGES";

pub(in crate::store) async fn diagnose(config: &Config) -> StoreResult<MySqlFacts> {
    let sessions = SessionFactory::of(config)?;
    let asked = tokio::time::timeout(config.store_timeout, ask(&sessions)).await;
    let asked = asked.unwrap_or_else(|_| Err(timed_out()));
    asked.map_err(|error| open_error::explain(error, &sessions.target))
}

async fn ask(sessions: &SessionFactory) -> StoreResult<MySqlFacts> {
    let (mut connection, _) = sessions.connect().await?;
    let pairs = rows(&mut connection, VARIABLES).await?;
    let variables: BTreeMap<_, _> = pairs
        .iter()
        .filter_map(|row| Some((text(row, 0)?.to_lowercase(), text(row, 1)?)))
        .collect();
    let (asked, before) = (Instant::now(), host_us());
    let clock = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED), DATABASE()";
    let row = rows(&mut connection, clock).await?;
    let (round_trip, after) = (asked.elapsed(), host_us());
    let row = row.first();
    let now = row.and_then(|row| row.try_get::<i64, _>(0).ok()).unwrap_or(before);
    let database = row.and_then(|row| text(row, 1)).unwrap_or_default();
    let version = variables.get("version").cloned().unwrap_or_default();
    let status = "SHOW STATUS WHERE Variable_name IN ('Threads_connected', 'Ssl_cipher')";
    let status: BTreeMap<String, String> = rows(&mut connection, status)
        .await?
        .iter()
        .filter_map(|row| Some((text(row, 0)?, text(row, 1)?)))
        .collect();
    let connections = status.get("Threads_connected").and_then(|count| count.parse().ok());
    let isolation = "SHOW SESSION VARIABLES WHERE Variable_name IN \
                     ('transaction_isolation', 'tx_isolation')";
    let isolation = rows(&mut connection, isolation).await?;
    let session_isolation = isolation.first().and_then(|row| text(row, 1)).unwrap_or_default();
    let sizes = "SELECT TABLE_NAME, CAST(COALESCE(TABLE_ROWS, 0) AS SIGNED), \
                 CAST(COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) AS SIGNED) \
                 FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'stockade%' \
                 ORDER BY TABLE_NAME";
    let tables = rows(&mut connection, sizes).await?.iter().filter_map(size).collect();
    let grants = rows(&mut connection, "SHOW GRANTS").await.ok();
    let grants = grants.map(|rows| rows.iter().filter_map(|row| text(row, 0)).collect::<Vec<_>>());
    // Its result is not needed any more.
    let _ = connection.close().await;
    Ok(MySqlFacts {
        server: sessions.target.server(),
        is_mariadb: version.to_lowercase().contains("mariadb"),
        version,
        privileges: grants.and_then(|grants| privileges(&grants, &database)),
        database,
        variables,
        session_isolation,
        connections: connections.unwrap_or_default(),
        is_encrypted: status.get("Ssl_cipher").is_some_and(|cipher| !cipher.is_empty()),
        is_local: is_local(&sessions.target),
        tables,
        clock_ahead_us: clock_ahead_us(now, before, after),
        round_trip,
    })
}

async fn rows(connection: &mut MySqlConnection, sql: &'static str) -> StoreResult<Vec<MySqlRow>> {
    connection.fetch_all(sqlx::raw_sql(sql)).await.map_err(store_error)
}

/// A cell as text, which a server may call bytes.
fn text(row: &MySqlRow, at: usize) -> Option<String> {
    row.try_get::<String, _>(at)
        .or_else(|_| {
            row.try_get::<Vec<u8>, _>(at).map(|bytes| String::from_utf8_lossy(&bytes).into())
        })
        .ok()
}

fn size(row: &MySqlRow) -> Option<TableSize> {
    let count = |at| row.try_get::<i64, _>(at).ok().and_then(|count| u64::try_from(count).ok());
    Some(TableSize { name: text(row, 0)?, rows: count(1)?, bytes: count(2)? })
}

fn is_local(target: &Target) -> bool {
    let host = target.options.get_host();
    let is_loopback = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    target.options.get_socket().is_some() || host == "localhost" || is_loopback
}

/// Reads the privileges on a database from the texts of `SHOW GRANTS`, which may also have
/// the hash of a password: only known words leave this function.
fn privileges(grants: &[String], database: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for grant in grants {
        let Some((list, object)) =
            grant.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON "))
        else {
            // A role: what it grants is not listed.
            return None;
        };
        let object = object.split(" TO ").next().unwrap_or_default();
        let (schema, table) = object.rsplit_once('.').unwrap_or((object, ""));
        // In a pattern of databases `\_` is a plain underscore.
        let schema = schema.trim_matches('`').replace('\\', "");
        if table != "*" || (schema != "*" && schema != database && schema != "%") {
            continue;
        }
        if list.contains(ALL) {
            return Some(vec![ALL.to_owned()]);
        }
        let is_word =
            |word: &&str| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ');
        let words = list.split(',').map(str::trim).filter(is_word);
        found.extend(words.filter(|word| *word != "USAGE").map(ToOwned::to_owned));
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_those_on_the_database_and_no_password_is_among_them() {
        let read = |grants: &[&str]| {
            let grants: Vec<_> = grants.iter().map(|grant| (*grant).to_owned()).collect();
            privileges(&grants, "my_shop")
        };
        let usage = "GRANT USAGE ON *.* TO `shop`@`%` IDENTIFIED BY PASSWORD '*A4B6'";
        let some = "GRANT SELECT, INSERT, CREATE VIEW ON `my\\_shop`.* TO `shop`@`%`";
        let expected = ["CREATE VIEW", "INSERT", "SELECT"].map(ToOwned::to_owned);
        assert_eq!(read(&[usage, some]), Some(expected.to_vec()));
        assert_eq!(read(&[usage]), Some(Vec::new()));
        assert_eq!(read(&["GRANT SELECT ON `other`.* TO `shop`@`%`"]), Some(Vec::new()));
        let all = "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION";
        assert_eq!(read(&[all]), Some(vec![ALL.to_owned()]));
        assert_eq!(read(&["GRANT `seller`@`%` TO `shop`@`%`"]), None);
    }
}
