//! Products as operators make and change them, and as buyers name them.

use serde_json::{Value, json};

use crate::on_every_backend;
use crate::server::{Backend, Server};

on_every_backend! {
    a_sku_stands_wherever_an_id_does
    put_makes_and_replaces
    patch_changes_what_it_names_and_null_clears
    a_version_that_was_changed_meanwhile_is_refused
    an_archived_product_is_held_no_more
    products_are_held_within_their_window
    metadata_is_kept_as_it_came
}

fn create(server: &Server, body: &Value) -> u64 {
    let made = server.post_json("/api/admin/products", &body.to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    made.number("id")
}

fn a_sku_stands_wherever_an_id_does(backend: Backend) {
    let server = Server::start(backend, &[]);
    let sku = "LAMP 1/\u{e4}%?";
    let id = create(&server, &json!({ "name": "Lamp", "price": 5, "stock": 9, "sku": sku }));
    let path = "sku:LAMP%201%2F%C3%A4%25%3F";
    let read = server.get(&format!("/api/products/{path}"));
    assert_eq!((read.number("id"), read.field("sku")), (id, sku));
    let held = server.post(&format!("/api/holds/{path}/2"));
    assert_eq!((held.number("product_id"), held.field("sku")), (id, sku));
    let ordered = server.post(&format!("/api/orders/{}/{path}", held.number("id")));
    assert_eq!((ordered.status, ordered.field("sku")), (200, sku));
    let adjust = format!("/api/admin/products/{path}/adjust");
    let adjusted = server.post_json(&adjust, r#"{"to":20,"reason":"stocktaking"}"#);
    assert_eq!(adjusted.number("in_stock"), 20);
    let cart =
        json!({ "items": [{ "sku": sku, "quantity": 1 }, { "product_id": 1, "quantity": 1 }] });
    let cart = server.post_json("/api/holds", &cart.to_string());
    assert_eq!(cart.json()["holds"][1]["sku"], sku, "{}", cart.body);
    // A product without a SKU shows none.
    assert_eq!(cart.json()["holds"][0].get("sku"), None);
    let line = json!({ "sku": sku, "quantity": 1 }).to_string();
    let batch = server.send("POST", "/api/holds/batch", &[], &line);
    let batch: Value = serde_json::from_str(&batch.body).unwrap();
    assert_eq!(batch["hold"]["sku"], sku);
    for other in ["sku:lamp%201%2F%C3%A4%25%3F", "sku:LAMP", "sku:%20LAMP"] {
        server.get(&format!("/api/products/{other}")).expect_problem(404, "not_found");
        server.post(&format!("/api/holds/{other}/1")).expect_problem(404, "not_found");
    }
    let long = format!("sku:{}", "x".repeat(129));
    for bad in ["sku:", "SKU:LAMP", "sku:%00", "sku:%ff", "lamp", &long] {
        server.get(&format!("/api/products/{bad}")).expect_problem(422, "invalid_argument");
        server.post(&format!("/api/holds/{bad}/1")).expect_problem(422, "invalid_argument");
    }
    for (item, says) in [
        (json!({ "quantity": 1 }), "items[0].product_id is missing, or sku"),
        (
            json!({ "product_id": 1, "sku": sku, "quantity": 1 }),
            "items[0]: product_id and sku are both given",
        ),
    ] {
        let body = json!({ "items": [item] }).to_string();
        server
            .post_json("/api/holds", &body)
            .expect_problem(422, "invalid_argument")
            .saying("message", says.into());
    }
    server.expect_health();
}

fn put_makes_and_replaces(backend: Backend) {
    let server = Server::start(backend, &[]);
    let put = |product: &str, body: &str| {
        server.send("PUT", &format!("/api/admin/products/{product}"), &[], body)
    };
    let full = r#"{"name":"Mug","price":"19.99","currency":"USD","stock":7,"safety_stock":2,"on_sale_from":"2020-01-01T01:00:00+01:00","on_sale_until":"2999-01-01T00:00:00Z","metadata":{"shelf":4}}"#;
    let made = put("sku:MUG%2F1", full);
    let id = made.number("id");
    made.expect(
        201,
        r#"{"id":<n>,"price":19.99,"stock":5,"name":"Mug","held":0,"pending":0,"sold":0,"returned":0,"version":<n>,"currency":"USD","in_stock":7,"safety_stock":2,"archived":false,"sku":"MUG/1","on_sale_from":"2020-01-01T00:00:00.000000Z","on_sale_until":"2999-01-01T00:00:00.000000Z","metadata":{"shelf":4}}"#,
    );
    assert_eq!(put("sku:MUG%2F1", full).status, 200);
    put(&id.to_string(), r#"{"name":"Cup","price":3,"sku":null}"#).expect(
        200,
        r#"{"id":<n>,"price":3,"stock":7,"name":"Cup","held":0,"pending":0,"sold":0,"returned":0,"version":<n>,"currency":"EUR","in_stock":7,"safety_stock":0,"archived":false}"#,
    );
    let chosen = put("4711", r#"{"name":"Jug","price":3}"#);
    assert_eq!((chosen.status, chosen.number("id"), chosen.number("in_stock")), (201, 4711, 0));
    create(&server, &json!({ "name": "Pan", "price": 5, "stock": 1, "sku": "PAN" }));
    put("4711", r#"{"name":"Jug","price":3,"sku":"PAN"}"#).expect_problem(409, "already_exists");
    let taken = json!({ "id": 4711, "name": "Pot", "price": 5, "stock": 1 }).to_string();
    server
        .post_json("/api/admin/products", &taken)
        .expect_problem(409, "already_exists")
        .saying("id", 4711.into());
    for bad in [
        r#"{"price":3}"#,
        r#"{"name":"Jug"}"#,
        r#"{"name":"Jug","price":null}"#,
        r#"{"name":"Jug","price":3,"currency":"EURO"}"#,
        r#"{"name":"Jug","price":3.5,"currency":"JPY"}"#,
        r#"{"name":"Jug","price":3,"stock":-1}"#,
        r#"{"name":"Jug","price":3,"on_sale_from":"soon"}"#,
        r#"{"name":"Jug","price":3,"on_sale_from":"2026-01-02T00:00:00Z","on_sale_until":"2026-01-01T00:00:00Z"}"#,
        r#"{"name":"Jug","price":3,"metadata":[1]}"#,
        r#"{"name":"Jug","price":3,"id":5}"#,
    ] {
        put("4711", bad).expect_problem(422, "invalid_argument");
    }
    for bad in ["0", "9007199254740992", "x", "sku:"] {
        put(bad, r#"{"name":"Jug","price":3}"#).expect_problem(422, "invalid_argument");
    }
    server.expect_health();
}

fn patch_changes_what_it_names_and_null_clears(backend: Backend) {
    let server = Server::start(backend, &[]);
    let id = create(
        &server,
        &json!({
            "name": "Mug", "price": "5", "stock": 9, "sku": "MUG", "safety_stock": 2,
            "on_sale_from": "2020-01-01T00:00:00Z", "on_sale_until": "2999-01-01T00:00:00Z",
            "metadata": { "shelf": 4 },
        }),
    );
    let patch = |body: &str| {
        let answer = server.send("PATCH", &format!("/api/admin/products/{id}"), &[], body);
        if answer.status != 200 {
            answer.expect_problem(422, "invalid_argument");
        }
        answer.json()
    };
    let before = patch("{}");
    let mut expected = before.clone();
    let changed = patch(r#"{"price":7.25,"name":"Cup"}"#);
    (expected["price"], expected["name"]) = (json!(7.25), json!("Cup"));
    expected["version"] = changed["version"].clone();
    assert_eq!(changed, expected);
    let cleared = patch(
        r#"{"sku":null,"safety_stock":null,"on_sale_from":null,"on_sale_until":null,"metadata":null}"#,
    );
    for name in ["sku", "on_sale_from", "on_sale_until", "metadata"] {
        expected.as_object_mut().unwrap().remove(name);
    }
    (expected["safety_stock"], expected["stock"]) = (json!(0), json!(9));
    expected["version"] = cleared["version"].clone();
    assert_eq!(cleared, expected);
    for (bad, says) in [
        (r#"{"name":null}"#, "name: expected a string, found null"),
        (r#"{"currency":null}"#, "currency: expected "),
        (r#"{"stock":null}"#, "stock: expected a whole number"),
        (r#"{"archived":null}"#, "archived: expected a boolean, found null"),
        (r#"{"price":null}"#, "price: "),
        (r#"{"held":0}"#, "held is unknown here; known are "),
        (r#"{"on_sale_from":5}"#, "on_sale_from: expected a string, found 5"),
        (r#"{"on_sale_from":"2026-13-01T00:00:00Z"}"#, "on_sale_from: expected a moment such as"),
        (r#"{"metadata":"x"}"#, "metadata: metadata must be a JSON object"),
    ] {
        let said = patch(bad);
        let message = said["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(says), "{bad}: {said}");
    }
    server.expect_health();
}

fn a_version_that_was_changed_meanwhile_is_refused(backend: Backend) {
    let server = Server::start(backend, &[]);
    let path = "/api/admin/products/1";
    let lamp = r#"{"name":"Lamp","price":5}"#;
    let seen = server.get("/api/products/1").number("version");
    let send =
        |method: &str, tag: &str, body: &str| server.send(method, path, &[("if-match", tag)], body);
    let tag = format!("\"{seen}\"");
    let changed = send("PATCH", &tag, r#"{"name":"Lamp"}"#);
    assert_eq!(changed.status, 200, "{}", changed.body);
    for (method, body) in [("PATCH", r#"{"name":"Late"}"#), ("PUT", lamp), ("DELETE", "")] {
        send(method, &tag, body).expect_problem(412, "version_mismatch");
    }
    let adjust = "/api/admin/products/1/adjust";
    let by_one = r#"{"delta":1,"reason":"found"}"#;
    let old = [("if-match", tag.as_str())];
    server.send("POST", adjust, &old, by_one).expect_problem(412, "version_mismatch");
    let both = format!(r#"{{"delta":1,"reason":"found","version":{seen}}}"#);
    server.send("POST", adjust, &old, &both).expect_problem(422, "invalid_argument");
    for bad in ["7", "*", "W/\"7\"", "\"7\", \"8\"", "\"\"", "\"x\"", "\"-1\""] {
        for (method, body) in [("PATCH", "{}"), ("PUT", lamp), ("DELETE", "")] {
            send(method, bad, body).expect_problem(422, "invalid_argument");
        }
    }
    let version = changed.number("version");
    assert_eq!(send("DELETE", &format!("\"{version}\""), "").status, 200);
}

fn an_archived_product_is_held_no_more(backend: Backend) {
    let server = Server::start(backend, &[]);
    let hold = server.hold(1);
    let archived = server.delete("/api/admin/products/1");
    assert_eq!((archived.status, &archived.json()["archived"]), (200, &json!(true)));
    assert_eq!(server.delete("/api/admin/products/1").status, 200);
    let refused = server.post("/api/holds/1/1");
    refused.expect_problem(409, "not_on_sale").saying("product_id", 1.into());
    refused.saying("archived", true.into());
    let cart = server.post_json("/api/holds", r#"{"items":[{"product_id":1,"quantity":1}]}"#);
    cart.expect_problem(409, "not_on_sale").saying("product_id", 1.into());
    let line = server.send("POST", "/api/holds/batch", &[], r#"{"product_id":1,"quantity":1}"#);
    let line: Value = serde_json::from_str(&line.body).unwrap();
    assert_eq!((&line["status"], &line["archived"]), (&json!(409), &json!(true)));
    assert_eq!(server.post(&format!("/api/orders/{hold}/1")).status, 200);
    // It stays in the list.
    assert_eq!(server.get("/api/products").json()["items"][0]["archived"], true);
    let revived = server.send("PATCH", "/api/admin/products/1", &[], r#"{"archived":false}"#);
    assert_eq!(revived.json()["archived"], false);
    server.hold(1);
    server.expect_units([2, 1, 1, 0]);
    server.expect_health();
}

fn products_are_held_within_their_window(backend: Backend) {
    let server = Server::start(backend, &[]);
    let window = |from: Option<&str>, until: Option<&str>| {
        let body = json!({ "on_sale_from": from, "on_sale_until": until }).to_string();
        assert_eq!(server.send("PATCH", "/api/admin/products/1", &[], &body).status, 200);
    };
    window(Some("2999-01-01T00:00:00Z"), None);
    let early = server.post("/api/holds/1/1");
    early.expect_problem(409, "not_on_sale").saying("product_id", 1.into());
    early.saying("on_sale_from", "2999-01-01T00:00:00.000000Z".into());
    window(None, Some("2020-01-01T00:00:00Z"));
    let late = server.post("/api/holds/1/1");
    late.expect_problem(409, "not_on_sale");
    late.saying("on_sale_until", "2020-01-01T00:00:00.000000Z".into());
    window(Some("2020-01-01T00:00:00Z"), Some("2999-01-01T00:00:00Z"));
    server.hold(1);
    server.expect_health();
}

fn metadata_is_kept_as_it_came(backend: Backend) {
    let server = Server::start(backend, &[]);
    let metadata = r#"{"b": 1.10, "a":"\u00e4\u0000", "a": {"deep":[1,2]} }"#;
    let body = format!(r#"{{"name":"Mug","price":5,"stock":1,"metadata":{metadata}}}"#);
    let made = server.post_json("/api/admin/products", &body);
    let end = format!(r#","metadata":{metadata}}}"#);
    assert!(made.body.ends_with(&end), "{}", made.body);
    let read = server.get(&format!("/api/products/{}", made.number("id")));
    assert!(read.body.ends_with(&end), "{}", read.body);
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(4_089));
    for bad in ["1", "[]", "\"x\"", &long] {
        let body = format!(r#"{{"name":"Mug","price":5,"stock":1,"metadata":{bad}}}"#);
        server.post_json("/api/admin/products", &body).expect_problem(422, "invalid_argument");
    }
}
