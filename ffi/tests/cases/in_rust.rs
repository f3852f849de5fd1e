//! The shared table of cases in Rust.

mod lists;
mod orders;
mod products;

use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use stockade::{
    Cart, CartId, CartLine, CartRequest, ChangeQuantityRequest, Engine, Error, ExtendCartRequest,
    ExtendRequest, Hold, HoldId, HoldRequest, Metadata, NewProduct, ProductId, ProductRef,
    ReleaseCartRequest, ReleaseRequest, Replayable, Result, Token, parse_quantity,
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
        "product_id": error.product_id(),
        "moment": error.off_sale().and_then(stockade::OffSale::moment),
        "holds": error.holds(),
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

    /// Parses a product: an id, or request text; in lines also a SKU on its own.
    fn product(&self, name: &str) -> Result<ProductRef> {
        match (self.0.get(name), self.text("sku")) {
            (None, Some(sku)) => Ok(ProductRef::sku(sku)),
            (Some(Value::String(text)), _) => Ok(text.parse()?),
            _ => Ok(self.id::<ProductId>(name)?.into()),
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).map(|number| number.as_u64().expect("a number"))
    }

    fn parsed<T: FromStr<Err = stockade::InvalidArgument>>(&self, name: &str) -> Result<Option<T>> {
        Ok(self.text(name).map(|text| text.parse()).transpose()?)
    }

    fn quantity(&self) -> Result<u32> {
        match &self.0["quantity"] {
            Value::String(text) => Ok(parse_quantity(text)?),
            number => Ok(u32::try_from(number.as_u64().expect("a quantity")).expect("fits")),
        }
    }

    fn is_at_most(&self) -> bool {
        self.0.get("at_most") == Some(&json!(true))
    }

    fn metadata(&self) -> Result<Option<Metadata>> {
        Ok(self.0.get("metadata").map(|json| json.to_string().parse()).transpose()?)
    }

    fn ttl(&self) -> Option<Duration> {
        self.0.get("ttl").map(|ttl| Duration::from_secs(ttl.as_u64().expect("seconds")))
    }

    fn token(&self) -> Result<Option<Token>> {
        Ok(self.text("token").map(|token| token.parse()).transpose()?)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0
            .get(name)
            .filter(|text| !text.is_null())
            .map(|text| text.as_str().expect("a text").to_owned())
    }
}

fn make(engine: &Engine, call: &str, args: &Args) -> Result<Value> {
    match call {
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
                let new = CartLine::new(line.product("product_id")?, line.quantity()?);
                Ok(if line.is_at_most() { new.at_most() } else { new })
            });
            let mut request = CartRequest::new(lines.collect::<Result<Vec<_>>>()?);
            (request.ttl, request.key) = (args.ttl(), args.text("key"));
            (request.customer, request.metadata) = (args.text("customer"), args.metadata()?);
            Ok(replayable(engine.create_holds(&request)?, cart))
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
        "change_quantity" => {
            let hold_id: HoldId = args.id("id")?;
            let mut request = ChangeQuantityRequest::new(hold_id, args.quantity()?);
            (request.key, request.token) = (args.text("key"), args.token()?);
            Ok(replayable(engine.change_quantity(request)?, |hold| json!(hold)))
        }
        "cart" => Ok(cart(&engine.cart(args.id("id")?)?)),
        "release_cart" => {
            let mut request = ReleaseCartRequest::new(args.id::<CartId>("id")?);
            request.token = args.token()?;
            Ok(cart(&engine.release_cart(request)?))
        }
        "extend_cart" => {
            let mut request = ExtendCartRequest::new(args.id::<CartId>("id")?);
            (request.ttl, request.token) = (args.ttl(), args.token()?);
            Ok(cart(&engine.extend_cart(request)?))
        }
        "sweep" => Ok(json!(engine.sweep()?)),
        "events" => {
            let product_id: ProductId = args.id("product_id")?;
            Ok(json!({ "types": types(engine, product_id)? }))
        }
        "close" => engine.close().map(|()| json!({})),
        "product" | "create_product" | "put_product" | "change_product" | "adjust_stock" => {
            products::make(engine, call, args)
        }
        "holds" | "orders" | "waiting_payments" | "remove_waiting_payment" | "erase_customer" => {
            lists::make(engine, call, args)
        }
        _ => orders::make(engine, call, args),
    }
}

fn hold_request(args: &Args) -> Result<HoldRequest> {
    let mut request = HoldRequest::new(args.product("product_id")?, args.quantity()?);
    (request.ttl, request.key) = (args.ttl(), args.text("key"));
    (request.customer, request.metadata) = (args.text("customer"), args.metadata()?);
    request.at_most = args.is_at_most();
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

fn cart(cart: &Cart) -> Value {
    json!({ "cart_id": cart.id, "token": cart.token, "holds": cart.holds })
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
