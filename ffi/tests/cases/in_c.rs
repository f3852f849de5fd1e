//! The shared table of cases in C: generates a program from it, compiles it
//! against the installed library, and runs it. The program uses
//! `tests/c/steps.h`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::{Map, Value};
use stockade_testkit::cases::{Case, Part, Step, Table, Text, parse};

use crate::TestStore;
use crate::cc::{Installed, succeed};

/// Generates, compiles and runs the program; on SQLite under valgrind.
pub fn run(table: &Table, place: &TestStore) {
    let installed = Installed::new();
    let source = installed.folder().join("cases.c");
    let count = table.of("c").count();
    fs::write(&source, program(table)).expect("written");
    let program = installed.compile(&[&source]);
    let mut command = match place.redis {
        Some(_) => installed.command(&program),
        None => installed.checked(&program),
    };
    command.arg(&place.store);
    if let Some((url, prefix)) = &place.redis {
        command.args([url, prefix]);
    }
    let output = succeed(&mut command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{count} passed\n"));
}

fn program(table: &Table) -> String {
    let mut text = "#define _POSIX_C_SOURCE 200809L\n#include \"steps.h\"\n\n".to_owned();
    let mut calls = String::new();
    for (number, case) in table.of("c").enumerate() {
        text += &Writer::default().case(number, case);
        writeln!(calls, "    case_{number}(argv[1], redis, prefix);").expect("writes");
    }
    let count = table.of("c").count();
    write!(
        text,
        "int main(int argc, char **argv)\n{{\n    \
         const char *redis = argc > 2 ? argv[2] : \"\";\n    \
         const char *prefix = argc > 3 ? argv[3] : \"stockade\";\n    \
         if (argc < 2)\n        return 2;\n{calls}    \
         printf(\"{count} passed\\n\");\n    return 0;\n}}\n"
    )
    .expect("writes");
    text
}

/// Generates one case.
#[derive(Default)]
struct Writer {
    /// The call of each named answer.
    named: BTreeMap<String, String>,
    /// C code that parses numbers from text before a call.
    readings: Vec<String>,
    /// Variables and texts of a call.
    prelude: String,
    variables: usize,
}

impl Writer {
    fn case(mut self, number: usize, case: &Case) -> String {
        let mut settings =
            "\"store\", store, \"redis\", redis, \"redis_prefix\", prefix, ".to_owned();
        for (name, value) in &case.settings {
            write!(settings, "{}, {}, ", quoted(name), quoted(value)).expect("writes");
        }
        let mut body = String::new();
        let mut end = String::new();
        for (name, stock) in &case.products {
            writeln!(
                body,
                "    struct answer a_{name} = create(engine, {}, {stock});",
                quoted(name)
            )
            .expect("writes");
            self.named.insert(name.clone(), "product".to_owned());
            writeln!(end, "    free_answer(&a_{name});").expect("writes");
        }
        for (index, step) in case.steps.iter().enumerate() {
            let unnamed = format!("{index}");
            let name = step.name.as_ref().unwrap_or(&unnamed);
            body += &self.step(index, name, step);
            writeln!(end, "    free_answer(&a_{name});").expect("writes");
            if let Some(name) = &step.name {
                self.named.insert(name.clone(), step.call.clone());
            }
        }
        if case.steps.iter().all(|step| step.call != "close") {
            end += "    check_books(engine);\n";
        }
        let name = quoted(&case.name);
        format!(
            "static void case_{number}(const char *store, const char *redis, const char *prefix)\n\
             {{\n    current_case = {name};\n    \
             const char *const settings[] = {{{settings}NULL}};\n    \
             stockade_engine *engine = open_engine(settings);\n\
             {body}{end}    stockade_engine_free(engine);\n}}\n\n"
        )
    }

    fn step(&mut self, index: usize, name: &str, step: &Step) -> String {
        let call = self.call(&format!("a_{name}"), step);
        let mut expected = String::new();
        let code = step.code.as_deref().unwrap_or("ok").to_uppercase();
        writeln!(expected, "            expect_code(&a_{name}, STOCKADE_CODE_{code});")
            .expect("writes");
        let mut checks = Vec::new();
        for (field, value) in &step.is {
            let kind = if step.code.is_some() { "error" } else { &step.call };
            self.expect(&mut checks, name, kind, &[field], value);
        }
        for (field, value) in &step.later {
            let Text::Reference { answer, path, .. } = parse(value.as_str().expect("a reference"))
            else {
                panic!("later needs a reference")
            };
            let got = field_of(name, &step.call, &[field]).0;
            let than = self.reference(answer, &path).0;
            checks.push(format!("expect_later({}, {than}, {got});", quoted(field)));
        }
        for check in checks {
            writeln!(expected, "            {check}").expect("writes");
        }
        let prelude = std::mem::take(&mut self.prelude);
        let readings: String = std::mem::take(&mut self.readings)
            .iter()
            .map(|reading| format!("{reading} && "))
            .collect();
        format!(
            "    current_step = {index};\n    struct answer a_{name} = no_answer();\n    {{\n        \
             time_t began = time(NULL);\n{prelude}        do {{\n            begin(&a_{name});\n            \
             if ({readings}true) {{\n{call}            }}\n{expected}        \
             }} while (again({}, began));\n    }}\n",
            step.until
        )
    }

    /// Generates the call itself.
    fn call(&mut self, a: &str, step: &Step) -> String {
        let args = &step.args;
        let ttl = |lines: &mut Vec<String>| lines.extend(ttl("r", args));
        let mut lines = Vec::new();
        let by_id = |function: &str, id: String, field: &str| {
            format!(
                "{a}.code = stockade_engine_{function}(engine, {id}, &{a}.{field}, &{a}.error);"
            )
        };
        match step.call.as_str() {
            "product" => lines.push(by_id("product", self.id(a, args, "id"), "product")),
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
            "order" => lines.push(by_id("order", self.id(a, args, "id"), "order")),
            "adjust_stock" => {
                lines.push(
                    "stockade_stock_adjustment r = STOCKADE_INIT(stockade_stock_adjustment);"
                        .to_owned(),
                );
                lines.push(format!("r.product_id = {};", self.id(a, args, "product_id")));
                lines.push(format!("r.delta = {};", args["delta"]));
                lines.push(format!("r.reason = {};", self.text(&args["reason"])));
                lines.extend(self.given("key", args));
                if let Some(version) = args.get("version") {
                    lines.push(format!("r.version = {version};"));
                }
                lines.push(by_id("adjust_stock", "&r".to_owned(), "product"));
            }
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
                lines
                    .push(format!("stockade_cart_line lines[{}] = {{{{0, 0, 0}}}};", count.max(1)));
                for (index, item) in items.iter().enumerate() {
                    let item = item.as_object().expect("a line");
                    let id = self.id(a, item, "product_id");
                    lines.push(format!("lines[{index}].product_id = {id};"));
                    let quantity = self.quantity(a, &item["quantity"]);
                    lines.push(format!("lines[{index}].quantity = {quantity};"));
                }
                lines.push(
                    "stockade_cart_request r = STOCKADE_INIT(stockade_cart_request);".to_owned(),
                );
                lines.push(format!("r.lines = lines; r.line_count = {count};"));
                ttl(&mut lines);
                lines.extend(self.given("key", args));
                lines.extend(self.given("customer", args));
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
            "create_order" => {
                lines.push(
                    "stockade_order_request r = STOCKADE_INIT(stockade_order_request);".to_owned(),
                );
                lines.push(format!("r.hold_id = {};", self.id(a, args, "hold_id")));
                lines.push(format!("r.product_id = {};", self.id(a, args, "product_id")));
                lines.extend(self.given("key", args));
                lines.extend(self.given("token", args));
                lines.push(replayable(a, "create_order", "order"));
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
                lines.extend(self.given("key", args));
                if let Some(body) = args.get("body") {
                    let body = self.text(body);
                    lines.push(format!(
                        "r.body = (const uint8_t *){body}; r.body_length = strlen({body});"
                    ));
                }
                lines.push(replayable(a, "record_payment", "payment"));
            }
            "sweep" => lines
                .push(format!("{a}.code = stockade_engine_sweep(engine, &{a}.sweep, &{a}.error);")),
            "events" => lines
                .push(format!("call_events(engine, &{a}, {});", self.id(a, args, "product_id"))),
            "close" => lines.push(format!("{a}.code = stockade_engine_close(engine, &{a}.error);")),
            other => panic!("unknown call {other}"),
        }
        lines.iter().map(|line| format!("                {line}\n")).collect()
    }

    /// Fills in a request for a hold.
    fn hold_request(&mut self, a: &str, r: &str, args: &Map<String, Value>) -> Vec<String> {
        let mut lines = vec![
            format!("{r}.product_id = {};", self.id(a, args, "product_id")),
            format!("{r}.quantity = {};", self.quantity(a, &args["quantity"])),
        ];
        lines.extend(ttl(r, args));
        lines.extend(self.given_of(r, "key", args));
        lines.extend(self.given_of(r, "customer", args));
        lines
    }

    /// Sets a text field of the request, if given.
    fn given(&mut self, field: &str, args: &Map<String, Value>) -> Option<String> {
        self.given_of("r", field, args)
    }

    fn given_of(&mut self, r: &str, field: &str, args: &Map<String, Value>) -> Option<String> {
        args.get(field).map(|text| format!("{r}.{field} = {};", self.text(text)))
    }

    fn variable(&mut self, kind: &str, what: &str) -> String {
        self.variables += 1;
        let name = format!("v_{}", self.variables);
        writeln!(self.prelude, "        {kind} {name}{what};").expect("writes");
        name
    }

    fn id(&mut self, a: &str, args: &Map<String, Value>, name: &str) -> String {
        match &args[name] {
            Value::String(text) if !text.starts_with('$') => {
                let variable = self.variable("uint64_t", " = 0");
                self.readings.push(format!("read_id(&{a}, {}, &{variable})", quoted(text)));
                variable
            }
            other => self.number(other),
        }
    }

    fn quantity(&mut self, a: &str, value: &Value) -> String {
        match value {
            Value::String(text) => {
                let variable = self.variable("uint32_t", " = 0");
                self.readings.push(format!("read_quantity(&{a}, {}, &{variable})", quoted(text)));
                variable
            }
            other => other.to_string(),
        }
    }

    fn number(&self, value: &Value) -> String {
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
    fn text(&mut self, value: &Value) -> String {
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

    /// Returns C code for a part of an earlier answer, and whether it is a
    /// text.
    fn reference(&self, answer: &str, path: &[&str]) -> (String, bool) {
        let call = self.named.get(answer).unwrap_or_else(|| panic!("no answer {answer}"));
        field_of(answer, call, path)
    }

    fn expect(
        &self,
        checks: &mut Vec<String>,
        name: &str,
        call: &str,
        path: &[&str],
        value: &Value,
    ) {
        let shown = quoted(&path.join("."));
        match value {
            Value::Object(fields) => {
                for (field, value) in fields {
                    self.expect(checks, name, call, &[path, &[field]].concat(), value);
                }
            }
            Value::Array(items) if path == ["types"] => {
                let types: String =
                    items.iter().map(|one| format!("{},", one.as_str().expect("a kind"))).collect();
                checks.push(format!("expect_text({shown}, {}, a_{name}.types);", quoted(&types)));
            }
            Value::Array(items) => {
                let count = match path {
                    ["holds"] => format!("a_{name}.hold_count"),
                    ["results"] => format!("a_{name}.result_count"),
                    ["short"] => format!("stockade_error_short_count(a_{name}.error)"),
                    ["results", index, "short"] => {
                        format!("stockade_error_short_count(a_{name}.results[{index}].error)")
                    }
                    other => panic!("{other:?} is no list"),
                };
                checks.push(format!("expect_number({shown}, {}, {count});", items.len()));
                for (index, item) in items.iter().enumerate() {
                    let index = index.to_string();
                    self.expect(checks, name, call, &[path, &[index.as_str()]].concat(), item);
                }
            }
            value => {
                let (got, is_text) = field_of(name, call, path);
                if is_text {
                    let expected = match parse(value.as_str().expect("a text")) {
                        Text::Reference { answer, path, .. } => self.reference(answer, &path).0,
                        Text::Words(_) => quoted(value.as_str().expect("a text")),
                    };
                    checks.push(format!("expect_text({shown}, {expected}, {got});"));
                } else {
                    checks.push(format!("expect_number({shown}, {}, {got});", self.number(value)));
                }
            }
        }
    }
}

/// Returns C code for a field of an answer, and whether it is a text.
fn field_of(name: &str, call: &str, path: &[&str]) -> (String, bool) {
    let a = format!("a_{name}");
    let (place, field) = match (call, path) {
        ("error", path) => return (field_of_error(&format!("{a}.error"), path), false),
        ("create_hold_batch", ["results", index, path @ ..]) => {
            let result = format!("{a}.results[{index}]");
            match path {
                ["code"] => return (format!("result_code(&{result})"), true),
                ["replayed"] => return (format!("result_replayed(&{result})"), false),
                ["available"] | ["short", ..] => {
                    return (field_of_error(&format!("{result}.error"), path), false);
                }
                [field] => (format!("{result}.hold"), *field),
                other => panic!("no field {other:?}"),
            }
        }
        (_, ["replayed"]) => return (format!("{a}.replayed"), false),
        ("record_payment", ["status"]) => {
            return (format!("stockade_payment_status_name({a}.payment)"), true);
        }
        ("create_holds", ["holds", index, field]) => (format!("{a}.holds[{index}]"), *field),
        ("product" | "adjust_stock", [field]) => (format!("{a}.product"), *field),
        ("create_hold" | "hold" | "release_hold" | "extend_hold", [field]) => {
            (format!("{a}.hold"), *field)
        }
        ("create_order" | "order", [field]) => (format!("{a}.order"), *field),
        ("sweep", [field]) => (format!("{a}.sweep"), *field),
        other => panic!("no field {other:?}"),
    };
    let is_order = matches!(call, "create_order" | "order");
    match field {
        "status" if is_order => (format!("stockade_order_status_name({place}.status)"), true),
        "status" => (format!("stockade_hold_status_name({place}.status)"), true),
        "payment_disposition" => {
            (format!("stockade_payment_disposition_name({place}.payment_disposition)"), true)
        }
        "expires_at" | "created_at" | "updated_at" => (format!("{place}.{field}_us"), false),
        "token" | "payment_token" | "name" => (format!("{place}.{field}"), true),
        "qty" => (format!("{place}.quantity"), false),
        _ => (format!("{place}.{field}"), false),
    }
}

/// Returns C code for a number of an error object.
fn field_of_error(error: &str, path: &[&str]) -> String {
    match path {
        ["short", index, field] => format!("error_short({error}, {index}).{field}"),
        ["available"] => format!("error_available({error})"),
        ["order_id"] => format!("error_order_id({error})"),
        ["replayed"] => format!("stockade_error_replayed({error})"),
        other => panic!("no field {other:?}"),
    }
}

/// Returns C code that sets the time to live of the request `r`, if given.
fn ttl(r: &str, args: &Map<String, Value>) -> Vec<String> {
    args.get("ttl").map_or_else(Vec::new, |ttl| {
        vec![format!("{r}.has_ttl = 1;"), format!("{r}.ttl_us = {ttl} * UINT64_C(1000000);")]
    })
}

fn replayable(a: &str, function: &str, field: &str) -> String {
    format!(
        "{a}.code = stockade_engine_{function}(engine, &r, &{a}.{field}, &{a}.replayed, &{a}.error);"
    )
}

/// Quotes a C literal.
fn quoted(text: &str) -> String {
    let mut literal = "\"".to_owned();
    for character in text.chars() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            '\t' => literal += "\\t",
            other => literal.push(other),
        }
    }
    literal + "\""
}
