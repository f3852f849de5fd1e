//! Converts Python values to the engine's arguments about products, and to what the
//! queries of lists ask for.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyMapping, PyString};
use stockade::{
    Change, Currency, HoldStatus, Metadata, Money, OrderStatus, PaymentDisposition, ProductId,
    ProductRef, PutProduct, Timestamp,
};

use crate::arguments::{
    Readable, Requests, Stock, Version, from_text, mismatch, optional_text, readable_numbers,
    requests_of, type_name,
};
use crate::imports;

impl Readable for ProductRef {
    /// Reads an id, as a number or its text, or the text `sku:` and a SKU.
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>()
            && text.to_cow().is_ok_and(|text| text.starts_with("sku:"))
        {
            return from_text("product_id", value);
        }
        ProductId::read(value).map(Into::into)
    }
}

readable_numbers! {
    /// The id of a new product.
    NewId(u64) = "id";
    /// Units in stock that holds do not take.
    SafetyStock(u64) = "safety_stock";
    /// The units in stock that a count found.
    Counted(u64) = "to";
}

impl Readable for Metadata {
    /// Reads a mapping, or the text of a JSON object.
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.cast::<PyString>().is_ok() {
            return from_text("metadata", value);
        }
        let must = "a mapping of what JSON can tell, or the text of a JSON object";
        let rejected = || mismatch("metadata", must, value);
        let Ok(mapping) = value.cast::<PyMapping>() else { return Err(rejected()) };
        let py = value.py();
        match imports::get(py)?.dump_metadata.bind(py).call1((mapping,)) {
            Ok(text) => from_text("metadata", &text),
            Err(error) if error.is_instance_of::<PyException>(py) => Err(rejected()),
            Err(error) => Err(error),
        }
    }
}

/// A SKU.
pub struct Sku(pub String);

impl Readable for Sku {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let given = optional_text("sku", value)?;
        given.map(Self).ok_or_else(|| PyTypeError::new_err("sku must be a str, not None"))
    }
}

/// Reads a moment: a datetime with a time zone, or a text of RFC 3339.
fn moment(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    let must = "a datetime with a time zone, or a text such as `2026-11-27T08:00:00Z`";
    let rejected = || mismatch(what, must, value);
    if value.cast::<PyString>().is_ok() {
        return from_text(what, value).map_err(|_| rejected());
    }
    let py = value.py();
    if value.cast::<PyDateTime>().is_err()
        || value.call_method0(intern!(py, "utcoffset"))?.is_none()
    {
        return Err(rejected());
    }
    let text = value.call_method0(intern!(py, "isoformat"))?;
    from_text(what, &text).map_err(|_| rejected())
}

macro_rules! readable_moments {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {
        $(
            $(#[$doc])*
            pub struct $name(pub Timestamp);

            impl Readable for $name {
                fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                    moment($what, value).map(Self)
                }
            }

            impl From<$name> for Timestamp {
                fn from(moment: $name) -> Self {
                    moment.0
                }
            }
        )*
    };
}

readable_moments! {
    /// When a product begins to be sold.
    OnSaleFrom = "on_sale_from";
    /// When a product ends to be sold.
    OnSaleUntil = "on_sale_until";
    /// The time from which on listed ones were created.
    CreatedAfter = "created_after";
    /// The time before which listed ones were created.
    CreatedBefore = "created_before";
}

/// What a change does with a field: nothing if it is not given, and None clears it.
pub enum Given<T> {
    Nothing,
    Clear,
    Set(T),
}

impl<T: Readable> Readable for Given<T> {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_none() { Ok(Self::Clear) } else { T::read(value).map(Self::Set) }
    }
}

impl<T> Given<T> {
    /// Returns the engine's change.
    pub fn change<U>(self, convert: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Nothing => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(convert(value)),
        }
    }
}

macro_rules! readable_words {
    ($($kind:ident = $what:literal),*) => {
        $(impl Readable for $kind {
            fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                let words = || Self::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>();
                let must = || format!("one of {}", words().join(", "));
                let text = value.cast::<PyString>().ok().and_then(|text| text.to_cow().ok());
                let named = text.and_then(|text| Self::ALL.iter().find(|one| one.as_str() == text));
                named.copied().ok_or_else(|| mismatch($what, &must(), value))
            }
        })*
    };
}

readable_words!(HoldStatus = "status", OrderStatus = "status", PaymentDisposition = "disposition");

/// Reads the requests of `put_products`.
pub struct Puts(pub Requests<PutProduct>);

impl Readable for Puts {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        requests_of(value, put_request).map(Self)
    }
}

/// Reads an optional attribute of a request.
fn attribute<T: Readable>(request: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<T>> {
    let value = request.getattr(name)?;
    if value.is_none() { Ok(None) } else { T::read(&value).map(Some) }
}

/// Parses one request of `put_products`.
fn put_request(at: usize, value: &Bound<'_, PyAny>) -> PyResult<PutProduct> {
    let py = value.py();
    if !value.is_instance(imports::get(py)?.put_product.bind(py))? {
        let kind = type_name(value);
        let must = format!("requests[{at}] must be a PutProduct, not {kind}");
        return Err(PyTypeError::new_err(must));
    }
    let product = ProductRef::read(&value.getattr(intern!(py, "product"))?)?;
    let name = optional_text("name", &value.getattr(intern!(py, "name"))?)?;
    let name = name.ok_or_else(|| PyTypeError::new_err("name must be a str, not None"))?;
    let price = Money::read(&value.getattr(intern!(py, "price"))?)?;
    let mut request = PutProduct::new(product, name, price);
    request.currency = attribute::<Currency>(value, "currency")?;
    request.sku = attribute::<Sku>(value, "sku")?.map(|sku| sku.0);
    request.metadata = attribute(value, "metadata")?;
    request.on_sale_from = attribute::<OnSaleFrom>(value, "on_sale_from")?.map(Into::into);
    request.on_sale_until = attribute::<OnSaleUntil>(value, "on_sale_until")?.map(Into::into);
    request.safety_stock =
        attribute::<SafetyStock>(value, "safety_stock")?.map_or(0, |units| units.0);
    request.stock = attribute::<Stock>(value, "stock")?.map(|units| units.0);
    request.version = attribute::<Version>(value, "version")?.map(|version| version.0);
    Ok(request)
}
