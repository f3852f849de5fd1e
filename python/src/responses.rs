//! Converts the engine's responses to the dataclasses of `stockade._model`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use stockade::{
    AuditReport, Error, Event, Hold, Money, Order, PaymentReceipt, Product, ProductPage,
    Replayable, SweepReport, Timestamp,
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

/// The results of a batch, one for each of its requests: a hold, or an exception
/// that is not raised.
pub struct HoldResults(Vec<Result<Replayable<Hold>, CallError>>);

impl HoldResults {
    /// Puts the engine's results in the places of the requests that it got; the
    /// others were rejected before.
    pub fn merge(
        rejected: Vec<Option<Error>>,
        results: Vec<stockade::Result<Replayable<Hold>>>,
    ) -> Self {
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
    Product => |product, py, _engine, imports| to_product(py, imports, &product);
    ProductPage => |page, py, _engine, imports| {
        let items: PyResult<Vec<_>> =
            page.items.iter().map(|product| to_product(py, imports, product)).collect();
        let items = PyTuple::new(py, items?)?;
        imports.product_page.bind(py).call1((items, page.next.map(|id| id.0)))
    };
    Hold => |hold, py, engine, imports| to_hold(py, imports, engine, &hold, false);
    Replayable<Hold> => |answer, py, engine, imports| {
        to_hold(py, imports, engine, &answer.value, answer.replayed)
    };
    Replayable<Vec<Hold>> => |answer, py, engine, imports| {
        let replayed = answer.replayed;
        let holds: PyResult<Vec<_>> = answer
            .value
            .iter()
            .map(|hold| to_hold(py, imports, engine, hold, replayed))
            .collect();
        let cart = imports.cart.bind(py).call1((PyTuple::new(py, holds?)?, replayed))?;
        bind(py, imports, &cart, engine)?;
        Ok(cart)
    };
    HoldResults => |results, py, engine, imports| {
        let results: PyResult<Vec<_>> = results
            .0
            .iter()
            .map(|result| match result {
                Ok(held) => to_hold(py, imports, engine, &held.value, held.replayed),
                Err(error) => error.exception(py),
            })
            .collect();
        Ok(PyList::new(py, results?)?.into_any())
    };
    Order => |order, py, _engine, imports| to_order(py, imports, &order, false);
    Replayable<Order> => |answer, py, _engine, imports| {
        to_order(py, imports, &answer.value, answer.replayed)
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

fn price<'py>(py: Python<'py>, imports: &Imports, price: Money) -> PyResult<Bound<'py, PyAny>> {
    // Always two decimal places, as prices are written.
    let (major, minor) = (price.minor() / 100, price.minor() % 100);
    imports.decimal.bind(py).call1((format!("{major}.{minor:02}"),))
}

fn to_product<'py>(
    py: Python<'py>,
    imports: &Imports,
    product: &Product,
) -> PyResult<Bound<'py, PyAny>> {
    imports.product.bind(py).call1((
        product.id.0,
        product.name.as_str(),
        price(py, imports, product.price)?,
        product.stock,
        product.held,
        product.pending,
        product.sold,
        product.version,
    ))
}

fn to_hold<'py>(
    py: Python<'py>,
    imports: &Imports,
    engine: Option<&Bound<'py, PyAny>>,
    hold: &Hold,
    replayed: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let made = imports.hold.bind(py).call1((
        hold.id.0,
        hold.product_id.0,
        hold.quantity,
        member(py, &imports.hold_statuses, hold.status.as_str())?,
        hold.expires_at.to_datetime(),
        hold.created_at.to_datetime(),
        hold.token.to_string(),
        replayed,
    ))?;
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
    imports.order.bind(py).call1((
        order.id.0,
        order.hold_id.0,
        order.product_id.0,
        order.quantity,
        member(py, &imports.order_statuses, order.status.as_str())?,
        order.payment_token.to_string(),
        member(py, &imports.dispositions, order.payment_disposition.as_str())?,
        order.created_at.to_datetime(),
        order.updated_at.to_datetime(),
        replayed,
    ))
}

fn to_event<'py>(py: Python<'py>, imports: &Imports, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    imports.event.bind(py).call1((
        event.cursor,
        member(py, &imports.event_kinds, event.kind.as_str())?,
        event.product_id.0,
        event.hold_id.map(|id| id.0),
        event.order_id.map(|id| id.0),
        event.quantity,
        event.version,
        event.at.to_datetime(),
    ))
}
