//! Products, and the names and texts that they have.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Currency, InvalidArgument, Money, ProductId, Timestamp};

/// How a request names a product: by its id, or by the shop's own id (SKU).
///
/// ```
/// use stockade::{HoldRequest, ProductRef};
/// let by_id = HoldRequest::new(7, 1);
/// let by_sku = HoldRequest::new(ProductRef::sku("LAMP-1"), 1);
/// assert_eq!("sku:LAMP-1".parse::<ProductRef>()?, by_sku.product);
/// assert_eq!(by_id.product.to_string(), "7");
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProductRef {
    /// The product with this id.
    Id(ProductId),
    /// The product that has this SKU when the request is executed.
    Sku(String),
}

impl ProductRef {
    /// The prefix of a SKU in a text that may also be an id.
    const SKU_PREFIX: &str = "sku:";

    /// The product with this SKU.
    pub fn sku(sku: impl Into<String>) -> Self {
        Self::Sku(sku.into())
    }

    /// The id, where the product is named by it.
    #[must_use]
    pub fn id(&self) -> Option<ProductId> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Sku(_) => None,
        }
    }
}

impl From<ProductId> for ProductRef {
    fn from(id: ProductId) -> Self {
        Self::Id(id)
    }
}

impl From<u64> for ProductRef {
    fn from(id: u64) -> Self {
        Self::Id(ProductId(id))
    }
}

impl From<&Self> for ProductRef {
    fn from(product: &Self) -> Self {
        product.clone()
    }
}

impl fmt::Display for ProductRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Sku(sku) => write!(f, "{}{sku}", Self::SKU_PREFIX),
        }
    }
}

impl FromStr for ProductRef {
    type Err = InvalidArgument;

    /// Parses an id of ASCII digits, or `sku:` and a SKU; anything else is
    /// `invalid_argument`.
    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        match text.strip_prefix(Self::SKU_PREFIX) {
            Some("") => Err(InvalidArgument::new("a SKU must follow `sku:`")),
            Some(sku) => Ok(Self::sku(sku)),
            None => text.parse().map(Self::Id),
        }
    }
}

/// A JSON object of at most 4 KiB that the shop keeps with a product, as it came.
///
/// ```
/// use stockade::Metadata;
/// let metadata: Metadata = r#"{"shelf": 4, "ratio": 1.10}"#.parse()?;
/// assert_eq!(metadata.as_str(), r#"{"shelf": 4, "ratio": 1.10}"#);
/// assert!("[4]".parse::<Metadata>().is_err());
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Metadata(Arc<str>);

impl Metadata {
    /// The most bytes.
    pub const BYTES_MAX: usize = 4096;

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The metadata that the store has kept, which was checked before.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }
}

impl FromStr for Metadata {
    type Err = InvalidArgument;

    /// Checks that the text is a JSON object, and not too long.
    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let text = text.trim();
        if text.len() > Self::BYTES_MAX {
            let why = format!("metadata has at most {} bytes, got {}", Self::BYTES_MAX, text.len());
            return Err(InvalidArgument::new(why));
        }
        // Parsed whole, since a reader would refuse what is nested too deeply.
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(_) => Ok(Self(text.into())),
            Err(error) => {
                Err(InvalidArgument::new(format!("metadata must be a JSON object: {error}")))
            }
        }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Metadata {
    /// Serializes as the JSON object itself.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(serde::de::Error::custom)
    }
}

/// Why a product is not for sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OffSale {
    /// It is not sold before this moment.
    Before(Timestamp),
    /// It is not sold from this moment on.
    Since(Timestamp),
    /// It is archived.
    Archived,
}

impl OffSale {
    /// The moment, if it is one.
    #[must_use]
    pub fn moment(self) -> Option<Timestamp> {
        match self {
            Self::Before(at) | Self::Since(at) => Some(at),
            Self::Archived => None,
        }
    }
}

impl fmt::Display for OffSale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(at) => write!(f, "is on sale from {at}"),
            Self::Since(at) => write!(f, "was on sale until {at}"),
            Self::Archived => f.write_str("is archived"),
        }
    }
}

