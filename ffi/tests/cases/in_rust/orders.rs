//! The calls about orders and payments in Rust.

use std::time::Duration;

use serde_json::{Value, json};
use stockade::{
    CancelRequest, Engine, Error, ExtendOrderRequest, HoldId, LineUnits, Order, OrderId,
    OrderRequest, OrderedHold, Outcome, PaymentEvent, PaymentReference, PaymentToken,
    RefundRequest, RestockRequest, Result,
};

use super::{Args, replayable};

pub(super) fn make(engine: &Engine, call: &str, args: &Args) -> Result<Value> {
    let order = |order: Result<Order>| order.map(|order| shown(&order));
    match call {
        "create_order" => Ok(replayable(engine.create_order(request(args)?)?, shown)),
        "order" => order(engine.order(args.id("id")?)),
        "order_by_reference" => order(engine.order_by_reference(text(args, "reference"))),
        "order_by_payment" => {
            order(engine.order_by_payment(text(args, "provider"), text(args, "reference")))
        }
        "extend_order" => {
            let mut request = ExtendOrderRequest::new(args.id::<OrderId>("id")?);
            request.ttl = args.ttl();
            order(engine.extend_order(request))
        }
        "cancel_order" => {
            let mut request = CancelRequest::new(args.id::<OrderId>("id")?);
            request.reason = args.text("reason");
            order(engine.cancel_order(request))
        }
        "refund_order" => {
            let mut request = RefundRequest::new(args.id::<OrderId>("id")?);
            request.lines = units(args)?;
            request.amount = args.parsed("amount")?;
            let is_true = |name| args.0.get(name).is_some_and(|yes| *yes == json!(true));
            (request.restock, request.owed) = (is_true("restock"), is_true("owed"));
            (request.reason, request.key) = (args.text("reason"), args.text("key"));
            Ok(replayable(engine.refund_order(request)?, shown))
        }
        "restock_order" => {
            let mut request = RestockRequest::new(args.id::<OrderId>("id")?);
            (request.lines, request.key) = (units(args)?, args.text("key"));
            Ok(replayable(engine.restock_order(request)?, shown))
        }
        "set_payment_reference" => {
            let (provider, reference) = (text(args, "provider"), text(args, "reference"));
            let id: OrderId = args.id("id")?;
            order(engine.set_payment_reference(PaymentReference::new(id, provider, reference)))
        }
        "record_payment" => {
            Ok(replayable(engine.record_payment(&payment(args)?)?, |receipt| json!(receipt)))
        }
        other => panic!("unknown call {other}"),
    }
}

/// An order, with the fields of its line if it has one.
pub(super) fn shown(order: &Order) -> Value {
    let mut fields = json!(order);
    if let Some(line) = order.lines.only() {
        fields["hold_id"] = json!(line.hold_id);
        fields["product_id"] = json!(line.product_id);
        fields["quantity"] = json!(line.quantity);
    }
    fields
}

fn text(args: &Args, name: &str) -> String {
    args.text(name).expect("a text")
}

fn request(args: &Args) -> Result<OrderRequest> {
    let mut request = match args.0.get("holds") {
        None => {
            let hold = OrderedHold::new(args.id::<HoldId>("hold_id")?);
            let mut hold = hold.product(args.product("product_id")?);
            hold.token = args.token()?;
            OrderRequest::of([hold])
        }
        Some(holds) => {
            let hold = |hold: &Value| {
                let args = Args(hold.as_object().expect("a hold").clone());
                let mut hold = OrderedHold::new(args.id::<HoldId>("id")?);
                hold.token = args.token()?;
                Ok(hold)
            };
            let holds = holds.as_array().expect("holds").iter().map(hold);
            OrderRequest::of(holds.collect::<Result<Vec<_>>>()?)
        }
    };
    request.amount = args.parsed("amount")?;
    request.currency = args.parsed("currency")?;
    (request.reference, request.key) = (args.text("reference"), args.text("key"));
    request.metadata = args.metadata()?;
    let seconds = |ttl: &Value| Duration::from_secs(ttl.as_u64().expect("seconds"));
    request.payment_ttl = args.0.get("payment_ttl").map(seconds);
    Ok(request)
}

/// The lines of a refund. An empty list, which the other faces reject, is here the
/// same as none.
fn units(args: &Args) -> Result<Vec<LineUnits>> {
    let Some(lines) = args.0.get("lines") else { return Ok(Vec::new()) };
    let lines = lines.as_array().expect("lines");
    if lines.is_empty() {
        return Err(Error::invalid_argument("the table has a list"));
    }
    let number = |line: &Value, name: &str| {
        u32::try_from(line[name].as_u64().expect("a number")).expect("fits")
    };
    let units = |line: &Value| LineUnits::new(number(line, "line"), number(line, "quantity"));
    Ok(lines.iter().map(units).collect())
}

fn payment(args: &Args) -> Result<PaymentEvent> {
    let outcome: Outcome = text(args, "status").parse()?;
    let token: Option<PaymentToken> = args.parsed("payment_token")?;
    let order_id = args.0.contains_key("order_id").then(|| args.id::<OrderId>("order_id"));
    let names = (args.text("order_reference"), args.text("payment_reference"));
    let mut event = match (order_id.transpose()?, token, names) {
        (Some(order_id), ..) => PaymentEvent::for_order(order_id, outcome),
        (None, Some(token), _) => PaymentEvent::for_token(token, outcome),
        (None, None, (Some(number), _)) => PaymentEvent::for_reference(number, outcome),
        (None, None, (None, Some(name))) => PaymentEvent::for_payment(name, outcome),
        _ => return Err(Error::invalid_argument("nothing names the order")),
    };
    (event.payment_token, event.order_reference) = (token, args.text("order_reference"));
    event.amount = args.parsed("amount")?;
    event.currency = args.parsed("currency")?;
    (event.payment_reference, event.key) = (args.text("payment_reference"), args.text("key"));
    Ok(event)
}
