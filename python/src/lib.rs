//! The native half of the Python package `stockade`: the module
//! `stockade._native`.
//!
//! `arguments`, its like for holds, orders and products, and `settings` convert
//! Python values to requests; `engines` has the classes, whose engines run on the
//! process's single Tokio runtime (`runtime`), and `acting` makes further handles to
//! them; `responses` and `call_error` convert results to the dataclasses of
//! `stockade._model` and to exceptions. A blocking call waits with the GIL released
//! (`blocking`). An awaited call is a coroutine (`call`) whose result arrives through
//! the completion queue of its event loop (`mailbox`). The engine's log goes to
//! `logging` (`log`). No engine thread ever takes the GIL, so a busy or exiting
//! interpreter never delays a transaction.

mod acting;
mod arguments;
mod blocking;
mod call;
mod call_error;
mod engines;
mod hold_arguments;
mod imports;
mod list_calls;
mod log;
mod mailbox;
mod open;
mod order_arguments;
mod order_calls;
mod product_arguments;
mod product_calls;
mod responses;
mod runtime;
mod settings;

use pyo3::prelude::*;
use stockade::{
    Config, ErrorKind, EventKind, HoldStatus, OrderStatus, Outcome, PaymentDisposition,
    PaymentStatus,
};

/// The words of the engine's enums, by the names of Python's.
fn enums() -> Vec<(&'static str, Vec<&'static str>)> {
    macro_rules! enums {
        ($($kind:ident,)*) => {
            vec![$((stringify!($kind), $kind::ALL.iter().map(|one| one.as_str()).collect()),)*]
        };
    }
    enums![HoldStatus, OrderStatus, PaymentDisposition, PaymentStatus, Outcome, EventKind,]
}

/// The module `stockade._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("RELEASE_BUILD", !cfg!(debug_assertions))?;
    let codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| (*kind as u32, kind.code())).collect();
    module.add("ERROR_CODES", codes)?;
    module.add("ENUMS", enums())?;
    let settings: Vec<_> = Config::SETTINGS
        .iter()
        .map(|setting| (setting.name, setting.default, setting.help))
        .collect();
    module.add("SETTINGS", settings)?;
    module.add_function(wrap_pyfunction!(log::take_log, module)?)?;
    module.add_function(wrap_pyfunction!(log::stop_log, module)?)?;
    module.add_class::<engines::Engine>()?;
    module.add_class::<engines::AsyncEngine>()?;
    module.add_class::<call::Call>()?;
    module.add_class::<call::HoldCall>()
}
