//! `stockade load`: plays a flash sale against a running server, and compares in the end
//! what the buyers were told with what the server says.
//!
//! The load is an open loop: buyers come by the plan's schedule however slow the answers
//! are, and a latency counts from the moment at which the request was due.

mod buyer;
mod chart;
mod client;
mod display;
mod plan;
mod reconcile;
mod records;
mod report;
mod shop_view;
mod stats;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;
use stockade::ProductRef;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use self::buyer::{Shop, visit};
use self::client::{Call, ShopClient};
use self::display::Display;
use self::plan::{Arrivals, Terms};
use self::reconcile::{FINDINGS_MAX, Findings, reconcile};
use self::records::{Purchase, Visit};
use self::report::SaleReport;
use self::shop_view::Numbers;
use self::stats::Stats;
use super::output::{json, json_flag, print_line, required};
use super::progress;
use crate::command_error::CommandError;
use crate::settings::Settings;

const ABOUT: &str = "\
Plays a flash sale against a running server. Buyers come at a rate, whatever the server
does; each holds units of one product or fills a cart, and then lets it expire, releases
it, orders and never pays, pays, pays twice or pays too late. Some send every request
twice. In the end the holds and orders that the server lists, its products' numbers and
its audit must agree with what the buyers were told. Where the server has API keys, it
needs one with the scope operate (or read, with --product).";

const EXIT_CODES: &str = "\
Exit codes: 0 the sale is clean; 1 it is not: a finding, or a request without an answer;
2 wrong arguments; 3 the server cannot be reached or refuses to be an audience.";

/// The settings that it reads.
pub(super) const SETTINGS: &[&str] =
    &["listen", "api_key", "webhook_secret", "log_format", "log_level"];

pub(super) fn command() -> Command {
    let number = |name: &'static str, value: &'static str| {
        Arg::new(name).long(name).value_name(value).value_parser(value_parser!(u64))
    };
    Command::new("load")
        .about("Play a flash sale against a running server, and check the result")
        .long_about(ABOUT)
        .after_help(EXIT_CODES)
        .args([
            Arg::new("url")
                .long("url")
                .value_name("URL")
                .help("The server [default: the address of the setting `listen`]"),
            number("buyers", "N")
                .value_parser(value_parser!(u64).range(1..=1_000_000))
                .default_value("1000")
                .help("How many buyers come"),
            Arg::new("rate")
                .long("rate")
                .value_name("N")
                .value_parser(value_parser!(f64))
                .default_value("500")
                .help("How many buyers come in a second"),
            Arg::new("arrivals")
                .long("arrivals")
                .value_name("SCHEDULE")
                .value_parser(["exponential", "fixed"])
                .default_value("exponential")
                .help("Whether buyers come independently of each other, or in equal gaps"),
            Arg::new("product")
                .long("product")
                .value_name("ID or sku:SKU")
                .action(ArgAction::Append)
                .value_parser(value_parser!(ProductRef))
                .help("Sell this product, which nobody else may sell meanwhile; may be repeated [default: products made for the sale]"),
            number("products", "N")
                .value_parser(value_parser!(u64).range(1..=1_000))
                .default_value("3")
                .conflicts_with("product")
                .help("How many products are made for the sale"),
            number("stock", "N")
                .value_parser(value_parser!(u64).range(1..=1_000_000_000))
                .conflicts_with("product")
                .help("The stock of each of them [default: half of what the buyers want]"),
            number("seed", "N").help("The seed of the plan; the same makes the same buyers [default: random]"),
            number("in-flight", "N")
                .value_parser(value_parser!(u64).range(1..=10_000))
                .default_value("256")
                .help("The most requests at a time, each on a connection"),
            Arg::new("svg")
                .long("svg")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Also draw the sale into this file"),
            json_flag("Print the report as JSON"),
        ])
}

