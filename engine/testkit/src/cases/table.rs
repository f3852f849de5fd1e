//! Parses the conformance table.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

/// All cases.
#[derive(Debug)]
pub struct Table {
    cases: Vec<Case>,
}

/// A case: calls in order, on an engine with these settings.
#[derive(Debug)]
pub struct Case {
    /// The behaviour that the case shows.
    pub name: String,
    /// Settings of the engine, by name.
    pub settings: BTreeMap<String, String>,
    /// Name and stock.
    pub products: Vec<(String, u64)>,
    /// The calls.
    pub steps: Vec<Step>,
    faces: Option<Vec<String>>,
}

/// A call and its expected result.
#[derive(Debug)]
pub struct Step {
    /// The operation.
    pub call: String,
    /// Its arguments, as they are written.
    pub args: Map<String, Value>,
    /// The code of the error; none for a success.
    pub code: Option<String>,
    /// Fields of the response or the error.
    pub is: Map<String, Value>,
    /// Timestamps of the response that must be later than another.
    pub later: Map<String, Value>,
    /// The name of the response, for later steps.
    pub name: Option<String>,
    /// Whether to repeat the call until the result is as expected.
    pub until: bool,
}

/// A parsed text of the table.
#[derive(Debug)]
pub enum Text<'a> {
    /// A reference into a response.
    Reference {
        /// The response's name.
        answer: &'a str,
        /// The path within it.
        path: Vec<&'a str>,
        /// Added to the value.
        plus: u64,
    },
    /// Literal text and references in turn.
    Words(Vec<Part<'a>>),
}

/// A part of a text.
#[derive(Debug)]
pub enum Part<'a> {
    /// Literal text.
    Word(&'a str),
    /// A reference into a response.
    Reference {
        /// The response's name.
        answer: &'a str,
        /// The path within it.
        path: Vec<&'a str>,
    },
}

impl Table {
    /// Reads the file.
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases.json");
        let text = std::fs::read_to_string(path).expect("the table is there");
        let table: Value = serde_json::from_str(&text).expect("the table is JSON");
        let cases: Vec<Case> = list(&table["cases"]).iter().map(Case::read).collect();
        assert!(cases.len() > 40, "the table has {} cases", cases.len());
        Self { cases }
    }

    /// Returns the cases of a language binding.
    pub fn of<'a>(&'a self, face: &'a str) -> impl Iterator<Item = &'a Case> {
        let has = move |faces: &Vec<String>| faces.iter().any(|one| one == face);
        self.cases.iter().filter(move |case| case.faces.as_ref().is_none_or(has))
    }
}

impl Case {
    fn read(case: &Value) -> Self {
        known(case, &["name", "settings", "products", "faces", "steps"]);
        let texts = |(name, value): (&String, &Value)| (name.clone(), text(value).to_owned());
        let stocks =
            |(name, stock): (&String, &Value)| (name.clone(), stock.as_u64().expect("a stock"));
        Self {
            name: text(&case["name"]).to_owned(),
            settings: object(&case["settings"]).iter().map(texts).collect(),
            products: object(&case["products"]).iter().map(stocks).collect(),
            steps: list(&case["steps"]).iter().map(Step::read).collect(),
            faces: case
                .get("faces")
                .map(|faces| list(faces).iter().map(|face| text(face).to_owned()).collect()),
        }
    }
}

impl Step {
    fn read(step: &Value) -> Self {
        known(step, &["call", "args", "code", "is", "later", "as", "until"]);
        Self {
            call: text(&step["call"]).to_owned(),
            args: object(&step["args"]),
            code: step.get("code").map(|code| text(code).to_owned()),
            is: object(&step["is"]),
            later: object(&step["later"]),
            name: step.get("as").map(|name| text(name).to_owned()),
            until: step.get("until").is_some_and(|until| until.as_bool().expect("a truth")),
        }
    }
}

/// Parses a text into literals and references.
pub fn parse(text: &str) -> Text<'_> {
    if let Some(whole) = text.strip_prefix('$') {
        let (whole, plus) = match whole.split_once('+') {
            Some((whole, plus)) => (whole, plus.parse().expect("a number")),
            None => (whole, 0),
        };
        let (answer, path) = reference(whole);
        return Text::Reference { answer, path, plus };
    }
    let mut words = text.split('$');
    let mut parts = vec![Part::Word(words.next().unwrap_or_default())];
    for rest in words {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (answer, path) = reference(&rest[..end]);
        parts.extend([Part::Reference { answer, path }, Part::Word(&rest[end..])]);
    }
    Text::Words(parts)
}

fn reference(text: &str) -> (&str, Vec<&str>) {
    let (answer, path) = text.split_once('.').expect("an answer and a field");
    (answer, path.split('.').collect())
}

/// An unknown keyword must fail rather than be ignored.
fn known(value: &Value, keys: &[&str]) {
    for key in object(value).keys() {
        assert!(keys.contains(&key.as_str()), "unknown key {key} in {value}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} must be a text"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{value} must be a list"))
}

fn object(value: &Value) -> Map<String, Value> {
    match value {
        Value::Null => Map::new(),
        Value::Object(object) => object.clone(),
        other => panic!("{other} must be an object"),
    }
}
