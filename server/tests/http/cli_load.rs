//! `stockade load` against real servers, right ones and wrong ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;
use stockade_testkit::{free_port, wait_until};
use tempfile::TempDir;

use crate::cli::run;
use crate::on_every_backend;
use crate::server::{Backend, SOON, Server, program};

on_every_backend! { a_sale_is_clean_and_sells_out }

/// Plays a sale and returns its exit code, its report and what it said.
fn load(folder: &Path, url: &str, arguments: &[&str]) -> (i32, Value, String) {
    let flags = ["load", "--json", "--seed=7", "--rate=300", "--url", url];
    let (code, printed, said) = run(folder, &[], &[&flags, arguments].concat());
    (code, serde_json::from_str(&printed).unwrap_or_default(), said)
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// The findings of a report, in one text.
fn findings(report: &Value) -> String {
    report["findings"].to_string() + &report["errors"].to_string()
}

fn a_sale_is_clean_and_sells_out(backend: Backend) {
    let server = Server::start(backend, &[]);
    let chart = server.folder().join("sale.svg");
    let svg = format!("--svg={}", chart.display());
    let (code, report, said) = load(server.folder(), &url(&server), &["--buyers=400", &svg]);
    assert_eq!(code, 0, "{said} {report}");
    // Nothing is drawn where no terminal is.
    assert_eq!(said, "");
    assert_eq!((&report["clean"], &report["audit"]["consistent"]), (&true.into(), &true.into()));
    let sum = |field: &str| {
        let steps = ["hold", "cart"].iter().map(|step| report["requests"][step][field].as_u64());
        steps.map(Option::unwrap).sum::<u64>()
    };
    assert_eq!(sum("done") + sum("sold_out"), 400, "{report}");
    assert!(sum("sold_out") > 20 && sum("done") > 100, "{report}");
    for step in ["release", "order", "payment"] {
        assert!(report["requests"][step]["done"].as_u64() > Some(0), "{step}: {report}");
    }
    let products = report["products"].as_array().unwrap();
    assert_eq!(products.len(), 3);
    for product in products {
        let number = |when: &str, field: &str| product[when][field].as_u64().unwrap();
        assert!(number("after", "sold") <= number("before", "in_stock"), "{product}");
        assert_eq!((number("after", "held"), number("after", "pending")), (0, 0), "{product}");
    }
    let drawn = std::fs::read_to_string(chart).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("clean"), "{drawn}");
    server.expect_health();
}

#[test]
fn the_text_has_counts_a_histogram_and_the_verdict() {
    let server = Server::sqlite(&[]);
    let url = url(&server);
    let arguments = ["load", "--buyers=50", "--rate=200", "--arrivals=fixed", "--url", &url];
    let (code, text, said) = run(server.folder(), &[], &arguments);
    assert_eq!(code, 0, "{said} {text}");
    for part in ["50 buyers", "sold out", "p99", " ms ", "###", "audit: clean", "accounted for"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_sale_uses_the_servers_secrets_and_says_which_it_lacks() {
    let secrets = ["--api-key=sesame", "--webhook-secret=hush"];
    let server = Server::sqlite_locked(&[&secrets[..], &["--require-hold-token"]].concat());
    let play =
        |flags: &[&str]| load(server.folder(), &url(&server), &[&["--buyers=60"], flags].concat());
    let (code, report, said) = play(&secrets);
    assert_eq!(code, 0, "{said} {report}");
    assert!(!said.contains("hush\n") && !report.to_string().contains("sesame"), "{said}");
    let (code, _, said) = play(&[]);
    assert!(code == 3 && said.contains("--api-key needs the scope operate"), "{code}: {said}");
    let (code, report, said) = play(&["--api-key=sesame", "--webhook-secret=guess"]);
    assert!(code == 1 && findings(&report).contains("401"), "{code}: {said} {report}");
}

#[test]
fn a_product_that_another_program_changes_meanwhile_is_a_finding() {
    let server = Server::sqlite(&[]);
    let stocked =
        server.post_json("/api/admin/products/1/adjust", r#"{"delta":196,"reason":"arrived"}"#);
    assert_eq!(stocked.status, 200, "{}", stocked.body);
    let sale = program()
        .args(["load", "--json", "--buyers=200", "--rate=100", "--product=1", "--seed=3"])
        .args(["--url", &url(&server)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the sale has begun", SOON, || server.units()[1] > 0);
    let adjusted =
        server.post_json("/api/admin/products/1/adjust", r#"{"delta":5,"reason":"found"}"#);
    assert_eq!(adjusted.status, 200, "{}", adjusted.body);
    let done = sale.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(1), "{report}");
    assert!(findings(&report).contains("had 200 units in all, and has 205"), "{report}");
}

/// Passes connections on to a server, and once puts `planted` in the place of `found` in an
/// answer. Both have the same length.
fn lying_proxy(upstream: String, found: &'static [u8], planted: &'static [u8]) -> String {
    assert_eq!(found.len(), planted.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let has_lied = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&upstream) else { return };
            let (mut asked, mut asks) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut asked, &mut asks));
            let has_lied = Arc::clone(&has_lied);
            thread::spawn(move || pass_answers(server, client, found, planted, &has_lied));
        }
    });
    format!("http://{address}")
}

