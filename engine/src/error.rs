//! The error type, and the list of its stable codes.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::Refusal;
use crate::model::{InvalidArgument, OffSale, OrderId, ProductId, ShortLine, UnusableHold};
use crate::rpc::RpcError;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $code:literal;)*) => {
        /// The kind of an error, named by what the caller can do about it.
        ///
        /// Numbers and codes are stable, and the same in every language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum ErrorKind {
            $($(#[$doc])* $name = $number,)*
        }

        impl ErrorKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code, the same in every language.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The kind with this code.
            pub(crate) fn of_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }
        }
    };
}

kinds! {
    /// The request is invalid and will never succeed unchanged.
    InvalidArgument = 1, "invalid_argument";
    /// The request exceeds the units that one hold may have, or one customer.
    QuantityLimit = 2, "quantity_limit";
    /// No such product, hold, cart or order.
    NotFound = 3, "not_found";
    /// The hold is for another product; it is unchanged.
    ProductMismatch = 4, "product_mismatch";
    /// Not enough stock; [`Error::available`] and [`Error::short`] say how much there is.
    InsufficientStock = 5, "insufficient_stock";
    /// The hold has expired or was released; its stock was returned.
    HoldExpired = 6, "hold_expired";
    /// The hold already became an order; [`Error::order_id`] names it.
    HoldAlreadyUsed = 7, "hold_already_used";
    /// The idempotency key was used for another request.
    IdempotencyMismatch = 8, "idempotency_mismatch";
    /// Too many concurrent requests; nothing changed. Retry after
    /// [`Error::retry_after`].
    Contention = 9, "contention";
    /// The store or the network is unavailable. The request took effect as a whole
    /// or not at all; with an idempotency key it can be retried safely.
    Unavailable = 10, "unavailable";
    /// A secret is missing or wrong.
    Unauthorized = 11, "unauthorized";
    /// The engine is closed, or was opened before a fork.
    Misuse = 12, "misuse";
    /// A bug in Stockade, or corrupt data in its store; nothing changed.
    Internal = 13, "internal";
    /// The product has changed since the caller read it (optimistic concurrency);
    /// this request changed nothing. Read it again and retry.
    VersionMismatch = 14, "version_mismatch";
    /// The name is taken: another product, or another order, has it;
    /// [`Error::product_id`] names the product, [`Error::order_id`] the order.
    AlreadyExists = 15, "already_exists";
    /// The product is not for sale now; [`Error::off_sale`] says why.
    NotOnSale = 16, "not_on_sale";
    /// The order is paid, so that it can only be refunded.
    AlreadyPaid = 17, "already_paid";
    /// The order is cancelled.
    OrderCancelled = 18, "order_cancelled";
    /// The order was never paid, so that nothing can be refunded.
    NotPaid = 19, "not_paid";
    /// More money or more units than are left to refund.
    RefundTooLarge = 20, "refund_too_large";
    /// Fewer units of the order are returned than are to be restocked.
    NothingReturned = 21, "nothing_returned";
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An error's typed fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub short: Vec<ShortLine>,
    pub order_id: Option<OrderId>,
    pub holds: Vec<UnusableHold>,
    pub product_id: Option<ProductId>,
    pub off_sale: Option<OffSale>,
}

/// Why a call failed or was refused.
///
/// Serialized it keeps all but its source.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "RpcError", from = "RpcError")]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    details: Details,
    replayed: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;

