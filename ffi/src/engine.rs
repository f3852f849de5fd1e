//! The engine itself: opening, closing, and its housekeeping.

use std::ffi::c_char;

use stockade::Engine;

use crate::border;
use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::failure::{Failure, null};
use crate::handle;
use crate::options::stockade_options;
use crate::plain::{self, plain};
use crate::shared;
use crate::text;

/// An engine. Owned by the caller, who frees it with stockade_engine_free.
/// All its functions may be called from any thread at any time, but for
/// stockade_engine_free, which must be the last.
pub struct stockade_engine {
    engine: Engine,
    /// The process that opened it.
    process: u32,
    /// Whether other handles of this process may have the same engine.
    is_shared: bool,
}

impl stockade_engine {
    /// Refuses what only the process that opened the engine may do. The
    /// engine's own calls see to it themselves.
    fn check_process(&self) -> Result<(), Failure> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(Failure::misuse("the engine was opened before a fork; open one in this process"))
    }
}

/// The engine behind a handle.
///
/// # Safety
/// `engine` is null or came from this library and is not freed meanwhile.
pub(crate) unsafe fn engine<'a>(engine: *const stockade_engine) -> Result<&'a Engine, Failure> {
    // SAFETY: as the caller promised.
    unsafe { handle::given(engine, "engine") }.map(|handle| &handle.engine)
}

/// Gives the caller an engine, which other handles may have or not.
///
/// # Safety
/// `engine` and `error` are null or may be written to; `make` may read what it
/// captures.
unsafe fn open(
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
    make: impl FnOnce() -> Result<(Engine, bool), Failure>,
) -> stockade_code {
    // SAFETY: as the caller promised.
    unsafe {
        border::call(error, || {
            handle::give(engine, "engine", || {
                let (engine, is_shared) = make()?;
                Ok(stockade_engine { engine, process: std::process::id(), is_shared })
            })
        })
    }
}

/// What a sweep gave back.
#[repr(C)]
pub struct stockade_sweep_report {
    /// sizeof(stockade_sweep_report), set by the caller.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Holds whose time was over.
    pub holds_expired: u64,
    /// Orders that were never paid.
    pub orders_cancelled: u64,
}
plain!(stockade_sweep_report, first 24, now 24);

/// Opens an engine on a store, with default settings, and brings its tables up
/// to date. `store` is "sqlite:FILE", "sqlite::memory:" or
/// "mysql://USER@HOST/DATABASE"; or it names a running engine, one that
/// `stockade serve` has open: "unix:///SOCKET" or "http://:KEY@HOST:PORT". Then
/// that one does the calls, and its settings count. The engine has threads of
/// its own.
///
/// After a fork the child opens an engine of its own. Fork before an engine is
/// opened on SQLite, or start the child by exec, and it always opens. In the
/// child of a process that had opened one, SQLite's mutexes are copies, which
/// may be locked for ever; opening an engine on SQLite never hangs there: it
/// opens, or it is misuse, at once where the parent had the same file open at
/// the fork, and within 10 seconds where another of its threads was inside
/// SQLite. MySQL and running engines always open.
///
/// Errors: invalid_argument for a URL of no known store, unavailable,
/// unauthorized when a running engine does not take the key, misuse after a
/// fork.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_open(
    store: *const c_char,
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { open(engine, error, || Ok((Engine::open(text::needed(store, "store")?)?, false))) }
}

/// Opens an engine as the options describe it. They stay the caller's.
///
/// Errors: invalid_argument for settings that contradict each other or, with a
/// running engine, are that one's own; unavailable, unauthorized; misuse after
/// a fork, as stockade_engine_open says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_open_with(
    options: *const stockade_options,
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        open(engine, error, || {
            let config = handle::given(options, "options")?.settings().config;
            Ok((Engine::builder().config(config).open()?, false))
        })
    }
}

/// Gives this process's engine with these settings: the first call opens it,
/// and it stays open until the process ends. Who asks while it is being opened
/// waits for that and gets what came of it; a failure is not kept. For programs
/// that cannot keep a handle, such as a PHP worker, which forgets all between
/// two requests. Each handle is freed as any; closing or freeing it leaves the
/// engine open. After a fork the child gets an engine of its own.
///
/// Errors: as stockade_engine_open_with; misuse when the process has 16 engines
/// of other settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_open_shared(
    options: *const stockade_options,
    engine: *mut *mut stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        open(engine, error, || {
            Ok((shared::engine(handle::given(options, "options")?.settings())?, true))
        })
    }
}

/// Serves what waits, refuses what comes, and lets go of the store. Calling it
/// again does nothing. The handle must still be freed.
///
/// Errors: misuse after a fork.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_close(
    engine: *const stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            let handle = handle::given(engine, "engine")?;
            handle.check_process()?;
            if handle.is_shared { Ok(()) } else { Ok(handle.engine.close()?) }
        })
    }
}

/// Closes an engine that is not closed, and frees it. NULL is fine. A child of
/// a fork may free the parent's engine: the parent's goes on, and the child
/// keeps its memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_free(engine: *mut stockade_engine) {
    // SAFETY: as the header asks of the caller.
    unsafe {
        if engine.as_ref().is_some_and(|handle| handle.check_process().is_err()) {
            // Its connections and threads are the parent's: there is nothing
            // to end here, and a lock that another thread had at the fork
            // would be waited for without end.
            return;
        }
        stockade_engine_close(engine, std::ptr::null_mut());
        handle::free(engine);
    }
}

/// Does nothing, to measure what a call costs, and so looks at nothing either:
/// it is the one call that is not refused after a fork.
///
/// Errors: invalid_argument when `engine` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_noop(
    engine: *const stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { border::call(error, || self::engine(engine).map(drop)) }
}

/// Reaches for the store.
///
/// Errors: unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_ping(
    engine: *const stockade_engine,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe { border::call(error, || Ok(self::engine(engine)?.ping()?)) }
}

/// Takes back all that is due now. An engine sweeps by itself, on a thread of
/// its own and without calling back; with the setting "sweeper" at "false" it
/// does not, and the caller may sweep at times of its choice. What is due is
/// dead all the same. `report` may be NULL.
///
/// Errors: contention, unavailable, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_sweep(
    engine: *const stockade_engine,
    report: *mut stockade_sweep_report,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            let engine = self::engine(engine)?;
            if !report.is_null() {
                plain::check(report)?;
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
            plain::write(report, value)
        })
    }
}

/// The engine's counters as OpenMetrics text, without the closing "# EOF". The
/// caller frees the text with stockade_string_free. With a running engine they
/// are those of the connection; that engine shows its own.
///
/// Errors: invalid_argument, misuse.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_engine_metrics_text(
    engine: *const stockade_engine,
    text: *mut *mut c_char,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: as the header asks of the caller.
    unsafe {
        border::call(error, || {
            let handle = handle::given(engine, "engine")?;
            if text.is_null() {
                return Err(null("text"));
            }
            handle.check_process()?;
            handle::tell(text, text::owned(handle.engine.metrics_text()));
            Ok(())
        })
    }
}
