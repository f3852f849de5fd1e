//! The calls about products over HTTP.

use serde_json::json;
use stockade_testkit::cases::Outcome;

use super::{Args, as_text, outcome};
use crate::answer::Answer;
use crate::server::Server;

/// What a product may have besides its name and its price.
const TERMS: [&str; 8] = [
    "name",
    "price",
    "sku",
    "currency",
    "metadata",
    "on_sale_from",
    "on_sale_until",
    "safety_stock",
];

pub(super) fn make(server: &Server, call: &str, args: &Args) -> Outcome {
    let fields = |more: &[&'static str]| args.body(&[&TERMS, more].concat());
    match call {
        "product" => product(&server.get(&format!("/api/products/{}", args.part("id")))),
        "create_product" => {
            let body = fields(&["id", "stock"]);
            product(&server.send("POST", "/api/admin/products", &args.headers(), &body))
        }
        "put_product" => write(server, "PUT", args, &fields(&["stock"])),
        "change_product" => write(server, "PATCH", args, &fields(&["stock", "archived"])),
        _ => {
            let path = format!("/api/admin/products/{}/adjust", args.part("product_id"));
            let body = args.body(&["delta", "to", "reason", "version"]);
            product(&server.send("POST", &path, &args.headers(), &body))
        }
    }
}

/// Sends what makes or changes a product.
fn write(server: &Server, method: &str, args: &Args, body: &str) -> Outcome {
    let path = format!("/api/admin/products/{}", args.part("product"));
    let version = args.0.get("version").map(|version| format!("\"{version}\""));
    let headers: Vec<_> = version.iter().map(|version| ("if-match", version.as_str())).collect();
    product(&server.send(method, &path, &headers, body))
}

/// A product, its price as text.
fn product(answer: &Answer) -> Outcome {
    outcome(answer, |answer| {
        let mut product = answer.json();
        as_text(&mut product["price"]);
        product["replayed"] = json!(answer.is_replayed());
        product["created"] = json!(answer.status == 201);
        product
    })
}
