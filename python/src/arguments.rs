//! From Python's values to the engine's. A number may also be the text that
//! came in a request; what is neither is `invalid_argument`.

use std::str::FromStr;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDelta, PyFloat, PyMapping, PyString};
use pyo3::{Borrowed, FromPyObject};
use stockade::{
    ExtendRequest, HoldId, InvalidArgument, Money, OrderId, OrderRequest, Outcome, PaymentEvent,
    PaymentToken, ProductId, ReleaseRequest, Token, parse_duration, parse_quantity,
};

use crate::failure::{Failure, invalid};
use crate::imports;

/// An argument of one of the engine's types.
pub struct Arg<T>(pub T);

/// A type of the engine that is read from a Python value.
pub trait Readable: Sized {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self>;
}

impl<T: Readable> FromPyObject<'_, '_> for Arg<T> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        T::read(&value).map(Self)
    }
}

fn refused(error: InvalidArgument) -> PyErr {
    Failure::Refused(error.into()).into()
}

/// Has the engine read a value's text.
fn from_text<T: FromStr<Err = InvalidArgument>>(value: &Bound<'_, PyAny>) -> PyResult<T> {
    value.str()?.to_cow()?.parse().map_err(refused)
}

macro_rules! readable_ids {
    ($($id:ident),*) => {
        $(impl Readable for $id {
            fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                match value.extract::<u64>() {
                    Ok(id) => Ok(Self(id)),
                    Err(_) => from_text(value),
                }
            }
        })*
    };
}

readable_ids!(ProductId, HoldId, OrderId);

/// Units of a hold.
pub struct Quantity(pub u32);

impl Readable for Quantity {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        match value.extract::<u32>() {
            Ok(units) => Ok(Self(units)),
            Err(_) => parse_quantity(&value.str()?.to_cow()?).map(Self).map_err(refused),
        }
    }
}

macro_rules! readable_numbers {
    ($($number:ty),*) => {
        $(impl Readable for $number {
            fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                value.extract().map_err(|_| {
                    let limits = (<$number>::MIN, <$number>::MAX);
                    invalid(format!(
                        "expected a whole number from {} to {}, got {value}",
                        limits.0, limits.1
                    ))
                })
            }
        })*
    };
}

readable_numbers!(u32, u64, i64);

impl Readable for Money {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.cast::<PyFloat>().is_ok() {
            return Err(invalid("a price is a Decimal, an int or a text, not a float"));
        }
        let py = value.py();
        if value.is_instance(imports::get(py)?.decimal.bind(py))? {
            // Never with an exponent.
            return from_text(&value.call_method1("__format__", ("f",))?);
        }
        from_text(value)
    }
}

impl Readable for Outcome {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        from_text(value)
    }
}

impl Readable for PaymentToken {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        from_text(value)
    }
}

impl Readable for Token {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        from_text(value)
    }
}

impl Readable for Duration {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        duration(value)
    }
}

/// A duration from a `timedelta`, seconds, or a text such as `90s` or `2m`.
pub fn duration(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if value.cast::<PyDelta>().is_ok() {
        return value
            .extract()
            .map_err(|_| invalid(format!("a duration cannot be negative, got {value}")));
    }
    if value.cast::<PyString>().is_ok() {
        let text = value.extract::<String>()?;
        return parse_duration(&text)
            .map_err(|error| invalid(format!("`{text}` is no duration: {error}")));
    }
    if let Ok(whole) = value.extract::<u64>() {
        return Ok(Duration::from_secs(whole));
    }
    let number = value.extract::<f64>().map_err(|_| {
        invalid(format!("a duration is a timedelta, seconds or a text, got {value}"))
    })?;
    seconds(number)
}

/// A duration from seconds.
pub fn seconds(number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number)
        .map_err(|_| invalid(format!("{number} seconds are no duration")))
}

/// The lines of a cart: a mapping from product to quantity, or pairs.
pub struct Lines(pub Vec<(ProductId, u32)>);

impl Readable for Lines {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let pairs = match value.cast::<PyMapping>() {
            Ok(mapping) => mapping.items()?.into_any(),
            Err(_) => value.clone(),
        };
        let line = |pair: PyResult<Bound<'_, PyAny>>| {
            let (Arg(product_id), Arg(Quantity(units))) =
                pair?.extract::<(Arg<ProductId>, Arg<Quantity>)>()?;
            Ok((product_id, units))
        };
        pairs.try_iter()?.map(line).collect::<PyResult<_>>().map(Self)
    }
}

/// A hold, given by its id, or by itself, which brings its token along.
pub struct Held {
    id: HoldId,
    token: Option<Token>,
}

impl Readable for Held {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if is_hold(value)? {
            let id = HoldId::read(&value.getattr("id")?)?;
            let token = Token::read(&value.getattr("token")?)?;
            return Ok(Self { id, token: Some(token) });
        }
        Ok(Self { id: HoldId::read(value)?, token: None })
    }
}

impl Held {
    /// Asks to release it; a token that is given goes before its own.
    pub fn release(&self, token: Option<Token>) -> ReleaseRequest {
        let mut request = ReleaseRequest::new(self.id);
        request.token = token.or(self.token);
        request
    }

    /// Asks to extend it; a token that is given goes before its own.
    pub fn extend(&self, token: Option<Token>) -> ExtendRequest {
        let mut request = ExtendRequest::new(self.id);
        request.token = token.or(self.token);
        request
    }
}

fn is_hold(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    value.is_instance(imports::get(py)?.hold.bind(py))
}

/// Asks to order a hold given by itself, or by its id and product. Also says
/// which hold that was, if it was given by itself.
pub fn order_of<'a, 'py>(
    hold: &'a Bound<'py, PyAny>,
    product_id: Option<ProductId>,
) -> PyResult<(OrderRequest, Option<&'a Bound<'py, PyAny>>)> {
    let given = is_hold(hold)?.then_some(hold);
    let product_id = match (product_id, given) {
        (Some(product_id), _) => product_id,
        (None, Some(hold)) => ProductId::read(&hold.getattr("product_id")?)?,
        (None, None) => {
            return Err(invalid("order() needs a Hold, or a hold's id and its product_id"));
        }
    };
    let Held { id, token } = Held::read(hold)?;
    let mut request = OrderRequest::new(id, product_id);
    request.token = token;
    Ok((request, given))
}

/// A payment event for the order that is named.
pub fn payment_of(
    outcome: Outcome,
    order_id: Option<OrderId>,
    payment_token: Option<PaymentToken>,
) -> PyResult<PaymentEvent> {
    PaymentEvent::for_either(order_id, payment_token, outcome)
        .ok_or_else(|| invalid("order_id or payment_token is needed"))
}

/// The body that a payment event came in: bytes or text.
pub struct Body(pub Vec<u8>);

impl Readable for Body {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.cast::<PyString>() {
            return Ok(Self(text.to_cow()?.as_bytes().to_vec()));
        }
        Ok(Self(value.cast::<PyBytes>()?.as_bytes().to_vec()))
    }
}

/// What an argument holds, if it was given.
pub fn read<T>(argument: Option<Arg<T>>) -> Option<T> {
    argument.map(|argument| argument.0)
}
