//! The lifecycle of a hold: the rest of the contract's table of cases.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use stockade::Timestamp;
use stockade_testkit::wait_until;

use crate::on_every_backend;
use crate::server::{Backend, SOON, Server};

on_every_backend! {
    an_expired_hold
    a_hold_cannot_be_ordered_twice
    releasing
    extending
    showing_the_token
    naming_the_customer
    concurrent_holds_never_oversell
    a_converted_hold_names_its_order
    null_is_as_if_a_field_were_missing
}

fn null_is_as_if_a_field_were_missing(backend: Backend) {
    let server = Server::start(backend, &[]);
    let nothing = r#""ttl":null,"customer":null,"metadata":null"#;
    let none = format!(r#"{{"at_most":null,{nothing}}}"#);
    let line = r#"{"product_id":1,"quantity":1,"at_most":null}"#;
    for (path, body) in [
        ("/api/holds/1/1", none),
        ("/api/holds", format!(r#"{{"items":[{line}],{nothing}}}"#)),
        ("/api/holds/batch", line.to_owned()),
    ] {
        let answer = server.send("POST", path, &[], &body);
        assert!(answer.status == 200 && answer.body.contains(r#""qty":1"#), "{}", answer.body);
    }
    // Not all that is left is taken.
    server
        .post_json("/api/holds/1/5", r#"{"at_most":null}"#)
        .expect_problem(409, "insufficient_stock");
    server.expect_units([1, 3, 0, 0]);
}

fn a_converted_hold_names_its_order(backend: Backend) {
    let server = Server::start(backend, &[]);
    let hold = server.hold(2);
    let read = || server.get(&format!("/api/holds/{hold}"));
    assert!(!read().body.contains("order_id"), "{}", read().body);
    let order = server.post(&format!("/api/orders/{hold}/1"));
    let known = read();
    assert_eq!(known.field("status"), "converted");
    // The first id is the order's; the hold's follows.
    let id = order.json()["order"]["id"].clone();
    assert_eq!(known.json()["hold"]["order_id"], id, "{}", known.body);
    server.webhook(&format!(r#"{{"order_id":{id},"status":"failed"}}"#));
    assert_eq!(read().json()["hold"]["order_id"], id);
}

fn moment(text: &str) -> Timestamp {
    serde_json::from_value(json!(text)).unwrap()
}

/// Whether a time has passed, by the machine's clock, which the servers share.
fn has_passed(text: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // The text is rounded down to the second.
    moment(text).after(Duration::from_secs(1)) < Timestamp::from_micros(0).after(now)
}

fn an_expired_hold(backend: Backend) {
    // No sweeper: a hold expires at its deadline whether or not it was swept.
    let server = Server::start(backend, &["--sweeper=false"]);
    let held = server.post_json("/api/holds/1/4", r#"{"ttl":1}"#);
    let id = held.number("id");
    let mut again = server.post("/api/holds/1/1");
    again.expect_problem(409, "insufficient_stock");
    wait_until("the stock is back", SOON, || {
        again = server.post("/api/holds/1/1");
        again.status == 200
    });
    server.expect_units([3, 1, 0, 0]);
    server.post(&format!("/api/orders/{id}/1")).expect_problem(422, "hold_expired");
    server.post(&format!("/api/holds/{id}/extend")).expect_problem(422, "hold_expired");
    assert_eq!(server.get(&format!("/api/holds/{id}")).field("status"), "expired");

    // Ordering it finds it expired and returns its stock.
    let held = server.post("/api/holds/1/3?ttl=1");
    let late = held.number("id");
    wait_until("the hold is over", SOON, || has_passed(held.field("expires_at")));
    server.post(&format!("/api/orders/{late}/1")).expect_problem(422, "hold_expired");
    server.expect_units([3, 1, 0, 0]);
    server.expect_health();
}

fn a_hold_cannot_be_ordered_twice(backend: Backend) {
    let server = Server::start(backend, &[]);
    let hold = server.hold(2);
    let order = server.post(&format!("/api/orders/{hold}/1")).number("id");
    for _ in 0..2 {
        server
            .post(&format!("/api/orders/{hold}/1"))
            .expect_problem(409, "hold_already_used")
            .saying("order_id", json!(order));
    }
    server.expect_units([2, 0, 2, 0]);
}

fn releasing(backend: Backend) {
    let server = Server::start(backend, &[]);
    let hold = server.hold(3);
    for _ in 0..2 {
        let released = server.delete(&format!("/api/holds/{hold}"));
        assert_eq!((released.status, released.field("status")), (200, "released"));
        server.expect_units([4, 0, 0, 0]);
    }
    let expired = server.post("/api/holds/1/1?ttl=1").number("id");
    wait_until("the hold has expired", SOON, || {
        server.get(&format!("/api/holds/{expired}")).field("status") == "expired"
    });
    let released = server.delete(&format!("/api/holds/{expired}"));
    assert_eq!((released.status, released.field("status")), (200, "expired"));

    let converted = server.hold(1);
    let order = server.post(&format!("/api/orders/{converted}/1")).number("id");
    server
        .delete(&format!("/api/holds/{converted}"))
        .expect_problem(409, "hold_already_used")
        .saying("order_id", json!(order));
    server.post(&format!("/api/orders/{hold}/1")).expect_problem(422, "hold_expired");
    server.expect_units([3, 0, 1, 0]);
    server.expect_health();
}

fn extending(backend: Backend) {
    let server = Server::start(backend, &["--hold-ttl-max=1h"]);
    let held = server.post("/api/holds/1/1?ttl=600");
    let (id, end) = (held.number("id"), held.field("expires_at"));
    let path = format!("/api/holds/{id}/extend");
    // Never shortened.
    assert_eq!(server.post_json(&path, r#"{"ttl":60}"#).field("expires_at"), end);
    assert_eq!(server.post(&path).field("expires_at"), end);
    let longer = server.post(&format!("{path}?ttl=3000"));
    assert!(longer.field("expires_at") > end, "{} after {end}", longer.body);
    // Never beyond the total maximum: an hour from its creation.
    let longest = server.post(&format!("{path}?ttl=3600"));
    assert_eq!(moment(longest.field("expires_at")), moment(end).after(Duration::from_secs(3_000)));

    server.post(&format!("/api/orders/{id}/1"));
    server.post(&path).expect_problem(409, "hold_already_used");
    let released = server.hold(1);
    server.delete(&format!("/api/holds/{released}"));
    server.post(&format!("/api/holds/{released}/extend")).expect_problem(422, "hold_expired");
}

fn showing_the_token(backend: Backend) {
    let server = Server::start(backend, &["--require-hold-token"]);
    let held = server.post("/api/holds/1/2");
    let (id, token) = (held.number("id"), held.field("token"));
    let order = format!("/api/orders/{id}/1");
    let [hold, extend] = ["", "/extend"].map(|end| format!("/api/holds/{id}{end}"));
    let wrong = "00000000000000000000000000000001";
    for headers in [&[][..], &[("Hold-Token", wrong)]] {
        for (method, path) in [("POST", &order), ("DELETE", &hold), ("POST", &extend)] {
            let refused = server.send(method, path, headers, "");
            refused.expect_problem(401, "unauthorized");
            assert_eq!(refused.header("www-authenticate"), Some("Hold-Token"));
        }
    }
    let in_body = |token: &str| format!(r#"{{"ttl":600,"token":"{token}"}}"#);
    server.post_json(&extend, &in_body(wrong)).expect_problem(401, "unauthorized");
    let right = [("Hold-Token", token)];
    for (headers, body) in [
        (&[("Hold-Token", "mine")][..], String::new()),
        (&[("Hold-Token", "\u{e4}")], String::new()),
        (&[right[0], right[0]], String::new()),
        (&right, in_body(token)),
        (&[], in_body("mine")),
    ] {
        server.send("POST", &extend, headers, &body).expect_problem(422, "invalid_argument");
    }
    let untouched = server.get(&hold);
    assert_eq!(untouched.field("expires_at"), held.field("expires_at"));
    assert!(!untouched.body.contains(token), "{}", untouched.body);
    let longer = server.post_json(&extend, &in_body(token));
    assert!(longer.field("expires_at") > held.field("expires_at"), "{}", longer.body);
    assert_eq!(server.send("POST", &order, &right, "").status, 200);
    let other = server.post("/api/holds/1/1");
    let path = format!("/api/holds/{}", other.number("id"));
    let released = server.send("DELETE", &path, &[("Hold-Token", other.field("token"))], "");
    assert_eq!((released.status, released.field("status")), (200, "released"));
    server.expect_units([2, 0, 2, 0]);
    server.expect_health();
}

fn naming_the_customer(backend: Backend) {
    let server = Server::start(backend, &["--max-per-customer=2"]);
    assert_eq!(server.post("/api/holds/1/1?customer=o%27hara%20%C3%A4").status, 200);
    let in_body = |name: &str| format!(r#"{{"ttl":60,"customer":"{name}"}}"#);
    assert_eq!(server.post_json("/api/holds/1/1", &in_body("o'hara \u{e4}")).status, 200);
    let refused = server.post("/api/holds/1/1?customer=o%27hara%20%C3%A4");
    refused.expect_problem(422, "quantity_limit");
    assert!(refused.body.contains("this one holds 2 "), "{}", refused.body);
    let cart = r#"{"items":[{"product_id":1,"quantity":1}],"customer":"o'hara \u00e4"}"#;
    server.post_json("/api/holds", cart).expect_problem(422, "quantity_limit");
    for (query, body) in [
        ("?customer=", String::new()),
        ("", in_body("")),
        ("", in_body(&"c".repeat(256))),
        ("?customer=a", in_body("a")),
        ("?customer=a&customer=a", String::new()),
        ("?customer=%FF", String::new()),
        ("", r#"{"customer":7}"#.to_owned()),
    ] {
        let path = format!("/api/holds/1/1{query}");
        server.post_json(&path, &body).expect_problem(422, "invalid_argument");
    }
    server.expect_units([2, 2, 0, 0]);
    server.expect_health();
}

fn concurrent_holds_never_oversell(backend: Backend) {
    let servers = Server::pair(backend);
    servers[0].post_json("/api/admin/products/1/adjust", r#"{"delta":96,"reason":"delivery"}"#);
    let held: usize = thread::scope(|scope| {
        let shoppers: Vec<_> = (0..16)
            .map(|shopper| {
                let server = &servers[shopper % servers.len()];
                scope.spawn(move || {
                    let mut held = 0;
                    for _ in 0..20 {
                        let answer = server.post("/api/holds/1/1");
                        if answer.status == 200 {
                            held += 1;
                            let order = format!("/api/orders/{}/1", answer.number("id"));
                            assert_eq!(server.post(&order).status, 200);
                        } else {
                            answer.expect_problem(409, "insufficient_stock");
                        }
                    }
                    held
                })
            })
            .collect();
        shoppers.into_iter().map(|shopper| shopper.join().unwrap()).sum()
    });
    assert_eq!(held, 100);
    for server in &servers {
        server.expect_units([0, 0, 100, 0]);
        server.expect_health();
    }
}
