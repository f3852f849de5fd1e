//! The engine: opening, closing, and maintenance.

use std::ffi::c_char;
use std::time::Duration;

use stockade::Engine;

use crate::boundary;
use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::ffi_error::{FfiError, null};
use crate::handle;
use crate::options::stockade_options;
use crate::registry;
use crate::text;
use crate::versioned_struct::{self, versioned_struct};

/// A handle of an engine. Owned by the caller, who frees it with
/// stockade_engine_free. All its functions are thread-safe, except
/// stockade_engine_free, which must come last.
pub struct stockade_engine {
    engine: Engine,
    /// The process that opened it.
    process: u32,
    ownership: Ownership,
}

/// What closing and freeing a handle do to its engine.
#[derive(Clone, Copy)]
enum Ownership {
    /// The handle that opened the engine: both close it.
    Owner,
    /// A handle of `stockade_engine_acting_as`: closing closes the engine, freeing
    /// leaves it to its owner.
    Acting,
    /// The engine is in the process's registry: neither closes it.
    Shared,
}

impl stockade_engine {
    /// Rejects operations of another process than the one that opened the
    /// engine. The engine checks its own calls by itself.
    fn check_process(&self) -> Result<(), FfiError> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(FfiError::misuse("the engine was opened before a fork; open one in this process"))
    }
}

/// Returns the engine of a handle.
///
/// # Safety
/// `engine` is null, or came from this library and is not freed during use.
pub(crate) unsafe fn engine<'a>(engine: *const stockade_engine) -> Result<&'a Engine, FfiError> {
    // SAFETY: guaranteed by the caller.
    unsafe { handle::borrow(engine, "engine") }.map(|handle| &handle.engine)
}

/// Gives the caller a handle of an engine.
///
/// # Safety
/// `engine` and `error` are null or writable; `make` may read what it captures.
unsafe fn open(
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
    make: impl FnOnce() -> Result<(Engine, Ownership), FfiError>,
) -> stockade_code {
    // SAFETY: guaranteed by the caller.
    unsafe {
        boundary::call(error, || {
            handle::write_new(engine, "engine", || {
                let (engine, ownership) = make()?;
                Ok(stockade_engine { engine, process: std::process::id(), ownership })
            })
        })
    }
}

/// What a sweep expired.
#[repr(C)]
pub struct stockade_sweep_report {
    /// sizeof(stockade_sweep_report), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Holds that expired.
    pub holds_expired: u64,
    /// Orders cancelled because they were not paid in time.
    pub orders_cancelled: u64,
}
versioned_struct!(stockade_sweep_report, first 24, now 24);

/// Opens an engine on a store with default settings, and migrates the store.
/// `store` is "sqlite:FILE", "sqlite::memory:" or "mysql://USER@HOST/DATABASE";
/// or the URL of a running engine, which `stockade serve` has open:
/// "unix:///SOCKET" or "http://:KEY@HOST:PORT". That engine then executes the
/// calls with its own settings. An engine has its own threads.
///
/// After a fork the child opens its own engine. Opening always succeeds if the
/// fork happened before an engine was opened on SQLite, or if the child was
/// started by exec. In the child of a process that had opened one, SQLite's
/// mutexes are copies that may stay locked. Opening an engine on SQLite never
/// deadlocks there: it succeeds or fails with misuse, immediately if the parent
/// had the same file open at the fork, within 10 seconds if another thread was
/// inside SQLite. MySQL and running engines always open.
///
/// Errors: invalid_argument for an unsupported URL, unavailable, unauthorized
/// if a running engine rejects the key, misuse after a fork.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_open(
    store: *const c_char,
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        open(engine, error, || {
            Ok((Engine::open(text::required(store, "store")?)?, Ownership::Owner))
        })
    }
}

/// Opens an engine with these options, which stay the caller's.
///
/// Errors: invalid_argument for contradictory settings or, with a running
/// engine, for settings that belong to that engine; unavailable, unauthorized;
/// misuse after a fork, see stockade_engine_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_open_with(
    options: *const stockade_options,
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        open(engine, error, || {
            let config = handle::borrow(options, "options")?.settings().config;
            Ok((Engine::builder().config(config).open()?, Ownership::Owner))
        })
    }
}

/// Returns this process's shared engine with these settings. The first call
/// opens it, and it stays open until the process ends. Concurrent callers wait
/// for the first (single-flight) and get its result; an error is not cached.
/// For programs that cannot keep a handle, such as a PHP worker, which loses
/// all state between two requests. Each handle must be freed; closing or
/// freeing it leaves the engine open. After a fork the child gets its own
/// engine.
///
/// Errors: as stockade_engine_open_with; misuse if the process already has 16
/// shared engines with other settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_open_shared(
    options: *const stockade_options,
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        open(engine, error, || {
            let settings = handle::borrow(options, "options")?.settings();
            Ok((registry::engine(settings)?, Ownership::Shared))
        })
    }
}

