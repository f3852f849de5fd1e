//! The Unix sockets, and the engines that connect through them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use stockade::{Engine, HoldRequest, NewProduct, OrderRequest, Outcome, PaymentEvent, ProductId};
use stockade_testkit::wait_until;
use tempfile::TempDir;

use crate::frames::{fields, frame};
use crate::on_every_backend;
use crate::server::{Backend, SOON, Server, program, write};

on_every_backend! {
    a_restarted_server_neither_loses_nor_repeats_a_call
}

/// Starts a server that also listens on this socket.
fn on(backend: Backend, path: &Path) -> Server {
    Server::start(backend, &[&format!("--unix={}", path.display())])
}

fn url(path: &Path) -> String {
    format!("unix://{}", path.display())
}

fn socket_in(folder: &TempDir) -> PathBuf {
    folder.path().join("stockade.sock")
}

/// Sends bytes to the socket and returns everything received.
fn exchange(path: &Path, bytes: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Sends a GET over HTTP/1, as a proxy or a probe does.
fn get(path: &Path, target: &str) -> String {
    exchange(path, &format!("GET {target} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n"))
}

#[test]
fn engines_socket_serves_engine_calls_and_probes_only() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let mut server = on(Backend::Sqlite, &path);
    for target in ["/api/products/1", "/api/admin/audit", "/openapi.json"] {
        let answer = get(&path, target);
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("unix_http"), "{answer}");
    }
    for target in ["/healthz", "/readyz", "/metrics"] {
        let answer = get(&path, target);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let engine = Engine::open(&url(&path)).unwrap();
    let hold = engine.create_hold(HoldRequest::new(1, 2)).unwrap().value;
    let order = engine.create_order(OrderRequest::new(hold.id, 1)).unwrap().value;
    engine.record_payment(PaymentEvent::for_order(order.id, Outcome::Success)).unwrap();
    assert_eq!(engine.product(ProductId(1)).unwrap().sold, 2);
    let short = engine.create_hold(HoldRequest::new(1, 9)).unwrap_err();
    assert_eq!((short.code(), short.available()), ("insufficient_stock", Some(2)));
    assert!(engine.audit().unwrap().consistent);
    server.expect_units([2, 0, 0, 2]);
    let metrics = server.get("/metrics").body;
    let route = r#"route="/engine/v1",status="200"#;
    assert!(metrics.contains(route), "{metrics}");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    assert!(!path.exists(), "it is removed on the way down");
}

#[test]
fn the_proxys_file_has_the_http_api_and_no_engine() {
    let folder = TempDir::new().unwrap();
    let (path, engines) = (folder.path().join("http.sock"), socket_in(&folder));
    let flags = [
        format!("--store=sqlite:{}", folder.path().join("shop.db").display()),
        format!("--unix-http={}", path.display()),
        format!("--unix={}", engines.display()),
        "--api-key=sesame".to_owned(),
        "--webhook-secret=hush".to_owned(),
    ];
    let mut server = Server::with_flags(TempDir::new().unwrap(), &flags);
    Engine::open(&url(&engines)).unwrap().create_product(lamp()).unwrap();
    let forwarded = "GET /api/products/1 HTTP/1.1\r\nhost: shop.example\r\n\
                     x-forwarded-for: 10.0.0.1\r\nconnection: close\r\n\r\n";
    let answer = exchange(&path, forwarded);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"stock\":1"), "{answer}");
    assert!(get(&path, "/api/admin/audit").starts_with("HTTP/1.1 401 "));
    for key in ["", "authorization: Bearer sesame\r\n"] {
        let call = format!(
            "POST {CALLS} HTTP/1.1\r\nhost: x\r\n{key}connection: close\r\n\
             content-length: {}\r\n\r\n{PING}",
            PING.len()
        );
        let answer = exchange(&path, &call);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    let refused = Engine::open(&url(&path)).unwrap_err();
    assert!(refused.message().contains("404"), "{refused}");
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
    assert!(!path.exists() && !engines.exists(), "they are removed on the way down");
}

