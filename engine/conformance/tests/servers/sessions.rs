//! What operators set for all sessions: each setting works or is refused at the
//! start with words.

use std::fmt::Write as _;

use crate::server::{Make, Server};
use crate::work::{open, works};

/// A setting, the makes that know it, and the word that a refusal names, if it
/// is refused.
type Case = (&'static str, &'static [Make], Option<&'static str>);

const BOTH: &[Make] = &[Make::MariaDb, Make::MySql];
const MARIADB: &[Make] = &[Make::MariaDb];
const MYSQL: &[Make] = &[Make::MySql];

const CASES: &[Case] = &[
    ("sql_mode = 'ANSI_QUOTES'", BOTH, None),
    ("sql_mode = 'ANSI'", BOTH, None),
    ("sql_mode = 'NO_BACKSLASH_ESCAPES'", BOTH, None),
    ("sql_mode = 'PIPES_AS_CONCAT,REAL_AS_FLOAT'", BOTH, None),
    ("sql_mode = ''", BOTH, None),
    ("sql_mode = 'TRADITIONAL'", BOTH, None),
    ("sql_mode = 'ORACLE'", MARIADB, None),
    ("sql_mode = 'MSSQL'", MARIADB, None),
    ("autocommit = 0", BOTH, None),
    ("completion_type = 1", BOTH, None),
    ("completion_type = 2", BOTH, None),
    ("tx_isolation = 'SERIALIZABLE'", MARIADB, None),
    ("tx_isolation = 'READ-UNCOMMITTED'", MARIADB, None),
    ("transaction_isolation = 'SERIALIZABLE'", MYSQL, None),
    ("transaction_isolation = 'READ-UNCOMMITTED'", MYSQL, None),
    ("tx_read_only = 1", MARIADB, None),
    ("transaction_read_only = 1", MYSQL, None),
    ("binlog_format = 'STATEMENT'", BOTH, Some("binlog_format")),
    ("binlog_format = 'MIXED'", BOTH, None),
    ("sql_require_primary_key = 1", MYSQL, None),
    ("sql_generate_invisible_primary_key = 1", MYSQL, None),
    ("max_allowed_packet = 1048576", BOTH, None),
    ("max_allowed_packet = 262144", BOTH, None),
    ("max_allowed_packet = 65536", BOTH, Some("max_allowed_packet")),
    ("wait_timeout = 2", BOTH, None),
    ("time_zone = '+05:30'", BOTH, None),
    ("sql_safe_updates = 1", BOTH, None),
    ("sql_select_limit = 1", BOTH, None),
    ("sql_big_selects = 0", BOTH, None),
    ("max_join_size = 1", BOTH, None),
    ("sql_auto_is_null = 1", BOTH, None),
    ("foreign_key_checks = 0", BOTH, None),
    ("unique_checks = 0", BOTH, None),
    ("check_constraint_checks = 0", MARIADB, None),
    ("innodb_snapshot_isolation = 1", MARIADB, None),
    ("max_statement_time = 5", MARIADB, None),
    ("max_execution_time = 5000", MYSQL, None),
    ("lock_wait_timeout = 1", BOTH, None),
    ("innodb_lock_wait_timeout = 1", BOTH, None),
    ("init_connect = 'SET autocommit = 0, sql_mode = \"ANSI_QUOTES\"'", BOTH, None),
    ("init_connect = 'SELECT * FROM nowhere.nothing'", BOTH, Some("init_connect")),
    ("read_only = 1", BOTH, Some("read-only")),
    ("super_read_only = 1", MYSQL, Some("read-only")),
    ("character_set_server = 'latin1'", BOTH, None),
    ("character_set_connection = 'latin1'", BOTH, None),
    ("default_storage_engine = 'MEMORY'", BOTH, None),
    ("group_concat_max_len = 4", BOTH, None),
    ("div_precision_increment = 0", BOTH, None),
    ("session_track_system_variables = '*'", BOTH, None),
    ("session_track_transaction_info = 'CHARACTERISTICS'", BOTH, None),
    ("query_cache_type = 1", MARIADB, None),
    ("old_mode = 'NO_PROGRESS_INFO'", MARIADB, None),
];

/// Tries every second setting, from the first or the second on: a store is made
/// for each, which takes its time where the binary log is synced.
fn odd_settings(make: Make, first: usize) {
    // A zone with daylight saving; a lock wait that takes the transaction with it.
    let flags = ["--log-bin", "--server-id=1", "--innodb-rollback-on-timeout"];
    let server = Server::start(make, &flags);
    let mut table = format!("{make:?} {}\n", server.query("SELECT VERSION()").trim());
    let mut wrong = Vec::new();
    for (setting, makes, refused) in CASES.iter().skip(first).step_by(2) {
        if !makes.contains(&make) {
            continue;
        }
        let (name, _) = setting.split_once(" = ").expect("a setting");
        let database = server.database();
        if let Err(why) = server.try_query(&format!("SET GLOBAL {setting}")) {
            let _ = writeln!(table, "{setting:60} the server does not know it: {}", why.trim());
            continue;
        }
        let done = open(&server.url(&database, "")).and_then(|engine| works(&engine));
        let said = match &done {
            Ok(()) => "works".to_owned(),
            Err(error) => error.to_string(),
        };
        let _ = writeln!(table, "{setting:60} {said}");
        let is_right = match (&done, refused) {
            (Ok(()), None) => true,
            (Err(error), Some(word)) => {
                error.code() == "unavailable" && error.to_string().contains(word)
            }
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{setting}: {said}"));
        }
        // One of them brings the other with it.
        for name in [name, "read_only"] {
            server.query(&format!("SET GLOBAL {name} = DEFAULT"));
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn odd_settings_of_mariadb_work_or_are_refused_with_words() {
    stockade_testkit::skip_without!(MariaDb);
    odd_settings(Make::MariaDb, 0);
}

#[test]
fn further_odd_settings_of_mariadb_work_or_are_refused_with_words() {
    stockade_testkit::skip_without!(MariaDb);
    odd_settings(Make::MariaDb, 1);
}

#[test]
fn odd_settings_of_mysql_work_or_are_refused_with_words() {
    stockade_testkit::skip_without!(MySql);
    odd_settings(Make::MySql, 0);
}

#[test]
fn further_odd_settings_of_mysql_work_or_are_refused_with_words() {
    stockade_testkit::skip_without!(MySql);
    odd_settings(Make::MySql, 1);
}
