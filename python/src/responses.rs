//! Converts the engine's responses to the dataclasses of `stockade._model`.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use stockade::{
    AuditReport, Cart, Currency, Erased, Error, Event, Hold, HoldPage, Metadata, Money, Order,
    OrderPage, PaymentReceipt, Product, ProductPage, PutOutcome, Replayable, SweepReport,
    Timestamp, WaitingPayment, WaitingPaymentPage,
};

use crate::call_error::CallError;
use crate::imports::{self, Imports};

/// A response of the engine.
pub trait Response: Send + 'static {
    /// Converts the response to a Python object. Holds keep a reference to
    /// their `engine`, so that a `with` block can release them.
    fn to_python<'py>(
        self,
        py: Python<'py>,
        engine: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// The results of a batch, one for each of its requests: a response, or an exception
/// that is not raised.
pub struct Results<T>(Vec<Result<T, CallError>>);

impl<T> Results<T> {
    /// Puts the engine's results in the places of the requests that it got; the
    /// others were rejected before.
    pub fn merge(rejected: Vec<Option<Error>>, results: Vec<stockade::Result<T>>) -> Self {
        let mut results = results.into_iter();
        let result = |rejected: Option<Error>| match rejected {
            Some(error) => Err(CallError::Engine(error)),
            None => match results.next() {
                Some(result) => result.map_err(CallError::Engine),
                None => Err(CallError::Internal("a request has no result".to_owned())),
            },
        };
        Self(rejected.into_iter().map(result).collect())
    }
}

impl<T: Response> Response for Results<T> {
    fn to_python<'py>(
        self,
        py: Python<'py>,
        engine: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let results: PyResult<Vec<_>> = self
            .0
            .into_iter()
            .map(|result| match result {
                Ok(response) => response.to_python(py, engine),
                Err(error) => error.exception(py),
            })
            .collect();
        Ok(PyList::new(py, results?)?.into_any())
    }
}

/// Collects arguments for a class with more of them than a tuple can have.
macro_rules! arguments {
    ($py:ident: $($value:expr,)*) => {
        PyTuple::new($py, [$($value.into_bound_py_any($py)?,)*])?
    };
}

macro_rules! answers {
    ($($kind:ty => |$value:ident, $py:ident, $engine:ident, $imports:ident| $made:expr;)*) => {
        $(impl Response for $kind {
            fn to_python<'py>(
                self,
                $py: Python<'py>,
                $engine: Option<&Bound<'py, PyAny>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let ($value, $imports) = (self, imports::get($py)?);
                $made
            }
        })*
    };
}

