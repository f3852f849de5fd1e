//! The throw-away MariaDB and MySQL servers do what their documentation says.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use stockade_testkit::{Certificates, Flavour, HaProxy, MariaDb, MySql, SqlServer, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);
const WITH_SETTINGS: [&str; 2] = ["--innodb-buffer-pool-size=32M", "--innodb-lock-wait-timeout=3"];

fn connect(server: &SqlServer, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server.addr())?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// All that one server can show, since MySQL takes seconds to start.
fn answers_queries_with_our_settings(server: &SqlServer) {
    assert_eq!(server.query("SELECT 1, 'zwei', NULL; SELECT 3"), "1\tzwei\tNULL\n3");
    assert_eq!(server.query("SELECT 'gr\u{fc}n'"), "gr\u{fc}n");
    let complaint = server.try_query("SELECT * FROM mysql.nothing").err();
    assert!(complaint.is_some_and(|text| text.contains("ERROR 1146")));

    // A flag of the caller wins.
    let settings = server.query(
        "SELECT @@innodb_buffer_pool_size, @@innodb_flush_log_at_trx_commit, @@max_connections, \
         @@skip_name_resolve, @@innodb_lock_wait_timeout, @@port",
    );
    assert_eq!(settings, format!("33554432\t1\t300\t1\t3\t{}", server.port()));

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
fn a_committed_row_survives_kill_and_restart(server: &SqlServer) {
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
    server.restart_with(&["--max-connections=17"]);
    assert_eq!(server.query("SELECT sku, @@max_connections FROM shop.stock"), "7\t17");
}

/// A paused server accepts a connection (the kernel does) but says nothing
/// until it is resumed.
fn a_paused_server_is_silent_until_resumed(server: &SqlServer) -> io::Result<()> {
    server.pause();
    let mut greeting = [0_u8; 5];
    let silence = connect(server, Duration::from_millis(300))?.read(&mut greeting);
    assert_eq!(silence.map_err(|cause| cause.kind()).err(), Some(io::ErrorKind::WouldBlock));
    let mut waiting = connect(server, PATIENCE)?;
    server.resume();
    waiting.read_exact(&mut greeting)?;
    assert_eq!(server.query("SELECT 1"), "1");
    // A paused server can be killed.
    server.pause();
    server.kill();
    Ok(())
}

fn all(server: &SqlServer) -> io::Result<()> {
    answers_queries_with_our_settings(server);
    a_committed_row_survives_kill_and_restart(server);
    a_paused_server_is_silent_until_resumed(server)
}

#[test]
fn mariadb_answers_survives_and_pauses() -> io::Result<()> {
    let server = MariaDb::start_with(&WITH_SETTINGS);
    assert_eq!(server.flavour(), Flavour::MariaDb);
    assert!(server.version().starts_with("MariaDB 1"), "{}", server.version());
    all(&server)
}

#[test]
fn mysql_answers_survives_and_pauses() -> io::Result<()> {
    let server = MySql::start_with(&WITH_SETTINGS);
    assert_eq!(server.flavour(), Flavour::MySql);
    assert!(!server.query("SELECT VERSION()").contains("MariaDB"));
    // As a shop has it.
    assert_eq!(server.query("SELECT @@log_bin, @@sync_binlog"), "1\t1");
    all(&server)
}

/// The shared server is one server with a database per test.
#[test]
fn the_shared_server_is_started_once() {
    for shared in [MariaDb::shared, MySql::shared] {
        let (first, second) = (shared(), shared());
        assert_eq!(first.port(), second.port());
        assert_ne!(first.fresh_database(), second.fresh_database());
        assert_eq!(first.query("SELECT 1"), "1");
        assert_eq!(first.url("shop"), format!("mysql://root@{}/shop", second.addr()));
        assert!(first.try_query("SELECT").is_err());
    }
    assert_ne!(MariaDb::shared().port(), MySql::shared().port());
}

/// A server speaks TLS when it is asked to, and only then.
#[test]
fn a_server_with_certificates_speaks_tls() {
    const CIPHER: &str = "SHOW SESSION STATUS LIKE 'Ssl_version'";
    let certificates = Certificates::new();
    let demand = ["--require-secure-transport=ON"];
    for start in [MariaDb::start_tls, MySql::start_tls] {
        let server = start(&certificates.server(), &demand);
        assert!(server.query(CIPHER).contains("TLSv1."), "{}", server.query(CIPHER));
        assert_eq!(server.query("SELECT @@require_secure_transport"), "1");
    }
    assert_eq!(MariaDb::shared().query(CIPHER), "Ssl_version\t");
    assert_eq!(MySql::shared().query(CIPHER), "Ssl_version\t");
    for path in [certificates.ca(), certificates.foreign_ca(), certificates.client().key] {
        assert!(path.exists());
    }
}

/// HAProxy forwards, and ends a connection that is idle.
#[test]
fn haproxy_ends_idle_connections() -> io::Result<()> {
    let server = MariaDb::shared();
    let proxy = HaProxy::start(server.addr(), Duration::from_millis(300));
    let mut idle = TcpStream::connect(proxy.addr())?;
    idle.set_read_timeout(Some(PATIENCE))?;
    let mut all = Vec::new();
    // The server's greeting, then the end.
    idle.read_to_end(&mut all)?;
    assert_eq!(all.get(4), Some(&10));
    proxy.kill();
    wait_until("it is gone", PATIENCE, || TcpStream::connect(proxy.addr()).is_err());
    proxy.restart();
    assert!(TcpStream::connect(proxy.addr()).is_ok());
    Ok(())
}
