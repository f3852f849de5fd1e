//! The shared table of cases in C: generates a program from it, compiles it
//! against the installed library, and runs it. The program uses
//! `tests/c/steps.h`.

mod calls;
mod fields;
mod list_calls;
mod order_calls;
mod product_calls;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value;
use stockade_testkit::cases::{Case, Step, Table, Text, parse};

use self::fields::field_of;

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

    /// Returns C code for a part of an earlier answer, and whether it is a
    /// text.
    fn reference(&self, answer: &str, path: &[&str]) -> (String, bool) {
        let call = self.named.get(answer).unwrap_or_else(|| panic!("no answer {answer}"));
        field_of(answer, call, path)
    }

    fn expect(
        &mut self,
        checks: &mut Vec<String>,
        name: &str,
        call: &str,
        path: &[&str],
        value: &Value,
    ) {
        let shown = quoted(&path.join("."));
        match value {
            Value::Object(_) if path.ends_with(&["metadata"]) => {
                // In C it is the text, as it came.
                let expected = quoted(&value.to_string());
                let got = field_of(name, call, path).0;
                checks.push(format!("expect_text({shown}, {expected}, {got});"));
            }
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
                    ["holds"] if call == "error" => {
                        format!("stockade_error_hold_count(a_{name}.error)")
                    }
                    ["holds"] => format!("a_{name}.hold_count"),
                    ["items"] if call == "orders" => format!("a_{name}.order_count"),
                    ["items"] if call == "holds" => format!("a_{name}.hold_count"),
                    ["items"] => format!("a_{name}.payment_count"),
                    ["items", index, "lines"] => format!("a_{name}.orders[{index}].line_count"),
                    ["lines"] => format!("a_{name}.line_count"),
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
                if value.is_null() {
                    // A field without a value is empty or 0.
                    checks.push(if is_text {
                        format!("expect_text({shown}, \"\", {got});")
                    } else {
                        format!("expect_number({shown}, 0, {got});")
                    });
                } else if is_text {
                    let expected = self.text(value);
                    checks.push(format!("expect_text({shown}, {expected}, {got});"));
                } else {
                    checks.push(format!("expect_number({shown}, {}, {got});", self.number(value)));
                }
            }
        }
    }
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