answers! {
    () => |_value, py, _engine, _imports| Ok(py.None().into_bound(py));
    String => |text, py, _engine, _imports| Ok(text.into_pyobject(py)?.into_any());
    Timestamp => |time, py, _engine, _imports| {
        Ok(time.to_datetime().into_pyobject(py)?.into_any())
    };
    Product => |product, py, _engine, imports| to_product(py, imports, &product, false);
    Replayable<Product> => |answer, py, _engine, imports| {
        to_product(py, imports, &answer.value, answer.replayed)
    };
    PutOutcome => |outcome, py, _engine, imports| {
        let product = to_product(py, imports, &outcome.product, false)?;
        imports.put_outcome.bind(py).call1((product, outcome.created))
    };
    ProductPage => |page, py, _engine, imports| {
        let items: PyResult<Vec<_>> =
            page.items.iter().map(|product| to_product(py, imports, product, false)).collect();
        let items = PyTuple::new(py, items?)?;
        imports.product_page.bind(py).call1((items, page.next.map(|id| id.0)))
    };
    Hold => |hold, py, engine, imports| to_hold(py, imports, engine, &hold, false);
    HoldPage => |page, py, engine, imports| {
        let items: PyResult<Vec<_>> =
            page.items.iter().map(|hold| to_hold(py, imports, engine, hold, false)).collect();
        let items = PyTuple::new(py, items?)?;
        imports.hold_page.bind(py).call1((items, page.next.map(|id| id.0)))
    };
    Replayable<Hold> => |answer, py, engine, imports| {
        to_hold(py, imports, engine, &answer.value, answer.replayed)
    };
    Cart => |cart, py, engine, imports| to_cart(py, imports, engine, &cart, false);
    Replayable<Cart> => |answer, py, engine, imports| {
        to_cart(py, imports, engine, &answer.value, answer.replayed)
    };
    Order => |order, py, _engine, imports| to_order(py, imports, &order, false);
    Replayable<Order> => |answer, py, _engine, imports| {
        to_order(py, imports, &answer.value, answer.replayed)
    };
    OrderPage => |page, py, _engine, imports| {
        let items: PyResult<Vec<_>> =
            page.items.iter().map(|order| to_order(py, imports, order, false)).collect();
        let items = PyTuple::new(py, items?)?;
        imports.order_page.bind(py).call1((items, page.next.map(|id| id.0)))
    };
    WaitingPayment => |payment, py, _engine, imports| to_waiting(py, imports, &payment);
    WaitingPaymentPage => |page, py, _engine, imports| {
        let items: PyResult<Vec<_>> =
            page.items.iter().map(|payment| to_waiting(py, imports, payment)).collect();
        let items = PyTuple::new(py, items?)?;
        imports.waiting_payment_page.bind(py).call1((items, page.next))
    };
    Erased => |erased, py, _engine, imports| {
        imports.erased.bind(py).call1((erased.holds, erased.orders))
    };
    Replayable<PaymentReceipt> => |answer, py, _engine, imports| {
        let status = member(py, &imports.payment_statuses, answer.value.status.as_str())?;
        imports.payment_receipt.bind(py).call1((status, answer.replayed))
    };
    SweepReport => |report, py, _engine, imports| {
        imports.sweep_report.bind(py).call1((report.holds_expired, report.orders_cancelled))
    };
    Vec<Event> => |events, py, _engine, imports| {
        let events: PyResult<Vec<_>> =
            events.iter().map(|event| to_event(py, imports, event)).collect();
        Ok(PyList::new(py, events?)?.into_any())
    };
    AuditReport => |report, py, _engine, imports| {
        let units = &report.units;
        let units = imports.units.bind(py).call1((
            units.received,
            units.stock,
            units.held,
            units.pending,
            units.sold,
            units.returned,
        ))?;
        let findings: PyResult<Vec<_>> = report
            .findings
            .iter()
            .map(|found| {
                let check = found.check.as_str();
                imports.finding.bind(py).call1((check, found.id, found.detail.as_str()))
            })
            .collect();
        imports.audit_report.bind(py).call1((
            report.consistent,
            report.products,
            units,
            report.waiting_events,
            report.oldest_waiting_event.map(Timestamp::to_datetime),
            report.products_due,
            PyTuple::new(py, findings?)?,
        ))
    };
}

fn member<'py>(py: Python<'py>, members: &Py<PyDict>, word: &str) -> PyResult<Bound<'py, PyAny>> {
    members.bind(py).as_any().get_item(word)
}

/// A decimal with all decimals of the currency, as prices are written.
fn price<'py>(
    py: Python<'py>,
    imports: &Imports,
    price: Money,
    currency: Currency,
) -> PyResult<Bound<'py, PyAny>> {
    imports.decimal.bind(py).call1((price.to_padded_string(currency),))
}

/// What a shop keeps, as a dictionary.
fn metadata<'py>(
    py: Python<'py>,
    imports: &Imports,
    metadata: Option<&Metadata>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let load = |metadata: &Metadata| imports.load_metadata.bind(py).call1((metadata.as_str(),));
    metadata.map(load).transpose()
}

fn to_product<'py>(
    py: Python<'py>,
    imports: &Imports,
    product: &Product,
    replayed: bool,
) -> PyResult<Bound<'py, PyAny>> {
    imports.product.bind(py).call1(arguments!(py:
        product.id.0,
        product.sku.as_deref(),
        product.name.as_str(),
        price(py, imports, product.price, product.currency)?,
        product.currency.code(),
        product.stock,
        product.in_stock,
        product.safety_stock,
        product.held,
        product.pending,
        product.sold,
        product.returned,
        product.on_sale_from.map(Timestamp::to_datetime),
        product.on_sale_until.map(Timestamp::to_datetime),
        product.archived,
        metadata(py, imports, product.metadata.as_ref())?,
        product.version,
        replayed,
    ))
}