/// Escapes line breaks and control characters: a message may quote a caller's
/// text, is promised to be one line, and may be printed to a terminal.
fn one_line(message: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !message.contains(breaks) {
        return message;
    }
    let mut escaped = String::with_capacity(message.len() + 8);
    for c in message.chars() {
        if breaks(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::with_details(kind, message, Details::default(), false)
    }

    pub(crate) fn with_details(
        kind: ErrorKind,
        message: impl Into<String>,
        details: Details,
        replayed: bool,
    ) -> Self {
        let message = one_line(message.into());
        Self(Arc::new(Inner { kind, message, details, replayed, source: None }))
    }

    pub(crate) fn details(&self) -> &Details {
        &self.0.details
    }

    pub(crate) fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: one_line(message.into()),
            details: Details::default(),
            replayed: false,
            source: Some(Box::new(source)),
        }))
    }

    /// An `invalid_argument` error, for bindings that parse arguments themselves.
    #[must_use]
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// The kind, named by what the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code of [`Error::kind`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// One line for humans.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Units that could have been held, for `insufficient_stock` of one product.
    #[must_use]
    pub fn available(&self) -> Option<u64> {
        match self.0.details.short.as_slice() {
            [line] => Some(line.available),
            _ => None,
        }
    }

    /// Every short line, for `insufficient_stock`.
    #[must_use]
    pub fn short(&self) -> &[ShortLine] {
        &self.0.details.short
    }

    /// The order that used the hold up, for `hold_already_used`, or that has the name,
    /// for `already_exists`.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        self.0.details.order_id
    }

    /// The product that has the id or SKU, for `already_exists`, or that is not for
    /// sale, for `not_on_sale`.
    #[must_use]
    pub fn product_id(&self) -> Option<ProductId> {
        self.0.details.product_id
    }

    /// Why the product is not for sale, with the moment, for `not_on_sale`.
    #[must_use]
    pub fn off_sale(&self) -> Option<OffSale> {
        self.0.details.off_sale
    }

    /// Each hold that cannot be used, of a request that names several, in its order.
    #[must_use]
    pub fn holds(&self) -> &[UnusableHold] {
        &self.0.details.holds
    }

    /// Whether this refusal repeats the answer of an earlier call with the
    /// same idempotency key.
    #[must_use]
    pub fn replayed(&self) -> bool {
        self.0.replayed
    }

    /// After which delay to retry; `None` if a retry cannot succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.kind {
            ErrorKind::Contention => Some(Duration::from_secs(1)),
            ErrorKind::Unavailable => Some(Duration::from_secs(2)),
            _ => None,
        }
    }
}

impl From<InvalidArgument> for Error {
    fn from(invalid: InvalidArgument) -> Self {
        Self::new(ErrorKind::InvalidArgument, invalid.to_string())
    }
}

