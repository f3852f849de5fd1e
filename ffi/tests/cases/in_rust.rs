//! The table in Rust.

use std::collections::HashMap;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use stockade::{
    CartRequest, Engine, Error, ExtendRequest, HoldId, HoldRequest, NewProduct, OrderId,
    OrderRequest, Outcome, PaymentEvent, PaymentToken, ProductId, Replayable, Result,
    StockAdjustment, parse_quantity,
};

use crate::Place;
use crate::table::{Case, Part, Step, Table, Text, parse};

/// How long a step with `until` may take.
const SOON: Duration = Duration::from_secs(10);

type Answers = HashMap<String, Value>;

pub fn run(table: &Table, place: &Place) {
    for case in table.of("rust") {
        if let Err(why) = run_case(case, place) {
            panic!("{}: {why}", case.name);
        }
    }
}

fn run_case(case: &Case, place: &Place) -> std::result::Result<(), String> {
    let engine = open(case, place).map_err(|error| format!("opening: {error:?}"))?;
    let mut answers = Answers::new();
    for (name, stock) in &case.products {
        let price = "19.99".parse().expect("a price");
        let made = engine.create_product(&NewProduct::new(name, price, *stock));
        answers.insert(name.clone(), json!(made.expect("created")));
    }
    for (index, step) in case.steps.iter().enumerate() {
        let start = Instant::now();
        let answer = loop {
            let outcome = call(&engine, step, &answers);
            match check(step, &outcome, &answers) {
                Ok(()) => break outcome.unwrap_or_default(),
                Err(_) if step.until && start.elapsed() < SOON => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(why) => return Err(format!("step {index} ({}): {why}", step.call)),
            }
        };
        if let Some(name) = &step.name {
            answers.insert(name.clone(), answer);
        }
    }
    if case.steps.iter().all(|step| step.call != "close") {
        let report = engine.audit().map_err(|error| error.to_string())?;
        if !report.consistent {
            return Err(format!("{:?}", report.findings));
        }
    }
    engine.close().map_err(|error| error.to_string())
}

fn open(case: &Case, place: &Place) -> Result<Engine> {
    let mut builder = Engine::builder().store(&place.store);
    if let Some((url, prefix)) = &place.redis {
        builder = builder.redis(url).set("redis_prefix", prefix)?;
    }
    for (name, value) in &case.settings {
        builder = builder.set(name, value)?;
    }
    builder.open()
}

/// Compares an answer with what is expected.
fn check(
    step: &Step,
    outcome: &Result<Value>,
    answers: &Answers,
) -> std::result::Result<(), String> {
    let (code, fields) = match outcome {
        Ok(answer) => (None, answer.clone()),
        Err(error) => (Some(error.code()), of_error(error)),
    };
    if code != step.code.as_deref() {
        return Err(format!("expected {:?}, got {outcome:?}", step.code));
    }
    let is = resolve(&Value::Object(step.is.clone()), answers);
    if !matches(&is, &fields) {
        return Err(format!("expected {is}, got {fields}"));
    }
    for (field, moment) in &step.later {
        let moment = resolve(moment, answers);
        // RFC 3339 with six places sorts as time does.
        if fields[field].as_str() <= moment.as_str() {
            return Err(format!("expected {field} after {moment}, got {fields}"));
        }
    }
    Ok(())
}

fn of_error(error: &Error) -> Value {
    json!({
        "code": error.code(),
        "available": error.available(),
        "short": error.short(),
        "order_id": error.order_id(),
        "replayed": error.replayed(),
    })
}

/// Whether all that is expected is there.
fn matches(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(fields), Value::Object(_)) => {
            fields.iter().all(|(name, field)| matches(field, &got[name]))
        }
        (Value::Array(items), Value::Array(there)) => {
            items.len() == there.len()
                && items.iter().zip(there).all(|(item, there)| matches(item, there))
        }
        _ => expected == got,
    }
}

/// Puts parts of earlier answers in.
fn resolve(value: &Value, answers: &Answers) -> Value {
    match value {
        Value::String(text) => match parse(text) {
            Text::Reference { answer, path, plus } => {
                let found = find(answers, answer, &path);
                found.as_u64().map_or(found.clone(), |number| json!(number + plus))
            }
            Text::Words(parts) => {
                Value::String(parts.iter().map(|part| word(part, answers)).collect())
            }
        },
        Value::Array(items) => items.iter().map(|item| resolve(item, answers)).collect(),
        Value::Object(fields) => {
            let resolved =
                fields.iter().map(|(name, field)| (name.clone(), resolve(field, answers)));
            Value::Object(resolved.collect())
        }
        other => other.clone(),
    }
}

