//! Plays a case step by step.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::table::{Case, Part, Step, Text, parse};

/// Bounds a step with `until`.
const SOON: Duration = Duration::from_secs(10);

type Answers = HashMap<String, Value>;

/// An engine behind a language binding, opened for one case.
pub trait Face {
    /// Creates a product at 19.99 and returns its fields.
    fn create_product(&self, name: &str, stock: u64) -> Value;

    /// Makes a call of the table; references in the arguments are resolved.
    fn call(&self, call: &str, args: Map<String, Value>) -> Outcome;

    /// Audits the store; returns the findings as an error.
    fn audit(&self) -> Result<(), String>;
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The code of the error.
    pub code: Option<String>,
    /// The fields of the response or the error, by the table's names.
    pub fields: Value,
}

impl Outcome {
    /// A success.
    pub fn success(fields: Value) -> Self {
        Self { code: None, fields }
    }

    /// An error.
    pub fn error(code: &str, fields: Value) -> Self {
        Self { code: Some(code.to_owned()), fields }
    }
}

/// Plays a case.
///
/// # Errors
///
/// Names the step with an unexpected result, and why.
pub fn play(case: &Case, face: &impl Face) -> Result<(), String> {
    let mut answers = Answers::new();
    for (name, stock) in &case.products {
        answers.insert(name.clone(), face.create_product(name, *stock));
    }
    for (index, step) in case.steps.iter().enumerate() {
        let start = Instant::now();
        let answer = loop {
            let outcome = face.call(&step.call, resolve_all(&step.args, &answers));
            match check(step, &outcome, &answers) {
                Ok(()) => break outcome.fields,
                Err(_) if step.until && start.elapsed() < SOON => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(why) => return Err(format!("step {index} ({}): {why}", step.call)),
            }
        };
        if let Some(name) = &step.name {
            answers.insert(name.clone(), answer);
        }
    }
    if case.steps.iter().any(|step| step.call == "close") { Ok(()) } else { face.audit() }
}

/// Compares a response with what is expected.
fn check(step: &Step, outcome: &Outcome, answers: &Answers) -> Result<(), String> {
    let Outcome { code, fields } = outcome;
    if *code != step.code {
        return Err(format!("expected {:?}, got {outcome:?}", step.code));
    }
    let is = Value::Object(resolve_all(&step.is, answers));
    if !matches(&is, fields) {
        return Err(format!("expected {is}, got {fields}"));
    }
    for (field, moment) in &step.later {
        let moment = resolve(moment, answers);
        // RFC 3339 timestamps of equal precision sort by time.
        if fields[field].as_str() <= moment.as_str() {
            return Err(format!("expected {field} after {moment}, got {fields}"));
        }
    }
    Ok(())
}

/// Whether the value contains everything expected.
fn matches(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(fields), Value::Object(_)) => {
            fields.iter().all(|(name, field)| matches(field, &got[name]))
        }
        (Value::Array(items), Value::Array(there)) => {
            items.len() == there.len()
                && items.iter().zip(there).all(|(item, there)| matches(item, there))
        }
        _ => expected == got,
    }
}

/// Resolves references to earlier results.
fn resolve(value: &Value, answers: &Answers) -> Value {
    match value {
        Value::String(text) => match parse(text) {
            Text::Reference { answer, path, plus } => {
                let found = find(answers, answer, &path);
                found.as_u64().map_or(found.clone(), |number| json!(number + plus))
            }
            Text::Words(parts) => {
                Value::String(parts.iter().map(|part| word(part, answers)).collect())
            }
        },
        Value::Array(items) => items.iter().map(|item| resolve(item, answers)).collect(),
        Value::Object(fields) => Value::Object(resolve_all(fields, answers)),
        other => other.clone(),
    }
}

fn resolve_all(fields: &Map<String, Value>, answers: &Answers) -> Map<String, Value> {
    fields.iter().map(|(name, field)| (name.clone(), resolve(field, answers))).collect()
}

fn word(part: &Part<'_>, answers: &Answers) -> String {
    match part {
        Part::Word(word) => (*word).to_owned(),
        Part::Reference { answer, path } => match find(answers, answer, path) {
            Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

fn find(answers: &Answers, answer: &str, path: &[&str]) -> Value {
    let mut found = answers.get(answer).unwrap_or_else(|| panic!("no answer {answer}"));
    for key in path {
        found = match key.parse::<usize>() {
            Ok(index) => &found[index],
            Err(_) => &found[*key],
        };
    }
    assert!(!found.is_null(), "{answer} has no {path:?}");
    found.clone()
}
