//! Minimizes a history that is not linearizable and formats it.

use std::fmt::Write;

use super::checker::{Model as _, Operation, Verdict, WORK_MAX, check};
use super::model::{Act, Model, State};
use super::record::{Answer, Call, Record};

/// Formats the minimal counterexample of a product's history.
pub fn describe(
    model: &Model,
    initial: &State,
    history: &[Operation<Act>],
    records: &[Record],
    product: u64,
) -> String {
    let shortest = shorten(model, initial, history);
    let start = shortest
        .iter()
        .map(|operation| records[operation.record].invoked)
        .min_by_key(|moment| moment.nanos);
    let (nanos, time) = start.map_or((0, 0), |start| (start.nanos, start.time));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "product {product}: no linearization explains these {} of its {} operations \
         (times in ms since the first):",
        shortest.len(),
        history.len()
    );
    let longest = match check(model, initial, &shortest, WORK_MAX) {
        Verdict::Unexplained { longest } => longest,
        _ => Vec::new(),
    };
    let mut state = initial.clone();
    for at in &longest {
        let operation = &shortest[*at];
        if let Some(next) = model.next(&state, &operation.act).into_iter().next() {
            state = next;
        }
        let _ = writeln!(text, "  in order  {}", line(operation, records, nanos, time));
    }
    let _ = writeln!(text, "  by then   {:?}", state.units(state.now()));
    for (at, operation) in shortest.iter().enumerate() {
        if !longest.contains(&at) {
            let _ = writeln!(text, "  no place  {}", line(operation, records, nanos, time));
        }
    }
    text
}

/// Formats a product's whole history.
pub fn describe_all(history: &[Operation<Act>], records: &[Record]) -> String {
    let start = history
        .iter()
        .map(|operation| records[operation.record].invoked)
        .min_by_key(|moment| moment.nanos);
    let (nanos, time) = start.map_or((0, 0), |start| (start.nanos, start.time));
    let mut history: Vec<_> = history.iter().collect();
    history.sort_by_key(|operation| records[operation.record].invoked.nanos);
    history.into_iter().map(|one| format!("  {}\n", line(one, records, nanos, time))).collect()
}

/// Returns the history up to the first response that no linearization explains,
/// without the reads and rejections that the counterexample does not need.
fn shorten(model: &Model, initial: &State, history: &[Operation<Act>]) -> Vec<Operation<Act>> {
    let is_explained =
        |history: &[Operation<Act>]| check(model, initial, history, WORK_MAX) == Verdict::Explained;
    let mut answers: Vec<u64> = history.iter().filter_map(|one| one.answered).collect();
    answers.sort_unstable();
    // Monotonic: each further response only adds constraints, so a binary search
    // works.
    let explained = answers.partition_point(|until| is_explained(&up_to(history, *until)));
    let Some(until) = answers.get(explained) else { return history.to_vec() };
    let mut shortest = up_to(history, *until);
    let mut at = shortest.len();
    while at > 0 {
        at -= 1;
        if changes_nothing(&shortest[at].act) {
            let mut shorter = shortest.clone();
            shorter.remove(at);
            if !is_explained(&shorter) {
                shortest = shorter;
            }
        }
    }
    shortest
}

/// Returns the operations invoked by this time; those without a response by then
/// are open.
fn up_to(history: &[Operation<Act>], until: u64) -> Vec<Operation<Act>> {
    let called = history.iter().filter(|one| one.called <= until);
    let cut = |one: &Operation<Act>| {
        let answered = one.answered.filter(|answered| *answered <= until);
        Operation { answered, ..one.clone() }
    };
    called.map(cut).collect()
}

fn changes_nothing(act: &Act) -> bool {
    act.command.is_read() || (act.key.is_none() && matches!(act.answer, Answer::Refused(_)))
}

fn line(operation: &Operation<Act>, records: &[Record], nanos: u64, time: i64) -> String {
    let record = &records[operation.record];
    let ms = |at: u64| (at.saturating_sub(nanos)) as f64 / 1e6;
    let clock = |at: i64| (at - time) as f64 / 1e3;
    let (from, to) = (record.invoked, record.answered);
    let answer = match &operation.act.answer {
        Answer::Held(held) => format!(
            "hold {} of {} {:?} until {:.3}",
            held.id,
            held.quantity,
            held.status,
            clock(held.expires_at)
        ),
        Answer::Ordered(order) => format!(
            "order {} of hold {}, {:?} {:?}, made at {:.3}",
            order.id,
            order.hold,
            order.status,
            order.disposition,
            clock(order.created_at)
        ),
        other => format!("{other:?}"),
    };
    let call = match &record.call {
        Call::Cart { .. } => format!("cart: {:?}", operation.act.command),
        other => format!("{other:?}"),
    };
    let caller =
        if record.caller == u32::MAX { "last".to_owned() } else { record.caller.to_string() };
    let replayed = if record.replayed { ", again" } else { "" };
    format!(
        "#{} caller {caller} at {:.3} to {:.3}, clock {:.3} to {:.3}: {call} -> {answer}{replayed}",
        operation.record,
        ms(from.nanos),
        ms(to.nanos),
        clock(from.time),
        clock(to.time),
    )
}
