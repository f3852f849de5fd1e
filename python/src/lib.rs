//! The native half of the Python package `stockade`: the module
//! `stockade._native`.
//!
//! Arguments become requests (`arguments`, `settings`), an engine of the
//! process's one runtime answers them (`runtime`, `faces`), and answers become
//! the dataclasses of `stockade._model` (`answers`, `failure`). A blocking call
//! waits with the GIL released (`waiting`). An awaited one is a coroutine
//! (`call`) whose answer comes through the mailbox of its event loop
//! (`mailbox`). No thread of the engine ever asks for the GIL, so a busy or
//! ending interpreter holds up no transaction.

mod answers;
mod arguments;
mod call;
mod faces;
mod failure;
mod imports;
mod mailbox;
mod open;
mod runtime;
mod settings;
mod waiting;

use pyo3::prelude::*;
use stockade::{Config, ErrorKind};

/// The module `stockade._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("RELEASE_BUILD", !cfg!(debug_assertions))?;
    let codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| (*kind as u32, kind.code())).collect();
    module.add("ERROR_CODES", codes)?;
    let settings: Vec<_> = Config::SETTINGS
        .iter()
        .map(|setting| (setting.name, setting.default, setting.help))
        .collect();
    module.add("SETTINGS", settings)?;
    module.add_class::<faces::Engine>()?;
    module.add_class::<faces::AsyncEngine>()?;
    module.add_class::<call::Call>()?;
    module.add_class::<call::HoldCall>()
}
