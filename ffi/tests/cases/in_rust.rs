//! The shared table of cases in Rust.

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stockade::{
    CartRequest, Engine, Error, ExtendRequest, Hold, HoldId, HoldRequest, NewProduct, OrderId,
    OrderRequest, Outcome, PaymentEvent, PaymentToken, ProductId, ReleaseRequest, Replayable,
    Result, StockAdjustment, Token, parse_quantity,
};
use stockade_testkit::cases::{self, Case, Face, Table, play};

use crate::TestStore;

pub fn run(table: &Table, place: &TestStore) {
    for case in table.of("rust") {
        let engine = InRust(open(case, place).expect("opened"));
        if let Err(why) = play(case, &engine) {
            panic!("{}: {why}", case.name);
        }
        engine.0.close().expect("closed");
    }
}

fn open(case: &Case, place: &TestStore) -> Result<Engine> {
    let mut builder = Engine::builder().store(&place.store);
    if let Some((url, prefix)) = &place.redis {
        builder = builder.redis(url).set("redis_prefix", prefix)?;
    }
    for (name, value) in &case.settings {
        builder = builder.set(name, value)?;
    }
    builder.open()
}

struct InRust(Engine);

impl Face for InRust {
    fn create_product(&self, name: &str, stock: u64) -> Value {
        let price = "19.99".parse().expect("a price");
        let made = self.0.create_product(NewProduct::new(name, price, stock));
        json!(made.expect("created").value)
    }

    fn call(&self, call: &str, args: Map<String, Value>) -> cases::Outcome {
        match make(&self.0, call, &Args(args)) {
            Ok(answer) => cases::Outcome::success(in_table_names(answer)),
            Err(error) => cases::Outcome::error(error.code(), of_error(&error)),
        }
    }

    fn audit(&self) -> std::result::Result<(), String> {
        let report = self.0.audit().map_err(|error| error.to_string())?;
        if report.consistent { Ok(()) } else { Err(format!("{:?}", report.findings)) }
    }
}

/// Renames the field `quantity` to `qty`, as it is in the table.
fn in_table_names(answer: Value) -> Value {
    match answer {
        Value::Object(fields) => {
            let name = |name| if name == "quantity" { "qty".to_owned() } else { name };
            fields.into_iter().map(|(key, field)| (name(key), in_table_names(field))).collect()
        }
        Value::Array(items) => items.into_iter().map(in_table_names).collect(),
        other => other,
    }
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

/// The arguments of one call.
struct Args(Map<String, Value>);

impl Args {
    /// Parses an id: a number, or request text.
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

    fn token(&self) -> Result<Option<Token>> {
        Ok(self.text("token").map(|token| token.parse()).transpose()?)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| text.as_str().expect("a text").to_owned())
    }
}

fn make(engine: &Engine, call: &str, args: &Args) -> Result<Value> {
    match call {
        "product" => Ok(json!(engine.product(args.id("id")?)?)),
        "adjust_stock" => {
            let delta = args.0["delta"].as_i64().expect("a delta");
            let product_id: ProductId = args.id("product_id")?;
            let reason = args.text("reason").expect("a reason");
            let mut adjustment = StockAdjustment::new(product_id, delta, reason);
            adjustment.key = args.text("key");
            adjustment.version = args.0.get("version").and_then(Value::as_u64);
            Ok(json!(engine.adjust_stock(&adjustment)?.value))
        }
        "create_hold" => {
            Ok(replayable(engine.create_hold(hold_request(args)?)?, |hold| json!(hold)))
        }
        "create_hold_batch" => {
            let requests = args.0["requests"].as_array().expect("requests").iter();
            let request = |request: &Value| {
                hold_request(&Args(request.as_object().expect("a request").clone()))
            };
            let results =
                engine.create_hold_batch(requests.map(request).collect::<Result<_>>()?)?;
            Ok(json!({ "results": results.into_iter().map(result).collect::<Vec<_>>() }))
        }
        "create_holds" => {
            let lines = args.0["items"].as_array().expect("lines").iter().map(|line| {
                let line = Args(line.as_object().expect("a line").clone());
                Ok((line.id::<ProductId>("product_id")?, line.quantity()?))
            });
            let mut request = CartRequest::new(lines.collect::<Result<Vec<_>>>()?);
            (request.ttl, request.key) = (args.ttl(), args.text("key"));
            request.customer = args.text("customer");
            Ok(replayable(engine.create_holds(&request)?, |holds| json!({ "holds": holds })))
        }
        "hold" => Ok(json!(engine.hold(args.id("id")?)?)),
        "release_hold" => {
            let mut request = ReleaseRequest::new(args.id::<HoldId>("id")?);
            request.token = args.token()?;
            Ok(json!(engine.release_hold(request)?))
        }
        "extend_hold" => {
            let mut request = ExtendRequest::new(args.id::<HoldId>("id")?);
            (request.ttl, request.token) = (args.ttl(), args.token()?);
            Ok(json!(engine.extend_hold(&request)?))
        }
        "create_order" => {
            let hold_id: HoldId = args.id("hold_id")?;
            let mut request = OrderRequest::new(hold_id, args.id::<ProductId>("product_id")?);
            (request.key, request.token) = (args.text("key"), args.token()?);
            Ok(replayable(engine.create_order(&request)?, |order| json!(order)))
        }
        "order" => Ok(json!(engine.order(args.id("id")?)?)),
        "record_payment" => {
            Ok(replayable(engine.record_payment(&payment(args)?)?, |receipt| json!(receipt)))
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

fn hold_request(args: &Args) -> Result<HoldRequest> {
    let mut request = HoldRequest::new(args.id::<ProductId>("product_id")?, args.quantity()?);
    (request.ttl, request.key) = (args.ttl(), args.text("key"));
    request.customer = args.text("customer");
    Ok(request)
}

/// One result of a batch.
fn result(result: Result<Replayable<Hold>>) -> Value {
    match result {
        Ok(held) => {
            let mut shown = replayable(held, |hold| json!(hold));
            shown["code"] = json!("");
            shown
        }
        Err(error) => of_error(&error),
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
    Ok(match args.text("body") {
        Some(body) => event.body(body),
        None => event,
    })
}

fn replayable<T>(answer: Replayable<T>, show: impl FnOnce(&T) -> Value) -> Value {
    let mut shown = show(&answer.value);
    shown["replayed"] = json!(answer.replayed);
    shown
}

/// Returns the event kinds of a product, in order.
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
