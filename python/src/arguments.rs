//! Converts Python values to the engine's argument types. Numbers may also be
//! given as request text; anything else is `invalid_argument`.

use std::str::FromStr;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDelta, PyFloat, PyInt, PyMapping, PySequence, PyString};
use pyo3::{Borrowed, FromPyObject, intern};
use stockade::{
    CartId, CartLine, Error, HoldId, HoldRequest, InvalidArgument, Metadata, Money, OrderId,
    Outcome, PaymentToken, ProductId, ProductRef, Token, parse_duration, parse_quantity,
};

use crate::call_error::{self, CallError, invalid};
use crate::imports;

/// An argument of one of the engine's types.
pub struct Arg<T>(pub T);

/// A type that can be parsed from a Python value.
pub trait Readable: Sized {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self>;
}

impl<T: Readable> FromPyObject<'_, '_> for Arg<T> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        T::read(&value).map(Self)
    }
}

fn rejected(error: InvalidArgument) -> PyErr {
    CallError::Engine(error.into()).into()
}

/// The most characters of a value that a message shows.
const SHOWN_CHARS: usize = 40;
/// The most integer digits of a price that fits i64 in minor units.
const PRICE_DIGITS: i64 = 17;
/// The most decimal places of a price; all after the second must be zeros.
const PRICE_PLACES: i64 = 100;
/// The most lines read from an iterable, which may be infinite. The engine's
/// own limit is lower.
pub const LINES_MAX: usize = 65_536;

/// Formats a value for a message. Python refuses to format integers of
/// thousands of digits.
fn shown(value: &Bound<'_, PyAny>) -> String {
    let Ok(text) = value.str() else {
        return format!("an unreadable {}", type_name(value));
    };
    let text = text.to_string_lossy();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

pub fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().qualname().map_or_else(|_| "value".to_owned(), |name| name.to_string())
}

/// An error that names the argument.
pub fn mismatch(what: &str, must: &str, value: &Bound<'_, PyAny>) -> PyErr {
    invalid(format!("{what} must be {must}, got {}", shown(value)))
}

/// `bool` is a subclass of `int` in Python; as a number it is always a mistake.
pub fn is_bool(value: &Bound<'_, PyAny>) -> bool {
    value.cast::<PyBool>().is_ok()
}

/// Parses a value's text with the engine's parser.
pub fn from_text<T: FromStr<Err = InvalidArgument>>(
    what: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<T> {
    let text = value.str().map_err(|_| mismatch(what, "readable", value))?;
    let text = text.to_cow().map_err(|_| mismatch(what, "Unicode text", value))?;
    text.parse().map_err(rejected)
}

/// Rejects floats and bools as ids or quantities, even if they print as whole
/// numbers.
fn check_countable(what: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if is_bool(value) || value.cast::<PyFloat>().is_ok() {
        return Err(mismatch(what, "a whole number", value));
    }
    Ok(())
}

macro_rules! readable_ids {
    ($($id:ident = $what:literal),*) => {
        $(impl Readable for $id {
            fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                check_countable($what, value)?;
                match value.extract::<u64>() {
                    Ok(id) => Ok(Self(id)),
                    // Exceeds every id: no object has it.
                    Err(_) if value.cast::<PyInt>().is_ok_and(|id| id.gt(0).unwrap_or(false)) => {
                        Ok(Self(u64::MAX))
                    }
                    // Report the argument's own name.
                    Err(_) => from_text($what, value)
                        .map_err(|_| mismatch($what, "a whole number", value)),
                }
            }
        })*
    };
}

readable_ids!(
    ProductId = "product_id",
    HoldId = "hold_id",
    CartId = "cart_id",
    OrderId = "order_id"
);

/// Units of a hold.
pub struct Quantity(pub u32);

impl FromStr for Quantity {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        parse_quantity(text).map(Self)
    }
}

impl Readable for Quantity {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        check_countable("quantity", value)?;
        match value.extract::<u32>() {
            Ok(units) => Ok(Self(units)),
            Err(_) => from_text("quantity", value),
        }
    }
}