fn lamp() -> NewProduct {
    NewProduct::new("Lamp", "1".parse().unwrap(), 1)
}

/// Makes one call over HTTP/2 through the engines' socket, with this header;
/// returns what was received, including the bodies.
fn call(path: &Path, header: &[(&str, &str)]) -> String {
    let body = PING.as_bytes();
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(4, 0, 0, b""));
    sent.extend(frame(1, 4, 1, &fields("POST", CALLS, header)));
    sent.extend(frame(0, 1, 1, body));
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(&sent).unwrap();
    let (mut came, mut piece) = (String::new(), [0; 4_096]);
    while !came.contains("null}}") && !came.contains("\"}") {
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "closed after {came}");
        came.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    came
}

#[test]
fn a_call_that_a_proxy_forwarded_is_refused_by_the_engines_file() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let flags = [
        format!("--store=sqlite:{}", folder.path().join("shop.db").display()),
        format!("--unix={}", path.display()),
        "--api-key=sesame".to_owned(),
        "--webhook-secret=hush".to_owned(),
    ];
    let _server = Server::with_flags(TempDir::new().unwrap(), &flags);
    assert!(call(&path, &[]).contains(PONG));
    for name in ["x-forwarded-for", "x-forwarded-host", "forwarded", "via", "x-real-ip"] {
        let came = call(&path, &[(name, "10.0.0.1")]);
        assert!(came.contains(r#""code":"forbidden""#) && came.contains(name), "{came}");
        assert!(!came.contains("Ok"), "{came}");
    }
}

#[test]
fn a_socket_can_be_the_only_listener() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let mut command = program();
    command.current_dir(folder.path()).args(["--listen=", "--unix=stockade.sock", "--no-seed"]);
    let mut server = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    wait_until("it listens", SOON, || UnixStream::connect(&path).is_ok());
    // Clients that connect while the store is opened wait.
    Engine::open(&url(&path)).unwrap().ping().unwrap();
    server.kill().unwrap();
    let said = std::io::read_to_string(server.stdout.take().unwrap()).unwrap();
    server.wait().unwrap();
    assert_eq!(said, format!("listening on {}\n", url(&path)));
}

#[test]
fn only_its_owner_may_open_it_unless_told_otherwise() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let mode = |flags: &[&str]| {
        let unix = format!("--unix={}", path.display());
        let flags: Vec<_> = std::iter::once(unix.as_str()).chain(flags.iter().copied()).collect();
        let _server = Server::sqlite(&flags);
        let known = fs::metadata(&path).unwrap();
        assert!(known.file_type().is_socket());
        known.permissions().mode() & 0o777
    };
    assert_eq!(mode(&[]), 0o600);
    // The previous server was killed.
    assert!(path.exists());
    assert_eq!(mode(&["--unix-mode=660"]), 0o660);
    let group = fs::metadata(folder.path()).unwrap().gid();
    assert_eq!(mode(&[&format!("--unix-group={group}")]), 0o660);
    assert_eq!(fs::metadata(folder.path()).unwrap().gid(), group);
    let output = program()
        .current_dir(folder.path())
        .args(["--listen=", "--unix=s.sock", "--unix-group=no-such-group"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("no-such-group"), "{said}");
}

#[test]
fn its_lock_is_its_owners_alone() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let lock = folder.path().join("stockade.sock.lock");
    // A lock file of an older server, which every user could lock.
    write(folder.path(), "stockade.sock.lock", "");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o666)).unwrap();
    drop(on(Backend::Sqlite, &path));
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&lock).unwrap();
    drop(on(Backend::Sqlite, &path));
    assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);

    let refused = || {
        let (code, said) = second(&path);
        assert!(code == Some(2) && said.contains("stockade.sock.lock"), "{code:?}: {said}");
        said
    };
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&lock, Some(65_534), None).unwrap();
        assert!(refused().contains("belongs to the user 65534"));
    }
    fs::remove_file(&lock).unwrap();
    let target = write(folder.path(), "target", "");
    std::os::unix::fs::symlink(&target, &lock).unwrap();
    refused();
    fs::remove_file(&lock).unwrap();
    // Opening it would wait for a reader forever.
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    refused();
}

