//! Checks the OpenAPI document against real responses: every response to
//! [`crate::server::Server::send`] in any test must be one that the document
//! describes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::callers;
use crate::operators;
use crate::providers;
use crate::server::Server;

const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::read);

/// Statuses that any operation may return in addition to its own, as the
/// document's description says.
const ANYWHERE: &[u16] = &[400, 403, 408, 413, 500];

struct Document {
    whole: Value,
    /// For responses: rejects undescribed fields, although clients must
    /// tolerate additional ones in later versions.
    closed: Value,
    paths: matchit::Router<String>,
    validators: Mutex<BTreeMap<String, &'static Validator>>,
    met: Mutex<BTreeSet<(String, u16)>>,
}

impl Document {
    fn read() -> Self {
        let whole: Value = serde_json::from_str(TEXT).unwrap();
        let mut closed = whole.clone();
        close(&mut closed);
        let mut paths = matchit::Router::new();
        for path in whole["paths"].as_object().unwrap().keys() {
            paths.insert(path, path.clone()).unwrap();
        }
        Self { whole, closed, paths, validators: Mutex::default(), met: Mutex::default() }
    }

    /// Returns the operation of a request, by path pattern and method.
    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let path = path.split('?').next().unwrap();
        let pattern = self.paths.at(path).ok()?.value;
        let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
        Some((pattern, self.whole["paths"][pattern].get(method)?))
    }

    /// Resolves a reference.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.whole.pointer(&reference[1..]).unwrap(),
            None => value,
        }
    }

    /// Expects a value to match a schema.
    fn expect(&self, whole: &Value, schema: &Value, value: &Value, what: &str) {
        let validator = {
            let name = format!("{schema}{}", whole == &self.closed);
            let mut validators = self.validators.lock().unwrap();
            *validators.entry(name).or_insert_with(|| {
                let root = json!({ "allOf": [schema], "components": whole["components"] });
                Box::leak(Box::new(jsonschema::draft202012::new(&root).unwrap()))
            })
        };
        let wrong: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{what} is not as documented: {wrong:?} in {value}");
    }

    fn expect_answer(&self, response: &Value, answer: &Answer, what: &str) {
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = self.resolve(header);
            match answer.header(name) {
                Some(value) => {
                    let value = match header["schema"]["type"].as_str() {
                        Some("integer") => json!(value.parse::<u64>().unwrap()),
                        _ => json!(value),
                    };
                    self.expect(&self.closed, &header["schema"], &value, name);
                }
                None => assert_ne!(header["required"], true, "{what} has no {name}"),
            }
        }
        let given = answer.header("content-type").unwrap();
        let kind = given.split(';').next().unwrap();
        let media = &response["content"][kind];
        assert!(media.is_object(), "{what} is of the type {kind}");
        if let Some(schema) = media.get("x-item-schema") {
            let schema = closed(schema);
            for line in answer.body.lines() {
                let line = serde_json::from_str(line).unwrap();
                self.expect(&self.closed, &schema, &line, what);
            }
            return;
        }
        let body = if kind.ends_with("json") { answer.json() } else { json!(answer.body) };
        self.expect(&self.closed, &closed(&media["schema"]), &body, what);
        Self::expect_problem(response, &body, answer.status, what);
    }

    /// Checks a problem against the response's `x-codes` and `x-fields`.
    fn expect_problem(response: &Value, problem: &Value, status: u16, what: &str) {
        let Some(codes) = response["x-codes"].as_array() else {
            assert!(status < 400, "{what} says nothing of its codes");
            return;
        };
        assert!(codes.contains(&problem["code"]), "{what} is not to say {}", problem["code"]);
        assert_eq!(problem["status"], status, "{what}");
        for field in response["x-fields"].as_array().into_iter().flatten() {
            let field = field.as_str().unwrap();
            assert!(problem.get(field).is_some(), "{what} has no {field}");
        }
    }
}

/// Forbids additional fields in every object.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    close(&mut schema);
    schema
}