macro_rules! readable_numbers {
    ($($(#[$doc:meta])* $name:ident($number:ty) = $what:literal;)*) => {
        $(
            $(#[$doc])*
            pub struct $name(pub $number);

            impl Readable for $name {
                fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                    let number = if $crate::arguments::is_bool(value) { None } else { value.extract().ok() };
                    number.map(Self).ok_or_else(|| {
                        let (least, most) = (<$number>::MIN, <$number>::MAX);
                        mismatch($what, &format!("a whole number from {least} to {most}"), value)
                    })
                }
            }
        )*
    };
}

pub(crate) use readable_numbers;

readable_numbers! {
    /// The page size of a list.
    Limit(u32) = "limit";
    /// The initial stock of a product.
    Stock(u64) = "stock";
    /// Units received or written off.
    Delta(i64) = "delta";
    /// The version that the caller expects.
    Version(u64) = "version";
    /// The position to read on from.
    Cursor(u64) = "cursor";
}

impl Readable for Money {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        money("price", value)
    }
}

/// Parses an amount of money.
pub fn money(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Money> {
    let rejected = || mismatch(what, "a Decimal, an int or a text, not a float", value);
    if value.cast::<PyString>().is_ok() {
        return from_text(what, value);
    }
    let py = value.py();
    if value.is_instance(imports::get(py)?.decimal.bind(py))? {
        check_exponent(what, value)?;
        // Formatted without an exponent.
        return from_text(what, &value.call_method1("__format__", ("f",))?);
    }
    // Types with `__index__` are whole numbers, such as NumPy's.
    if is_bool(value) {
        return Err(rejected());
    }
    match value.extract::<i64>() {
        Ok(whole) => whole.to_string().parse().map_err(self::rejected),
        Err(_) if value.cast::<PyInt>().is_ok() => Err(mismatch(what, "a smaller amount", value)),
        Err(_) => Err(rejected()),
    }
}

/// Bounds a decimal's exponent: in positional notation it could have millions
/// of digits.
fn check_exponent(what: &str, decimal: &Bound<'_, PyAny>) -> PyResult<()> {
    if !decimal.call_method0("is_finite")?.is_truthy()? {
        return Err(mismatch(what, "finite", decimal));
    }
    let highest: i64 = decimal.call_method0("adjusted")?.extract()?;
    let lowest: i64 = decimal.call_method0("as_tuple")?.getattr("exponent")?.extract()?;
    if highest >= PRICE_DIGITS || lowest < -PRICE_PLACES {
        let must = format!("a decimal of at most {PRICE_DIGITS} digits before the point");
        return Err(mismatch(what, &must, decimal));
    }
    Ok(())
}

impl Readable for Outcome {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        from_text("outcome", value)
    }
}

impl Readable for PaymentToken {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        from_text("payment_token", value)
    }
}

impl Readable for Token {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        from_text("token", value)
    }
}

impl Readable for Duration {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        duration("ttl", value)
    }
}

/// How far a clock is moved.
pub struct Advance(pub Duration);

impl Readable for Advance {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        duration("by", value).map(Self)
    }
}

/// Parses a duration: a `timedelta`, seconds, or a text such as `90s` or `2m`.
pub fn duration(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    const MUST: &str = "a timedelta, seconds or a text such as `90s`";
    if is_bool(value) {
        return Err(mismatch(what, MUST, value));
    }
    if value.cast::<PyDelta>().is_ok() {
        return value.extract().map_err(|_| mismatch(what, "a timedelta of at least 0", value));
    }
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_cow().map_err(|_| mismatch(what, MUST, value))?;
        return parse_duration(&text)
            .map_err(|error| invalid(format!("{what} {} is no duration: {error}", shown(value))));
    }
    if let Ok(whole) = value.extract::<u64>() {
        return Ok(Duration::from_secs(whole));
    }
    let number = value.extract::<f64>().map_err(|_| mismatch(what, MUST, value))?;
    Duration::try_from_secs_f64(number)
        .map_err(|_| mismatch(what, "seconds of at least 0 and not without end", value))
}

/// The requests of a batch, in order. An invalid one is an error in its place; a value
/// of another type is a `TypeError`, as of any argument.
pub struct Requests<R>(Vec<Result<R, Error>>);

/// Reads the requests of an iterable, of which `read` parses each.
pub fn requests_of<R>(
    value: &Bound<'_, PyAny>,
    read: impl Fn(usize, &Bound<'_, PyAny>) -> PyResult<R>,
) -> PyResult<Requests<R>> {
    let py = value.py();
    let mut requests = Vec::new();
    for request in value.try_iter()? {
        if requests.len() >= LINES_MAX {
            return Err(invalid(format!("requests must be at most {LINES_MAX}")));
        }
        requests.push(match read(requests.len(), &request?) {
            Ok(request) => Ok(request),
            Err(error) if call_error::is_invalid(py, &error)? => {
                Err(Error::invalid_argument(error.value(py).to_string()))
            }
            Err(error) => return Err(error),
        });
    }
    Ok(Requests(requests))
}

/// The requests of `create_hold_batch`: `HoldRequest` objects, or pairs of product and
/// quantity.
impl Readable for Requests<HoldRequest> {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        requests_of(value, hold_request)
    }
}

impl<R> Requests<R> {
    /// Returns the valid requests, and for each place the error of one that is not.
    pub fn split(self) -> (Vec<R>, Vec<Option<Error>>) {
        let mut valid = Vec::with_capacity(self.0.len());
        let rejected =
            self.0.into_iter().map(|request| request.map(|request| valid.push(request)).err());
        let rejected = rejected.collect();
        (valid, rejected)
    }
}

