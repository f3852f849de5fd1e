//! The call of a step in C, and its arguments.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use stockade_testkit::cases::{Part, Step, Text, parse};

use super::{Writer, quoted};

impl Writer {
    /// Generates the call itself.
    pub(super) fn call(&mut self, a: &str, step: &Step) -> String {
        let args = &step.args;
        let ttl = |lines: &mut Vec<String>| lines.extend(ttl("r", args));
        let mut lines = Vec::new();
        let by_id = |function: &str, id: String, field: &str| {
            format!(
                "{a}.code = stockade_engine_{function}(engine, {id}, &{a}.{field}, &{a}.error);"
            )
        };
        match step.call.as_str() {
            "hold" => lines.push(by_id("hold", self.id(a, args, "id"), "hold")),
            "release_hold" if args.contains_key("token") => {
                lines.push(
                    "stockade_release_request r = STOCKADE_INIT(stockade_release_request);"
                        .to_owned(),
                );
                lines.push(format!("r.hold_id = {};", self.id(a, args, "id")));
                lines.extend(self.given("token", args));
                lines.push(by_id("release_hold_with", "&r".to_owned(), "hold"));
            }
            "release_hold" => lines.push(by_id("release_hold", self.id(a, args, "id"), "hold")),
            "create_hold" => {
                lines.push(
                    "stockade_hold_request r = STOCKADE_INIT(stockade_hold_request);".to_owned(),
                );
                lines.extend(self.hold_request(a, "r", args));
                lines.push(replayable(a, "create_hold", "hold"));
            }
            "create_hold_batch" => {
                let requests = args["requests"].as_array().expect("requests");
                let count = requests.len();
                lines.push(format!(
                    "stockade_hold_request requests[{}] = {{STOCKADE_INIT(stockade_hold_request)}};",
                    count.max(1)
                ));
                for (index, request) in requests.iter().enumerate() {
                    let (r, request) = (format!("requests[{index}]"), request.as_object());
                    lines.push(format!("{r}.struct_size = sizeof {r};"));
                    lines.extend(self.hold_request(a, &r, request.expect("a request")));
                }
                lines.push(format!("call_hold_batch(engine, &{a}, requests, {count});"));
            }
            "create_holds" => {
                let items = args["items"].as_array().expect("lines");
                let count = items.len();
                lines.push(format!(
                    "stockade_cart_line lines[{}] = {{{{0, 0, 0, NULL}}}};",
                    count.max(1)
                ));
                for (index, item) in items.iter().enumerate() {
                    let item = item.as_object().expect("a line");
                    let r = format!("lines[{index}]");
                    lines.extend(self.product(a, &r, item, ("product_id", "sku")));
                    let quantity = self.quantity(a, &item["quantity"]);
                    lines.push(format!("lines[{index}].quantity = {quantity};"));
                    lines.extend(at_most(&format!("lines[{index}]"), item));
                }
                lines.push(
                    "stockade_cart_request r = STOCKADE_INIT(stockade_cart_request);".to_owned(),
                );
                lines.push(format!("r.lines = lines; r.line_count = {count};"));
                ttl(&mut lines);
                lines.extend(self.given("key", args));
                lines.extend(self.given("customer", args));
                lines.extend(metadata("r", args));
                lines.push(format!("call_holds(engine, &{a}, &r);"));
            }
            "extend_hold" => {
                lines.push(
                    "stockade_extend_request r = STOCKADE_INIT(stockade_extend_request);"
                        .to_owned(),
                );
                lines.push(format!("r.hold_id = {};", self.id(a, args, "id")));
                ttl(&mut lines);
                lines.extend(self.given("token", args));
                lines.push(by_id("extend_hold", "&r".to_owned(), "hold"));
            }
            "change_quantity" => {
                lines.push(
                    "stockade_quantity_request r = STOCKADE_INIT(stockade_quantity_request);"
                        .to_owned(),
                );
                lines.push(format!("r.hold_id = {};", self.id(a, args, "id")));
                lines.push(format!("r.quantity = {};", self.quantity(a, &args["quantity"])));
                lines.extend(self.given("key", args));
                lines.extend(self.given("token", args));
                lines.push(replayable(a, "change_quantity", "hold"));
            }
            "cart" => lines.push(format!("call_cart(engine, &{a}, {});", self.id(a, args, "id"))),
            "release_cart" | "extend_cart" => {
                let (call, kind) = (&step.call, format!("stockade_{}_request", step.call));
                lines.push(format!("{kind} r = STOCKADE_INIT({kind});"));
                lines.push(format!("r.cart_id = {};", self.id(a, args, "id")));
                ttl(&mut lines);
                lines.extend(self.given("token", args));
                lines.push(format!("call_{call}(engine, &{a}, &r);"));
            }
            "record_payment" => {
                lines.push(
                    "stockade_payment_event r = STOCKADE_INIT(stockade_payment_event);".to_owned(),
                );
                if args.contains_key("order_id") {
                    lines.push(format!(
                        "r.has_order_id = 1; r.order_id = {};",
                        self.id(a, args, "order_id")
                    ));
                }
                for field in ["payment_token", "status"] {
                    if let Some(text) = args.get(field) {
                        lines.push(format!("r.{field} = {};", self.text(text)));
                    }
                }
                for field in ["key", "amount", "currency", "payment_reference", "order_reference"] {
                    lines.extend(self.given(field, args));
                }
                lines.push(replayable(a, "record_payment", "payment"));
            }
            "sweep" => lines
                .push(format!("{a}.code = stockade_engine_sweep(engine, &{a}.sweep, &{a}.error);")),
            "events" => lines
                .push(format!("call_events(engine, &{a}, {});", self.id(a, args, "product_id"))),
            "close" => lines.push(format!("{a}.code = stockade_engine_close(engine, &{a}.error);")),
            "holds"
            | "orders"
            | "waiting_payments"
            | "remove_waiting_payment"
            | "erase_customer" => lines.extend(self.list_call(a, step)),
            call if call.contains("product") || call == "adjust_stock" => {
                lines.extend(self.product_call(a, step));
            }
            _ => lines.extend(self.order_call(a, step)),
        }
        lines.iter().map(|line| format!("                {line}\n")).collect()
    }

