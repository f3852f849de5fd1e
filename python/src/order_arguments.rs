//! Converts Python values to the engine's arguments about orders: which holds an order
//! is made of, and which units a refund moves.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyMapping, PyString, PyTuple};
use stockade::{
    CartId, Currency, HoldId, LineUnits, Money, OrderId, OrderRequest, OrderedHold, Outcome,
    PaymentEvent, PaymentToken, ProductId, ProductRef, Token,
};

use crate::arguments::{
    LINES_MAX, Quantity, Readable, duration, from_text, mismatch, money, pair, readable_numbers,
};
use crate::call_error::invalid;
use crate::hold_arguments::{is_hold, own_token};
use crate::imports;

/// An amount of money.
pub struct Amount(pub Money);

impl Readable for Amount {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        money("amount", value).map(Self)
    }
}

/// How long an order may stay unpaid: a duration whose errors say so.
pub struct PaymentTtl(pub Duration);

impl Readable for PaymentTtl {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        duration("payment_ttl", value).map(Self)
    }
}

impl Readable for Currency {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        from_text("currency", value)
    }
}

readable_numbers! {
    /// The number of a line.
    LineNumber(u32) = "line";
}

/// Units of an order's lines: a mapping from line to quantity, or pairs. No lines at
/// all mean all that is left, which an empty collection hardly means: it is rejected.
pub struct Units(pub Vec<LineUnits>);

impl Readable for Units {
    fn read(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let pairs = match value.cast::<PyMapping>() {
            Ok(mapping) => mapping.items()?.into_any(),
            Err(_) => value.clone(),
        };
        let must = "a mapping from line to quantity, or pairs of them";
        let pairs = pairs.try_iter().map_err(|_| mismatch("lines", must, value))?;
        let mut lines = Vec::new();
        for units in pairs {
            if lines.len() >= LINES_MAX {
                return Err(invalid(format!("lines must be at most {LINES_MAX}")));
            }
            let (units, at) = (units?, lines.len());
            let must = "a pair of line and quantity";
            let (line, quantity) =
                pair(&units)?.ok_or_else(|| mismatch(&format!("lines[{at}]"), must, &units))?;
            let LineNumber(line) = LineNumber::read(&line)?;
            let Quantity(quantity) = Quantity::read(&quantity)?;
            lines.push(LineUnits::new(line, quantity));
        }
        if lines.is_empty() {
            return Err(invalid("lines is empty; leave it out for all that is left"));
        }
        Ok(Self(lines))
    }
}

/// Returns one hold that is to be ordered: a `Hold` object, an id, or a pair of id and
/// token. A `Hold` object is noted.
fn ordered_hold<'py>(
    value: &Bound<'py, PyAny>,
    objects: &mut Vec<Bound<'py, PyAny>>,
) -> PyResult<OrderedHold> {
    if is_hold(value)? {
        let mut hold = OrderedHold::new(HoldId::read(&value.getattr("id")?)?);
        hold.token = own_token(value)?;
        hold.product = Some(ProductId::read(&value.getattr("product_id")?)?.into());
        objects.push(value.clone());
        return Ok(hold);
    }
    let Some((id, token)) = pair(value)? else {
        return Ok(OrderedHold::new(HoldId::read(value)?));
    };
    let mut hold = OrderedHold::new(HoldId::read(&id)?);
    hold.token = if token.is_none() { None } else { Some(Token::read(&token)?) };
    Ok(hold)
}

/// Builds an order request from a `Hold` object, from a hold's id and product, or from
/// several holds: a `Cart`, or an iterable. Also returns the `Hold` objects among them.
pub fn order_of<'py>(
    holds: &Bound<'py, PyAny>,
    product: Option<ProductRef>,
    token: Option<Token>,
) -> PyResult<(OrderRequest, Bound<'py, PyTuple>)> {
    let py = holds.py();
    let mut objects = Vec::new();
    let is_text = holds.cast::<PyString>().is_ok() || holds.cast::<PyBytes>().is_ok();
    let is_number = is_text || holds.cast::<PyInt>().is_ok();
    let is_one = is_number || is_hold(holds)? || holds.try_iter().is_err();
    let request = if is_one {
        let mut hold = ordered_hold(holds, &mut objects)?;
        hold.product = product.or(hold.product);
        hold.token = token.or(hold.token);
        if hold.product.is_none() {
            return Err(invalid("create_order needs a Hold, or a hold's id and its product_id"));
        }
        OrderRequest::of([hold])
    } else if product.is_some() || token.is_some() {
        return Err(invalid("several holds have no one product_id and no one token"));
    } else if holds.is_instance(imports::get(py)?.cart.bind(py))? {
        objects.extend(holds.getattr("holds")?.try_iter()?.collect::<PyResult<Vec<_>>>()?);
        let mut request = OrderRequest::of_cart(CartId::read(&holds.getattr("id")?)?);
        request.cart_token = own_token(holds)?;
        request
    } else {
        OrderRequest::of(several(holds, &mut objects)?)
    };
    Ok((request, PyTuple::new(py, objects)?))
}

fn several<'py>(
    holds: &Bound<'py, PyAny>,
    objects: &mut Vec<Bound<'py, PyAny>>,
) -> PyResult<Vec<OrderedHold>> {
    let mut ordered = Vec::new();
    for hold in holds.try_iter()? {
        if ordered.len() >= LINES_MAX {
            return Err(invalid(format!("holds must be at most {LINES_MAX}")));
        }
        ordered.push(ordered_hold(&hold?, objects)?);
    }
    Ok(ordered)
}

/// Builds a payment event for the named order; `references` are the shop's number of
/// the order and the provider's name of the payment.
pub fn payment_of(
    outcome: Outcome,
    order_id: Option<OrderId>,
    payment_token: Option<PaymentToken>,
    references: (Option<String>, Option<String>),
) -> PyResult<PaymentEvent> {
    let (order, payment) = references;
    let by_payment = |name: &String| PaymentEvent::for_payment(name, outcome);
    let by_reference = |number: &String| PaymentEvent::for_reference(number, outcome);
    let mut event = PaymentEvent::for_either(order_id, payment_token, outcome)
        .or_else(|| order.as_ref().map(by_reference))
        .or_else(|| payment.as_ref().map(by_payment))
        .ok_or_else(|| {
            invalid("order_id, payment_token, order_reference or payment_reference is needed")
        })?;
    (event.order_reference, event.payment_reference) = (order, payment);
    Ok(event)
}