/// Parses one request of a batch.
fn hold_request(at: usize, value: &Bound<'_, PyAny>) -> PyResult<HoldRequest> {
    let py = value.py();
    if !value.is_instance(imports::get(py)?.hold_request.bind(py))? {
        let Some((product_id, quantity)) = pair(value)? else {
            return Err(PyTypeError::new_err(format!(
                "requests[{at}] must be a HoldRequest or a pair of product and quantity, not {}",
                type_name(value)
            )));
        };
        let product = ProductRef::read(&product_id)?;
        let Quantity(units) = Quantity::read(&quantity)?;
        return Ok(HoldRequest::new(product, units));
    }
    let product = ProductRef::read(&value.getattr(intern!(py, "product_id"))?)?;
    let Quantity(units) = Quantity::read(&value.getattr(intern!(py, "quantity"))?)?;
    let mut request = HoldRequest::new(product, units);
    let ttl = value.getattr(intern!(py, "ttl"))?;
    if !ttl.is_none() {
        request.ttl = Some(Duration::read(&ttl)?);
    }
    request.key = optional_text("key", &value.getattr(intern!(py, "key"))?)?;
    request.customer = optional_text("customer", &value.getattr(intern!(py, "customer"))?)?;
    request.at_most = flag("at_most", &value.getattr(intern!(py, "at_most"))?)?;
    let metadata = value.getattr(intern!(py, "metadata"))?;
    if !metadata.is_none() {
        request.metadata = Some(Metadata::read(&metadata)?);
    }
    Ok(request)
}

/// Reads a text of a request of a batch; `None` for Python's `None`.
pub fn optional_text(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if value.is_none() {
        return Ok(None);
    }
    let Ok(text) = value.cast::<PyString>() else {
        let must = format!("{what} must be a str or None, not {}", type_name(value));
        return Err(PyTypeError::new_err(must));
    };
    let text = text.to_cow().map_err(|_| mismatch(what, "Unicode text", value))?;
    Ok(Some(text.into_owned()))
}

/// Reads a flag of a request or of a line.
fn flag(what: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.extract().map_err(|_| {
        PyTypeError::new_err(format!("{what} must be a bool, not {}", type_name(value)))
    })
}

/// The lines of a cart: a mapping from product to quantity, `CartLine` objects or
/// pairs.
pub struct Lines(pub Vec<CartLine>);

impl Readable for Lines {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let pairs = match value.cast::<PyMapping>() {
            Ok(mapping) => mapping.items()?.into_any(),
            Err(_) => value.clone(),
        };
        let pairs = pairs.try_iter().map_err(|_| {
            mismatch("items", "a mapping from product to quantity, or pairs of them", value)
        })?;
        let mut lines = Vec::new();
        for pair in pairs {
            if lines.len() >= LINES_MAX {
                return Err(invalid(format!("items must be at most {LINES_MAX}")));
            }
            lines.push(line(lines.len(), &pair?)?);
        }
        Ok(Self(lines))
    }
}

/// Parses a line of a cart: a `CartLine`, or a tuple or list of product and quantity.
fn line(at: usize, value: &Bound<'_, PyAny>) -> PyResult<CartLine> {
    let py = value.py();
    if value.is_instance(imports::get(py)?.cart_line.bind(py))? {
        let product = ProductRef::read(&value.getattr(intern!(py, "product_id"))?)?;
        let Quantity(units) = Quantity::read(&value.getattr(intern!(py, "quantity"))?)?;
        let line = CartLine::new(product, units);
        let is_at_most = flag("at_most", &value.getattr(intern!(py, "at_most"))?)?;
        return Ok(if is_at_most { line.at_most() } else { line });
    }
    let rejected = || mismatch(&format!("items[{at}]"), "a pair of product and quantity", value);
    let (product_id, quantity) = pair(value)?.ok_or_else(rejected)?;
    let product = ProductRef::read(&product_id)?;
    let Quantity(units) = Quantity::read(&quantity)?;
    Ok(CartLine::new(product, units))
}

/// Returns the two values of a sequence; `None` for anything else.
pub fn pair<'py>(
    value: &Bound<'py, PyAny>,
) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    let Ok(sequence) = value.cast::<PySequence>() else { return Ok(None) };
    let is_text = value.cast::<PyString>().is_ok() || value.cast::<PyBytes>().is_ok();
    if is_text || !sequence.len().is_ok_and(|length| length == 2) {
        return Ok(None);
    }
    Ok(Some((sequence.get_item(0)?, sequence.get_item(1)?)))
}

/// Returns the value of an optional argument.
pub fn read<T>(argument: Option<Arg<T>>) -> Option<T> {
    argument.map(|argument| argument.0)
}