    /// Fills in a request for a hold.
    fn hold_request(&mut self, a: &str, r: &str, args: &Map<String, Value>) -> Vec<String> {
        let mut lines = self.product(a, r, args, ("product_id", "sku"));
        lines.push(format!("{r}.quantity = {};", self.quantity(a, &args["quantity"])));
        lines.extend(ttl(r, args));
        lines.extend(self.given_of(r, "key", args));
        lines.extend(self.given_of(r, "customer", args));
        lines.extend(metadata(r, args));
        lines.extend(at_most(r, args));
        lines
    }

    /// Sets a text field of the request, if given.
    pub(super) fn given(&mut self, field: &str, args: &Map<String, Value>) -> Option<String> {
        self.given_of("r", field, args)
    }

    pub(super) fn given_of(
        &mut self,
        r: &str,
        field: &str,
        args: &Map<String, Value>,
    ) -> Option<String> {
        args.get(field).map(|text| format!("{r}.{field} = {};", self.text(text)))
    }

    fn variable(&mut self, kind: &str, what: &str) -> String {
        self.variables += 1;
        let name = format!("v_{}", self.variables);
        writeln!(self.prelude, "        {kind} {name}{what};").expect("writes");
        name
    }

    pub(super) fn id(&mut self, a: &str, args: &Map<String, Value>, name: &str) -> String {
        match &args[name] {
            Value::String(text) if !text.starts_with('$') => {
                let variable = self.variable("uint64_t", " = 0");
                self.readings.push(format!("read_id(&{a}, {}, &{variable})", quoted(text)));
                variable
            }
            other => self.number(other),
        }
    }

    pub(super) fn quantity(&mut self, a: &str, value: &Value) -> String {
        match value {
            Value::String(text) => {
                let variable = self.variable("uint32_t", " = 0");
                self.readings.push(format!("read_quantity(&{a}, {}, &{variable})", quoted(text)));
                variable
            }
            other => other.to_string(),
        }
    }

    pub(super) fn number(&self, value: &Value) -> String {
        match value {
            Value::String(text) => match parse(text) {
                Text::Reference { answer, path, plus: 0 } => self.reference(answer, &path).0,
                Text::Reference { answer, path, plus } => {
                    format!("{} + {plus}", self.reference(answer, &path).0)
                }
                Text::Words(_) => panic!("{text} is no number"),
            },
            Value::Bool(truth) => u8::from(*truth).to_string(),
            other => format!("INT64_C({other})"),
        }
    }

    /// Returns a text; one with parts of earlier answers is assembled before
    /// the call.
    pub(super) fn text(&mut self, value: &Value) -> String {
        let text = value.as_str().expect("a text");
        match parse(text) {
            Text::Reference { answer, path, .. } => self.reference(answer, &path).0,
            Text::Words(parts) => {
                let (mut format, mut values) = (String::new(), String::new());
                for part in parts {
                    match part {
                        Part::Word(word) => format += &word.replace('%', "%%"),
                        Part::Reference { answer, path } => {
                            let (value, is_text) = self.reference(answer, &path);
                            format += if is_text { "%s" } else { "%\u{1}" };
                            write!(values, ", {value}").expect("writes");
                        }
                    }
                }
                if values.is_empty() {
                    return quoted(text);
                }
                let format = quoted(&format).replace("%\u{1}", "%\" PRIu64 \"");
                let variable = self.variable("char", "[128]");
                writeln!(
                    self.prelude,
                    "        snprintf({variable}, sizeof {variable}, {format}{values});"
                )
                .expect("writes");
                variable
            }
        }
    }
}

/// Returns C code that sets the time to live of the request `r`, if given.
fn ttl(r: &str, args: &Map<String, Value>) -> Vec<String> {
    args.get("ttl").map_or_else(Vec::new, |ttl| {
        vec![format!("{r}.has_ttl = 1;"), format!("{r}.ttl_us = {ttl} * UINT64_C(1000000);")]
    })
}

/// Returns C code that sets the metadata of the request `r`, if given.
pub(super) fn metadata(r: &str, args: &Map<String, Value>) -> Option<String> {
    args.get("metadata").map(|json| format!("{r}.metadata = {};", quoted(&json.to_string())))
}

/// Returns C code that sets `at_most` of the request or line `r`, if given.
fn at_most(r: &str, args: &Map<String, Value>) -> Option<String> {
    args.get("at_most").map(|flag| format!("{r}.at_most = {};", u8::from(flag == true)))
}

pub(super) fn replayable(a: &str, function: &str, field: &str) -> String {
    format!(
        "{a}.code = stockade_engine_{function}(engine, &r, &{a}.{field}, &{a}.replayed, &{a}.error);"
    )
}
