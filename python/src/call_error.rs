//! Converts errors to the exceptions of `stockade.exceptions`.

use std::any::Any;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use stockade::{Error, ErrorKind, OffSale, Timestamp};

use crate::imports;

/// Why a call failed.
#[derive(Debug)]
pub enum CallError {
    /// The engine's error.
    Engine(Error),
    /// The engine was used incorrectly.
    Misuse(&'static str),
    /// A bug of Stockade.
    Internal(String),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl CallError {
    /// The error of a call that panicked.
    pub fn panicked(cause: &(dyn Any + Send)) -> Self {
        let said = cause
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| cause.downcast_ref::<String>().map(String::as_str));
        Self::Internal(format!("a call panicked: {}", said.unwrap_or("no message")))
    }

    /// Creates the Python exception.
    pub fn raise(&self, py: Python<'_>) -> PyErr {
        self.exception(py).map_or_else(|error| error, PyErr::from_value)
    }

    /// Returns the Python exception as an object.
    pub fn exception<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let imports = imports::get(py)?;
        let exception = |kind: ErrorKind, message: &str, details: Option<&Bound<'py, PyDict>>| {
            let class = imports.error_classes.bind(py).as_any().get_item(kind.code())?;
            class.call((message,), details)
        };
        match self {
            Self::Misuse(why) => exception(ErrorKind::Misuse, why, None),
            Self::Internal(why) => exception(ErrorKind::Internal, why, None),
            Self::Engine(error) => {
                let details = PyDict::new(py);
                details.set_item("available", error.available())?;
                details.set_item("short", short_lines(py, error)?)?;
                details.set_item("order_id", error.order_id().map(|id| id.0))?;
                details.set_item("product_id", error.product_id().map(|id| id.0))?;
                details.set_item("off_sale", error.off_sale().and_then(off_sale))?;
                let moment = error.off_sale().and_then(OffSale::moment);
                details.set_item("moment", moment.map(Timestamp::to_datetime))?;
                details.set_item("holds", unusable_holds(py, error)?)?;
                details.set_item("replayed", error.replayed())?;
                details
                    .set_item("retry_after", error.retry_after().map(|wait| wait.as_secs_f64()))?;
                exception(error.kind(), error.message(), Some(&details))
            }
        }
    }
}

impl From<CallError> for PyErr {
    fn from(failure: CallError) -> Self {
        Python::attach(|py| failure.raise(py))
    }
}

/// An invalid argument.
pub fn invalid(message: impl Into<String>) -> PyErr {
    CallError::Engine(Error::invalid_argument(message)).into()
}

/// Whether an exception is that of an invalid argument.
pub fn is_invalid(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    let classes = imports::get(py)?.error_classes.bind(py).as_any();
    let class = classes.get_item(ErrorKind::InvalidArgument.code())?;
    Ok(error.matches(py, class)?)
}

/// Returns the word for why a product is not for sale.
fn off_sale(why: OffSale) -> Option<&'static str> {
    match why {
        OffSale::Before(_) => Some("before"),
        OffSale::Since(_) => Some("since"),
        OffSale::Archived => Some("archived"),
        _ => None,
    }
}

fn short_lines<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyTuple>> {
    let class = imports::get(py)?.short_line.bind(py);
    let lines: PyResult<Vec<_>> = error
        .short()
        .iter()
        .map(|line| {
            let (sku, units) = (line.sku.as_deref(), (line.requested, line.available));
            class.call1((line.product_id.0, units.0, units.1, sku))
        })
        .collect();
    PyTuple::new(py, lines?)
}

fn unusable_holds<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyTuple>> {
    let class = imports::get(py)?.unusable_hold.bind(py);
    let holds: PyResult<Vec<_>> = error
        .holds()
        .iter()
        .map(|hold| class.call1((hold.hold_id.0, hold.code.as_str(), hold.order_id.map(|id| id.0))))
        .collect();
    PyTuple::new(py, holds?)
}