#[test]
fn permission_errors_suggest_the_group_setting() {
    if !rustix::process::geteuid().is_root() {
        println!("not run: only root can become another user");
        return;
    }
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("stockade");
    fs::copy(env!("CARGO_BIN_EXE_stockade"), &program).unwrap();
    let path = socket_in(&folder);
    let audit = || {
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["audit", "--remote-reconnect=0", &format!("--store={}", url(&path))])
            .env_clear()
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let server = on(Backend::Sqlite, &path);
    let (code, said) = audit();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("permission denied") && said.contains("--unix-group"), "{said}");
    drop(server);
    let flags = [&*format!("--unix={}", path.display()), "--unix-group=65534"];
    let _server = Server::sqlite(&flags);
    assert_eq!(audit(), (Some(0), String::new()));
}

/// Starts a second server on a path; returns its exit code and output.
fn second(path: &Path) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let output = program()
        .current_dir(folder.path())
        .args(["--listen=127.0.0.1:0", "--unix"])
        .arg(path)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn live_sockets_are_rejected_and_stale_ones_replaced() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let mut server = on(Backend::Sqlite, &path);
    let (code, said) = second(&path);
    assert!(code == Some(2) && said.contains("listens on") && said.contains("already"), "{said}");
    Engine::open(&url(&path)).unwrap();
    server.signal("KILL");
    server.ended();
    assert!(path.exists() && UnixStream::connect(&path).is_err());
    let _server = on(Backend::Sqlite, &path);
    Engine::open(&url(&path)).unwrap();
}

#[test]
fn foreign_files_are_not_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes");
    write(folder.path(), "notes", "buy milk");
    let (code, said) = second(&path);
    assert!(code == Some(2) && said.contains("is not a socket"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "buy milk");
    let path = folder.path().join("other.sock");
    let _other = UnixListener::bind(&path).unwrap();
    let (code, said) = second(&path);
    assert!(code == Some(2) && said.contains("another program"), "{said}");
    assert!(UnixStream::connect(&path).is_ok());
    for (flag, says) in [
        ("--unix=/no/such/folder/s.sock", "/no/such/folder"),
        ("--unix-mode=rw", "unix_mode"),
        ("--listen=", "all empty"),
        ("--store=unix:///run/stockade.sock", "a server needs a database"),
    ] {
        let output = program().current_dir(folder.path()).arg(flag).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(says), "{flag}: {said}");
    }
}

const CALLS: &str = "/engine/v1";
const PING: &str = r#"{"request":{"ping":{}}}"#;
const PONG: &str = r#"{"Ok":{"ping":null}}"#;

