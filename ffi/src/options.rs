//! Describing an engine before it is opened.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use stockade::Config;

use crate::border;
use crate::error::{stockade_code, stockade_error};
use crate::text;

/// What an engine will be like. Owned by the caller, who frees it with
/// stockade_options_free; opening an engine leaves it as it is.
pub struct stockade_options {
    config: Mutex<Config>,
}

impl stockade_options {
    pub(crate) fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Begins to describe an engine: all settings have their defaults.
///
/// Errors: invalid_argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_options_new(
    options: *mut *mut stockade_options,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            border::give(options, "options", || {
                Ok(stockade_options { config: Mutex::new(Config::default()) })
            })
        })
    }
}

/// Changes one setting by its name, such as "hold_ttl" to "60s". The names,
/// defaults and meanings are those of `stockade serve --help`, with _ for -.
///
/// Errors: invalid_argument for an unknown name or a value that does not fit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_options_set(
    options: *mut stockade_options,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            let options = border::given(options, "options")?;
            let (name, value) = (text::needed(name, "name")?, text::needed(value, "value")?);
            let mut config = options.config.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(config.set(name, value)?)
        })
    }
}

/// Frees options. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_options_free(options: *mut stockade_options) {
    // SAFETY: as the header asks of the caller.
    unsafe { border::free(options) }
}
