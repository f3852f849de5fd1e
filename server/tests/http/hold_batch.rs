//! Holds by JSON Lines.

use std::fmt::Write;
use std::io::Read;
use std::net::TcpStream;

use serde_json::{Value, json};
use stockade_testkit::wait_until;

use crate::on_every_backend;
use crate::raw::Raw;
use crate::server::{Backend, SOON, Server};

on_every_backend! {
    each_line_is_answered_in_its_place
    a_large_batch_is_answered_whole
}

const PATH: &str = "/api/holds/batch";

fn batch(server: &Server, lines: &str) -> Vec<Value> {
    let answer = server.send("POST", PATH, &[("content-type", "application/jsonl")], lines);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jsonl")));
    answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn each_line_is_answered_in_its_place(backend: Backend) {
    let server = Server::start(backend, &["--max-per-hold=9"]);
    let [stock, ..] = server.units();
    let long = format!(r#"{{"product_id":1,"quantity":1,"customer":"{}"}}"#, "c".repeat(20_000));
    let lines = [
        (r#"{"product_id":1,"quantity":2,"ttl":60,"idempotency_key":"k"}"#, 200, ""),
        ("", 0, ""),
        ("not json", 400, "malformed_request"),
        (r#"{"product_id":1}"#, 422, "invalid_argument"),
        (r#"[1, 2]"#, 422, "invalid_argument"),
        (r#"{"product_id":1,"quantity":2,"sku":"x"}"#, 422, "invalid_argument"),
        (r#"{"product_id":1,"quantity":10}"#, 422, "quantity_limit"),
        (r#"{"product_id":1,"quantity":0}"#, 422, "invalid_argument"),
        (long.as_str(), 413, "payload_too_large"),
        ("  {\"product_id\":9007199254740991,\"quantity\":1}\r", 404, "not_found"),
        (r#"{"product_id":1,"quantity":2,"ttl":60,"idempotency_key":"k"}"#, 200, ""),
        (r#"{"product_id":1,"quantity":1,"idempotency_key":"k"}"#, 422, "idempotency_mismatch"),
        // Without a line feed at its end.
        (r#"{"product_id":1,"quantity":1,"customer":"ada"}"#, 200, ""),
    ];
    let sent: Vec<&str> = lines.iter().map(|(line, ..)| *line).collect();
    let answers = batch(&server, &sent.join("\n"));
    let expected: Vec<_> = lines.iter().filter(|(_, status, _)| *status > 0).collect();
    assert_eq!(answers.len(), expected.len(), "{answers:#?}");
    for (answer, (line, status, code)) in answers.iter().zip(expected) {
        assert_eq!(answer["status"], *status, "{line}: {answer}");
        assert_eq!(answer["code"].as_str().unwrap_or_default(), *code, "{line}: {answer}");
        assert_eq!(answer["success"], *status == 200);
    }
    assert_eq!(answers[2]["message"], "quantity is missing");
    assert!(answers[4]["message"].as_str().unwrap().contains("sku"), "{}", answers[4]);
    let first = &answers[0]["hold"];
    assert_eq!((&answers[9]["replayed"], &answers[9]["hold"]["id"]), (&json!(true), &first["id"]));
    assert_eq!(answers[0].get("replayed"), None);
    server.expect_units([stock - 3, 3, 0, 0]);
    let order = format!("/api/orders/{}/1", first["id"]);
    let token = first["token"].as_str().unwrap();
    assert_eq!(server.send("POST", &order, &[("hold-token", token)], "").status, 200);
    assert!(batch(&server, "").is_empty());
    assert!(batch(&server, "\n \n").is_empty());
}

/// More lines than one call of the engine takes, and more than there is stock for.
fn a_large_batch_is_answered_whole(backend: Backend) {
    let server = Server::start(backend, &[]);
    let [stock, ..] = server.units();
    let mut lines = String::new();
    for line in 0..5_000 {
        writeln!(lines, r#"{{"product_id":1,"quantity":1,"idempotency_key":"{line}"}}"#).unwrap();
    }
    let statuses = |answers: &[Value]| {
        let held = answers.iter().filter(|answer| answer["status"] == 200).count();
        let short = answers.iter().filter(|answer| answer["code"] == "insufficient_stock").count();
        (held as u64, short as u64)
    };
    let answers = batch(&server, &lines);
    let held = stock.min(5_000);
    assert_eq!(statuses(&answers), (held, 5_000 - held));
    let again = batch(&server, &lines);
    assert_eq!(statuses(&again), (held, 5_000 - held));
    assert!(again.iter().all(|answer| answer["replayed"] == true), "refusals, too");
    server.expect_units([stock - held, held, 0, 0]);
}

#[test]
fn a_client_that_waits_before_it_sends_is_told_to_go_on() {
    let server = Server::sqlite(&[]);
    let mut client = Raw::connect(&server);
    let line = "{\"product_id\":1,\"quantity\":1}\n";
    let length = line.len();
    client.send(format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    ));
    let received = client.until("\r\n\r\n");
    assert!(received.starts_with("HTTP/1.1 100 Continue\r\n"), "{received}");
    client.send(line);
    let received = client.until("\"success\":true");
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
}

#[test]
fn a_batch_is_answered_while_it_arrives() {
    let server = Server::sqlite(&[]);
    let mut client = Raw::connect(&server);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    client.send(format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    ));
    let line = "{\"product_id\":1,\"quantity\":1}\n";
    client.send(chunk(line));
    let mut received = client.until("\"success\":true");
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
    // Half a line, then the rest of it.
    let (start, end) = line.split_at(9);
    client.send(chunk(start)).send(chunk(end));
    received = client.until("\"success\":true");
    assert!(received.contains("\"status\":200"), "{received}");
    client.send("0\r\n\r\n");
    client.until("0\r\n\r\n");
    let [_, held, ..] = server.units();
    assert_eq!(held, 2);
}

#[test]
fn a_client_that_stops_sending_is_given_up() {
    let server = Server::sqlite(&["--request-timeout=1s"]);
    let mut client = Raw::connect(&server);
    client.send(format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n"));
    let received = client.rest();
    assert!(!received.ends_with("0\r\n\r\n"), "the answer is aborted: {received}");
    server.expect_health();
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let server = Server::sqlite(&["--request-timeout=1s"]);
    let mut client = Raw::connect(&server);
    let head =
        "POST /api/holds/batch HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999999\r\n\r\n";
    client.send(head);
    let lines = "{\"product_id\":1,\"quantity\":1}\n".repeat(10_000);
    wait_until("the server closes", SOON, || !client.try_send(&lines));
    server.expect_health();
}

#[test]
fn a_batch_takes_no_key_of_its_own() {
    let server = Server::sqlite(&[]);
    let headers = [("idempotency-key", "k")];
    server.send("POST", PATH, &headers, "{}").expect_problem(422, "invalid_argument");
    assert_eq!(server.get(PATH).status, 405);
}

impl Raw {
    /// Reads until a text has come.
    fn until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        let stream: &mut TcpStream = self.stream();
        while !read.ends_with(text.as_bytes()) {
            let got = stream.read(&mut byte).unwrap();
            assert_eq!(got, 1, "closed after {}", String::from_utf8_lossy(&read));
            read.push(byte[0]);
        }
        String::from_utf8(read).unwrap()
    }
}
