//! The shared table of cases over HTTP: each case on its own server, all on one
//! store.

mod lists;
mod products;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use stockade_testkit::cases::{Case, Face, Outcome, Table, play};
use tempfile::TempDir;

use crate::answer::Answer;
use crate::on_every_backend;
use crate::security::signed;
use crate::server::{Backend, Server};

on_every_backend! {
    every_case_of_the_table
}

/// The status of each error code in the contract.
const STATUSES: &[(&str, u16)] = &[
    ("invalid_argument", 422),
    ("quantity_limit", 422),
    ("not_found", 404),
    ("product_mismatch", 404),
    ("insufficient_stock", 409),
    ("hold_expired", 422),
    ("hold_already_used", 409),
    ("version_mismatch", 412),
    ("already_exists", 409),
    ("not_on_sale", 409),
    ("already_paid", 409),
    ("order_cancelled", 409),
    ("not_paid", 409),
    ("refund_too_large", 409),
    ("nothing_returned", 409),
    ("idempotency_mismatch", 422),
    ("unauthorized", 401),
    ("contention", 503),
    ("unavailable", 503),
    ("unauthorized", 401),
];

fn every_case_of_the_table(backend: Backend) {
    let folder = TempDir::new().unwrap();
    let store = backend.flags(folder.path());
    let table = Table::read();
    let mut told: Vec<&str> = Vec::new();
    for case in table.of("http") {
        let server = Server::with_flags(TempDir::new().unwrap(), &flags(&store, case));
        if let Err(why) = play(case, &server) {
            panic!("{}: {why}", case.name);
        }
        told.extend(case.steps.iter().filter_map(|step| step.code.as_deref()));
    }
    for (code, _) in STATUSES {
        assert!(told.contains(code), "no case has {code}");
    }
}

/// Merges the flags of the store and of the case; the case's take precedence.
fn flags(store: &[String], case: &Case) -> Vec<String> {
    let own =
        case.settings.iter().map(|(name, value)| (format!("--{}=", name.replace('_', "-")), value));
    let mut flags = store.to_vec();
    for (name, value) in own {
        flags.retain(|flag| !flag.starts_with(&name));
        flags.push(name + value);
    }
    flags
}