/// Expects the document to describe the response, and the body of an accepted
/// request.
#[track_caller]
pub fn check(method: &str, path: &str, body: &str, answer: &Answer) {
    let document = &*DOCUMENT;
    let what = format!("{method} {path}: {}", answer.status);
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    let Some((pattern, operation)) = document.operation(method, path) else {
        assert!(matches!(answer.status, 401 | 403 | 404 | 405), "{what}");
        document.expect(&document.closed, &problem, &answer.json(), &what);
        return;
    };
    let name = format!("{} {pattern}", method.to_lowercase());
    document.met.lock().unwrap().insert((name, answer.status));
    let response = operation["responses"].get(answer.status.to_string());
    match response {
        // It has no body.
        Some(_) if method == "HEAD" => {}
        Some(response) => document.expect_answer(document.resolve(response), answer, &what),
        None => {
            assert!(ANYWHERE.contains(&answer.status), "{what} is not documented: {}", answer.body);
            document.expect(&document.closed, &problem, &answer.json(), &what);
        }
    }
    let content = &operation["requestBody"]["content"];
    let schema = &content["application/json"]["schema"];
    let takes_forms = content["application/x-www-form-urlencoded"].is_object();
    let is_form = takes_forms && !body.starts_with('{');
    if answer.status < 300 && !schema.is_null() && !body.is_empty() && !is_form {
        let body: Value = serde_json::from_str(body).unwrap();
        document.expect(&document.whole, schema, &body, &format!("the body of {what}"));
    }
}

#[test]
fn document_is_served_as_json() {
    let server = Server::sqlite(&[]);
    let served = server.get("/openapi.json");
    assert_eq!((served.status, served.body.as_str()), (200, TEXT));
}

#[test]
fn document_examples_match_real_responses() {
    let document = &*DOCUMENT;
    let mut seen = 0;
    let mut example = |media: &Value, what: &str| {
        if let Some(example) = media.get("example") {
            document.expect(&document.closed, &closed(&media["schema"]), example, what);
            seen += 1;
        }
    };
    let media = |holder: &Value| -> Map<String, Value> {
        holder["content"].as_object().cloned().unwrap_or_default()
    };
    for (path, item) in document.whole["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("an example of {method} {path}");
            let parameters = match method.as_str() {
                "parameters" => operation,
                _ => &operation["parameters"],
            };
            for parameter in parameters.as_array().into_iter().flatten() {
                example(document.resolve(parameter), &what);
            }
            media(&operation["requestBody"]).values().for_each(|media| example(media, &what));
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                let response = document.resolve(response);
                media(response).values().for_each(|media| example(media, &what));
                for problem in media(response).values().filter_map(|media| media.get("example")) {
                    Document::expect_problem(response, problem, status.parse().unwrap(), &what);
                }
            }
        }
    }
    assert!(seen > 35, "only {seen} examples were found");
}

/// The operations with a body, each with a valid path.
pub const WITH_BODY: &[(&str, &str)] = &[
    ("post /api/holds", "/api/holds"),
    ("post /api/holds/{product_id}/{quantity}", "/api/holds/1/1"),
    ("post /api/holds/{id}/extend", "/api/holds/1/extend"),
    ("post /api/holds/{id}/quantity", "/api/holds/1/quantity"),
    ("post /api/carts/{id}/extend", "/api/carts/1/extend"),
    ("post /api/orders", "/api/orders"),
    ("post /api/orders/{hold_id}/{product_id}", "/api/orders/1/1"),
    ("post /api/orders/{id}/extend", "/api/orders/1/extend"),
    ("post /api/orders/{id}/cancel", "/api/orders/1/cancel"),
    ("post /api/orders/{id}/refund", "/api/orders/1/refund"),
    ("post /api/orders/{id}/restock", "/api/orders/1/restock"),
    ("post /api/orders/{id}/payment-reference", "/api/orders/1/payment-reference"),
    ("post /api/payments/webhook", "/api/payments/webhook"),
    ("post /api/payments/webhook/{provider}", "/api/payments/webhook/adyen"),
    ("post /api/admin/products", "/api/admin/products"),
    ("put /api/admin/products/{id}", "/api/admin/products/1"),
    ("patch /api/admin/products/{id}", "/api/admin/products/1"),
    ("post /api/admin/products/{id}/adjust", "/api/admin/products/1/adjust"),
    ("post /api/admin/customers/erase", "/api/admin/customers/erase"),
    ("post /engine/v1", "/engine/v1"),
];