/// A product and its units by state.
///
/// `received = in_stock + held + pending + sold + returned` holds after every commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Product {
    /// The product's id.
    pub id: ProductId,
    /// The shop's own id of the product; unique, compared byte by byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// The name.
    pub name: String,
    /// The price of one unit.
    pub price: Money,
    /// The currency of the price.
    pub currency: Currency,
    /// Units that can be held: those in stock beyond the safety stock.
    pub stock: u64,
    /// Units in stock.
    pub in_stock: u64,
    /// Units in stock that holds do not take.
    #[serde(default)]
    pub safety_stock: u64,
    /// Units in active holds.
    pub held: u64,
    /// Units in unpaid orders.
    pub pending: u64,
    /// Units in paid orders, less those refunded.
    pub sold: u64,
    /// Units refunded and not for sale again.
    pub returned: u64,
    /// When it begins to be sold; `None`: it always was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_sale_from: Option<Timestamp>,
    /// When it ends to be sold; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_sale_until: Option<Timestamp>,
    /// Whether it is no longer sold. What was held or ordered goes on.
    #[serde(default)]
    pub archived: bool,
    /// What the shop keeps with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Raised by one by each commit that changes the product or its units.
    pub version: u64,
}

impl Product {
    /// All units ever received, less those written off.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.in_stock + self.held + self.pending + self.sold + self.returned
    }

    /// Sets the units in stock, and with them those that can be held.
    pub(crate) fn set_in_stock(&mut self, units: u64) {
        self.in_stock = units;
        self.stock = units.saturating_sub(self.safety_stock);
    }

    /// Returns why the product is not for sale at `now`; `None` if it is.
    pub(crate) fn off_sale(&self, now: Timestamp) -> Option<OffSale> {
        let from = self.on_sale_from.filter(|from| now < *from).map(OffSale::Before);
        let until = || self.on_sale_until.filter(|until| now >= *until).map(OffSale::Since);
        self.archived.then_some(OffSale::Archived).or(from).or_else(until)
    }
}

/// One page of products, by ascending id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProductPage {
    /// The products of this page; archived ones are among them.
    pub items: Vec<Product>,
    /// The `after` of the next page; `None` on the last one.
    pub next: Option<ProductId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_named_by_digits_or_by_a_sku() {
        for (text, product) in [
            ("17", ProductRef::from(17)),
            ("sku:17", ProductRef::sku("17")),
            ("sku:sku:a b/\u{e4}", ProductRef::sku("sku:a b/\u{e4}")),
        ] {
            assert_eq!(text.parse(), Ok(product.clone()));
            assert_eq!(product.to_string(), text);
            let json = serde_json::to_string(&product).expect("JSON");
            assert_eq!(serde_json::from_str::<ProductRef>(&json).ok(), Some(product));
        }
        for bad in ["", "sku:", "SKU:a", "a", "-1", "1.5"] {
            assert!(bad.parse::<ProductRef>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn metadata_is_kept_as_it_came_and_is_a_small_object() {
        let text = r#"{"b": 1.10,"a":"\u0000", "a":{} }"#;
        let metadata: Metadata = text.parse().expect("an object");
        let json = serde_json::to_string(&Some(metadata.clone())).expect("JSON");
        assert_eq!(json, text);
        assert_eq!(serde_json::from_str(&json).ok(), Some(metadata));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(Metadata::BYTES_MAX - 8));
        assert_eq!(long.len(), Metadata::BYTES_MAX);
        assert!(long.parse::<Metadata>().is_ok());
        for bad in ["", "null", "[]", "1", "{", "{}{}", "{a:1}", &deep, &format!("{long} x")] {
            assert!(bad.parse::<Metadata>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_product_is_on_sale_from_its_first_moment_to_before_its_last() {
        let at = Timestamp::from_micros;
        let mut product = crate::test_support::lamp(ProductId(1), 5);
        assert_eq!(product.off_sale(at(0)), None);
        (product.on_sale_from, product.on_sale_until) = (Some(at(10)), Some(at(20)));
        assert_eq!(product.off_sale(at(9)), Some(OffSale::Before(at(10))));
        assert_eq!((product.off_sale(at(10)), product.off_sale(at(19))), (None, None));
        assert_eq!(product.off_sale(at(20)), Some(OffSale::Since(at(20))));
        product.archived = true;
        assert_eq!(product.off_sale(at(10)), Some(OffSale::Archived));
    }
}
