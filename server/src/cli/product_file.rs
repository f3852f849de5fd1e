//! Files of products: CSV with a header, or JSON Lines.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::str::FromStr;

use clap::ArgMatches;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stockade::{Currency, InvalidArgument, Metadata, Product, ProductId, PutProduct, Timestamp};

use crate::body;
use crate::command_error::CommandError;
use crate::moment::Moment;
use crate::money;
use crate::problem::Rejection;

/// The name of stdin and stdout.
pub(super) const STANDARD: &str = "-";

/// The longest line, in bytes: metadata has at most 4 KiB, which escapes may make six
/// times as long.
const LINE_MAX: usize = 64 << 10;

/// The most products of a file, all of which are in memory while it is checked: about
/// half a gigabyte.
const LINES_MAX: usize = 1_000_000;

/// The columns of CSV, in the order in which they are written.
const COLUMNS: [&str; 11] = [
    "id",
    "sku",
    "name",
    "price",
    "currency",
    "stock",
    "safety_stock",
    "on_sale_from",
    "on_sale_until",
    "archived",
    "metadata",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    JsonLines,
}

impl Format {
    pub const NAMES: [&str; 2] = ["csv", "jsonl"];

    /// Returns the format that the arguments name, or that a file's extension does.
    pub fn of(matches: &ArgMatches, path: &Path) -> Result<Self, CommandError> {
        if let Some(name) = matches.get_one::<String>("format") {
            return Ok(if name == "csv" { Self::Csv } else { Self::JsonLines });
        }
        let extension =
            path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            None if path == Path::new(STANDARD) => Ok(Self::JsonLines),
            _ => Err(CommandError::Setup(format!(
                "the format of {} is unknown: expected .csv or .jsonl, or --format",
                path.display()
            ))),
        }
    }
}

/// A product of a file.
#[derive(Debug)]
pub(super) struct Record {
    pub put: PutProduct,
    /// Whether it shall be archived; None leaves it as it is.
    pub archived: Option<bool>,
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine<'a> {
    id: Option<ProductId>,
    sku: Option<String>,
    name: String,
    #[serde(borrow)]
    price: &'a RawValue,
    currency: Option<Currency>,
    stock: Option<u64>,
    safety_stock: Option<u64>,
    on_sale_from: Option<Moment>,
    on_sale_until: Option<Moment>,
    archived: Option<bool>,
    metadata: Option<Metadata>,
}

/// Returns a request for the product that a line names.
fn named(
    id: Option<ProductId>,
    sku: Option<String>,
    name: String,
    price: stockade::Money,
) -> Result<PutProduct, Rejection> {
    let mut put = match (id, &sku) {
        (Some(id), _) => PutProduct::new(id, name, price),
        (None, Some(sku)) => PutProduct::new(stockade::ProductRef::sku(sku), name, price),
        (None, None) => return Err(Rejection::invalid("id is missing, or sku")),
    };
    put.sku = sku;
    Ok(put)
}

fn parse_json(line: &str) -> Result<Record, Rejection> {
    let line: JsonLine<'_> = body::object(line)?;
    let price = money::parse("price", line.price)?;
    let mut put = named(line.id, line.sku, line.name, price)?;
    (put.currency, put.stock) = (line.currency, line.stock);
    put.safety_stock = line.safety_stock.unwrap_or_default();
    put.on_sale_from = line.on_sale_from.map(Into::into);
    put.on_sale_until = line.on_sale_until.map(Into::into);
    put.metadata = line.metadata;
    Ok(Record { put, archived: line.archived })
}

/// The cells of a line of CSV, by the names of the columns.
struct Cells<'a> {
    columns: &'a [usize],
    cells: &'a csv::StringRecord,
}

