//! The native half of the Python package `stockade`.
//!
//! So far it tells its version only; the engine's calls follow.

use pyo3::prelude::*;

/// The module `stockade._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