fn pass_answers(
    mut from: TcpStream,
    mut to: TcpStream,
    found: &[u8],
    planted: &[u8],
    has_lied: &AtomicBool,
) {
    let mut bytes = [0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let answer = &mut bytes[..length];
        let at = answer.windows(found.len()).position(|part| part == found);
        if let Some(at) = at
            && !has_lied.swap(true, Ordering::SeqCst)
        {
            answer[at..at + found.len()].copy_from_slice(planted);
        }
        if to.write_all(answer).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_wrong_answer_is_a_finding() {
    for (found, planted, says) in [
        (&br#""qty":1,"expires_at""#[..], &br#""qty":2,"expires_at""#[..], "the answer has others"),
        (br#""status":"paid""#, br#""status":"paix""#, "must be paid"),
        (br#""consistent":true"#, br#""consistent":null"#, "cannot parse the answer"),
        (br#""status":"released""#, br#""status":"expired!""#, "released at once"),
    ] {
        let server = Server::sqlite(&[]);
        let proxy = lying_proxy(server.address.clone(), found, planted);
        let (code, report, said) = load(server.folder(), &proxy, &["--buyers=80", "--products=1"]);
        let told = findings(&report) + &said;
        assert!(code != 0 && told.contains(says), "{says}: {code}: {told}");
    }
}

#[test]
fn a_server_that_is_killed_in_the_middle_and_started_again_has_lost_nothing() {
    let folder = TempDir::new().unwrap();
    let listen = format!("--listen=127.0.0.1:{}", free_port());
    let store = format!("--store=sqlite:{}", folder.path().join("shop.db").display());
    let start = || {
        let mut command = program();
        command.args(["serve", &listen, &store, "--no-seed"]);
        Server::from_command(command, TempDir::new().unwrap())
    };
    let mut server = start();
    let sale = program()
        .args(["load", "--json", "--buyers=300", "--rate=100", "--seed=5"])
        .args(["--url", &url(&server)])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("units are sold", SOON, || {
        let products = server.get("/api/products").body;
        products.contains(r#""sold":1"#) || products.contains(r#""sold":2"#)
    });
    server.signal("KILL");
    server.ended();
    let server = start();
    let done = sale.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{report}");
    assert!(report["retries"].as_u64() > Some(0), "{report}");
    server.expect_health();
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let (code, _, said) = load(folder.path(), &nowhere, &[]);
    assert!(code == 3 && said.contains(&nowhere) && said.contains("stockade serve"), "{said}");
    for (flag, says) in [
        ("--rate=0", "greater than 0"),
        ("--rate=inf", "greater than 0"),
        ("--buyers=0", "1..="),
        ("--url=shop", "http://HOST:PORT"),
        ("--arrivals=never", "exponential"),
    ] {
        let (code, _, said) = run(folder.path(), &[], &["load", flag]);
        assert!(code == 2 && said.contains(says), "{flag}: {code}: {said}");
    }
    let server = Server::sqlite(&[]);
    let (code, _, said) = load(server.folder(), &url(&server), &["--product=99"]);
    assert!(code == 3 && said.contains("not_found"), "{code}: {said}");
    let (code, _, said) = load(server.folder(), &url(&server), &["--product=1", "--product=1"]);
    assert!(code == 3 && said.contains("twice"), "{code}: {said}");
}

#[test]
fn a_terminal_shows_the_sale_while_it_runs() {
    let server = Server::sqlite(&[]);
    let line = format!(
        "{} load --buyers=100 --rate=100 --url {}",
        env!("CARGO_BIN_EXE_stockade"),
        url(&server)
    );
    let shown = on_a_terminal(&line);
    assert!(shown.contains("/100 buyers") && shown.contains("audit: clean"), "{shown}");
}

/// Runs a command line on a terminal of its own, and returns what that shows.
pub fn on_a_terminal(line: &str) -> String {
    let shown = Command::new("script")
        .args(["--quiet", "--return", "--command", line, "/dev/null"])
        .env_clear()
        .env("TERM", "xterm")
        .env("COLUMNS", "200")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(shown.stdout).unwrap()
}