fn to_hold<'py>(
    py: Python<'py>,
    imports: &Imports,
    engine: Option<&Bound<'py, PyAny>>,
    hold: &Hold,
    replayed: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let made = imports.hold.bind(py).call1(arguments!(py:
        hold.id.0,
        hold.product_id.0,
        hold.quantity,
        member(py, &imports.hold_statuses, hold.status.as_str())?,
        hold.expires_at.to_datetime(),
        hold.created_at.to_datetime(),
        secret(hold.token),
        replayed,
        hold.order_id.map(|id| id.0),
        hold.cart_id.map(|id| id.0),
        hold.sku.as_deref(),
        hold.customer.as_deref(),
        metadata(py, imports, hold.metadata.as_ref())?,
    ))?;
    bind(py, imports, &made, engine)?;
    Ok(made)
}

/// A token, or an empty text where an answer shows none.
fn secret(token: Option<impl ToString>) -> String {
    token.map(|token| token.to_string()).unwrap_or_default()
}

fn to_cart<'py>(
    py: Python<'py>,
    imports: &Imports,
    engine: Option<&Bound<'py, PyAny>>,
    cart: &Cart,
    replayed: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let holds: PyResult<Vec<_>> =
        cart.holds.iter().map(|hold| to_hold(py, imports, engine, hold, replayed)).collect();
    let (holds, token) = (PyTuple::new(py, holds?)?, secret(cart.token));
    let made = imports.cart.bind(py).call1((cart.id.0, token, holds, replayed))?;
    bind(py, imports, &made, engine)?;
    Ok(made)
}

fn bind(
    py: Python<'_>,
    imports: &Imports,
    held: &Bound<'_, PyAny>,
    engine: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    if let Some(engine) = engine {
        imports.set_attribute.bind(py).call1((held, "_engine", engine))?;
    }
    Ok(())
}

fn to_order<'py>(
    py: Python<'py>,
    imports: &Imports,
    order: &Order,
    replayed: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let money = |amount: Money| price(py, imports, amount, order.currency);
    let lines: PyResult<Vec<_>> = order
        .lines
        .iter()
        .map(|line| {
            imports.order_line.bind(py).call1((
                line.line,
                line.hold_id.0,
                line.product_id.0,
                line.sku.as_deref(),
                line.quantity,
                money(line.price)?,
                line.refunded,
                line.returned,
            ))
        })
        .collect();
    imports.order.bind(py).call1(arguments!(py:
        order.id.0,
        PyTuple::new(py, lines?)?,
        member(py, &imports.order_statuses, order.status.as_str())?,
        secret(order.payment_token),
        member(py, &imports.dispositions, order.payment_disposition.as_str())?,
        money(order.amount)?,
        order.currency.code(),
        money(order.refunded_amount)?,
        order.reference.as_deref(),
        order.customer.as_deref(),
        metadata(py, imports, order.metadata.as_ref())?,
        order.created_by.as_deref(),
        order.pay_until.map(Timestamp::to_datetime),
        order.created_at.to_datetime(),
        order.updated_at.to_datetime(),
        replayed,
    ))
}

fn to_waiting<'py>(
    py: Python<'py>,
    imports: &Imports,
    payment: &WaitingPayment,
) -> PyResult<Bound<'py, PyAny>> {
    let amount = |amount: Money| match payment.currency {
        Some(currency) => price(py, imports, amount, currency),
        None => imports.decimal.bind(py).call1((amount.to_string(),)),
    };
    imports.waiting_payment.bind(py).call1((
        payment.key.as_str(),
        payment.order_id.map(|id| id.0),
        payment.order_reference.as_deref(),
        payment.by_token,
        member(py, &imports.outcomes, payment.outcome.as_str())?,
        payment.amount.map(amount).transpose()?,
        payment.currency.map(Currency::code),
        payment.payment_reference.as_deref(),
        payment.received_at.to_datetime(),
        payment.ends_at.to_datetime(),
    ))
}

fn to_event<'py>(py: Python<'py>, imports: &Imports, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    imports.event.bind(py).call1(arguments!(py:
        event.cursor,
        member(py, &imports.event_kinds, event.kind.as_str())?,
        event.product_id.0,
        event.hold_id.map(|id| id.0),
        event.order_id.map(|id| id.0),
        event.quantity,
        event.version,
        event.at.to_datetime(),
        event.sku.as_deref(),
        event.customer.as_deref(),
        event.reason.as_deref(),
        metadata(py, imports, event.metadata.as_ref())?,
        event.reference.as_deref(),
        event.actor.as_deref(),
    ))
}