impl Face for Server {
    fn create_product(&self, name: &str, stock: u64) -> Value {
        let body = format!(r#"{{"name":"{name}","price":19.99,"stock":{stock}}}"#);
        let made = self.post_json("/api/admin/products", &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.json()
    }

    fn call(&self, call: &str, args: Map<String, Value>) -> Outcome {
        let args = Args(args);
        match call {
            "product" | "create_product" | "put_product" | "change_product" | "adjust_stock" => {
                products::make(self, call, &args)
            }
            "holds"
            | "orders"
            | "waiting_payments"
            | "remove_waiting_payment"
            | "erase_customer" => lists::make(self, call, &args),
            "create_hold" => {
                let path =
                    format!("/api/holds/{}/{}", args.part("product_id"), args.part("quantity"));
                within(
                    "hold",
                    &self.send(
                        "POST",
                        &path,
                        &args.headers(),
                        &args.body(&["ttl", "customer", "at_most", "metadata"]),
                    ),
                )
            }
            "create_holds" => {
                let body = args.body(&["items", "ttl", "customer", "metadata"]);
                let made = self.send("POST", "/api/holds", &args.headers(), &body);
                outcome(&made, |made| {
                    let mut body = made.json();
                    body["replayed"] = json!(made.is_replayed());
                    body
                })
            }
            "create_hold_batch" => {
                let lines = batch_lines(&args.0["requests"]);
                let headers = [("content-type", "application/jsonl")];
                // JSON Lines are no JSON value, with which the document's schema could
                // be compared.
                let answer = self.send("POST", "/api/holds/batch", &headers, &lines);
                outcome(&answer, batch_results)
            }
            "hold" => within("hold", &self.get(&format!("/api/holds/{}", args.part("id")))),
            "release_hold" => {
                let path = format!("/api/holds/{}", args.part("id"));
                within("hold", &self.send("DELETE", &path, &args.headers(), ""))
            }
            "extend_hold" => {
                let path = format!("/api/holds/{}/extend", args.part("id"));
                within("hold", &self.post_json(&path, &args.body(&["ttl", "token"])))
            }
            "change_quantity" => {
                let path = format!("/api/holds/{}/quantity", args.part("id"));
                let body = args.body(&["quantity"]);
                within("hold", &self.send("POST", &path, &args.headers(), &body))
            }
            "cart" => whole(&self.get(&format!("/api/carts/{}", args.part("id")))),
            "release_cart" => {
                let path = format!("/api/carts/{}", args.part("id"));
                whole(&self.send("DELETE", &path, &args.headers(), ""))
            }
            "extend_cart" => {
                let path = format!("/api/carts/{}/extend", args.part("id"));
                whole(&self.post_json(&path, &args.body(&["ttl", "token"])))
            }
            "create_order" if args.0.contains_key("holds") => {
                let body = args.body(&[&["holds"], TERMS].concat());
                order(&self.send("POST", "/api/orders", &args.headers(), &body))
            }
            "create_order" => {
                let (hold, product) = (args.part("hold_id"), args.part("product_id"));
                let path = format!("/api/orders/{hold}/{product}");
                order(&self.send("POST", &path, &args.headers(), &args.body(TERMS)))
            }
            "order" => order(&self.get(&format!("/api/orders/{}", args.part("id")))),
            "extend_order" => order_action(self, "extend", &args, &["ttl"]),
            "cancel_order" => order_action(self, "cancel", &args, &["reason"]),
            "refund_order" => {
                let fields = ["lines", "amount", "restock", "owed", "reason"];
                order_action(self, "refund", &args, &fields)
            }
            "restock_order" => order_action(self, "restock", &args, &["lines"]),
            "set_payment_reference" => {
                order_action(self, "payment-reference", &args, &["provider", "reference"])
            }
            "record_payment" => payment(self, args),
            "sweep" => outcome(&self.post("/api/admin/sweep"), Answer::json),
            "events" => Outcome::success(json!({ "types": types(self, &args.0["product_id"]) })),
            other => panic!("{other} cannot be called over HTTP"),
        }
    }

    fn audit(&self) -> Result<(), String> {
        let audit = self.get("/api/admin/audit");
        let is_consistent = audit.status == 200 && audit.json()["consistent"] == true;
        if is_consistent { Ok(()) } else { Err(audit.body) }
    }
}

/// The arguments of one call.
struct Args(Map<String, Value>);

impl Args {
    /// Returns an argument as a path segment.
    fn part(&self, name: &str) -> String {
        let text = match &self.0[name] {
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
    }

    /// Returns the arguments that are sent as headers.
    fn headers(&self) -> Vec<(&str, &str)> {
        let headers = [("key", "idempotency-key"), ("token", "hold-token")];
        let given = |(name, header): (&str, _)| Some((header, self.0.get(name)?.as_str()?));
        headers.into_iter().filter_map(given).collect()
    }

    /// Returns these arguments as a JSON body; empty if none was given.
    fn body(&self, names: &[&str]) -> String {
        let given = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let body: Map<_, _> =
            given.map(|(name, argument)| (name.clone(), argument.clone())).collect();
        if body.is_empty() { String::new() } else { Value::Object(body).to_string() }
    }
}

/// Converts a response; every error must be a complete problem with the status
/// that the contract gives its code.
fn outcome(answer: &Answer, fields: impl FnOnce(&Answer) -> Value) -> Outcome {
    if (200..300).contains(&answer.status) {
        return Outcome::success(fields(answer));
    }
    let mut problem = answer.json();
    let code = problem["code"].as_str().unwrap_or_default().to_owned();
    let row = STATUSES.iter().find(|(one, _)| *one == code);
    let (_, status) = row.unwrap_or_else(|| panic!("not the contract's: {}", answer.body));
    answer.expect_problem(*status, &code);
    problem["replayed"] = json!(answer.is_replayed());
    for (name, there) in
        [("product_id", "id"), ("moment", "on_sale_from"), ("moment", "on_sale_until")]
    {
        if let Some(value) = problem.get(there).cloned() {
            problem[name] = value;
        }
    }
    Outcome::error(&code, problem)
}

/// A body without an envelope.
fn whole(answer: &Answer) -> Outcome {
    outcome(answer, Answer::json)
}

/// A hold or an order inside the envelope.
fn within(name: &str, answer: &Answer) -> Outcome {
    outcome(answer, |answer| {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut fields = answer.json()[name].clone();
        fields["replayed"] = json!(answer.is_replayed());
        fields
    })
}

/// What a request for an order may have besides its holds.
const TERMS: &[&str] = &["amount", "currency", "reference", "payment_ttl", "metadata"];

/// Sends what changes an order.
fn order_action(server: &Server, action: &str, args: &Args, fields: &[&str]) -> Outcome {
    let path = format!("/api/orders/{}/{action}", args.part("id"));
    order(&server.send("POST", &path, &args.headers(), &args.body(fields)))
}

/// An order inside its envelope, its amounts as text.
fn order(answer: &Answer) -> Outcome {
    let mut outcome = within("order", answer);
    if outcome.code.is_none() {
        amounts_as_texts(&mut outcome.fields);
    }
    outcome
}

fn amounts_as_texts(order: &mut Value) {
    ["amount", "refunded_amount"].iter().for_each(|name| as_text(&mut order[name]));
    order["lines"].as_array_mut().unwrap().iter_mut().for_each(|line| as_text(&mut line["price"]));
}

fn as_text(amount: &mut Value) {
    assert!(amount.is_number(), "{amount} must be a number");
    *amount = json!(amount.to_string());
}

/// Returns a batch's requests as JSON Lines.
fn batch_lines(requests: &Value) -> String {
    let line = |request: &Value| {
        let mut line = request.as_object().unwrap().clone();
        if let Some(key) = line.remove("key") {
            line.insert("idempotency_key".to_owned(), key);
        }
        format!("{}\n", Value::Object(line))
    };
    requests.as_array().unwrap().iter().map(line).collect()
}

/// Converts the answers to a batch. The status of each must be the one that the
/// contract gives its code.
fn batch_results(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jsonl")));
    let result = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let is_replayed = line["replayed"] == true;
        let (code, status) = match line["code"].as_str() {
            Some(code) => (code.to_owned(), STATUSES.iter().find(|(one, _)| *one == code)),
            None => (String::new(), Some(&("", 200))),
        };
        let (_, status) = status.unwrap_or_else(|| panic!("not the contract's: {line}"));
        assert_eq!((&line["status"], &line["success"]), (&json!(status), &json!(code.is_empty())));
        let mut fields = if code.is_empty() { line["hold"].take() } else { line };
        (fields["code"], fields["replayed"]) = (json!(code), json!(is_replayed));
        fields
    };
    let results: Vec<_> = answer.body.lines().map(result).collect();
    json!({ "results": results })
}

fn payment(server: &Server, Args(mut args): Args) -> Outcome {
    if let Some(key) = args.remove("key") {
        args.insert("idempotency_key".to_owned(), key);
    }
    let signature = args.remove("signed");
    let body = Value::Object(args).to_string();
    let answer = match signature {
        Some(by) => {
            let (secret, age) = (by["secret"].as_str().unwrap(), by["age"].as_i64());
            signed(server, secret, age.unwrap_or_default(), &body, &body)
        }
        None => server.webhook(&body),
    };
    outcome(&answer, |answer| {
        assert_eq!(answer.field("message"), "ok");
        let (result, is_replayed) = (answer.field("result"), answer.is_replayed());
        assert_eq!(result == "repeated", is_replayed);
        let word = match answer.status {
            202 => "waiting",
            200 => result,
            other => panic!("a payment was answered {other}"),
        };
        json!({ "status": word, "replayed": is_replayed })
    })
}

/// Returns the event kinds of a product, in order.
fn types(server: &Server, product_id: &Value) -> Vec<Value> {
    let (mut cursor, mut types) = (json!(0), Vec::new());
    loop {
        let page = server.get(&format!("/api/admin/events?after={cursor}&limit=1000")).json();
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            return types;
        }
        cursor = page["next"].clone();
        let of_product = events.iter().filter(|event| event["product_id"] == *product_id);
        types.extend(of_product.map(|event| event["type"].clone()));
    }
}
