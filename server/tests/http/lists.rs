//! What operators list, waiting payment events, and the erasure of a customer.

use serde_json::{Value, json};

use crate::callers::{self, bearer, with_keys};
use crate::document::{WITH_BODY, method_of};
use crate::on_every_backend;
use crate::server::{Backend, Server};

on_every_backend! {
    lists_show_what_was_asked_for_and_no_token
    a_waiting_payment_is_listed_and_removed
    an_erased_customer_is_gone_from_lists_and_events
}

fn hold(server: &Server, customer: &str) -> u64 {
    let held = server.post(&format!("/api/holds/1/1?customer={customer}"));
    assert_eq!(held.status, 200, "{}", held.body);
    held.number("id")
}

const NONE: [u64; 0] = [];

fn ids(page: &Value) -> Vec<u64> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect()
}

fn lists_show_what_was_asked_for_and_no_token(backend: Backend) {
    let server = Server::start(backend, &[]);
    let (ada, bob) = (hold(&server, "ada"), hold(&server, "bob%20b"));
    let order = server.post_json(&format!("/api/orders/{ada}/1"), r#"{"reference":"A/1"}"#);
    let order = order.number("id");
    let list = |path: &str| {
        let page = server.get(&format!("/api/admin/{path}"));
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(!page.body.contains("token"), "{}", page.body);
        page.json()
    };
    let holds = list("holds");
    assert_eq!((ids(&holds), &holds["next"]), (vec![ada, bob], &Value::Null));
    let first = &holds["items"][0];
    assert_eq!((&first["customer"], &first["order_id"]), (&json!("ada"), &json!(order)));
    let at = first["created_at"].as_str().unwrap();
    assert_eq!(ids(&list(&format!("holds?created_before={at}"))), NONE);
    assert_eq!(ids(&list(&format!("holds?created_after={at}"))), [ada, bob]);
    assert_eq!(ids(&list("holds?customer=bob%20b")), [bob]);
    assert_eq!(ids(&list("holds?status=active&product_id=1")), [bob]);
    assert_eq!(ids(&list("holds?product_id=2")), NONE);
    assert_eq!(ids(&list(&format!("holds?after={bob}"))), NONE);
    for list_of in ["holds", "orders"] {
        let beyond = format!("{list_of}?after=99999999999999999999999");
        assert_eq!(ids(&list(&beyond)), NONE, "{beyond}");
    }
    assert_eq!(ids(&list("orders")), [order]);
    assert_eq!(list("orders")["items"][0]["customer"], "ada");
    assert_eq!(ids(&list("orders?reference=A%2F1&status=pending_payment")), [order]);
    assert_eq!(ids(&list("orders?disposition=needs_refund")), NONE);
    assert_eq!(ids(&list("orders?customer=bob%20b")), NONE);
    // Buyers' reads show no customer: ids can be guessed.
    for path in [format!("/api/holds/{ada}"), format!("/api/orders/{order}")] {
        assert!(!server.get(&path).body.contains("ada"), "{path}");
    }
    for (path, says) in [
        ("holds?colour=red", "colour is unknown in the query; known are `customer`"),
        ("holds?disposition=none", "disposition is unknown in the query"),
        ("holds?%00=1", "%00 is unknown"),
        ("orders?Status=paid", "Status is unknown"),
        ("orders?status=gone", "status must be one of pending_payment, paid"),
        ("orders?disposition=gone", "disposition must be one of none"),
        ("orders?product_id=1&sku=LAMP", "product_id and sku are both given"),
        ("orders?created_after=yesterday", "created_after: expected a moment"),
        ("orders?status=paid&status=paid", "status is given twice"),
        ("orders?limit=1001", ""),
        ("holds?limit=0", ""),
        ("holds?customer=", ""),
        ("holds?after=x", ""),
        ("payments/waiting?order_id=1", "order_id is unknown"),
        ("events?foo=1", "foo is unknown in the query; known are `after`, `limit`"),
    ] {
        let refused = server.get(&format!("/api/admin/{path}"));
        refused.expect_problem(422, "invalid_argument");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(says == "%00 is unknown" || message.starts_with(says), "{path}: {message}");
    }
}

fn a_waiting_payment_is_listed_and_removed(backend: Backend) {
    let server = Server::start(backend, &[]);
    let key = "evt/1 x%";
    let event = json!({
        "status": "paid", "order_id": 4711, "idempotency_key": key,
        "amount": "200.50", "currency": "EUR",
    });
    assert_eq!(server.webhook(&event.to_string()).status, 202);
    assert_eq!(server.webhook(r#"{"status":"paid","order_id":4712}"#).status, 202);
    let list = || server.get("/api/admin/payments/waiting").json();
    let page = list();
    let first = &page["items"][0];
    assert_eq!(
        (&first["key"], &first["order_id"], &first["outcome"], &first["by_token"]),
        (&json!(key), &json!(4711), &json!("success"), &json!(false))
    );
    assert_eq!(first["amount"], json!(200.5));
    assert!(first["ends_at"].as_str() > first["received_at"].as_str(), "{page}");
    let remove = |key: &str| {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let key = utf8_percent_encode(key, NON_ALPHANUMERIC);
        server.delete(&format!("/api/admin/payments/waiting/{key}"))
    };
    assert_eq!(remove(key).field("key"), key);
    remove(key).expect_problem(404, "not_found");
    // The other one has a key that was derived.
    let page = list();
    let derived = page["items"][0]["key"].as_str().unwrap();
    assert_eq!((page["items"].as_array().unwrap().len(), &derived[..1]), (1, "\u{1}"));
    assert_eq!(remove(derived).number("order_id"), 4712);
    assert_eq!(list()["items"], json!([]));
    // It stays recorded.
    let again = server.webhook(&event.to_string());
    assert!(again.is_replayed(), "{}", again.body);
}

fn an_erased_customer_is_gone_from_lists_and_events(backend: Backend) {
    let server = Server::start(backend, &[]);
    let held = hold(&server, "ada.lovelace");
    hold(&server, "bob");
    server.post(&format!("/api/orders/{held}/1"));
    let events = server.get("/api/admin/events");
    assert!(events.body.contains("ada.lovelace"), "{}", events.body);
    let erase = |customer: &str| {
        let body = json!({ "customer": customer }).to_string();
        server.post_json("/api/admin/customers/erase", &body)
    };
    erase("ada.lovelace").expect(200, r#"{"holds":1,"orders":1}"#);
    erase("ada.lovelace").expect(200, r#"{"holds":0,"orders":0}"#);
    erase("").expect_problem(422, "invalid_argument");
    for path in ["holds", "orders", "events"] {
        let page = server.get(&format!("/api/admin/{path}"));
        assert!(page.status == 200 && !page.body.contains("lovelace"), "{path}: {}", page.body);
    }
    let events = server.get("/api/admin/events").json();
    let erased = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["type"] == "customer.erased");
    assert_eq!(erased.unwrap().get("product_id"), None, "{events}");
    server.expect_health();
}

#[test]
fn unknown_fields_of_every_body_are_named() {
    let server = with_keys(&["--adyen-secret=00"]);
    let boss = bearer("boss");
    for (name, path) in WITH_BODY {
        // Providers send more than the server reads, and engines their own errors.
        if path.starts_with("/engine") || path.starts_with("/api/payments/") {
            continue;
        }
        let headers = [("authorization", boss.as_str())];
        let refused = server.send(&method_of(name), path, &headers, r#"{"colour":"red"}"#);
        refused.expect_problem(422, "invalid_argument");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("colour is unknown here; known are `"), "{name}: {message}");
    }
    let lists = [
        ("/api/holds", r#"{"items":[{"colour":1}]}"#, "items[0].colour is unknown here"),
        ("/api/orders", r#"{"holds":[{"colour":1}]}"#, "holds[0].colour is unknown here"),
        ("/api/orders/1/refund", r#"{"lines":[{"colour":1}]}"#, "lines[0].colour is unknown here"),
    ];
    for (path, body, says) in lists {
        let refused = callers::send(&server, "boss", "POST", path, &[], body);
        refused.expect_problem(422, "invalid_argument");
        assert!(refused.json()["message"].as_str().unwrap().starts_with(says), "{}", refused.body);
    }
}
