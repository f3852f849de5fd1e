//! Converts keyword arguments to the engine's settings.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyDict, PyFloat};
use stockade::Config;

use crate::arguments::duration;
use crate::call_error::{CallError, invalid};

/// Builds the configuration from keywords. `None` keeps a setting's default.
pub fn config(store: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Config> {
    let mut config = Config::default();
    store.clone_into(&mut config.store);
    for (name, value) in settings.into_iter().flatten() {
        if !value.is_none() {
            config
                .set(name.extract()?, &text(name.extract()?, &value)?)
                .map_err(CallError::from)?;
        }
    }
    Ok(config)
}

/// Formats a value as the engine's settings are written.
fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true().to_string());
    }
    if value.cast::<PyFloat>().is_ok() || value.cast::<PyDelta>().is_ok() {
        return Ok(in_words(duration(name, value)?));
    }
    let text = value.str().map_err(|_| invalid(format!("{name} has no text")))?;
    let text = text.to_cow().map_err(|_| invalid(format!("{name} must be Unicode text")))?;
    Ok(text.into_owned())
}

fn in_words(duration: Duration) -> String {
    format!("{}us", duration.as_micros())
}
