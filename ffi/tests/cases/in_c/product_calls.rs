//! The calls about products in C.

use serde_json::{Map, Value};
use stockade::Timestamp;
use stockade_testkit::cases::Step;

use super::calls::replayable;
use super::{Writer, quoted};

impl Writer {
    /// Generates a call that returns a product.
    pub(super) fn product_call(&mut self, a: &str, step: &Step) -> Vec<String> {
        let args = &step.args;
        let (kind, named) = match step.call.as_str() {
            "product" => return self.read_product(a, args),
            "create_product" => ("stockade_new_product", None),
            "put_product" => ("stockade_product_put", Some(("product_id", "product_sku"))),
            "change_product" => ("stockade_product_change", Some(("product_id", "product_sku"))),
            "adjust_stock" => ("stockade_stock_adjustment", Some(("product_id", "sku"))),
            other => panic!("unknown call {other}"),
        };
        let mut code = vec![format!("{kind} r = STOCKADE_INIT({kind});")];
        if let Some(fields) = named {
            let name = if step.call == "adjust_stock" { "product_id" } else { "product" };
            code.extend(self.product_named(a, "r", args, name, fields));
        }
        for (field, value) in args {
            code.extend(self.product_field(&step.call, field, value));
        }
        code.push(match step.call.as_str() {
            "create_product" | "adjust_stock" => replayable(a, &step.call, "product"),
            "put_product" => format!(
                "{a}.code = stockade_engine_put_product(engine, &r, &{a}.product, &{a}.created, \
                 &{a}.error);"
            ),
            call => {
                format!("{a}.code = stockade_engine_{call}(engine, &r, &{a}.product, &{a}.error);")
            }
        });
        code
    }

    fn read_product(&mut self, a: &str, args: &Map<String, Value>) -> Vec<String> {
        let sku = args["id"].as_str().and_then(|id| id.strip_prefix("sku:"));
        let (function, given) = match sku {
            Some(sku) => ("product_by_sku", quoted(sku)),
            None => ("product", self.id(a, args, "id")),
        };
        vec![format!(
            "{a}.code = stockade_engine_{function}(engine, {given}, &{a}.product, &{a}.error);"
        )]
    }

    /// Sets one field of a request about a product.
    fn product_field(&mut self, call: &str, field: &str, value: &Value) -> Option<String> {
        let is_change = call == "change_product";
        Some(match field {
            "product" | "product_id" => return None,
            "metadata" if value.is_null() => "r.metadata = \"\";".to_owned(),
            "metadata" => format!("r.metadata = {};", quoted(&value.to_string())),
            "sku" if value.is_null() => "r.sku = \"\";".to_owned(),
            "name" | "price" | "currency" | "sku" | "key" | "reason" => {
                format!("r.{field} = {};", self.text(value))
            }
            "on_sale_from" | "on_sale_until" => {
                let has = if is_change { format!("r.has_{field} = 1; ") } else { String::new() };
                format!("{has}r.{field}_us = {};", self.moment(value))
            }
            "id" | "to" => format!("r.has_{field} = 1; r.{field} = {};", self.number(value)),
            "stock" if call != "create_product" => {
                format!("r.has_stock = 1; r.stock = {};", self.number(value))
            }
            "safety_stock" | "archived" if is_change => {
                format!("r.has_{field} = 1; r.{field} = {};", self.number(value))
            }
            "stock" | "safety_stock" | "delta" | "version" => {
                format!("r.{field} = {};", self.number(value))
            }
            other => panic!("unknown argument {other}"),
        })
    }

    /// Returns a moment in microseconds: 0 for none, that of an earlier answer, or one
    /// in RFC 3339.
    pub(super) fn moment(&self, value: &Value) -> String {
        match value {
            Value::Null => "0".to_owned(),
            Value::String(text) if !text.starts_with('$') => {
                let at: Timestamp = serde_json::from_value(value.clone()).expect("a moment");
                format!("INT64_C({})", at.micros())
            }
            other => self.number(other),
        }
    }

    /// Names the product of a request or a line: by its id, as `sku:` and its SKU, or by
    /// its SKU alone.
    pub(super) fn product(
        &mut self,
        a: &str,
        r: &str,
        args: &Map<String, Value>,
        fields: (&str, &str),
    ) -> Vec<String> {
        self.product_named(a, r, args, "product_id", fields)
    }

    fn product_named(
        &mut self,
        a: &str,
        r: &str,
        args: &Map<String, Value>,
        name: &str,
        (id, sku): (&str, &str),
    ) -> Vec<String> {
        let mut code = Vec::new();
        match args.get(name).map(|given| (given, given.as_str())) {
            None => {}
            Some((_, Some(text))) if text.starts_with("sku:") => {
                code.push(format!("{r}.{sku} = {};", quoted(&text["sku:".len()..])));
            }
            Some(_) => code.push(format!("{r}.{id} = {};", self.id(a, args, name))),
        }
        if name == "product_id" {
            code.extend(args.get("sku").map(|text| format!("{r}.{sku} = {};", self.text(text))));
        }
        code
    }
}
