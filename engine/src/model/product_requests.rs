//! Requests about products.

use serde::{Deserialize, Serialize};

use super::requests::{from_reference, setters};
use super::{Currency, Metadata, Money, Product, ProductId, ProductRef, Timestamp};

/// Defines setters of the fields that new products and replaced ones have.
macro_rules! product_setters {
    ($Request:ident) => {
        impl $Request {
            /// Sets the shop's own id of the product.
            #[must_use]
            pub fn sku(mut self, sku: impl Into<String>) -> Self {
                self.sku = Some(sku.into());
                self
            }

            /// Sets the currency of the price.
            #[must_use]
            pub fn currency(mut self, currency: Currency) -> Self {
                self.currency = Some(currency);
                self
            }

            /// Sets what the shop keeps with the product.
            #[must_use]
            pub fn metadata(mut self, metadata: Metadata) -> Self {
                self.metadata = Some(metadata);
                self
            }

            /// Sets when the product begins to be sold.
            #[must_use]
            pub fn on_sale_from(mut self, from: Timestamp) -> Self {
                self.on_sale_from = Some(from);
                self
            }

            /// Sets when the product ends to be sold.
            #[must_use]
            pub fn on_sale_until(mut self, until: Timestamp) -> Self {
                self.on_sale_until = Some(until);
                self
            }

            /// Sets the units in stock that holds do not take.
            #[must_use]
            pub fn safety_stock(mut self, units: u64) -> Self {
                self.safety_stock = units;
                self
            }
        }
    };
}

/// Defines the setter of the version that a product must have.
macro_rules! version_setter {
    ($($Request:ident),*) => {
        $(impl $Request {
            /// Sets the expected version (optimistic concurrency).
            #[must_use]
            pub fn version(mut self, version: u64) -> Self {
                self.version = Some(version);
                self
            }
        })*
    };
}

/// A request to create a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewProduct {
    /// The id, from 1 to 2^53 - 1; default: one that no product has.
    #[serde(default)]
    pub id: Option<ProductId>,
    /// The shop's own id of the product, of 1 to 128 characters; unique. Default: none.
    #[serde(default)]
    pub sku: Option<String>,
    /// The name; at most 255 characters.
    pub name: String,
    /// The price of one unit, with no more decimals than the currency has.
    pub price: Money,
    /// The currency; default: the `currency` setting.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The units in stock.
    pub stock: u64,
    /// Units in stock that holds do not take; default: 0.
    #[serde(default)]
    pub safety_stock: u64,
    /// When it begins to be sold; default: at once.
    #[serde(default)]
    pub on_sale_from: Option<Timestamp>,
    /// When it ends to be sold; default: never.
    #[serde(default)]
    pub on_sale_until: Option<Timestamp>,
    /// What the shop keeps with it; default: nothing.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl NewProduct {
    /// A product with this name and price and `stock` units.
    pub fn new(name: impl Into<String>, price: Money, stock: u64) -> Self {
        Self {
            id: None,
            sku: None,
            name: name.into(),
            price,
            currency: None,
            stock,
            safety_stock: 0,
            on_sale_from: None,
            on_sale_until: None,
            metadata: None,
            key: None,
        }
    }

    /// Sets the id.
    #[must_use]
    pub fn id(mut self, id: impl Into<ProductId>) -> Self {
        self.id = Some(id.into());
        self
    }
}

product_setters!(NewProduct);
setters!(NewProduct: key);

/// A request to make a product or to replace what it is, as an import does. What it
/// leaves out is reset to its default, but for the units in stock. A product that is
/// archived stays so.
///
/// ```
/// # use stockade::{Engine, ProductRef, PutProduct};
/// # let engine = Engine::open("sqlite::memory:")?;
/// let lamp = ProductRef::sku("LAMP-1");
/// let put = PutProduct::new(&lamp, "Lamp", "19.99".parse()?).stock(40);
/// assert!(engine.put_product(&put)?.created);
/// assert!(!engine.put_product(&put)?.created);
/// assert_eq!(engine.product(&lamp)?.in_stock, 40);
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PutProduct {
    /// The product. It is made if there is none, with this id or this SKU.
    pub product: ProductRef,
    /// The name; at most 255 characters.
    pub name: String,
    /// The price of one unit, with no more decimals than the currency has.
    pub price: Money,
    /// The currency; default: the `currency` setting.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The SKU; default: the one that names the product, else none.
    #[serde(default)]
    pub sku: Option<String>,
    /// What the shop keeps with it; default: nothing.
    #[serde(default)]
    pub metadata: Option<Metadata>,
    /// When it begins to be sold; default: at once.
    #[serde(default)]
    pub on_sale_from: Option<Timestamp>,
    /// When it ends to be sold; default: never.
    #[serde(default)]
    pub on_sale_until: Option<Timestamp>,
    /// Units in stock that holds do not take; default: 0.
    #[serde(default)]
    pub safety_stock: u64,
    /// The units in stock that it shall have, which an adjustment with the reason
    /// `import` sees to; default: those that it has, 0 for a new product.
    #[serde(default)]
    pub stock: Option<u64>,
    /// The expected version (optimistic concurrency); another one, and no product, is
    /// refused with `version_mismatch`. Default: none, which replaces any version.
    #[serde(default)]
    pub version: Option<u64>,
}

impl PutProduct {
    /// A product with this name and price, and all else at its default.
    pub fn new(product: impl Into<ProductRef>, name: impl Into<String>, price: Money) -> Self {
        Self {
            product: product.into(),
            name: name.into(),
            price,
            currency: None,
            sku: None,
            metadata: None,
            on_sale_from: None,
            on_sale_until: None,
            safety_stock: 0,
            stock: None,
            version: None,
        }
    }

