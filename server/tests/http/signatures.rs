//! Webhook signatures by a provider, a forger and an eavesdropper.

use std::fmt::Display;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;

use crate::answer::Answer;
use crate::server::{Backend, Server, program};

const OK: &str = r#"{"message":"ok","result":"<text>"}"#;

/// Starts a server with these secrets on the store of a directory.
fn with_secrets(folder: &TempDir, secrets: &str) -> Server {
    let mut command = program();
    command
        .args(["serve", "--listen=127.0.0.1:0", "--demo"])
        .env("STOCKADE_WEBHOOK_SECRET", secrets);
    command.args(Backend::Sqlite.flags(folder.path()));
    Server::from_command(command, TempDir::new().unwrap())
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.try_into().unwrap()
}

fn v1(secret: &str, time: impl Display, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(secret: &str, age: i64, body: &str) -> String {
    let time = now() - age;
    format!("t={time},v1={}", v1(secret, time, body))
}

fn send(server: &Server, header: &str, body: &str) -> Answer {
    server.send("POST", "/api/payments/webhook", &[("Stockade-Signature", header)], body)
}

fn event(order: u64, status: &str, key: &str) -> String {
    format!(r#"{{"order_id":{order},"status":"{status}","idempotency_key":"{key}"}}"#)
}

#[test]
fn what_was_listened_to_has_no_effect_when_it_is_sent_again() {
    let folder = TempDir::new().unwrap();
    let server = with_secrets(&folder, "hush");
    let order = server.order(2);
    let (failed, paid) = (event(order, "failed", "f"), event(order, "paid", "p"));
    let (first, second) = (header("hush", 0, &failed), header("hush", 0, &paid));
    send(&server, &first, &failed).expect(200, OK);
    send(&server, &second, &paid).expect(200, OK);
    server.expect_units([2, 0, 0, 2]);
    // Replays the cancellation, byte for byte, after the order was paid.
    for _ in 0..3 {
        let again = send(&server, &first, &failed);
        again.expect(200, OK);
        assert!(again.is_replayed());
    }
    server.expect_units([2, 0, 0, 2]);
    assert_eq!(server.get(&format!("/api/orders/{order}")).field("status"), "paid");
    let events = server.get("/api/admin/events?limit=1000").body;
    assert_eq!(events.matches("payment.conflict").count(), 0, "{events}");
    // The same body for another order, with the recorded signature.
    let other = server.order(1);
    let forged = event(other, "paid", "p");
    send(&server, &second, &forged).expect_problem(401, "unauthorized");
    server.expect_units([1, 0, 1, 2]);
}

#[test]
fn a_stale_a_future_and_a_forged_signature_are_refused() {
    let folder = TempDir::new().unwrap();
    let server = with_secrets(&folder, "hush");
    let order = server.order(1);
    let body = event(order, "paid", "p");
    for (secret, age) in [("hush", 310), ("hush", -310), ("hush", 1 << 40), ("guess", 0), ("", 0)] {
        let header = header(secret, age, &body);
        send(&server, &header, &body).expect_problem(401, "unauthorized");
    }
    // A fresh time does not match the signature of another.
    let moved = format!("t={},v1={}", now(), v1("hush", now() - 310, &body));
    send(&server, &moved, &body).expect_problem(401, "unauthorized");
    server.expect_units([3, 0, 1, 0]);
    send(&server, &header("hush", 0, &body), &body).expect(200, OK);
}

#[test]
fn missing_or_malformed_signatures_are_rejected_before_parsing() {
    let folder = TempDir::new().unwrap();
    let server = with_secrets(&folder, "hush");
    let order = server.order(1);
    let body = event(order, "paid", "p");
    let (time, right) = (now(), v1("hush", now(), &body));
    server.webhook(&body).expect_problem(401, "unauthorized");
    for malformed in [
        String::new(),
        "nonsense".to_owned(),
        ",,,=,=,".to_owned(),
        right.clone(),
        format!("v1={right}"),
        format!("t={time}"),
        format!("t={time},v1"),
        format!("t={time};v1={right}"),
        format!("t={time},v1={right}00"),
        format!("t={time},v1={}", &right[1..]),
        format!("t={time},v1={}", "g".repeat(64)),
        format!("t={time},v1={}", "\u{e9}".repeat(32)),
        format!("t={time},t={time},v1={right}"),
        format!("t=,v1={right}"),
        format!("t=-{time},v1={right}"),
        format!("t={time}.0,v1={right}"),
        format!("t=0x{time:x},v1={right}"),
        format!("t={},v1={right}", "9".repeat(4_000)),
        format!("t={time},v1={}", ",v1=".repeat(4_000)),
    ] {
        for sent in [&body, "{"] {
            send(&server, &malformed, sent).expect_problem(401, "unauthorized");
        }
    }
    // A time that is not all digits is rejected, even if signed.
    for text in [format!("+{time}"), format!("{time}.0"), format!("0x{time:x}"), String::new()] {
        let signed = format!("t={text},v1={}", v1("hush", &text, &body));
        send(&server, &signed, &body).expect_problem(401, "unauthorized");
    }
    server.expect_units([3, 0, 1, 0]);
    send(&server, &header("hush", 0, &body), &body).expect(200, OK);
}

#[test]
fn a_secret_is_changed_without_a_gap_and_the_old_one_ends_with_its_removal() {
    let folder = TempDir::new().unwrap();
    let server = with_secrets(&folder, "old");
    let orders: Vec<_> = (0..4).map(|_| server.order(1)).collect();
    let bodies: Vec<_> =
        orders.iter().map(|order| event(*order, "paid", &format!("e-{order}"))).collect();
    send(&server, &header("new", 0, &bodies[0]), &bodies[0]).expect_problem(401, "unauthorized");
    drop(server);

    let server = with_secrets(&folder, "new, old");
    send(&server, &header("old", 0, &bodies[0]), &bodies[0]).expect(200, OK);
    send(&server, &header("new", 0, &bodies[1]), &bodies[1]).expect(200, OK);
    // A signature by neither secret is not accepted because there are two.
    send(&server, &header("new, old", 0, &bodies[2]), &bodies[2])
        .expect_problem(401, "unauthorized");
    drop(server);

    let server = with_secrets(&folder, "new");
    send(&server, &header("old", 0, &bodies[2]), &bodies[2]).expect_problem(401, "unauthorized");
    // A provider that rotates its secret sends both, in either order.
    let time = now();
    for (body, first, second) in [(&bodies[2], "old", "new"), (&bodies[3], "new", "old")] {
        let both = format!("t={time},v1={},v1={}", v1(first, time, body), v1(second, time, body));
        send(&server, &both, body).expect(200, OK);
    }
    server.expect_units([0, 0, 0, 4]);
    server.expect_health();
}
