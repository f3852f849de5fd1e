//! A text that Paymob signed has one reading: cut in any other way, it is refused or says
//! the same.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::providers::*;
use crate::settings::Ids;

/// The signed fields in their order, and whether a field is a number, a flag or a text.
const FIELDS: [(&str, Kind); 20] = [
    ("amount_cents", Kind::Number),
    ("created_at", Kind::Text),
    ("currency", Kind::Text),
    ("error_occured", Kind::Flag),
    ("has_parent_transaction", Kind::Flag),
    ("id", Kind::Number),
    ("integration_id", Kind::Number),
    ("is_3d_secure", Kind::Flag),
    ("is_auth", Kind::Flag),
    ("is_capture", Kind::Flag),
    ("is_refunded", Kind::Flag),
    ("is_standalone_payment", Kind::Flag),
    ("is_voided", Kind::Flag),
    ("order/id", Kind::Number),
    ("owner", Kind::Number),
    ("pending", Kind::Flag),
    ("source_data/pan", Kind::Text),
    ("source_data/sub_type", Kind::Text),
    ("source_data/type", Kind::Text),
    ("success", Kind::Flag),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Number,
    Flag,
    Text,
}

/// The value with this signed text, of the field's own type if there is one.
fn value(kind: Kind, text: &str) -> Value {
    let typed = match kind {
        Kind::Number => text.parse::<u64>().ok().filter(|number| number.to_string() == text),
        Kind::Flag | Kind::Text => None,
    };
    match (kind, text) {
        (Kind::Flag, "true") => json!(true),
        (Kind::Flag, "false") => json!(false),
        _ => typed.map_or_else(|| json!(text), |number| json!(number)),
    }
}

fn body(pieces: &[&str]) -> Value {
    let mut object = json!({"order": {"amount_cents": 1999}, "source_data": {}});
    for ((name, kind), text) in FIELDS.into_iter().zip(pieces) {
        let (parent, name) = match name.split_once('/') {
            Some((parent, name)) => (&mut object[parent], name),
            None => (&mut object, name),
        };
        parent[name] = value(kind, text);
    }
    json!({"type": "TRANSACTION", "obj": object})
}

/// What a body says that counts, or none for one that is refused.
fn reading(pieces: &[&str]) -> Option<(String, Meaning, Option<Amount>)> {
    let events = paymob::events(&body(pieces), &Ids::default()).ok()?;
    let event = events.into_iter().next().unwrap();
    Some((event.key, event.meaning, event.amount))
}

fn cut<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
    let ends = cuts.iter().copied().chain([text.len()]);
    let mut from = 0;
    ends.map(|end| &text[std::mem::replace(&mut from, end)..end]).collect()
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![0..10_u64, 0..100_000_u64, any::<u32>().prop_map(u64::from)]
        .prop_map(|number| number.to_string())
}

fn flag() -> impl Strategy<Value = String> {
    any::<bool>().prop_map(|flag| flag.to_string())
}

fn source() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9 _.*+-]{0,8}", "(true|false|e|2|xxxx|card){0,3}"]
}

/// The texts of the fields of a transaction.
fn transaction() -> impl Strategy<Value = Vec<String>> {
    let moment = "20[0-9]{2}-1[0-2]-[0-2][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?\
                  (Z|[+-]0[0-9]:[03]0)?";
    let fields = FIELDS.map(|(name, kind)| match (name, kind) {
        ("created_at", _) => moment.boxed(),
        ("currency", _) => select(vec!["EGP", "SAR", "ZAR", "TRY"]).prop_map(str::to_owned).boxed(),
        (_, Kind::Number) => number().boxed(),
        (_, Kind::Flag) => flag().boxed(),
        (_, Kind::Text) => source().boxed(),
    });
    fields.to_vec()
}

/// The places of the cuts between these texts.
fn cuts(fields: &[String]) -> Vec<usize> {
    let mut end = 0;
    let ends = fields.iter().map(|text| {
        end += text.len();
        end
    });
    ends.take(FIELDS.len() - 1).collect()
}

fn expect_one_reading(fields: &[String], moved: &[usize]) {
    let text = fields.concat();
    let told = reading(&cut(&text, &cuts(fields)));
    assert!(told.is_some(), "the transaction itself is refused: {fields:?}");
    let pieces = cut(&text, moved);
    let copy = reading(&pieces);
    assert!(copy.is_none() || copy == told, "{fields:?} reads also as {pieces:?}: {copy:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_signed_text_has_one_reading_wherever_it_is_cut(
        fields in transaction(),
        moves in proptest::collection::vec((0..19_usize, prop_oneof![-7..=7_isize, -60..=60_isize]), 1..5),
    ) {
        let (mut cuts, length) = (cuts(&fields), fields.concat().len());
        for (at, by) in moves {
            cuts[at] = cuts[at].saturating_add_signed(by).min(length);
        }
        cuts.sort_unstable();
        expect_one_reading(&fields, &cuts);
    }
}

#[test]
fn each_pair_of_cuts_of_a_signed_text_stands_where_it_must() {
    let fields = [
        "1999",
        "2026-12-01T11:33:44.592345",
        "EGP",
        "false",
        "false",
        "192036465",
        "4097558",
        "true",
        "false",
        "false",
        "false",
        "true",
        "false",
        "217503754",
        "302852",
        "false",
        "2346",
        "MasterCard",
        "cardtrue",
        "true",
    ]
    .map(str::to_owned);
    let (cuts, length) = (cuts(&fields), fields.concat().len());
    for first in 0..cuts.len() {
        for second in first..(first + 3).min(cuts.len()) {
            for (by_first, by_second) in (-30..=30).flat_map(|a| (-30..=30).map(move |b| (a, b))) {
                let mut moved = cuts.clone();
                moved[first] = moved[first].saturating_add_signed(by_first).min(length);
                moved[second] = moved[second].saturating_add_signed(by_second).min(length);
                if moved.is_sorted() {
                    expect_one_reading(&fields, &moved);
                }
            }
        }
    }
}