    /// Sets the units in stock that it shall have.
    #[must_use]
    pub fn stock(mut self, units: u64) -> Self {
        self.stock = Some(units);
        self
    }

    /// Checks what can be checked without a store, as an import does with all of its
    /// lines before the first is written.
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn check(&self, config: &crate::Config) -> crate::Result<()> {
        crate::local::product_commands::check_put(config, self)
    }
}

product_setters!(PutProduct);
version_setter!(PutProduct, ProductChange, StockAdjustment);

/// What became of a [`PutProduct`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PutOutcome {
    /// The product after it.
    pub product: Product,
    /// Whether it was made.
    pub created: bool,
}

/// What a change does with a field that may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change<T> {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Empties it.
    Clear,
    /// Sets it.
    Set(T),
}

impl<T: Clone> Change<T> {
    /// Applies the change to a field.
    pub(crate) fn apply(&self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value.clone()),
        }
    }
}

impl<T> From<T> for Change<T> {
    fn from(value: T) -> Self {
        Self::Set(value)
    }
}

/// A request to change what it names of a product. All else stays.
///
/// ```
/// use stockade::{Change, ProductChange};
/// let cheaper = ProductChange::new(7).price("9.99".parse()?).on_sale_until(Change::Clear);
/// let archive = ProductChange::new(7).archived(true).version(12);
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProductChange {
    /// The product.
    pub product: ProductRef,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// The price of one unit.
    #[serde(default)]
    pub price: Option<Money>,
    /// The currency. The price, changed or not, must fit its decimals.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The SKU.
    #[serde(default)]
    pub sku: Change<String>,
    /// What the shop keeps with it.
    #[serde(default)]
    pub metadata: Change<Metadata>,
    /// When it begins to be sold.
    #[serde(default)]
    pub on_sale_from: Change<Timestamp>,
    /// When it ends to be sold.
    #[serde(default)]
    pub on_sale_until: Change<Timestamp>,
    /// Units in stock that holds do not take.
    #[serde(default)]
    pub safety_stock: Option<u64>,
    /// Whether it is no longer sold.
    #[serde(default)]
    pub archived: Option<bool>,
    /// The units in stock that it shall have, which an adjustment with the reason
    /// `import` sees to.
    #[serde(default)]
    pub stock: Option<u64>,
    /// The expected version (optimistic concurrency); another one is refused with
    /// `version_mismatch`. Default: none, which changes any version.
    #[serde(default)]
    pub version: Option<u64>,
}

/// Defines setters of a change.
macro_rules! change_setters {
    ($($(#[$doc:meta])* $field:ident: $kind:ty => $set:expr;)*) => {
        impl ProductChange {
            $($(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $kind) -> Self {
                self.$field = $set;
                self
            })*
        }
    };
}

change_setters! {
    /// Sets the name.
    name: impl Into<String> => Some(name.into());
    /// Sets the price.
    price: Money => Some(price);
    /// Sets the currency.
    currency: Currency => Some(currency);
    /// Sets or clears the SKU.
    sku: impl Into<Change<String>> => sku.into();
    /// Sets or clears what the shop keeps with the product.
    metadata: impl Into<Change<Metadata>> => metadata.into();
    /// Sets or clears when it begins to be sold.
    on_sale_from: impl Into<Change<Timestamp>> => on_sale_from.into();
    /// Sets or clears when it ends to be sold.
    on_sale_until: impl Into<Change<Timestamp>> => on_sale_until.into();
    /// Sets the units in stock that holds do not take.
    safety_stock: u64 => Some(safety_stock);
    /// Archives the product, or lets it be sold again.
    archived: bool => Some(archived);
    /// Sets the units in stock that it shall have.
    stock: u64 => Some(stock);
}

impl ProductChange {
    /// A change of this product that names nothing yet.
    pub fn new(product: impl Into<ProductRef>) -> Self {
        Self {
            product: product.into(),
            name: None,
            price: None,
            currency: None,
            sku: Change::Keep,
            metadata: Change::Keep,
            on_sale_from: Change::Keep,
            on_sale_until: Change::Keep,
            safety_stock: None,
            archived: None,
            stock: None,
            version: None,
        }
    }
}

/// A request to receive or write off units of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StockAdjustment {
    /// The product.
    pub product: ProductRef,
    /// Units received, or written off if negative; not 0. Either this or
    /// [`to`](Self::to).
    #[serde(default)]
    pub delta: Option<i64>,
    /// The units in stock that the product shall have, as a count found them.
    #[serde(default)]
    pub to: Option<u64>,
    /// The reason, for the log and the event; at most 255 characters.
    pub reason: String,
    /// The expected version (optimistic concurrency); another one is refused with
    /// `version_mismatch`. Default: none, which adjusts any version.
    #[serde(default)]
    pub version: Option<u64>,
    /// The idempotency key; default: none.
    #[serde(default)]
    pub key: Option<String>,
}

impl StockAdjustment {
    /// An adjustment by `delta` units, written off if negative.
    pub fn new(product: impl Into<ProductRef>, delta: i64, reason: impl Into<String>) -> Self {
        let (product, reason) = (product.into(), reason.into());
        Self { product, delta: Some(delta), to: None, reason, version: None, key: None }
    }

    /// An adjustment to so many units in stock.
    pub fn to(product: impl Into<ProductRef>, in_stock: u64, reason: impl Into<String>) -> Self {
        Self { delta: None, to: Some(in_stock), ..Self::new(product, 0, reason) }
    }
}

setters!(StockAdjustment: key);

from_reference!(NewProduct, PutProduct, ProductChange, StockAdjustment);
