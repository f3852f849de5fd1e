//! `hold list`, `order list`, `payment waiting` and `payment remove`.

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::Serialize;
use stockade::{
    AsyncEngine, Hold, HoldId, HoldQuery, HoldStatus, Metadata, OrderId, OrderQuery, OrderStatus,
    PaymentDisposition, ProductId, ProductRef, Timestamp,
};

use super::output::{json, print_line, required, unshown};
use super::rows::{self, Printer};
use crate::command_error::CommandError;
use crate::handlers::{OrderView, WaitingView};

/// The most rows that a list reads at once.
const PER_PAGE: u32 = 1_000;

/// What the tables of the lists show.
const HOLD_COLUMNS: &[&str] =
    &["hold_id", "product_id", "sku", "qty", "status", "expires_at", "order_id", "customer"];
const ORDER_COLUMNS: &[&str] = &[
    "id",
    "status",
    "payment_disposition",
    "amount",
    "currency",
    "created_at",
    "reference",
    "customer",
];
const WAITING_COLUMNS: &[&str] = &["key", "order_id", "outcome", "received_at", "ends_at"];

/// How JSON writes the control character that begins a derived key.
const DERIVED: &str = "\\u0001";

pub(super) fn hold_command() -> Command {
    let list = Command::new("list").about("Print holds one by one, by ascending id").args(filters(
        "holds",
        "ID",
        HoldStatus::ALL.iter().map(|one| one.as_str()),
    ));
    Command::new("hold").about("Look at holds").subcommand_required(true).subcommand(list)
}

pub(super) fn order_command() -> Command {
    let dispositions = PaymentDisposition::ALL.iter().map(|one| one.as_str());
    let list = Command::new("list")
        .about("Print orders one by one, by ascending id")
        .args(filters("orders", "ID", OrderStatus::ALL.iter().map(|one| one.as_str())))
        .args([
            Arg::new("disposition")
                .long("disposition")
                .value_parser(dispositions.collect::<Vec<_>>())
                .help("Only orders with this disposition, as needs_refund"),
            Arg::new("reference")
                .long("reference")
                .help("Only the order with this number of the shop"),
            Arg::new("payment-reference")
                .long("payment-reference")
                .value_name("PROVIDER/REFERENCE")
                .help("Only the order of this payment, such as stripe/pi_3N"),
        ]);
    Command::new("order").about("Look at orders").subcommand_required(true).subcommand(list)
}

pub(super) fn payment_command() -> Command {
    let waiting = Command::new("waiting")
        .about("Print payment events that wait for their order, the oldest first")
        .args([count(), rows::flag()]);
    let remove = Command::new("remove")
        .about("Remove a payment event that waits: it stays recorded and is never applied")
        .arg(
            Arg::new("key")
                .value_name("KEY")
                .required(true)
                .help("The event's key, as `payment waiting` prints it"),
        );
    Command::new("payment")
        .about("Look at payment events that wait for their order")
        .subcommand_required(true)
        .subcommands([waiting, remove])
}

fn count() -> Arg {
    Arg::new("count")
        .long("count")
        .value_name("N")
        .value_parser(value_parser!(u64))
        .help("The most to print; default: all")
}

fn filters(what: &str, id: &'static str, statuses: impl Iterator<Item = &'static str>) -> [Arg; 8] {
    let moment = |name: &'static str| {
        Arg::new(name).long(name).value_name("MOMENT").value_parser(value_parser!(Timestamp))
    };
    [
        Arg::new("product")
            .long("product")
            .value_name("ID or sku:SKU")
            .value_parser(value_parser!(ProductRef))
            .help(format!("Only {what} of this product")),
        Arg::new("customer").long("customer").help(format!("Only {what} of this customer")),
        Arg::new("status")
            .long("status")
            .value_parser(statuses.collect::<Vec<_>>())
            .help(format!("Only {what} with this status")),
        moment("created-after").help(format!("Only {what} created then or later")),
        moment("created-before").help(format!("Only {what} created before")),
        Arg::new("after")
            .long("after")
            .value_name(id)
            .value_parser(value_parser!(u64))
            .help(format!("Only {what} with ids above this one")),
        count(),
        rows::flag(),
    ]
}

/// Finds the value that clap has let pass.
fn word<T: Copy>(
    matches: &ArgMatches,
    name: &str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Option<T> {
    let given = matches.get_one::<String>(name)?;
    all.iter().copied().find(|one| word(*one) == given)
}

fn given<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.get_one(name).cloned()
}

/// How many lines a list has still to print.
struct Left(u64);

