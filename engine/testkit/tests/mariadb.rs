//! The throw-away MariaDB server does what its documentation says.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use stockade_testkit::MariaDb;

const PATIENCE: Duration = Duration::from_secs(30);

fn connect(server: &MariaDb, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server.addr())?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// A query answers with its rows, and a wrong one with the server's complaint.
#[test]
fn it_answers_queries_and_reports_errors() {
    let server = MariaDb::start();
    assert_eq!(server.query("SELECT 1, 'zwei', NULL; SELECT 3"), "1\tzwei\tNULL\n3");
    assert_eq!(server.query("SELECT 'gr\u{fc}n'"), "gr\u{fc}n");
    let complaint = server.try_query("SELECT * FROM nowhere.nothing").err();
    assert!(complaint.is_some_and(|text| text.contains("ERROR 1146")));
}

/// The settings that the tests rely on are the ones the server runs with.
#[test]
fn it_runs_with_our_settings_and_a_flag_of_the_caller_wins() {
    let server =
        MariaDb::start_with(&["--innodb-buffer-pool-size=32M", "--innodb-lock-wait-timeout=3"]);
    let settings = server.query(
        "SELECT @@innodb_buffer_pool_size, @@innodb_flush_log_at_trx_commit, @@max_connections, \
         @@skip_name_resolve, @@innodb_lock_wait_timeout, @@port",
    );
    assert_eq!(settings, format!("33554432\t1\t300\t1\t3\t{}", server.port()));
}

/// Databases are separate, in utf8mb4, and reachable under the URL.
#[test]
fn fresh_databases_are_empty_and_have_names_of_their_own() {
    let server = MariaDb::start();
    let (first, second) = (server.fresh_database(), server.fresh_database());
    assert_ne!(first, second);
    let prefix = server.url("");
    for url in [first, second] {
        let name = url.strip_prefix(&prefix).unwrap_or_default();
        let found = format!(
            "SELECT default_character_set_name FROM information_schema.schemata \
             WHERE schema_name = '{name}'"
        );
        assert_eq!(server.query(&found), "utf8mb4");
    }
    server.create_database("shop");
    assert!(server.try_query("CREATE DATABASE shop").is_err());
    assert_eq!(server.url("shop"), format!("mysql://root@127.0.0.1:{}/shop", server.port()));
}

/// What was committed is there after SIGKILL and a restart on the same port.
#[test]
fn a_committed_row_survives_kill_and_restart() {
    let server = MariaDb::start();
    server.create_database("shop");
    server.query("CREATE TABLE shop.stock (sku INT PRIMARY KEY) ENGINE=InnoDB");
    server.query("INSERT INTO shop.stock VALUES (7)");
    let (port, pid) = (server.port(), server.pid());

    server.kill();
    server.kill();
    assert!(server.try_query("SELECT 1").is_err());
    server.restart();

    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.query("SELECT sku FROM shop.stock"), "7");
    // A restart without a kill before it works too.
    server.restart();
    assert_eq!(server.query("SELECT sku FROM shop.stock"), "7");
}

/// A paused server accepts a connection (the kernel does) but says nothing
/// until it is resumed.
#[test]
fn a_paused_server_is_silent_until_resumed() -> io::Result<()> {
    let server = MariaDb::start();
    server.pause();
    let mut greeting = [0_u8; 5];
    let silence = connect(&server, Duration::from_millis(300))?.read(&mut greeting);
    assert_eq!(silence.map_err(|cause| cause.kind()).err(), Some(io::ErrorKind::WouldBlock));
    let mut waiting = connect(&server, PATIENCE)?;
    server.resume();
    waiting.read_exact(&mut greeting)?;
    assert_eq!(server.query("SELECT 1"), "1");
    // And a server that stands still can be killed.
    server.pause();
    server.kill();
    Ok(())
}

/// The shared server is one server with a database per test.
#[test]
fn the_shared_server_is_started_once() {
    let (first, second) = (MariaDb::shared(), MariaDb::shared());
    assert_eq!(first.port(), second.port());
    assert_ne!(first.fresh_database(), second.fresh_database());
    assert_eq!(first.query("SELECT 1"), "1");
    assert_eq!(first.url("shop"), format!("mysql://root@{}/shop", second.addr()));
    assert!(first.try_query("SELECT").is_err());
}
