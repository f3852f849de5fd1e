//! Generates `RELIABILITY.md` from the parts' saved results.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use crate::planted;
use crate::results::{PartResult, Row};

const HEAD: &str = "# Reliability\n\n\
    Written by `make proof`, which tries every fault below and checks what is left: \
    conservation to the unit, nothing sold twice, no answered hold lost, nothing done twice, \
    and histories that some order of their operations explains. \
    `stockade-proof PART --seed N --seeds 1` tries one seed again.\n";
const PLANTED: &str = "Each bug of `engine/proof/planted.toml` was planted alone into a copy of \
    the sources, and the checkers named were run there until one of their seeds broke a promise. \
    The same checkers were run where nothing was planted.\n\n\
    | bug | checker | after | what it said |\n|---|---|---|---|\n";
const COLUMNS: &str = "| fault | on | seeds | injected | operations | oversold | leaked \
    | lost | doubled | unexplained | recovery | |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";

/// Writes the report of these parts.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(parts: &[&str]) -> io::Result<PathBuf> {
    let mut text = String::new();
    let (mut injected, mut operations) = (0, 0);
    for part in parts {
        let Some(result) = PartResult::load(part)? else { continue };
        // Writing to a String cannot fail.
        if *part == planted::PART {
            let _ = write!(text, "\n## Planted bugs\n\n{PLANTED}");
            result.rows.iter().for_each(|row| planted_line(&mut text, row));
            continue;
        }
        let form = if result.is_long { "long form" } else { "short form" };
        let _ =
            write!(text, "\n## {part}\n\nThe {form}, from seed {} on.\n\n{COLUMNS}", result.seed);
        result.rows.iter().for_each(|row| line(&mut text, row));
        injected += result.rows.iter().map(|row| row.injected).sum::<u64>();
        operations += result.rows.iter().map(|row| row.operations).sum::<u64>();
    }
    let sum = format!("\n{injected} faults in all, while callers asked for {operations} things.\n");
    let text = [HEAD, &sum, &text].concat();
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../RELIABILITY.md");
    fs::write(&file, text)?;
    Ok(file)
}

fn line(text: &mut String, row: &Row) {
    let Row { fault, deployment, injected, operations, oversold, leaked, lost, doubled, .. } = row;
    let seeds = if row.seeds == 0 { String::new() } else { row.seeds.to_string() };
    let recovery = row.recovery.map_or_else(String::new, seconds);
    let _ = writeln!(
        text,
        "| {fault} | {deployment} | {seeds} | {injected} | {operations} | {oversold} | {leaked} | {lost} \
         | {doubled} | {} | {recovery} | {} |",
        row.unexplained, row.note
    );
}

fn planted_line(text: &mut String, row: &Row) {
    let Row { fault, deployment, seeds, operations, note, .. } = row;
    let _ = writeln!(
        text,
        "| {fault} | {deployment} | {seeds} seeds, {operations} operations | {note} |"
    );
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