impl Left {
    fn of(matches: &ArgMatches) -> Self {
        Self(given(matches, "count").unwrap_or(u64::MAX))
    }

    /// The limit of the next page; None if no line is left.
    fn limit(&self) -> Option<u32> {
        let limit = u32::try_from(self.0).map_or(PER_PAGE, |left| left.min(PER_PAGE));
        (limit > 0).then_some(limit)
    }

    /// Prints a page, and returns whether there is still a reader.
    fn print<T: Serialize>(
        &mut self,
        printer: Printer,
        lines: impl ExactSizeIterator<Item = Result<T, CommandError>>,
    ) -> Result<bool, CommandError> {
        self.0 = self.0.saturating_sub(lines.len() as u64);
        printer.print(lines)
    }
}

/// A hold as it is printed: without its token, which would authorize its use.
#[derive(Serialize)]
struct HoldLine<'a> {
    hold_id: HoldId,
    product_id: ProductId,
    qty: u32,
    status: HoldStatus,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

impl<'a> HoldLine<'a> {
    fn of(hold: &'a Hold) -> Self {
        Self {
            hold_id: hold.id,
            product_id: hold.product_id,
            qty: hold.quantity,
            status: hold.status,
            created_at: hold.created_at,
            expires_at: hold.expires_at,
            order_id: hold.order_id,
            sku: hold.sku.as_deref(),
            customer: hold.customer.as_deref(),
            metadata: hold.metadata.as_ref(),
        }
    }
}

/// `hold list`
pub(super) async fn holds(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let (mut left, printer) = (Left::of(matches), Printer::of(matches, HOLD_COLUMNS));
    let mut query = HoldQuery::new(PER_PAGE);
    query.product = given(matches, "product");
    query.customer = given(matches, "customer");
    query.status = word(matches, "status", HoldStatus::ALL, HoldStatus::as_str);
    query.created_after = given(matches, "created-after");
    query.created_before = given(matches, "created-before");
    query.after = given(matches, "after").map(HoldId);
    while let Some(limit) = left.limit() {
        query.limit = limit;
        let page = engine.holds(query.clone()).await?;
        if !left.print(printer, page.items.iter().map(|hold| Ok(HoldLine::of(hold))))? {
            break;
        }
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    Ok(())
}

/// `order list`
pub(super) async fn orders(engine: &AsyncEngine, matches: &ArgMatches) -> Result<(), CommandError> {
    let (mut left, printer) = (Left::of(matches), Printer::of(matches, ORDER_COLUMNS));
    let mut query = OrderQuery::new(PER_PAGE);
    query.product = given(matches, "product");
    query.customer = given(matches, "customer");
    query.status = word(matches, "status", OrderStatus::ALL, OrderStatus::as_str);
    query.disposition =
        word(matches, "disposition", PaymentDisposition::ALL, PaymentDisposition::as_str);
    query.reference = given(matches, "reference");
    query.payment_reference = given(matches, "payment-reference");
    query.created_after = given(matches, "created-after");
    query.created_before = given(matches, "created-before");
    query.after = given(matches, "after").map(OrderId);
    while let Some(limit) = left.limit() {
        query.limit = limit;
        let page = engine.orders(query.clone()).await?;
        let lines = page.items.iter().map(OrderView::listed);
        if !left.print(printer, lines.map(|line| line.map_err(|error| unshown(&error))))? {
            break;
        }
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    Ok(())
}

/// `payment waiting`
pub(super) async fn waiting_payments(
    engine: &AsyncEngine,
    matches: &ArgMatches,
) -> Result<(), CommandError> {
    let (mut left, mut after) = (Left::of(matches), None);
    let printer = Printer::of(matches, WAITING_COLUMNS);
    while let Some(limit) = left.limit() {
        let page = engine.waiting_payments(after, limit).await?;
        let lines = page.items.iter().map(WaitingView::of);
        if !left.print(printer, lines.map(|line| line.map_err(|error| unshown(&error))))? {
            break;
        }
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    Ok(())
}

/// `payment remove`
pub(super) async fn remove_payment(
    engine: &AsyncEngine,
    matches: &ArgMatches,
) -> Result<(), CommandError> {
    let key: String = required(matches, "key")?;
    let key = match key.strip_prefix(DERIVED) {
        Some(derived) => format!("\u{1}{derived}"),
        None => key,
    };
    let removed = engine.remove_waiting_payment(key).await?;
    print_line(&json(&WaitingView::of(&removed).map_err(|error| unshown(&error))?)?)
}
