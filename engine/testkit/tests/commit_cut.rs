//! Tests the outcome of a real transaction when the proxy cuts at its COMMIT.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use stockade_testkit::{CutWhen, MariaDb, Proxy, SqlServer, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

struct Shop {
    server: SqlServer,
    proxy: Proxy,
}

impl Shop {
    fn start() -> Shop {
        let server = MariaDb::start();
        server.create_database("shop");
        server.query("CREATE TABLE shop.holds (id INT PRIMARY KEY) ENGINE=InnoDB");
        let proxy = Proxy::start(server.addr());
        Shop { server, proxy }
    }

    /// Inserts one row in a transaction, through the proxy.
    fn hold(&self) -> io::Result<Output> {
        let mut client = Command::new("mariadb")
            .args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root"])
            .args(["--skip-reconnect", "--batch", &format!("--port={}", self.proxy.port()), "shop"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut pipe) = client.stdin.take() {
            pipe.write_all(b"START TRANSACTION;\nINSERT INTO holds VALUES (1);\nCOMMIT;\n")?;
        }
        client.wait_with_output()
    }

    fn holds(&self) -> String {
        self.server.query("SELECT COUNT(*) FROM shop.holds")
    }

    fn open_transactions(&self) -> String {
        self.server.query("SELECT COUNT(*) FROM information_schema.innodb_trx")
    }
}

fn lost_connection(output: &Output) -> bool {
    !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("ERROR 2013")
}

/// Without a cut, the transaction goes through the proxy.
#[test]
fn a_transaction_passes_through_the_proxy() -> io::Result<()> {
    let shop = Shop::start();
    assert!(shop.hold()?.status.success());
    assert_eq!(shop.holds(), "1");
    assert_eq!(shop.proxy.fired(), 0);
    Ok(())
}

/// The COMMIT never arrives, so the server rolls back.
#[test]
fn a_commit_cut_before_forwarding_is_rolled_back() -> io::Result<()> {
    let shop = Shop::start();
    shop.proxy.cut_after_client_sends(b"COMMIT", CutWhen::BeforeForward);
    let output = shop.hold()?;
    assert!(lost_connection(&output), "{output:?}");
    assert_eq!(shop.proxy.fired(), 1);
    wait_until("the transaction has ended", PATIENCE, || shop.open_transactions() == "0");
    assert_eq!(shop.holds(), "0");
    Ok(())
}

/// The COMMIT arrives and takes effect, though the client got no response.
#[test]
fn a_commit_cut_after_forwarding_takes_effect() -> io::Result<()> {
    let shop = Shop::start();
    shop.proxy.cut_after_client_sends(b"COMMIT", CutWhen::AfterForward);
    let output = shop.hold()?;
    assert!(lost_connection(&output), "{output:?}");
    assert_eq!(shop.proxy.fired(), 1);
    wait_until("the hold is there", PATIENCE, || shop.holds() == "1");
    Ok(())
}

/// The COMMIT has taken effect by the time the client loses its connection.
#[test]
fn a_commit_cut_after_the_reply_has_taken_effect_already() -> io::Result<()> {
    let shop = Shop::start();
    shop.proxy.cut_after_client_sends(b"COMMIT", CutWhen::AfterReply);
    let output = shop.hold()?;
    assert_eq!(shop.holds(), "1");
    assert!(lost_connection(&output), "{output:?}");
    assert_eq!(shop.proxy.fired(), 1);
    Ok(())
}

/// The client's last statement runs into a server that dies under it, and the
/// proxy serves the restarted server to the next client.
#[test]
fn the_proxy_outlives_the_server() -> io::Result<()> {
    let shop = Shop::start();
    shop.server.kill();
    assert!(!shop.hold()?.status.success());
    shop.server.restart();
    assert!(shop.hold()?.status.success());
    assert_eq!(shop.holds(), "1");
    Ok(())
}
