//! The log of the process's engines, line by line, for the program's own.

use std::ffi::{CString, c_char, c_void};
use std::io;
use std::sync::OnceLock;

use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

use crate::boundary;
use crate::code::stockade_code;
use crate::error::stockade_error;
use crate::ffi_error::FfiError;

/// The levels of the log.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum stockade_log_level {
    /// A bug, or a store that does not do what it must.
    Error = 1,
    /// Something failed that is tried again, or needs an operator.
    Warn = 2,
    /// What an operator did, and what changed in the engine's state.
    Info = 3,
    /// What only a maintainer of Stockade looks for.
    Debug = 4,
}

impl stockade_log_level {
    fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// Takes one line of the log: its level, the part of the program that wrote it, such as
/// "stockade::sweeper", and the message with its fields. The texts end with the call.
/// Any thread of the library calls it, several at once, also in the middle of a
/// transaction: it must be quick and must not call the library.
pub type stockade_log_function = Option<
    unsafe extern "C" fn(
        level: stockade_log_level,
        target: *const c_char,
        message: *const c_char,
        context: *mut c_void,
    ),
>;

type LogFunction =
    unsafe extern "C" fn(stockade_log_level, *const c_char, *const c_char, *mut c_void);

struct Receiver {
    function: LogFunction,
    context: *mut c_void,
}

// SAFETY: the caller of stockade_set_log allows every thread to use both.
unsafe impl Send for Receiver {}
// SAFETY: as above.
unsafe impl Sync for Receiver {}

static RECEIVER: OnceLock<Receiver> = OnceLock::new();

/// Hands the log of all engines of this process, from this level up, to a function, with
/// the context that is given here. Without it the library logs nothing. It can be set
/// once in a process, before or after engines are opened, and stays; the child of a fork
/// has it, too. function and context must be usable until the process ends.
///
/// Errors: invalid_argument for another level, misuse if it is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn stockade_set_log(
    function: stockade_log_function,
    level: u32,
    context: *mut c_void,
    error: *mut *mut stockade_error,
) -> stockade_code {
    // SAFETY: guaranteed by the caller, see the header.
    unsafe {
        boundary::call(error, || {
            let function =
                function.ok_or_else(|| FfiError::invalid_argument("function is NULL"))?;
            set(Receiver { function, context }, filter(level)?)
        })
    }
}

fn filter(level: u32) -> Result<LevelFilter, FfiError> {
    Ok(match level {
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => return Err(FfiError::invalid_argument(format!("level has no value {level}"))),
    })
}

fn set(receiver: Receiver, level: LevelFilter) -> Result<(), FfiError> {
    let is_set = || FfiError::misuse("the log is set already");
    RECEIVER.set(receiver).map_err(|_| is_set())?;
    let levels = Targets::new().with_target("stockade", level);
    let lines = fmt::layer()
        .with_writer(Lines)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false);
    registry().with(levels).with(lines).try_init().map_err(|_| is_set())
}

/// Writes lines to the receiver.
struct Lines;

struct Line {
    level: Level,
    target: CString,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { level: Level::INFO, target: c"stockade".to_owned() }
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Line {
        // Names of modules have no NUL.
        let target = CString::new(line.target()).unwrap_or_default();
        Line { level: *line.level(), target }
    }
}

impl io::Write for Line {
    /// Takes the whole line, as the layer writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(receiver) = RECEIVER.get() {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
            let message = CString::new(text).unwrap_or_default();
            let level = stockade_log_level::of(self.level);
            let Receiver { function, context } = receiver;
            // SAFETY: the caller of stockade_set_log promises that the function can be
            // called so from any thread; both texts outlive the call.
            unsafe { function(level, self.target.as_ptr(), message.as_ptr(), *context) };
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
