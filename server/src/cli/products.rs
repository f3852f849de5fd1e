//! `product put`, `product list` and `product export`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use stockade::{
    AsyncEngine, Metadata, Money, Product, ProductId, ProductRef, PutProduct, Timestamp,
};

use super::output::{json, print_line, required, unshown};
use super::product_file::{Format, STANDARD, Writer};
use super::progress;
use super::rows::{self, Printer};
use crate::command_error::CommandError;
use crate::handlers::ProductView;

/// The most products that are read at once.
const PER_PAGE: u32 = 1_000;

const IMPORT_EXIT_CODES: &str = "\
Exit codes: 0 imported; 1 lines were refused; 2 wrong arguments or settings; 3 the store or
the operating system failed.";

/// What the table of products shows.
const COLUMNS: &[&str] =
    &["id", "sku", "name", "price", "currency", "stock", "held", "pending", "sold"];

const IMPORT: &str = "\
Make or replace the products of a file, by their ids or SKUs. CSV has a header; JSON Lines
have an object in each line. Fields: id, sku (one of them), name, price, and if wanted
currency, stock, safety_stock, on_sale_from, on_sale_until, archived, metadata. What a line
leaves out is reset, but for stock and archived. All lines are checked first: if one is bad,
nothing is imported.";

fn file(help: &'static str) -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .required(true)
        .help(help)
}

fn format() -> Arg {
    Arg::new("format")
        .long("format")
        .value_parser(Format::NAMES.to_vec())
        .help("The format of FILE; default: by its extension, else jsonl")
}

/// `product export`, and `export` for short.
pub(super) fn export_command() -> Command {
    Command::new("export")
        .about("Write all products as `product import` reads them")
        .args([file("The file, replaced when all is written; - is stdout"), format()])
}

/// `product import`, and `import` for short.
pub(super) fn import_command() -> Command {
    let skip_bad = Arg::new("skip-bad").long("skip-bad").action(ArgAction::SetTrue);
    Command::new("import")
        .about("Make or replace the products of a file, by their ids or SKUs")
        .long_about(IMPORT)
        .after_help(IMPORT_EXIT_CODES)
        .args([
            file("The file; - is stdin"),
            format(),
            skip_bad.help("Import the good lines although others are bad"),
        ])
}

pub(super) fn command() -> Command {
    let put = Command::new("put")
        .about("Make a product, or replace all of it but its stock")
        .args(put_flags());
    let list = Command::new("list").about("Print products one by one, by ascending id").args([
        number("after", "ID").help("Only products with ids above this one"),
        number("count", "N").help("The most to print; default: all"),
        rows::flag(),
    ]);
    Command::new("product")
        .about("Make, list, export and import products")
        .subcommand_required(true)
        .subcommands([put, list, export_command(), import_command()])
}

fn number(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).value_parser(value_parser!(u64))
}

fn put_flags() -> [Arg; 10] {
    let moment = |name: &'static str| {
        Arg::new(name).long(name).value_name("MOMENT").value_parser(value_parser!(Timestamp))
    };
    [
        Arg::new("product")
            .value_name("ID or sku:SKU")
            .value_parser(value_parser!(ProductRef))
            .required(true),
        Arg::new("name").long("name").required(true).help("The name"),
        Arg::new("price")
            .long("price")
            .value_parser(value_parser!(Money))
            .required(true)
            .help("The price, in the currency of the setting"),
        Arg::new("sku").long("sku").help("The SKU; default: the one that names the product"),
        number("stock", "N").help("The units in stock that it shall have; default: as they are"),
        number("safety-stock", "N").help("Units in stock that holds do not take"),
        moment("on-sale-from").help("When it begins to be sold"),
        moment("on-sale-until").help("When it ends to be sold"),
        Arg::new("metadata")
            .long("metadata")
            .value_name("JSON")
            .value_parser(value_parser!(Metadata))
            .help("A JSON object that is kept with it"),
        number("if-version", "N").help("Fail if the product has another version"),
    ]
}

/// Executes all but `import`.
pub(super) async fn run(
    engine: &AsyncEngine,
    action: &str,
    matches: &ArgMatches,
) -> Result<(), CommandError> {
    match action {
        "put" => put(engine, matches).await,
        "list" => list(engine, matches).await,
        _ => export(engine, matches).await,
    }
}

async fn put(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let product: ProductRef = required(matches, "product")?;
    let name: String = required(matches, "name")?;
    let mut request = PutProduct::new(product, name, required::<Money>(matches, "price")?);
    request.sku = matches.get_one("sku").cloned();
    request.stock = matches.get_one("stock").copied();
    request.safety_stock = matches.get_one("safety-stock").copied().unwrap_or_default();
    request.on_sale_from = matches.get_one("on-sale-from").copied();
    request.on_sale_until = matches.get_one("on-sale-until").copied();
    request.metadata = matches.get_one("metadata").cloned();
    request.version = matches.get_one("if-version").copied();
    print_line(&json(&view(&engine.put_product(&request).await?.product)?)?)
}

fn view(product: &Product) -> Result<ProductView<'_>, CommandError> {
    ProductView::of(product).map_err(|error| unshown(&error))
}

async fn list(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let printer = Printer::of(matches, COLUMNS);
    let mut left = matches.get_one("count").copied().unwrap_or(u64::MAX);
    let mut after = matches.get_one("after").copied().map(ProductId);
    while left > 0 {
        let limit = u32::try_from(left).map_or(PER_PAGE, |left| left.min(PER_PAGE));
        let page = engine.products(after, limit).await?;
        if !printer.print(page.items.iter().map(view))? {
            return Ok(());
        }
        left = left.saturating_sub(page.items.len() as u64);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    Ok(())
}

pub(super) async fn export(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let path: PathBuf = required(matches, "file")?;
    let format = Format::of(matches, &path)?;
    if path == Path::new(STANDARD) {
        return match write_all(engine, Writer::new(format, io::stdout().lock())).await {
            // The reader has had enough.
            Err(CommandError::Runtime(_)) if is_closed() => Ok(()),
            written => written.map(drop),
        };
    }
    // The file appears when it is whole.
    let mut part = path.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let unwritable = |error: &io::Error| {
        CommandError::Runtime(format!("cannot write {}: {error}", part.display()))
    };
    let file = File::create(&part).map_err(|error| unwritable(&error))?;
    let work = write_all(engine, Writer::new(format, BufWriter::new(file)));
    let written = progress::watched("{spinner} {bytes} {msg}", "written", work, |bar| {
        bar.set_position(part.metadata().map_or(0, |metadata| metadata.len()));
    })
    .await;
    let count = match written {
        Ok(count) => count,
        Err(error) => {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
    };
    fs::rename(&part, &path).map_err(|error| unwritable(&error))?;
    print_line(&format!("exported {count} products to {}", path.display()))
}

/// Whether nobody reads stdout any more.
fn is_closed() -> bool {
    io::stdout().flush().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes all products, and returns how many there are.
async fn write_all(
    engine: &AsyncEngine,
    mut writer: Writer<impl Write>,
) -> Result<u64, CommandError> {
    let (mut after, mut count) = (None, 0);
    writer.begin()?;
    loop {
        let page = engine.products(after, PER_PAGE).await?;
        for product in &page.items {
            writer.write(product)?;
            count += 1;
        }
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    writer.end()?;
    Ok(count)
}
