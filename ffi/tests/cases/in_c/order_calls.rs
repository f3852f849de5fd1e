//! The calls about orders in C.

use serde_json::{Map, Value};
use stockade_testkit::cases::Step;

use super::Writer;
use super::calls::metadata;

impl Writer {
    /// Generates a call that returns an order and its lines.
    pub(super) fn order_call(&mut self, a: &str, step: &Step) -> Vec<String> {
        let args = &step.args;
        let mut code = vec!["stockade_order_lines *lines = NULL;".to_owned()];
        let (given, out) = match step.call.as_str() {
            "order" => (self.id(a, args, "id"), ""),
            "order_by_reference" => (self.text(&args["reference"]), ""),
            "order_by_payment" => {
                let names = [&args["provider"], &args["reference"]].map(|name| self.text(name));
                (names.join(", "), "")
            }
            "set_payment_reference" => {
                let id = self.id(a, args, "id");
                let names = [&args["provider"], &args["reference"]].map(|name| self.text(name));
                (format!("{id}, {}", names.join(", ")), "")
            }
            "cancel_order" => {
                let reason = args.get("reason").map(|reason| self.text(reason));
                let reason = reason.unwrap_or_else(|| "NULL".to_owned());
                (format!("{}, {reason}", self.id(a, args, "id")), "")
            }
            "extend_order" => {
                code.extend(self.order_request(a, "stockade_order_extension", args));
                code.extend(seconds("ttl", args));
                ("&r".to_owned(), "")
            }
            "create_order" => {
                code.extend(self.create_order(a, args));
                ("&r".to_owned(), "&A.replayed, ")
            }
            "refund_order" => {
                code.extend(self.order_request(a, "stockade_refund_request", args));
                code.extend(self.units(args));
                for field in ["restock", "owed"] {
                    code.extend(args.get(field).map(|yes| format!("r.{field} = {yes};")));
                }
                for field in ["amount", "reason", "key"] {
                    code.extend(self.given(field, args));
                }
                ("&r".to_owned(), "&A.replayed, ")
            }
            "restock_order" => {
                code.extend(self.order_request(a, "stockade_restock_request", args));
                code.extend(self.units(args));
                code.extend(self.given("key", args));
                ("&r".to_owned(), "&A.replayed, ")
            }
            other => panic!("unknown call {other}"),
        };
        let (call, out) = (&step.call, out.replace('A', a));
        code.push(format!(
            "{a}.code = stockade_engine_{call}(engine, {given}, &{a}.order, &lines, {out}&{a}.error);"
        ));
        code.push(format!("keep_lines(&{a}, lines);"));
        code
    }

    fn order_request(&mut self, a: &str, kind: &str, args: &Map<String, Value>) -> [String; 2] {
        let id = self.id(a, args, "id");
        [format!("{kind} r = STOCKADE_INIT({kind});"), format!("r.order_id = {id};")]
    }

    fn create_order(&mut self, a: &str, args: &Map<String, Value>) -> Vec<String> {
        let mut code =
            vec!["stockade_order_request r = STOCKADE_INIT(stockade_order_request);".to_owned()];
        if let Some(holds) = args.get("holds") {
            let holds = holds.as_array().expect("holds");
            let count = holds.len();
            let most = count.max(1);
            code.push(format!("stockade_ordered_hold holds[{most}] = {{{{0, 0, NULL, NULL}}}};"));
            for (index, hold) in holds.iter().enumerate() {
                let (r, hold) = (format!("holds[{index}]"), hold.as_object().expect("a hold"));
                code.push(format!("{r}.hold_id = {};", self.id(a, hold, "id")));
                code.extend(self.given_of(&r, "token", hold));
            }
            code.push(format!("r.holds = holds; r.hold_count = {count};"));
        } else {
            code.push(format!("r.hold_id = {};", self.id(a, args, "hold_id")));
            code.extend(self.product(a, "r", args, ("product_id", "sku")));
            code.extend(self.given("token", args));
        }
        for field in ["amount", "currency", "reference", "key"] {
            code.extend(self.given(field, args));
        }
        code.extend(metadata("r", args));
        code.extend(seconds("payment_ttl", args));
        code
    }

    /// Fills in the lines of a refund or a restock, if given.
    fn units(&mut self, args: &Map<String, Value>) -> Vec<String> {
        let Some(lines) = args.get("lines") else { return Vec::new() };
        let lines = lines.as_array().expect("lines");
        let count = lines.len();
        let mut code = vec![format!("stockade_line_units units[{}] = {{{{0, 0}}}};", count.max(1))];
        for (index, line) in lines.iter().enumerate() {
            let (line, quantity) = (&line["line"], &line["quantity"]);
            code.push(format!(
                "units[{index}].line = {line}; units[{index}].quantity = {quantity};"
            ));
        }
        code.push(format!("r.lines = units; r.line_count = {count};"));
        code
    }
}

/// Returns C code that sets a duration in seconds, if given.
fn seconds(field: &str, args: &Map<String, Value>) -> Vec<String> {
    let set = |seconds: &Value| {
        format!("r.has_{field} = 1; r.{field}_us = {seconds} * UINT64_C(1000000);")
    };
    args.get(field).map(set).into_iter().collect()
}