fn word(part: &Part, answers: &Answers) -> String {
    match part {
        Part::Word(word) => (*word).to_owned(),
        Part::Reference { answer, path } => match find(answers, answer, path) {
            Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

fn find(answers: &Answers, answer: &str, path: &[&str]) -> Value {
    let mut found = answers.get(answer).unwrap_or_else(|| panic!("no answer {answer}"));
    for key in path {
        found = match key.parse::<usize>() {
            Ok(index) => &found[index],
            Err(_) => &found[*key],
        };
    }
    assert!(!found.is_null(), "{answer} has no {path:?}");
    found.clone()
}

/// The arguments of one call.
struct Args(Map<String, Value>);

impl Args {
    /// An id: a number, or text as a request has it.
    fn id<T: From<u64> + FromStr<Err = stockade::InvalidArgument>>(&self, name: &str) -> Result<T> {
        match &self.0[name] {
            Value::String(text) => Ok(text.parse()?),
            number => Ok(number.as_u64().expect("an id").into()),
        }
    }

    fn quantity(&self) -> Result<u32> {
        match &self.0["quantity"] {
            Value::String(text) => Ok(parse_quantity(text)?),
            number => Ok(u32::try_from(number.as_u64().expect("a quantity")).expect("fits")),
        }
    }

    fn ttl(&self) -> Option<Duration> {
        self.0.get("ttl").map(|ttl| Duration::from_secs(ttl.as_u64().expect("seconds")))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| text.as_str().expect("a text").to_owned())
    }
}

fn call(engine: &Engine, step: &Step, answers: &Answers) -> Result<Value> {
    let Value::Object(args) = resolve(&Value::Object(step.args.clone()), answers) else {
        panic!("arguments are an object")
    };
    let args = Args(args);
    match step.call.as_str() {
        "product" => Ok(json!(engine.product(args.id("id")?)?)),
        "adjust" => {
            let delta = args.0["delta"].as_i64().expect("a delta");
            let product_id: ProductId = args.id("product_id")?;
            let reason = args.text("reason").expect("a reason");
            Ok(json!(engine.adjust_stock(&StockAdjustment::new(product_id, delta, reason))?))
        }
        "hold" => {
            let product_id: ProductId = args.id("product_id")?;
            let mut request = HoldRequest::new(product_id, args.quantity()?);
            (request.ttl, request.key) = (args.ttl(), args.text("key"));
            Ok(replayable(engine.hold(&request)?, |hold| json!(hold)))
        }
        "hold_many" => {
            let lines = args.0["items"].as_array().expect("lines").iter().map(|line| {
                let line = Args(line.as_object().expect("a line").clone());
                Ok((line.id::<ProductId>("product_id")?, line.quantity()?))
            });
            let mut request = CartRequest::new(lines.collect::<Result<Vec<_>>>()?);
            (request.ttl, request.key) = (args.ttl(), args.text("key"));
            Ok(replayable(engine.hold_many(&request)?, |holds| json!({ "holds": holds })))
        }
        "get_hold" => Ok(json!(engine.get_hold(args.id("id")?)?)),
        "release" => Ok(json!(engine.release(args.id("id")?)?)),
        "extend" => {
            let mut request = ExtendRequest::new(args.id::<HoldId>("id")?);
            request.ttl = args.ttl();
            Ok(json!(engine.extend(&request)?))
        }
        "order" => {
            let hold_id: HoldId = args.id("hold_id")?;
            let mut request = OrderRequest::new(hold_id, args.id::<ProductId>("product_id")?);
            request.key = args.text("key");
            Ok(replayable(engine.order(&request)?, |order| json!(order)))
        }
        "get_order" => Ok(json!(engine.get_order(args.id("id")?)?)),
        "payment" => {
            let answer = engine.payment(&payment(&args)?)?;
            Ok(replayable(answer, |answer| json!({ "answer": answer })))
        }
        "sweep" => Ok(json!(engine.sweep()?)),
        "events" => {
            let product_id: ProductId = args.id("product_id")?;
            Ok(json!({ "types": types(engine, product_id)? }))
        }
        "close" => engine.close().map(|()| json!({})),
        other => panic!("unknown call {other}"),
    }
}

fn payment(args: &Args) -> Result<PaymentEvent> {
    let outcome: Outcome = args.text("status").expect("a status").parse()?;
    let token =
        args.text("payment_token").map(|token| token.parse::<PaymentToken>()).transpose()?;
    let order_id = args.0.contains_key("order_id").then(|| args.id::<OrderId>("order_id"));
    let mut event = match (order_id.transpose()?, token) {
        (Some(order_id), _) => PaymentEvent::for_order(order_id, outcome),
        (None, Some(token)) => PaymentEvent::for_token(token, outcome),
        (None, None) => return Err(Error::invalid_argument("nothing names the order")),
    };
    event.payment_token = token;
    event.key = args.text("key");
    event.body = args.text("body").map(String::into_bytes);
    Ok(event)
}

fn replayable<T>(answer: Replayable<T>, show: impl FnOnce(&T) -> Value) -> Value {
    let mut shown = show(&answer.value);
    shown["replayed"] = json!(answer.replayed);
    shown
}

/// The kinds of all events of a product, in order.
fn types(engine: &Engine, product_id: ProductId) -> Result<Vec<&'static str>> {
    let (mut cursor, mut types) = (0, Vec::new());
    loop {
        let events = engine.events_after(cursor, 1_000)?;
        let Some(last) = events.last() else { return Ok(types) };
        cursor = last.cursor;
        let of_product = events.iter().filter(|event| event.product_id == product_id);
        types.extend(of_product.map(|event| event.kind.as_str()));
    }
}
