//! Checks the OpenAPI document against real responses: every response to
//! [`crate::server::Server::send`] in any test must be one that the document
//! describes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::answer::Answer;
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
        let (kind, media) = response["content"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(given.split(';').next().unwrap(), kind, "{what}");
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
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if answer.status < 300 && !schema.is_null() && !body.is_empty() {
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
const WITH_BODY: &[(&str, &str)] = &[
    ("post /api/holds", "/api/holds"),
    ("post /api/holds/{product_id}/{quantity}", "/api/holds/1/1"),
    ("post /api/holds/{id}/extend", "/api/holds/1/extend"),
    ("post /api/payments/webhook", "/api/payments/webhook"),
    ("post /api/admin/products", "/api/admin/products"),
    ("post /api/admin/products/{id}/adjust", "/api/admin/products/1/adjust"),
    ("post /engine/v1", "/engine/v1"),
];

/// Every operation with every status that a client can provoke.
#[test]
fn every_documented_response_is_reachable() {
    let server = Server::sqlite(&["--max-per-hold=1000"]);
    let order = server.order(1);
    server.get(&format!("/api/orders/{order}"));
    server.webhook(&format!(r#"{{"status":"paid","order_id":{order}}}"#));
    server.webhook(&format!(r#"{{"status":"paid","order_id":{}}}"#, order + 1));
    let used = order;
    let hold = server.hold(1);
    server.get(&format!("/api/holds/{hold}"));
    let wrong = [("hold-token", "00000000000000000000000000000000")];
    for (method, path) in [
        ("DELETE", format!("/api/holds/{hold}")),
        ("POST", format!("/api/holds/{hold}/extend")),
        ("POST", format!("/api/orders/{hold}/1")),
    ] {
        server.send(method, &path, &wrong, "").expect_problem(401, "unauthorized");
    }
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
    server.delete(&format!("/api/holds/{used}"));
    server.post(&format!("/api/holds/{used}/extend"));
    server.post(&format!("/api/holds/{hold}/extend"));

    let locked = Server::sqlite_locked(&["--webhook-secret=hush", "--api-key=sesame"]);
    for (method, path) in [
        ("POST", "/api/payments/webhook"),
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
    let long = " ".repeat((1 << 20) + 1);
    for (_, path) in WITH_BODY {
        let (of, headers): (_, &[_]) =
            if path.starts_with("/engine") { (&locked, &key) } else { (&server, &[]) };
        of.send("POST", path, headers, &long).expect_problem(413, "payload_too_large");
        if !path.starts_with("/engine") {
            of.send("POST", path, headers, "{").expect_problem(400, "malformed_request");
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