impl Error {
    /// Converts a refusal of the ledger.
    pub(crate) fn refused(refusal: Refusal, replayed: bool) -> Self {
        let mut details = Details::default();
        let (kind, message) = match refusal {
            Refusal::NoProduct(id) => (ErrorKind::NotFound, format!("there is no product {id}")),
            Refusal::NoSku(sku) => {
                (ErrorKind::NotFound, format!("there is no product with the SKU `{sku}`"))
            }
            Refusal::NotOnSale(id, why) => {
                (details.product_id, details.off_sale) = (Some(id), Some(why));
                (ErrorKind::NotOnSale, format!("product {id} {why}"))
            }
            Refusal::IdTaken(id) => {
                details.product_id = Some(id);
                (ErrorKind::AlreadyExists, format!("there is a product {id} already"))
            }
            Refusal::SkuTaken(id, sku) => {
                details.product_id = Some(id);
                (ErrorKind::AlreadyExists, format!("product {id} has the SKU `{sku}` already"))
            }
            Refusal::EmptySale(from, until) => (
                ErrorKind::InvalidArgument,
                format!("a sale must begin before it ends, not from {from} until {until}"),
            ),
            Refusal::NoHold(id) => (ErrorKind::NotFound, format!("there is no hold {id}")),
            Refusal::NoHoldToken(id) => {
                (ErrorKind::Unauthorized, format!("hold {id} requires its token"))
            }
            Refusal::WrongHoldToken(id) => {
                (ErrorKind::Unauthorized, format!("the token does not match hold {id}"))
            }
            Refusal::NoCart(id) => (ErrorKind::NotFound, format!("there is no cart {id}")),
            Refusal::NoCartToken(id) => {
                (ErrorKind::Unauthorized, format!("cart {id} requires its token"))
            }
            Refusal::WrongCartToken(id) => {
                (ErrorKind::Unauthorized, format!("the token does not match cart {id}"))
            }
            Refusal::ProductMismatch { hold_id, asked } => {
                (ErrorKind::ProductMismatch, format!("hold {hold_id} is not for product {asked}"))
            }
            Refusal::SkuMismatch { hold_id, asked } => (
                ErrorKind::ProductMismatch,
                format!("hold {hold_id} is not for the product with the SKU `{asked}`"),
            ),
            Refusal::Insufficient(short) => {
                let lines: Vec<String> = short
                    .iter()
                    .map(|line| {
                        let ShortLine { product_id, requested, available, .. } = line;
                        format!("product {product_id} has {available} left, {requested} requested")
                    })
                    .collect();
                details.short = short;
                (ErrorKind::InsufficientStock, format!("not enough stock: {}", lines.join("; ")))
            }
            Refusal::CustomerLimit { product_id, held, requested, most } => (
                ErrorKind::QuantityLimit,
                format!(
                    "a customer may hold {most} units of product {product_id}, \
                     this one holds {held} and requested {requested}"
                ),
            ),
            Refusal::HoldExpired(id) => (ErrorKind::HoldExpired, format!("hold {id} has expired")),
            Refusal::HoldReleased(id) => {
                (ErrorKind::HoldExpired, format!("hold {id} was released"))
            }
            Refusal::HoldAlreadyUsed { hold_id, order_id } => {
                details.order_id = order_id;
                (ErrorKind::HoldAlreadyUsed, format!("hold {hold_id} was already used"))
            }
            Refusal::NoOrder(id) => (ErrorKind::NotFound, format!("there is no order {id}")),
            Refusal::UnusableHolds(refusals) => return Self::unusable(refusals, replayed),
            Refusal::MixedCurrencies(currency) => (
                ErrorKind::InvalidArgument,
                format!("an order has one currency: not all its products are sold in {currency}"),
            ),
            Refusal::AmountDecimals(currency) => (
                ErrorKind::InvalidArgument,
                format!("an amount in {currency} has at most {} decimals", currency.decimals()),
            ),
            Refusal::AmountTooLarge => {
                (ErrorKind::InvalidArgument, "the order's amount is too large".to_owned())
            }
            Refusal::ReferenceTaken(id) => {
                details.order_id = Some(id);
                (ErrorKind::AlreadyExists, format!("order {id} has this reference already"))
            }
            Refusal::AlreadyPaid(id) => {
                (ErrorKind::AlreadyPaid, format!("order {id} is paid; it can be refunded"))
            }
            Refusal::OrderCancelled(id) => {
                (ErrorKind::OrderCancelled, format!("order {id} is cancelled"))
            }
            Refusal::NotPaid(id) => (ErrorKind::NotPaid, format!("order {id} was not paid")),
            Refusal::RefundTooLarge(id, why) => {
                (ErrorKind::RefundTooLarge, format!("order {id} cannot be refunded: {why}"))
            }
            Refusal::NothingReturned(id) => (
                ErrorKind::NothingReturned,
                format!("order {id} has fewer units returned than are to be restocked"),
            ),
            Refusal::KeyMismatch => (
                ErrorKind::IdempotencyMismatch,
                "the idempotency key was used for another request".to_owned(),
            ),
            Refusal::WrongPaymentToken(id) => {
                (ErrorKind::InvalidArgument, format!("the payment token does not match order {id}"))
            }
            Refusal::StockTooLarge(id) => (
                ErrorKind::InvalidArgument,
                format!("product {id} would have more than {} units", i64::MAX),
            ),
            Refusal::VersionMismatch { asked, version: 0, .. } => (
                ErrorKind::VersionMismatch,
                format!("there is no product that could have version {asked}"),
            ),
            Refusal::VersionMismatch { product_id, asked, version } => (
                ErrorKind::VersionMismatch,
                format!("product {product_id} has version {version}, not {asked}; read it again"),
            ),
        };
        Self::with_details(kind, message, details, replayed)
    }

    /// Converts the refusals of several holds: kind and message are those of the first.
    fn unusable(refusals: Vec<Refusal>, replayed: bool) -> Self {
        let mut details = Details::default();
        let mut first = None;
        for refusal in refusals {
            let hold_id = refusal.hold_id();
            let error = Self::refused(refusal, replayed);
            let (code, order_id) = (error.code().to_owned(), error.order_id());
            details.holds.extend(hold_id.map(|hold_id| UnusableHold { hold_id, code, order_id }));
            first.get_or_insert((error.kind(), error.message().to_owned()));
        }
        let (kind, message) = first.unwrap_or((ErrorKind::Internal, String::new()));
        details.order_id = details.holds.first().and_then(|hold| hold.order_id);
        Self::with_details(kind, message, details, replayed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code())
            .field("message", &self.0.message)
            .field("details", &self.0.details)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_when_it_quotes_control_characters() {
        let error = Error::invalid_argument("no id: `1\r\n2\0\u{85}\u{2028}\u{1b}[0mé`");
        let shown = r"no id: `1\r\n2\u{0}\u{85}\u{2028}\u{1b}[0mé`";
        assert_eq!((error.message(), error.to_string().as_str()), (shown, shown));
        let caused = Error::caused(ErrorKind::Internal, "a\nb", std::io::Error::other("c\nd"));
        assert_eq!(caused.message(), r"a\nb");
    }

    #[test]
    fn numbers_and_codes_are_unique_and_numbers_ascend() {
        let numbers: Vec<u32> = ErrorKind::ALL.iter().map(|kind| *kind as u32).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), numbers.len());
    }
}
