//! The throw-away Redis server does what its documentation says.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stockade_testkit::{Certificates, Redis};

const PATIENCE: Duration = Duration::from_secs(30);

fn ping(server: &Redis, patience: Duration) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.addr())?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(b"PING\r\n")?;
    Ok(stream)
}

/// Commands answer, and an error reply is a failure of the test.
#[test]
fn command_returns_replies_and_panics_on_errors() {
    let server = Redis::start();
    assert!(server.version().contains(' '), "{}", server.version());
    assert_eq!(server.command(&["SET", "sku", "two words"]), "OK");
    assert_eq!(server.command(&["GET", "sku"]), "two words");
    assert_eq!(server.command(&["GET", "nothing"]), "");
    assert_eq!(
        server.command(&["CONFIG", "GET", "maxmemory-policy"]),
        "maxmemory-policy\nnoeviction"
    );
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}/", server.port()));
    let caught = catch_unwind(|| server.command(&["LPOP", "sku"]));
    let message = caught.err().and_then(|cause| cause.downcast::<String>().ok());
    assert!(message.is_some_and(|text| text.contains("WRONGTYPE")));
}

/// Nothing is kept over a kill, and nothing after a flush.
#[test]
fn kill_and_flush_remove_every_key() {
    let server = Redis::start();
    let (port, pid) = (server.port(), server.pid());
    server.command(&["SET", "sku", "7"]);
    server.kill();
    assert!(TcpStream::connect(server.addr()).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.command(&["DBSIZE"]), "0");
    server.command(&["SET", "sku", "7"]);
    server.flush();
    assert_eq!(server.command(&["DBSIZE"]), "0");
}

/// A paused server takes a request but answers only when resumed.
#[test]
fn a_paused_server_is_silent_until_resumed() -> io::Result<()> {
    let server = Redis::start();
    server.pause();
    let mut reply = [0_u8; 7];
    let silence = ping(&server, Duration::from_millis(300))?.read(&mut reply);
    assert_eq!(silence.map_err(|cause| cause.kind()).err(), Some(io::ErrorKind::WouldBlock));
    let mut waiting = ping(&server, PATIENCE)?;
    server.resume();
    waiting.read_exact(&mut reply)?;
    assert_eq!(&reply, b"+PONG\r\n");
    Ok(())
}

/// Servers started side by side get ports of their own.
#[test]
fn servers_do_not_share_a_port() {
    let servers: Vec<Redis> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(Redis::start)).collect();
        starting.into_iter().filter_map(|started| started.join().ok()).collect()
    });
    let mut ports: Vec<_> = servers.iter().map(|server| server.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
}

/// Tests that share the server keep apart by prefix.
#[test]
fn the_shared_server_is_started_once_and_prefixes_differ() {
    let (first, second) = (Redis::shared(), Redis::shared());
    assert_eq!(first.url(), second.url());
    assert_eq!(first.addr().port(), second.port());
    assert_ne!(first.fresh_prefix(), second.fresh_prefix());
    let key = format!("{}sku", first.fresh_prefix());
    first.command(&["SET", &key, "7"]);
    assert_eq!(second.command(&["GET", &key]), "7");
}

/// With certificates it speaks TLS on a second port, as its own client finds.
#[test]
fn a_server_with_certificates_speaks_tls() {
    let certificates = Certificates::new();
    let server = Redis::start_tls(&certificates.server(), &["--requirepass", "s3cret"]);
    let url = server.tls_url();
    let ca = certificates.ca();
    let ping = |ca: &Path| {
        let mut client = Command::new("redis-cli");
        client.args(["-u", &url, "-a", "s3cret", "--cacert"]).arg(ca).arg("PING");
        client.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(ping(&ca).is_ok_and(|reply| reply == "PONG\n"));
    assert!(ping(&certificates.foreign_ca()).is_ok_and(|reply| !reply.contains("PONG")));
}
