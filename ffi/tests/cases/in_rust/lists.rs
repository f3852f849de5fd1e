//! The calls about lists, waiting payments and customers in Rust.

use serde_json::{Value, json};
use stockade::{
    Engine, HoldId, HoldQuery, HoldStatus, OrderId, OrderQuery, OrderStatus, PaymentDisposition,
    ProductRef, Result,
};

use super::{Args, orders};

/// The size of a page where the table names none.
const LIMIT: u32 = 100;

pub(super) fn make(engine: &Engine, call: &str, args: &Args) -> Result<Value> {
    let limit = args.number("limit").map_or(LIMIT, |limit| u32::try_from(limit).expect("fits"));
    match call {
        "holds" => {
            let mut query = HoldQuery::new(limit);
            (query.product, query.customer) = (product(args)?, args.text("customer"));
            query.status = word(args, "status", HoldStatus::ALL, HoldStatus::as_str);
            query.created_after = args.parsed("created_after")?;
            query.created_before = args.parsed("created_before")?;
            query.after = args.number("after").map(HoldId);
            let mut items = Vec::new();
            loop {
                let page = engine.holds(&query)?;
                items.extend(page.items.into_iter().map(|hold| json!(hold)));
                query.after = page.next;
                if query.after.is_none() {
                    return Ok(json!({ "items": items }));
                }
            }
        }
        "orders" => {
            let mut query = OrderQuery::new(limit);
            (query.product, query.customer) = (product(args)?, args.text("customer"));
            query.status = word(args, "status", OrderStatus::ALL, OrderStatus::as_str);
            query.disposition =
                word(args, "disposition", PaymentDisposition::ALL, PaymentDisposition::as_str);
            query.reference = args.text("reference");
            query.payment_reference = args.text("payment_reference");
            query.created_after = args.parsed("created_after")?;
            query.created_before = args.parsed("created_before")?;
            query.after = args.number("after").map(OrderId);
            let mut items = Vec::new();
            loop {
                let page = engine.orders(&query)?;
                items.extend(page.items.iter().map(orders::shown));
                query.after = page.next;
                if query.after.is_none() {
                    return Ok(json!({ "items": items }));
                }
            }
        }
        "waiting_payments" => {
            let order_id: OrderId = args.id("order_id")?;
            let (mut items, mut after) = (Vec::new(), None);
            loop {
                let page = engine.waiting_payments(after, limit)?;
                let of_order = page.items.iter().filter(|event| event.order_id == Some(order_id));
                items.extend(of_order.map(|event| json!(event)));
                after = page.next;
                if after.is_none() {
                    return Ok(json!({ "items": items }));
                }
            }
        }
        "remove_waiting_payment" => {
            Ok(json!(engine.remove_waiting_payment(args.text("key").expect("a key"))?))
        }
        _ => Ok(json!(engine.erase_customer(args.text("customer").expect("a customer"))?)),
    }
}

fn product(args: &Args) -> Result<Option<ProductRef>> {
    let is_given = args.0.contains_key("product_id") || args.0.contains_key("sku");
    is_given.then(|| args.product("product_id")).transpose()
}

fn word<T: Copy>(args: &Args, name: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
    let given = args.text(name)?;
    Some(*all.iter().find(|one| word(**one) == given).expect("a word of the list"))
}
