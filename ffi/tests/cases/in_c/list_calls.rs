//! The calls about lists, waiting payments and customers in C.

use serde_json::{Map, Value};
use stockade_testkit::cases::Step;

use super::Writer;

/// The page size that a query without one has.
const LIMIT: u32 = 100;

impl Writer {
    /// Generates a call that lists something, or removes what was listed.
    pub(super) fn list_call(&mut self, a: &str, step: &Step) -> Vec<String> {
        let args = &step.args;
        match step.call.as_str() {
            "holds" => self.query(a, "hold", args),
            "orders" => self.query(a, "order", args),
            "waiting_payments" => {
                let order_id = self.id(a, args, "order_id");
                vec![format!("call_waiting_payments(engine, &{a}, {order_id});")]
            }
            "remove_waiting_payment" => {
                let key = self.text(&args["key"]);
                vec![format!(
                    "{a}.code = stockade_engine_remove_waiting_payment(engine, {key}, \
                     &{a}.waiting, &{a}.error);"
                )]
            }
            _ => {
                let customer = self.text(&args["customer"]);
                vec![format!(
                    "{a}.code = stockade_engine_erase_customer(engine, {customer}, &{a}.erased, \
                     &{a}.error);"
                )]
            }
        }
    }

    fn query(&mut self, a: &str, what: &str, args: &Map<String, Value>) -> Vec<String> {
        let kind = format!("stockade_{what}_query");
        let mut code = vec![format!("{kind} r = STOCKADE_INIT({kind});")];
        code.extend(self.product(a, "r", args, ("product_id", "sku")));
        if !args.contains_key("limit") {
            code.push(format!("r.limit = {LIMIT};"));
        }
        for (field, value) in args {
            let word = || value.as_str().expect("a word").to_uppercase();
            code.push(match field.as_str() {
                "product_id" | "sku" => continue,
                "after" | "limit" => format!("r.{field} = {};", self.number(value)),
                "status" => {
                    format!("r.status = STOCKADE_{}_STATUS_{};", what.to_uppercase(), word())
                }
                "disposition" => {
                    format!("r.disposition = STOCKADE_PAYMENT_DISPOSITION_{};", word())
                }
                "created_after" | "created_before" => {
                    format!("r.{field}_us = {};", self.moment(value))
                }
                _ => format!("r.{field} = {};", self.text(value)),
            });
        }
        code.push(format!("call_list_{what}s(engine, &{a}, &r);"));
        code
    }
}