/// Returns the method of an operation of [`WITH_BODY`].
pub fn method_of(name: &str) -> String {
    name.split(' ').next().unwrap().to_uppercase()
}

/// Provokes the responses of what makes and changes orders, with a hold that an order
/// used and one that was released.
fn order_responses(server: &Server, used: u64, released: u64) {
    let post = |path: &str, body: &str| server.post_json(path, body);
    let of = |hold: u64, token: &str| {
        post("/api/orders", &format!(r#"{{"holds":[{{"id":{hold}{token}}}]}}"#))
    };
    of(used, "").expect_problem(409, "hold_already_used");
    of(released, "").expect_problem(422, "hold_expired");
    of(77, "").expect_problem(404, "not_found");
    let zeros = r#","token":"00000000000000000000000000000000""#;
    of(used, zeros).expect_problem(401, "unauthorized");
    let order = of(server.hold(1), "").number("id");
    let act = |action: &str, body: &str| post(&format!("/api/orders/{order}/{action}"), body);
    act("refund", "").expect_problem(409, "not_paid");
    act("restock", "").expect_problem(409, "nothing_returned");
    assert_eq!(act("extend", r#"{"ttl":60}"#).status, 200);
    let reference = |of: u64| {
        let body = r#"{"provider":"stripe","reference":"pi_1"}"#;
        post(&format!("/api/orders/{of}/payment-reference"), body)
    };
    assert_eq!(reference(order).status, 200);
    server.webhook(&format!(r#"{{"status":"paid","order_id":{order}}}"#));
    act("extend", "").expect_problem(409, "already_paid");
    act("cancel", "").expect_problem(409, "already_paid");
    assert_eq!(act("refund", r#"{"reason":"torn"}"#).status, 200);
    assert_eq!(act("restock", "").status, 200);
    let other = server.order(1);
    reference(other).expect_problem(409, "already_exists");
    assert_eq!(post(&format!("/api/orders/{other}/cancel"), r#"{"reason":"x"}"#).status, 200);
    for action in ["extend", "cancel", "refund", "restock", "payment-reference"] {
        let body = if action == "payment-reference" {
            r#"{"provider":"stripe","reference":"pi_2"}"#
        } else {
            ""
        };
        post(&format!("/api/orders/77/{action}"), body).expect_problem(404, "not_found");
        post(&format!("/api/orders/x/{action}"), body).expect_problem(422, "invalid_argument");
    }
}

/// Every operation with every status that a client can provoke.
#[test]
fn every_documented_response_is_reachable() {
    let server =
        Server::sqlite(&["--max-per-hold=1000", "--razorpay-secret=hush", "--adyen-secret=00"]);
    let order = server.order(1);
    providers::every_answer(&server);
    server.get(&format!("/api/orders/{order}"));
    server.webhook(&format!(r#"{{"status":"paid","order_id":{order}}}"#));
    server.webhook(&format!(r#"{{"status":"paid","order_id":{}}}"#, order + 1));
    let used = order;
    let hold = server.hold(1);
    server.get(&format!("/api/holds/{hold}"));
    let cart = r#"{"items":[{"product_id":1,"quantity":1}]}"#;
    let cart = server.post_json("/api/holds", cart).number("cart_id");
    let wrong = [("hold-token", "00000000000000000000000000000000")];
    for (method, path) in [
        ("DELETE", format!("/api/holds/{hold}")),
        ("POST", format!("/api/holds/{hold}/extend")),
        ("POST", format!("/api/orders/{hold}/1")),
        ("DELETE", format!("/api/carts/{cart}")),
        ("POST", format!("/api/carts/{cart}/extend")),
    ] {
        server.send(method, &path, &wrong, "").expect_problem(401, "unauthorized");
    }
    let quantity = format!("/api/holds/{hold}/quantity");
    server.send("POST", &quantity, &wrong, r#"{"quantity":1}"#).expect_problem(401, "unauthorized");
    server.post_json(&quantity, r#"{"quantity":2}"#);
    server.post_json(&quantity, r#"{"quantity":99}"#).expect_problem(409, "insufficient_stock");
    server.post_json(&quantity, r#"{"quantity":0}"#).expect_problem(422, "invalid_argument");
    let cart_path = format!("/api/carts/{cart}");
    server.get(&cart_path);
    server.post(&format!("{cart_path}/extend"));
    let first = server.get(&cart_path).number("id");
    server.post(&format!("/api/orders/{first}/1"));
    server.post(&format!("{cart_path}/extend")).expect_problem(409, "hold_already_used");
    server.delete(&cart_path);
    server.post(&format!("/api/holds/{hold}/extend"));
    server.delete(&format!("/api/holds/{hold}"));
    for (method, path, body) in [
        ("POST", "/api/holds", r#"{"items":[{"product_id":1,"quantity":1}],"ttl":60}"#),
        ("POST", "/api/holds", r#"{"items":[{"product_id":77,"quantity":1}]}"#),
        ("POST", "/api/holds", r#"{"items":[{"product_id":1,"quantity":9}]}"#),
        ("POST", "/api/holds", r#"{"items":[]}"#),
        ("POST", "/api/holds/batch", r#"{"product_id":1,"quantity":1}"#),
        ("POST", "/api/holds/77/1", ""),
        ("POST", "/api/holds/1/9", ""),
        ("POST", "/api/holds/1/1001", ""),
        ("GET", "/api/holds/77", ""),
        ("GET", "/api/holds/x", ""),
        ("DELETE", "/api/holds/77", ""),
        ("DELETE", "/api/holds/x", ""),
        ("POST", "/api/holds/77/extend", ""),
        ("POST", "/api/holds/77/quantity", r#"{"quantity":1}"#),
        ("GET", "/api/carts/77", ""),
        ("GET", "/api/carts/x", ""),
        ("DELETE", "/api/carts/77", ""),
        ("DELETE", "/api/carts/x", ""),
        ("POST", "/api/carts/77/extend", ""),
        ("POST", "/api/carts/77/extend?ttl=0", ""),
        ("POST", "/api/orders/77/1", ""),
        ("GET", "/api/orders/77", ""),
        ("GET", "/api/orders/x", ""),
        ("GET", "/api/products/1", ""),
        ("GET", "/api/products/77", ""),
        ("GET", "/api/products/x", ""),
        ("GET", "/api/products", ""),
        ("GET", "/api/products?limit=0", ""),
        ("POST", "/api/payments/webhook", r#"{"status":"paid"}"#),
        ("POST", "/api/admin/products", r#"{"name":"","price":1,"stock":1}"#),
        ("POST", "/api/admin/products/1/adjust", r#"{"delta":1,"reason":"delivery"}"#),
        ("POST", "/api/admin/products/1/adjust", r#"{"delta":-99,"reason":"broken"}"#),
        ("POST", "/api/admin/products/1/adjust", r#"{"delta":1,"reason":"seen","version":999}"#),
        ("POST", "/api/admin/products/1/adjust", r#"{"delta":0,"reason":"nothing"}"#),
        ("POST", "/api/admin/products/77/adjust", r#"{"delta":1,"reason":"lost"}"#),
        ("POST", "/api/admin/sweep", ""),
        ("POST", "/api/admin/sweep", "{"),
        ("POST", "/api/admin/sweep", r#"{"now":true}"#),
        ("GET", "/api/admin/audit", ""),
        ("GET", "/api/admin/events", ""),
        ("GET", "/api/admin/events?after=x", ""),
        ("GET", "/healthz", ""),
        ("GET", "/readyz", ""),
        ("GET", "/metrics", ""),
        ("GET", "/openapi.json", ""),
    ] {
        server.send(method, path, &[], body);
    }
    server.send("POST", "/api/holds/batch", &[("idempotency-key", "k")], "");
    let used = server.get(&format!("/api/orders/{used}")).number("hold_id");
    server.post(&format!("/api/orders/{used}/1"));
    server.post(&format!("/api/orders/{hold}/1"));
    order_responses(&server, used, hold);
    operators::every_answer(&server);
    server.delete(&format!("/api/holds/{used}"));
    server.post(&format!("/api/holds/{used}/extend"));
    server.post(&format!("/api/holds/{hold}/extend"));

    let locked = Server::sqlite_locked(&["--webhook-secret=hush", "--api-key=sesame"]);
    for (method, path) in [
        ("POST", "/api/payments/webhook"),
        ("POST", "/api/orders/1/extend"),
        ("POST", "/api/orders/1/cancel"),
        ("POST", "/api/orders/1/refund"),
        ("POST", "/api/orders/1/restock"),
        ("POST", "/api/orders/1/payment-reference"),
        ("POST", "/api/admin/products"),
        ("POST", "/api/admin/products/1/adjust"),
        ("POST", "/api/admin/sweep"),
        ("GET", "/api/admin/audit"),
        ("GET", "/api/admin/events"),
        ("POST", "/engine/v1"),
    ] {
        locked.send(method, path, &[], "{}").expect_problem(401, "unauthorized");
    }
    let key = [("authorization", "Bearer sesame")];
    locked.send("POST", "/engine/v1", &key, r#"{"request":{"ping":{}}}"#);
    meet_what_callers_can_provoke();
    let long = " ".repeat((1 << 20) + 1);
    for (name, path) in WITH_BODY {
        let method = method_of(name);
        let (of, headers): (_, &[_]) =
            if path.starts_with("/engine") { (&locked, &key) } else { (&server, &[]) };
        of.send(&method, path, headers, &long).expect_problem(413, "payload_too_large");
        if !path.starts_with("/engine") {
            of.send(&method, path, headers, "{").expect_problem(400, "malformed_request");
        }
    }
    let met = DOCUMENT.met.lock().unwrap();
    for (path, item) in DOCUMENT.whole["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for status in operation["responses"].as_object().into_iter().flatten() {
                let status: u16 = status.0.parse().unwrap();
                let name = format!("{method} {path}");
                // These need a slow client or an unreachable store.
                let by_itself = !matches!(status, 408 | 503);
                // The engine parses its body; its error is a response with 200.
                let is_engine_400 = status == 400 && name.contains("/engine/");
                assert!(
                    !by_itself || is_engine_400 || met.contains(&(name.clone(), status)),
                    "{name} never answered {status}"
                );
            }
        }
    }
}

/// Sends every request with a wrong key, one of too small a scope, and too often.
fn meet_what_callers_can_provoke() {
    let keyed = callers::with_keys(&[]);
    let limited = Server::sqlite_locked(&["--api-key=sesame", "--rate-limit-address=1/m"]);
    limited.get("/api/products");
    let others = [
        ("POST", "/api/payments/webhook"),
        ("GET", "/openapi.json"),
        ("POST", "/engine/v1"),
        ("POST", "/api/payments/webhook/stripe"),
    ];
    let all = callers::REQUESTS.iter().map(|(method, path, _)| (*method, *path)).chain(others);
    for (method, path) in all {
        callers::send(&limited, "guess", method, path, &[], "{}")
            .expect_problem(429, "rate_limited");
        for name in ["guess", "feed"] {
            callers::send(&keyed, name, method, path, &[], "{}");
        }
    }
}