impl Cells<'_> {
    /// Returns a cell; an empty one is none.
    fn text(&self, name: &str) -> Option<&str> {
        let at = self.columns.iter().position(|column| COLUMNS.get(*column) == Some(&name))?;
        self.cells.get(at).filter(|cell| !cell.is_empty())
    }

    fn parsed<T: FromStr<Err = InvalidArgument>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Rejection> {
        let parse = |text: &str| {
            text.parse().map_err(|error| Rejection::invalid(format!("{name}: {error}")))
        };
        self.text(name).map(parse).transpose()
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Rejection> {
        let parse = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            let parsed =
                text.parse().ok().filter(|number| is_number && i64::try_from(*number).is_ok());
            parsed.ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                let why = format!(
                    "{name}: expected a whole number from 0 to {}, found `{shown}`",
                    i64::MAX
                );
                Rejection::invalid(why)
            })
        };
        self.text(name).map(parse).transpose()
    }

    fn record(&self) -> Result<Record, Rejection> {
        let missing = |name| move || Rejection::invalid(format!("{name} is missing"));
        let price = self.parsed("price")?.ok_or_else(missing("price"))?;
        let name = self.text("name").ok_or_else(missing("name"))?.to_owned();
        let sku = self.text("sku").map(str::to_owned);
        let mut put = named(self.parsed("id")?, sku, name, price)?;
        (put.currency, put.stock) = (self.parsed("currency")?, self.number("stock")?);
        put.safety_stock = self.number("safety_stock")?.unwrap_or_default();
        put.on_sale_from = self.parsed("on_sale_from")?;
        put.on_sale_until = self.parsed("on_sale_until")?;
        put.metadata = self.parsed("metadata")?;
        let archived = self.text("archived").map(|text| {
            let wrong = |error| Rejection::invalid(format!("archived: {error}"));
            stockade::parse_bool(text).map_err(wrong)
        });
        Ok(Record { put, archived: archived.transpose()? })
    }
}

/// A line of a file: its number, and its product or what is wrong with it.
pub(super) type Line = (u64, Result<Record, String>);

/// Reads all lines of a file. Empty ones are skipped.
///
/// # Errors
/// A file that cannot be read, or CSV whose header cannot be used.
pub(super) fn read(format: Format, from: impl Read) -> Result<Vec<Line>, CommandError> {
    match format {
        Format::Csv => read_csv(from),
        Format::JsonLines => read_json(BufReader::new(from)),
    }
}

fn unreadable(error: &std::io::Error) -> CommandError {
    CommandError::system("cannot read the file", error)
}

fn read_json(mut from: impl BufRead) -> Result<Vec<Line>, CommandError> {
    let (mut lines, mut number) = (Vec::new(), 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = from.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut bytes);
        if read.map_err(|error| unreadable(&error))? == 0 {
            return Ok(lines);
        }
        number += 1;
        let is_too_long = bytes.len() > LINE_MAX && !bytes.ends_with(b"\n");
        if is_too_long {
            skip_line(&mut from)?;
        }
        let text = str::from_utf8(&bytes).map(|text| text.trim_start_matches('\u{feff}'));
        let record = match text {
            _ if is_too_long => Err(format!("a line has at most {LINE_MAX} bytes")),
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => parse_json(text).map_err(|error| error.detail().into_owned()),
            Err(_) => Err("the line is not UTF-8".to_owned()),
        };
        push(&mut lines, (number, record))?;
    }
}

fn push(lines: &mut Vec<Line>, line: Line) -> Result<(), CommandError> {
    if lines.len() == LINES_MAX {
        return Err(CommandError::Setup(format!(
            "a file has at most {LINES_MAX} products: split it"
        )));
    }
    lines.push(line);
    Ok(())
}

/// Skips the rest of a line.
fn skip_line(from: &mut impl BufRead) -> Result<(), CommandError> {
    loop {
        let there = from.fill_buf().map_err(|error| unreadable(&error))?;
        let end = there.iter().position(|byte| *byte == b'\n');
        let read = end.map_or(there.len(), |end| end + 1);
        from.consume(read);
        if end.is_some() || read == 0 {
            return Ok(());
        }
    }
}

fn read_csv(from: impl Read) -> Result<Vec<Line>, CommandError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(from);
    let unusable = |error: csv::Error| CommandError::Setup(format!("cannot read the CSV: {error}"));
    let columns = columns(reader.headers().map_err(unusable)?)?;
    let (mut lines, mut cells) = (Vec::new(), csv::StringRecord::new());
    loop {
        let number = reader.position().line();
        let record = match reader.read_record(&mut cells) {
            Ok(false) => return Ok(lines),
            Ok(true) if cells.len() == columns.len() => {
                let cells = Cells { columns: &columns, cells: &cells };
                cells.record().map_err(|error| error.detail().into_owned())
            }
            Ok(true) => Err(format!(
                "the header has {} columns, and the line has {}",
                columns.len(),
                cells.len()
            )),
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                Err("the line is not UTF-8".to_owned())
            }
            Err(error) => return Err(unusable(error)),
        };
        // Empty lines before a record are not counted as part of it.
        let number = cells.position().map_or(number, csv::Position::line);
        push(&mut lines, (number, record))?;
    }
}

