//! Describing an engine before it is opened.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use stockade::Config;

use crate::border;
use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::handle;
use crate::text;

/// What an engine will be like. Owned by the caller, who frees it with
/// stockade_options_free; opening an engine leaves it as it is.
pub struct stockade_options {
    settings: Mutex<Settings>,
}

/// Settings as they were given, by name, and as the engine reads them.
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
            handle::give(options, "options", || Ok(stockade_options { settings: Mutex::default() }))
        })
    }
}

/// Changes one setting by its name, such as "hold_ttl" to "60s". The names,
/// defaults and meanings are those of `stockade serve --help`, with _ for -.
/// "store" is a URL as stockade_engine_open takes it. A running engine
/// ("unix:///SOCKET", "http://:KEY@HOST:PORT") has settings of its own: only
/// "store", "queue_limit", "remote_timeout", "remote_reconnect" and "sweeper"
/// go with it.
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
            let options = handle::given(options, "options")?;
            let (name, value) = (text::needed(name, "name")?, text::needed(value, "value")?);
            let mut settings = options.settings.lock().unwrap_or_else(PoisonError::into_inner);
            settings.config.set(name, value)?;
            settings.given.insert(name.to_owned(), value.to_owned());
            Ok(())
        })
    }
}

/// Frees options. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_options_free(options: *mut stockade_options) {
    // SAFETY: as the header asks of the caller.
    unsafe { handle::free(options) }
}