#[test]
fn engines_are_let_in_by_the_file_or_with_the_key_and_by_no_web_server() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let server = on(Backend::Sqlite, &path);
    // The requests that a reverse proxy in front of the socket would forward.
    let passed_on = format!(
        "POST {CALLS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{PING}",
        PING.len()
    );
    let answer = exchange(&path, &passed_on);
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    server.post_json(CALLS, PING).expect_problem(401, "unauthorized");
    let at_address = |key: &str| Engine::open(&format!("http://{key}{}", server.address));
    assert_eq!(at_address(":guess@").unwrap_err().code(), "unauthorized");
    drop(server);

    let server =
        Server::with_flags(TempDir::new().unwrap(), &["--api-key=sesame,other".to_owned()]);
    let at_address = |key: &str| Engine::open(&format!("http://{key}{}", server.address));
    at_address(":sesame@").unwrap().ping().unwrap();
    // Byte by byte: no space is trimmed from a key.
    for key in [":guess@", ":sesame%20@", ":%20sesame@", ":sesame%09@"] {
        assert_eq!(at_address(key).unwrap_err().code(), "unauthorized", "{key}");
    }
    assert_eq!(at_address("").unwrap_err().code(), "unauthorized");
    let key = [("authorization", "Bearer sesame")];
    server.send("POST", CALLS, &key, PING).expect(200, PONG);
    let unknown = server.send("POST", CALLS, &key, r#"{"request":{"haggle":{}}}"#);
    assert!(unknown.body.contains(r#"{"Err":{"code":"invalid_argument""#), "{}", unknown.body);
    server.send("GET", CALLS, &key, "").expect_problem(405, "method_not_allowed");
    // A call may be longer than a public body, and has a bound, too.
    let long = format!(r#"{{"request":{{"ping":{{}}}},"more":"{}"}}"#, "x".repeat(200_000));
    server.send("POST", CALLS, &key, &long).expect(200, PONG);
    let longer = " ".repeat((1 << 20) + 1);
    server.send("POST", CALLS, &key, &longer).expect_problem(413, "payload_too_large");
    server.post_json(CALLS, &long).expect_problem(413, "payload_too_large");
}

#[test]
fn the_command_line_works_on_a_running_engine() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let server = on(Backend::Sqlite, &path);
    server.hold(1);
    let run = |command: &str| {
        let store = format!("--store={}", url(&path));
        program().current_dir(folder.path()).args([command, "--json", &store]).output().unwrap()
    };
    let audit = run("audit");
    assert!(audit.status.success());
    assert!(audit.stdout.starts_with(br#"{"consistent":true,"products":1"#));
    assert_eq!(run("sweep").stdout, b"{\"holds_expired\":0,\"orders_cancelled\":0}\n");
}

#[test]
fn oversized_engine_calls_are_rejected() {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let _server = on(Backend::Sqlite, &path);
    let engine = Engine::open(&url(&path)).unwrap();
    let price = "1".parse().unwrap();
    for length in [256, 100_000, 2_000_000] {
        let new = NewProduct::new("x".repeat(length), price, 1);
        assert_eq!(engine.create_product(&new).unwrap_err().code(), "invalid_argument");
    }
    engine.ping().unwrap();
}

/// Once by SIGKILL and once gracefully, while callers without keys continue.
fn a_restarted_server_neither_loses_nor_repeats_a_call(backend: Backend) {
    let folder = TempDir::new().unwrap();
    let path = socket_in(&folder);
    let mut flags = backend.flags(folder.path());
    flags.push(format!("--unix={}", path.display()));
    let start = || Server::with_flags(TempDir::new().unwrap(), &flags);
    let mut server = start();
    let builder = Engine::builder().store(&url(&path)).set("remote_reconnect", "30s").unwrap();
    let engine = builder.set("remote_timeout", "60s").unwrap().open().unwrap();
    let new = NewProduct::new("Ticket", "1".parse().unwrap(), 1_000_000);
    let id = engine.create_product(&new).unwrap().value.id;
    let stop = AtomicBool::new(false);
    let held: Vec<u64> = thread::scope(|scope| {
        let caller = || {
            let mut held = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                held.push(engine.create_hold(HoldRequest::new(id, 1)).unwrap().value.id.0);
            }
            held
        };
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(caller)).collect();
        let held_so_far = || engine.products(None, 1_000).unwrap().items.last().unwrap().held;
        for signal in ["KILL", "TERM", "KILL"] {
            let before = held_so_far();
            wait_until("callers are served", SOON, || held_so_far() >= before + 50);
            server.signal(signal);
            server.ended();
            server = start();
        }
        let before = held_so_far();
        wait_until("callers are served again", SOON, || held_so_far() >= before + 50);
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let product = engine.product(id).unwrap();
    assert_eq!((product.held, product.stock + product.held), (held.len() as u64, 1_000_000));
    let mut ids = held.clone();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), held.len(), "two callers had one hold");
    assert!(engine.audit().unwrap().consistent);
}
