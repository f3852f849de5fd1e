//! `product import`: checks all lines of a file, then makes or replaces their products
//! many at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use indicatif::{ProgressBar, ProgressStyle};
use stockade::{AsyncEngine, Error, ErrorKind, ProductChange, ProductId, ProductRef, PutOutcome};

use super::output::{print_line, required};
use super::product_file::{Format, Line, Record, STANDARD, read};
use crate::command_error::CommandError;

/// The most products of one call.
const PUTS_MAX: usize = 1_000;

/// The most bytes of one call: a running engine reads bodies of a megabyte.
const PUTS_BYTES_MAX: usize = 512 << 10;

/// The most products that are read at once.
const PER_PAGE: u32 = 1_000;

/// A good line: its number and its product.
type Good = (u64, Record);

/// What became of the lines.
#[derive(Default)]
struct Report {
    made: u64,
    replaced: u64,
    bad: u64,
}

impl Report {
    /// Names a line that is not imported.
    fn refuse(&mut self, number: u64, why: &str) {
        self.bad += 1;
        let _ = writeln!(io::stderr(), "line {number}: {why}");
    }
}

/// Imports a file.
pub(super) async fn run(
    engine: &AsyncEngine,
    matches: &ArgMatches,
) -> Result<ExitCode, CommandError> {
    let path: PathBuf = required(matches, "file")?;
    let format = Format::of(matches, &path)?;
    let lines = if path == Path::new(STANDARD) {
        read(format, io::stdin().lock())?
    } else {
        let unreadable =
            |error| CommandError::Setup(format!("cannot read {}: {error}", path.display()));
        read(format, File::open(&path).map_err(unreadable)?)?
    };
    let mut report = Report::default();
    let good = check(engine, lines, &mut report).await?;
    let is_refused = report.bad > 0 && !matches.get_flag("skip-bad");
    if is_refused {
        print_line(&format!("imported nothing: {} of the lines are bad", report.bad))?;
        return Ok(ExitCode::FAILURE);
    }
    let skipped = report.bad;
    import(engine, good, &mut report).await?;
    let Report { made, replaced, bad } = report;
    print_line(&format!(
        "imported {} products: {made} made, {replaced} replaced, {bad} lines refused",
        made + replaced
    ))?;
    Ok(if bad > skipped { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the lines that can be imported, and names all others.
async fn check(
    engine: &AsyncEngine,
    lines: Vec<Line>,
    report: &mut Report,
) -> Result<Vec<Good>, CommandError> {
    let mut good = Vec::with_capacity(lines.len());
    // The lines that name each id and each SKU.
    let (mut by_id, mut by_sku) = (HashMap::new(), HashMap::new());
    for (number, record) in lines {
        let checked = record.and_then(|record| match record.put.check(engine.config()) {
            Ok(()) => Ok(record),
            Err(error) => Err(error.message().to_owned()),
        });
        let record = match checked {
            Ok(record) => record,
            Err(why) => {
                report.refuse(number, &why);
                continue;
            }
        };
        let earlier = record.put.product.id().and_then(|id| by_id.get(&id));
        let earlier = earlier.or_else(|| by_sku.get(record.put.sku.as_ref()?));
        if let Some(earlier) = earlier {
            report.refuse(number, &format!("it is of the same product as line {earlier}"));
            continue;
        }
        if let Some(id) = record.put.product.id() {
            by_id.insert(id, number);
        }
        if let Some(sku) = record.put.sku.clone() {
            by_sku.insert(sku, number);
        }
        good.push((number, record));
    }
    refuse_taken(engine, good, &by_id, report).await
}

/// Leaves out lines that give a product the SKU of another, unless that one is in the
/// file as well and has another SKU there.
async fn refuse_taken(
    engine: &AsyncEngine,
    mut good: Vec<Good>,
    by_id: &HashMap<ProductId, u64>,
    report: &mut Report,
) -> Result<Vec<Good>, CommandError> {
    let has_both = |(_, record): &Good| {
        matches!(record.put.product, ProductRef::Id(_)) && record.put.sku.is_some()
    };
    if !good.iter().any(has_both) {
        return Ok(good);
    }
    let owners = owners(engine).await?;
    good.retain(|(number, record)| {
        let (Some(id), Some(sku)) = (record.put.product.id(), &record.put.sku) else { return true };
        let taken = owners.get(sku).filter(|owner| **owner != id && !by_id.contains_key(owner));
        if let Some(owner) = taken {
            report.refuse(*number, &format!("product {owner} has the SKU `{sku}` already"));
        }
        taken.is_none()
    });
    Ok(good)
}

/// Reads which product has each SKU.
async fn owners(engine: &AsyncEngine) -> Result<HashMap<String, ProductId>, CommandError> {
    let (mut owners, mut after) = (HashMap::new(), None);
    loop {
        let page = engine.products(after, PER_PAGE).await?;
        let with_sku = page.items.into_iter();
        owners.extend(with_sku.filter_map(|product| Some((product.sku?, product.id))));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(owners),
        }
    }
}

/// Imports lines. Those whose SKU another product has still are tried again after the
/// others, as long as that helps: a SKU may move between products of the file.
async fn import(
    engine: &AsyncEngine,
    mut lines: Vec<Good>,
    report: &mut Report,
) -> Result<(), CommandError> {
    // Shown on stderr if that is a terminal.
    let bar = ProgressBar::new(lines.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    loop {
        let count = lines.len();
        let mut again = Vec::new();
        let mut rest = lines.into_iter().peekable();
        while rest.peek().is_some() {
            let (chunk, mut bytes) = (&mut Vec::new(), 0);
            while chunk.len() < PUTS_MAX && bytes < PUTS_BYTES_MAX {
                let Some(line) = rest.next() else { break };
                // A name of 255 characters and all numbers are within a kilobyte.
                bytes += 512
                    + line.1.put.name.len()
                    + line.1.put.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
                chunk.push(line);
            }
            put(engine, std::mem::take(chunk), report, &mut again, &bar).await?;
        }
        if again.is_empty() || again.len() == count {
            bar.finish_and_clear();
            for ((number, _), error) in again {
                report.refuse(number, error.message());
            }
            return Ok(());
        }
        lines = again.into_iter().map(|(line, _)| line).collect();
    }
}

/// Imports some lines at once.
async fn put(
    engine: &AsyncEngine,
    lines: Vec<Good>,
    report: &mut Report,
    again: &mut Vec<(Good, Error)>,
    bar: &ProgressBar,
) -> Result<(), CommandError> {
    let puts = lines.iter().map(|(_, record)| record.put.clone()).collect();
    let results = engine.put_products(puts).await?;
    for ((number, record), result) in lines.into_iter().zip(results) {
        let result = match result {
            Ok(outcome) => archive(engine, &record, outcome).await,
            refused => refused,
        };
        match result {
            Ok(outcome) if outcome.created => report.made += 1,
            Ok(_) => report.replaced += 1,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                again.push(((number, record), error));
                continue;
            }
            Err(error) if is_fatal(error.kind()) => {
                bar.abandon();
                return Err(CommandError::Runtime(format!(
                    "stopped at line {number} after {} products; the import can be repeated: {}",
                    report.made + report.replaced,
                    CommandError::from(error)
                )));
            }
            Err(error) => bar.suspend(|| report.refuse(number, error.message())),
        }
        bar.inc(1);
    }
    Ok(())
}

/// Whether the next line would fare no better.
fn is_fatal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Contention
            | ErrorKind::Unavailable
            | ErrorKind::Unauthorized
            | ErrorKind::Misuse
    )
}

/// Archives the product or lets it be sold again, if the line says so.
async fn archive(
    engine: &AsyncEngine,
    record: &Record,
    outcome: PutOutcome,
) -> stockade::Result<PutOutcome> {
    if let Some(archived) = record.archived.filter(|wanted| *wanted != outcome.product.archived) {
        let change = ProductChange::new(outcome.product.id).archived(archived);
        engine.change_product(change).await?;
    }
    Ok(outcome)
}