/// Plays a sale.
pub(super) async fn run(
    settings: &Settings,
    matches: &ArgMatches,
) -> Result<ExitCode, CommandError> {
    let url = matches.get_one::<String>("url").cloned();
    let url = url.unwrap_or_else(|| format!("http://{}", settings.listen));
    let rate: f64 = required(matches, "rate")?;
    if !(rate.is_finite() && rate > 0.0) {
        return Err(CommandError::Setup("--rate must be greater than 0".to_owned()));
    }
    let in_flight: u64 = required(matches, "in-flight")?;
    let client = ShopClient::new(
        &url,
        settings.api_key.iter().next().map(ToOwned::to_owned),
        settings.webhook_secret.iter().next().map(ToOwned::to_owned),
        usize::try_from(in_flight).unwrap_or(usize::MAX),
    )?;
    greet(&client).await?;
    let products: Vec<ProductRef> =
        matches.get_many::<ProductRef>("product").into_iter().flatten().cloned().collect();
    let made: u64 = required(matches, "products")?;
    let terms = Terms {
        buyers: required(matches, "buyers")?,
        rate,
        arrivals: match required::<String>(matches, "arrivals")?.as_str() {
            "fixed" => Arrivals::Fixed,
            _ => Arrivals::Exponential,
        },
        seed: matches.get_one("seed").copied().unwrap_or_else(|| u64::from(rand::random::<u32>())),
        products: match products.len() {
            0 => usize::try_from(made).unwrap_or(usize::MAX),
            given => given,
        },
    };
    let run: u64 = rand::random();
    let is_alone = products.is_empty();
    let before = match is_alone {
        true => make_products(&client, run, terms, matches.get_one("stock").copied()).await,
        false => find_products(&client, &products).await,
    };
    let before = before.map_err(CommandError::Runtime)?;
    let stats = Stats::start()
        .ok_or_else(|| CommandError::Runtime("cannot make a histogram".to_owned()))?;
    let shop = Shop {
        client: Arc::new(client),
        stats: Arc::new(stats),
        products: before.iter().map(|numbers| numbers.id).collect(),
        run,
    };
    let report = sell(&shop, terms, &before, is_alone).await?;
    if let Some(file) = matches.get_one::<PathBuf>("svg") {
        chart::draw(&report, file).map_err(|error| {
            CommandError::Runtime(format!("cannot draw {}: {error}", file.display()))
        })?;
    }
    print_line(&match matches.get_flag("json") {
        true => json(&report.json())?,
        false => report.text(),
    })?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks that the server is there.
async fn greet(client: &ShopClient) -> Result<(), CommandError> {
    let ready = client.send_once(&Call::get("/readyz".to_owned())).await;
    let why = match ready {
        Ok(answer) if answer.status.is_success() => return Ok(()),
        Ok(answer) => format!("is not ready: it answers {}", answer.status),
        Err(why) => format!("cannot be reached: {why}"),
    };
    Err(CommandError::Runtime(format!(
        "the server at {} {why}; start it by `stockade serve`, or name another by --url",
        client.base()
    )))
}

/// Makes products for the sale.
async fn make_products(
    client: &ShopClient,
    run: u64,
    terms: Terms,
    stock: Option<u64>,
) -> Result<Vec<Numbers>, String> {
    let mut made = Vec::with_capacity(terms.products);
    for (at, demand) in terms.demand().into_iter().enumerate() {
        let number = at + 1;
        let stock = stock.unwrap_or_else(|| demand.div_ceil(2).max(1));
        let body = json!({"name": format!("Flash sale {number}"), "price": 20, "stock": stock});
        let call = Call {
            method: hyper::Method::PUT,
            path: format!("/api/admin/products/sku:load-{run:016x}-{number}"),
            ..Call::default()
        };
        made.push(shop_view::ask(client, &call.body(&body)).await.map_err(|why| {
            format!("cannot make a product for the sale ({why}); --api-key needs the scope operate")
        })?);
    }
    Ok(made)
}

/// Reads the products that are given.
async fn find_products(
    client: &ShopClient,
    products: &[ProductRef],
) -> Result<Vec<Numbers>, String> {
    let mut found: Vec<Numbers> = Vec::with_capacity(products.len());
    for product in products {
        let path = match product {
            ProductRef::Sku(sku) => {
                let sku =
                    percent_encoding::utf8_percent_encode(sku, percent_encoding::NON_ALPHANUMERIC);
                format!("sku:{sku}")
            }
            _ => product.to_string(),
        };
        let numbers = shop_view::product(client, &path).await?;
        if found.iter().any(|other| other.id == numbers.id) {
            return Err(format!("--product names the product {} twice", numbers.id));
        }
        found.push(numbers);
    }
    Ok(found)
}

/// Lets the buyers come, and compares the result.
async fn sell(
    shop: &Shop,
    terms: Terms,
    before: &[Numbers],
    is_alone: bool,
) -> Result<SaleReport, CommandError> {
    let display = Display::start(terms.buyers, &shop.stats);
    let mut tally = Tally::default();
    let mut visits = JoinSet::new();
    let (started, mut buyers) = (Instant::now(), 0);
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    for buyer in terms.plan() {
        let due = started + buyer.at;
        tokio::select! {
            () = sleep_until(due.into()) => {}
            // No more buyers come; those that are there are served and checked.
            _ = &mut interrupt => break,
        }
        buyers += 1;
        visits.spawn(visit(shop.clone(), buyer, due));
        while let Some(done) = visits.try_join_next() {
            tally.add(done.unwrap_or_else(broken), &display);
        }
    }
    let again = tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    while let Some(done) = visits.join_next().await {
        tally.add(done.unwrap_or_else(broken), &display);
    }
    again.abort();
    display.end();
    let seconds = shop.stats.elapsed().as_secs_f64();
    let Tally { purchases, findings, errors, errors_in_all } = tally;
    let work = reconcile(shop, before, &purchases, is_alone, findings);
    let reconciliation = progress::awaited("comparing", work).await;
    let reconciliation = reconciliation
        .map_err(|why| CommandError::Runtime(format!("cannot compare the result: {why}")))?;
    Ok(SaleReport {
        seed: terms.seed,
        url: shop.client.base().to_owned(),
        buyers,
        seconds,
        counts: shop.stats.counts(),
        retries: shop.client.retries(),
        errors,
        errors_in_all,
        reconciliation,
    })
}

/// A visit whose task ended without a result.
fn broken(error: tokio::task::JoinError) -> Visit {
    Visit { errors: vec![format!("a buyer ended early: {error}")], ..Visit::default() }
}

/// What the visits of all buyers so far make.
#[derive(Default)]
struct Tally {
    purchases: Vec<Purchase>,
    findings: Findings,
    errors: Vec<String>,
    errors_in_all: u64,
}

impl Tally {
    fn add(&mut self, visit: Visit, display: &Display) {
        display.left();
        self.purchases.extend(visit.purchase);
        for finding in visit.findings {
            self.findings.add(finding);
        }
        for error in visit.errors {
            self.errors_in_all += 1;
            if self.errors.len() < FINDINGS_MAX {
                self.errors.push(error);
            }
        }
    }
}