/// Returns another handle of the same engine for one of its users, such as a clerk
/// or an API key: the events of what is asked for through it have `name` as their
/// actor, and the orders made through it have it as created_by.
///
/// The handle is freed with stockade_engine_free, before or after the one that it
/// came from; that leaves the engine open. The engine is closed when the handle
/// that opened it is freed, or any of its handles is closed with
/// stockade_engine_close; calls through the others then return misuse. A shared
/// engine stays open.
///
/// Errors: invalid_argument for a name that is empty, longer than 255 bytes, or
/// has control characters; misuse after a fork.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_acting_as(
    engine: *const stockade_engine,
    name: *const c_char,
    acting: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            handle::write_new(acting, "acting", || {
                let handle = handle::borrow(engine, "engine")?;
                handle.check_process()?;
                let engine = handle.engine.acting_as(text::required(name, "name")?)?;
                let ownership = match handle.ownership {
                    Ownership::Owner | Ownership::Acting => Ownership::Acting,
                    Ownership::Shared => Ownership::Shared,
                };
                Ok(stockade_engine { engine, process: handle.process, ownership })
            })
        })
    }
}

/// Drains queued requests, rejects new ones, then closes the store, for all
/// handles of the engine. A shared engine stays open. Closing again does nothing.
/// The handle must still be freed.
///
/// Errors: misuse after a fork.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_close(
    engine: *const stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let handle = handle::borrow(engine, "engine")?;
            handle.check_process()?;
            match handle.ownership {
                Ownership::Owner | Ownership::Acting => Ok(handle.engine.close()?),
                Ownership::Shared => Ok(()),
            }
        })
    }
}

/// Frees a handle. NULL is allowed. The handle that opened an engine of its own
/// closes it, if it is open; one of stockade_engine_open_shared or
/// stockade_engine_acting_as leaves it as it is. In the child of a fork, freeing
/// the parent's engine does not affect the parent; the child leaks its memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_free(engine: *mut stockade_engine) {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        if engine.as_ref().is_some_and(|handle| handle.check_process().is_err()) {
            // The engine's connections and threads belong to the parent.
            // Closing it here could deadlock on a lock that another thread held
            // at the fork.
            return;
        }
        if engine.as_ref().is_some_and(|handle| matches!(handle.ownership, Ownership::Owner)) {
            stockade_engine_close(engine, std::ptr::null_mut());
        }
        handle::free(engine);
    }
}

/// Checks that the store is reachable.
///
/// Errors: unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_ping(
    engine: *const stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe { boundary::call(error, || Ok(self::engine(engine)?.ping()?)) }
}

/// Expires all due holds and cancels all unpaid orders that are due. An engine
/// sweeps in the background, on its own thread and without callbacks. With the
/// setting "sweeper" set to "false" it does not, and the caller sweeps. Due
/// holds count as expired before any sweep. `report` may be NULL.
///
/// Errors: contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_sweep(
    engine: *const stockade_engine,
    report: *mut stockade_sweep_report,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let engine = self::engine(engine)?;
            if !report.is_null() {
                versioned_struct::check(report)?;
            }
            let swept = engine.sweep()?;
            if report.is_null() {
                return Ok(());
            }
            let value = stockade_sweep_report {
                struct_size: 0,
                reserved: 0,
                holds_expired: swept.holds_expired,
                orders_cancelled: swept.orders_cancelled,
            };
            versioned_struct::write(report, value)
        })
    }
}

/// Moves the clock of a test's engine forward by `by_us` microseconds. What is due then
/// is in stock again when the call returns, with its events, as after a sweep. The
/// engine has the setting "clock" with the value "manual", which the store
/// "sqlite::memory:" alone accepts: its time stands still between two such calls.
/// `now_us` gets the new time in microseconds since 1970 in UTC; it may be NULL.
///
/// Errors: misuse for an engine with another clock or of a running engine;
/// invalid_argument for more than ten years, which move nothing; contention or
/// unavailable if the clock was moved and something due was not returned yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_advance_clock(
    engine: *const stockade_engine,
    by_us: u64,
    now_us: *mut i64,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let now = self::engine(engine)?.advance_clock(Duration::from_micros(by_us))?;
            handle::write_optional(now_us, now.micros());
            Ok(())
        })
    }
}

/// Returns the engine's metrics as OpenMetrics text, without the final "# EOF".
/// The caller frees the text with stockade_string_free. With a running engine
/// they are the client's metrics; that engine exports its own.
///
/// Errors: invalid_argument, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_metrics_text(
    engine: *const stockade_engine,
    text: *mut *mut c_char,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let handle = handle::borrow(engine, "engine")?;
            if text.is_null() {
                return Err(null("text"));
            }
            handle.check_process()?;
            handle::write_optional(text, text::owned(handle.engine.metrics_text()));
            Ok(())
        })
    }
}
