//! Tests that the proxy forwards bytes and injects faults on demand.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use stockade_testkit::{CutWhen, Proxy, free_port, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers each chunk with the same bytes, and reports what one
/// connection sent it in all, when that connection has ended.
fn echo_server() -> io::Result<(SocketAddr, Receiver<Vec<u8>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let (report, reports) = mpsc::channel();
    // It waits for clients until the test's process ends.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let report = report.clone();
            thread::spawn(move || {
                let mut seen = Vec::new();
                let mut buffer = [0_u8; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..count]);
                    // The client may be gone; what it sent is still reported.
                    let _ = stream.write_all(&buffer[..count]);
                }
                let _ = report.send(seen);
            });
        }
    });
    Ok((addr, reports))
}

fn connect(proxy: &Proxy) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(proxy.addr())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(text)?;
    let mut reply = vec![0; text.len()];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

fn error_of<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|cause| cause.kind())
}

/// Whatever goes in comes out, in order, also when it is much.
#[test]
fn bytes_pass_both_ways_unchanged() -> io::Result<()> {
    let (upstream, _reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let mut stream = connect(&proxy)?;
    let sent: Vec<u8> = (0..8_000_000_u32).map(|index| (index % 251) as u8).collect();
    let mut writing = stream.try_clone()?;
    let received = thread::scope(|scope| {
        scope.spawn(|| writing.write_all(&sent).and_then(|()| writing.shutdown(Shutdown::Write)));
        let mut received = Vec::new();
        stream.read_to_end(&mut received).map(|_| received)
    })?;
    assert!(received == sent);
    wait_until("the connection is over", PATIENCE, || proxy.connections() == 0);
    Ok(())
}

/// The URL helper changes the address and nothing else.
#[test]
fn url_points_to_the_proxy() -> io::Result<()> {
    let (upstream, _reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let url = proxy.url(&format!("mysql://root@{upstream}/shop"));
    assert_eq!(url, format!("mysql://root@127.0.0.1:{}/shop", proxy.port()));
    Ok(())
}

/// A cut resets what is open, and a new connection works.
#[test]
fn a_cut_resets_live_connections_only() -> io::Result<()> {
    let (upstream, _reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let mut streams = [connect(&proxy)?, connect(&proxy)?];
    for stream in &mut streams {
        assert_eq!(ask(stream, b"before")?, b"before");
    }
    proxy.cut();
    assert_eq!(proxy.connections(), 0);
    for mut stream in streams {
        assert_eq!(error_of(stream.read(&mut [0])), Some(ErrorKind::ConnectionReset));
    }
    assert_eq!(ask(&mut connect(&proxy)?, b"after")?, b"after");
    Ok(())
}

/// A client that never reads blocks its writer, and a cut gets through to both.
#[test]
fn slow_reader_applies_backpressure_and_can_be_cut() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let proxy = Proxy::start(listener.local_addr()?);
    let _client = connect(&proxy)?;
    let (mut server, _) = listener.accept()?;
    server.set_write_timeout(Some(Duration::from_millis(500)))?;
    let mut passed = 0;
    let chunk = [0_u8; 64 * 1024];
    let blocked = loop {
        match server.write(&chunk) {
            Ok(count) => passed += count,
            Err(cause) => break cause.kind(),
        }
        // The kernel's buffers take some megabytes; the proxy takes none.
        assert!(passed < 64 << 20, "nobody holds the writer back");
    };
    assert_eq!(blocked, ErrorKind::WouldBlock);
    proxy.cut();
    wait_until("the server sees the reset", PATIENCE, || {
        server.write(&chunk).is_err_and(|cause| cause.kind() != ErrorKind::WouldBlock)
    });
    Ok(())
}

/// Refused connections are reset, live ones stay, and it can be undone.
#[test]
fn refusing_resets_new_connections_only() -> io::Result<()> {
    let (upstream, _reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let mut live = connect(&proxy)?;
    assert_eq!(ask(&mut live, b"x")?, b"x");
    proxy.refuse(true);
    // The reset may overtake the connect, the write, or the read.
    let refused = connect(&proxy).and_then(|mut stream| ask(&mut stream, b"x"));
    assert!(refused.is_err());
    assert_eq!(ask(&mut live, b"y")?, b"y");
    proxy.refuse(false);
    assert_eq!(ask(&mut connect(&proxy)?, b"z")?, b"z");
    Ok(())
}

/// A client that comes while the server is away is reset; later ones are not.
#[test]
fn unreachable_server_causes_a_reset() -> io::Result<()> {
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let proxy = Proxy::start(upstream);
    assert!(connect(&proxy).and_then(|mut stream| ask(&mut stream, b"x")).is_err());
    let listener = TcpListener::bind(upstream)?;
    let mut client = connect(&proxy)?;
    client.write_all(b"x")?;
    let mut byte = [0];
    listener.accept()?.0.read_exact(&mut byte)?;
    assert_eq!(&byte, b"x");
    Ok(())
}

/// The delay holds for each direction, and ends when it is taken away.
#[test]
fn delay_applies_to_each_chunk() -> io::Result<()> {
    let (upstream, _reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let mut stream = connect(&proxy)?;
    proxy.delay(Duration::from_millis(100));
    let started = Instant::now();
    ask(&mut stream, b"slow")?;
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    // A cut does not wait for a delay to pass.
    proxy.delay(Duration::from_secs(3600));
    stream.write_all(b"never")?;
    let started = Instant::now();
    proxy.cut();
    assert!(started.elapsed() < PATIENCE);
    proxy.delay(Duration::ZERO);
    assert_eq!(ask(&mut connect(&proxy)?, b"fast")?, b"fast");
    Ok(())
}

/// Requests arrive while their replies are discarded.
#[test]
fn swallowed_replies_never_arrive_but_requests_do() -> io::Result<()> {
    let (upstream, reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let mut stream = connect(&proxy)?;
    assert_eq!(ask(&mut stream, b"one")?, b"one");
    proxy.swallow_replies(true);
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    assert_eq!(error_of(ask(&mut stream, b"two")), Some(ErrorKind::WouldBlock));
    proxy.swallow_replies(false);
    stream.set_read_timeout(Some(PATIENCE))?;
    assert_eq!(ask(&mut stream, b"three")?, b"three");
    drop(stream);
    assert_eq!(reports.recv_timeout(PATIENCE).ok().as_deref(), Some(&b"onetwothree"[..]));
    Ok(())
}

/// The server never sees the chunk with the needle, and the client is reset.
#[test]
fn a_cut_before_forwarding_withholds_the_chunk() -> io::Result<()> {
    let (upstream, reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let mut bystander = connect(&proxy)?;
    let mut stream = connect(&proxy)?;
    proxy.cut_after_client_sends(b"COMMIT", CutWhen::BeforeForward);
    assert_eq!(ask(&mut stream, b"INSERT")?, b"INSERT");
    assert_eq!(proxy.fired(), 0);
    assert_eq!(error_of(ask(&mut stream, b"COMMIT")), Some(ErrorKind::ConnectionReset));
    wait_until("the shot has fired", PATIENCE, || proxy.fired() == 1);
    assert_eq!(reports.recv_timeout(PATIENCE).ok().as_deref(), Some(&b"INSERT"[..]));
    // One shot, one connection.
    assert_eq!(ask(&mut bystander, b"COMMIT")?, b"COMMIT");
    assert_eq!(proxy.fired(), 1);
    Ok(())
}

/// The server gets the chunk, whole, though it has not answered yet when the
/// client is reset.
#[test]
fn a_cut_after_forwarding_lets_the_server_finish() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let proxy = Proxy::start(listener.local_addr()?);
    proxy.cut_after_client_sends(b"COMMIT", CutWhen::AfterForward);
    let mut client = connect(&proxy)?;
    client.write_all(b"COMMIT")?;
    // The client knows before the server has read a byte.
    assert_eq!(error_of(client.read(&mut [0])), Some(ErrorKind::ConnectionReset));
    assert_eq!(proxy.fired(), 1);
    let (mut server, _) = listener.accept()?;
    let mut seen = [0_u8; 6];
    server.read_exact(&mut seen)?;
    assert_eq!(&seen, b"COMMIT");
    // It can answer, and then finds the orderly end.
    server.write_all(b"OK")?;
    assert_eq!(server.read(&mut seen)?, 0);
    drop(server);
    wait_until("the connection is over", PATIENCE, || proxy.connections() == 0);
    Ok(())
}

/// The client is reset only once the server has answered.
#[test]
fn a_cut_after_the_reply_waits_for_the_reply() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let proxy = Proxy::start(listener.local_addr()?);
    proxy.cut_after_client_sends(b"COMMIT", CutWhen::AfterReply);
    let mut client = connect(&proxy)?;
    client.write_all(b"COM")?;
    let (mut server, _) = listener.accept()?;
    let mut seen = [0_u8; 6];
    server.read_exact(&mut seen[..3])?;
    client.write_all(b"MIT")?;
    server.read_exact(&mut seen[3..])?;
    assert_eq!(&seen, b"COMMIT");
    client.set_read_timeout(Some(Duration::from_millis(200)))?;
    assert_eq!(error_of(client.read(&mut [0])), Some(ErrorKind::WouldBlock));
    assert_eq!(proxy.fired(), 0);
    server.write_all(b"OK")?;
    client.set_read_timeout(Some(PATIENCE))?;
    assert_eq!(error_of(client.read(&mut [0])), Some(ErrorKind::ConnectionReset));
    wait_until("the shot has fired", PATIENCE, || proxy.fired() == 1);
    Ok(())
}

/// Dropping the proxy closes its port and its connections.
#[test]
fn cut_in_reply_forwards_its_beginning() -> io::Result<()> {
    let (upstream, reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let mut stream = connect(&proxy)?;
    proxy.cut_in_reply_after(b"half");
    assert_eq!(ask(&mut stream, b"whole")?, b"whole");
    stream.write_all(b"one half, and the other")?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got)?;
    assert_eq!(got, b"one half");
    assert_eq!(proxy.fired(), 1);
    drop(stream);
    let seen = reports.recv_timeout(PATIENCE).map_err(io::Error::other)?;
    assert_eq!(seen, b"wholeone half, and the other");
    assert_eq!(ask(&mut connect(&proxy)?, b"half")?, b"half");
    Ok(())
}

#[test]
fn dropped_proxy_closes_everything() -> io::Result<()> {
    let (upstream, reports) = echo_server()?;
    let proxy = Proxy::start(upstream);
    let addr = proxy.addr();
    let mut stream = connect(&proxy)?;
    assert_eq!(ask(&mut stream, b"x")?, b"x");
    drop(proxy);
    assert_eq!(error_of(stream.read(&mut [0])), Some(ErrorKind::ConnectionReset));
    assert_eq!(error_of(TcpStream::connect(addr)), Some(ErrorKind::ConnectionRefused));
    assert_eq!(reports.recv_timeout(PATIENCE).ok().as_deref(), Some(&b"x"[..]));
    Ok(())
}
