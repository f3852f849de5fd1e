//! Options of an engine before it is opened.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use stockade::Config;

use crate::boundary;
use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::handle;
use crate::text;

/// The options of an engine. Owned by the caller, who frees it with
/// stockade_options_free; opening an engine does not change it.
pub struct stockade_options {
    settings: Mutex<Settings>,
}

/// The settings as given, by name, and as the engine parsed them.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub given: BTreeMap<String, String>,
    pub config: Config,
}

impl stockade_options {
    pub(crate) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Creates options with default settings.
///
/// Errors: invalid_argument.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_options_new(
    options: *mut *mut stockade_options,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(options, "options", || {
                Ok(stockade_options { settings: Mutex::default() })
            })
        })
    }
}

/// Sets a setting by its name, such as "hold_ttl" to "60s". The names, defaults
/// and meanings are those of `stockade serve --help`, with _ for -. "store" is
/// a URL as stockade_engine_open takes it. A running engine ("unix:///SOCKET",
/// "http://:KEY@HOST:PORT") has its own settings: only "store", "queue_limit",
/// "remote_timeout", "remote_reconnect" and "sweeper" apply to its clients.
///
/// Errors: invalid_argument for an unknown name or an invalid value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_options_set(
    options: *mut stockade_options,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let options = handle::borrow(options, "options")?;
            let (name, value) = (text::required(name, "name")?, text::required(value, "value")?);
            let mut settings = options.settings.lock().unwrap_or_else(PoisonError::into_inner);
            settings.config.set(name, value)?;
            settings.given.insert(name.to_owned(), value.to_owned());
            Ok(())
        })
    }
}

/// Frees options. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_options_free(options: *mut stockade_options) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { handle::free(options) }
}
