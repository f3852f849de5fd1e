//! The calls about lists, waiting payments and customers over HTTP.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use stockade_testkit::cases::Outcome;

use super::{Args, amounts_as_texts, as_text, outcome, whole};
use crate::server::Server;

pub(super) fn make(server: &Server, call: &str, args: &Args) -> Outcome {
    match call {
        "holds" => pages(server, "/api/admin/holds", &args.0, |_| ()),
        "orders" => pages(server, "/api/admin/orders", &args.0, amounts_as_texts),
        "waiting_payments" => {
            let mut all = pages(server, "/api/admin/payments/waiting", &Map::new(), event);
            let items = all.fields["items"].as_array_mut().unwrap();
            items.retain(|event| event["order_id"] == args.0["order_id"]);
            all
        }
        "remove_waiting_payment" => {
            let path = format!("/api/admin/payments/waiting/{}", args.part("key"));
            outcome(&server.delete(&path), |answer| {
                let mut removed = answer.json();
                event(&mut removed);
                removed
            })
        }
        _ => whole(&server.post_json("/api/admin/customers/erase", &args.body(&["customer"]))),
    }
}

/// An event, its amount as text.
fn event(event: &mut Value) {
    if event.get("amount").is_some() {
        as_text(&mut event["amount"]);
    }
}

/// Reads all pages of a list.
fn pages(
    server: &Server,
    path: &str,
    filters: &Map<String, Value>,
    show: fn(&mut Value),
) -> Outcome {
    let (mut filters, mut items) = (filters.clone(), Vec::new());
    loop {
        let pair = |(name, value): (&String, &Value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}", utf8_percent_encode(&text, NON_ALPHANUMERIC))
        };
        let query = filters.iter().map(pair).collect::<Vec<_>>().join("&");
        let page = whole(&server.get(&format!("{path}?{query}")));
        if page.code.is_some() {
            return page;
        }
        let found = page.fields["items"].as_array().unwrap().iter().cloned();
        items.extend(found.map(|mut item| {
            show(&mut item);
            item
        }));
        match &page.fields["next"] {
            Value::Null => return Outcome::success(json!({ "items": items })),
            next => drop(filters.insert("after".to_owned(), next.clone())),
        }
    }
}