/// Finds the columns of a header in [`COLUMNS`].
fn columns(header: &csv::StringRecord) -> Result<Vec<usize>, CommandError> {
    let mut columns = Vec::new();
    for name in header {
        let name = name.trim().trim_start_matches('\u{feff}');
        let Some(at) = COLUMNS.iter().position(|column| *column == name) else {
            return Err(CommandError::Setup(format!(
                "the column {name} is unknown; known are {}",
                COLUMNS.join(", ")
            )));
        };
        if columns.contains(&at) {
            return Err(CommandError::Setup(format!("the column {name} is there twice")));
        }
        columns.push(at);
    }
    Ok(columns)
}

/// A product as a line of JSON.
#[derive(Serialize)]
struct WrittenLine<'a> {
    id: ProductId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    name: &'a str,
    price: Box<RawValue>,
    currency: Currency,
    stock: u64,
    safety_stock: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_sale_from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_sale_until: Option<Timestamp>,
    archived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

/// Writes a file of products.
pub(super) enum Writer<W: Write> {
    Csv(Box<csv::Writer<W>>),
    JsonLines(W),
}

impl<W: Write> Writer<W> {
    pub fn new(format: Format, to: W) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(csv::Writer::from_writer(to))),
            Format::JsonLines => Self::JsonLines(to),
        }
    }

    /// Writes CSV's header; JSON Lines have none.
    pub fn begin(&mut self) -> Result<(), CommandError> {
        match self {
            Self::Csv(writer) => writer.write_record(COLUMNS).map_err(|error| unwritable(&error)),
            Self::JsonLines(_) => Ok(()),
        }
    }

    pub fn write(&mut self, product: &Product) -> Result<(), CommandError> {
        match self {
            Self::Csv(writer) => writer
                .write_record(cells(product).iter().map(|cell| cell.as_bytes()))
                .map_err(|error| unwritable(&error)),
            Self::JsonLines(to) => {
                let price = money::number(product.price);
                let line = WrittenLine {
                    id: product.id,
                    sku: product.sku.as_deref(),
                    name: &product.name,
                    price: price.map_err(|error| super::output::unshown(&error))?,
                    currency: product.currency,
                    stock: product.in_stock,
                    safety_stock: product.safety_stock,
                    on_sale_from: product.on_sale_from,
                    on_sale_until: product.on_sale_until,
                    archived: product.archived,
                    metadata: product.metadata.as_ref(),
                };
                let line = super::output::json(&line)?;
                writeln!(to, "{line}").map_err(|error| unwritable(&error))
            }
        }
    }

    pub fn end(self) -> Result<(), CommandError> {
        let flushed = match self {
            Self::Csv(mut writer) => writer.flush(),
            Self::JsonLines(mut to) => to.flush(),
        };
        flushed.map_err(|error| unwritable(&error))
    }
}

fn unwritable(error: &impl std::fmt::Display) -> CommandError {
    CommandError::Runtime(format!("cannot write the products: {error}"))
}

fn cells(product: &Product) -> [Cow<'_, str>; COLUMNS.len()] {
    let moment = |moment: Option<Timestamp>| {
        moment.map_or(Cow::Borrowed(""), |moment| moment.to_string().into())
    };
    [
        product.id.to_string().into(),
        product.sku.as_deref().unwrap_or_default().into(),
        product.name.as_str().into(),
        product.price.to_string().into(),
        product.currency.code().into(),
        product.in_stock.to_string().into(),
        product.safety_stock.to_string().into(),
        moment(product.on_sale_from),
        moment(product.on_sale_until),
        product.archived.to_string().into(),
        product.metadata.as_ref().map_or("", Metadata::as_str).into(),
    ]
}
