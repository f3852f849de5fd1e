//! The log of the process's engines, on its way to Python's `logging`.
//!
//! An engine thread never takes the GIL: it puts a line into a bounded queue, and a
//! thread of `stockade._log` takes the lines from there.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use pyo3::prelude::*;
use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// The most lines that wait for Python. Beyond it lines are counted instead.
const LINES_MAX: usize = 1_000;

/// A line: its level in the numbers of `logging`, the name of its logger, its text.
type Line = (u8, String, String);

/// The lines of one process. The child of a fork begins with an empty queue of its own:
/// of its parent's the mutex may be locked by a thread that it does not have.
struct Queue {
    process: u32,
    state: Mutex<State>,
    arrived: Condvar,
    has_reader: AtomicBool,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    lost: u64,
    is_stopped: bool,
}

static QUEUE: LazyLock<ArcSwap<Queue>> = LazyLock::new(|| ArcSwap::from(Queue::new()));

impl Queue {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            process: std::process::id(),
            state: Mutex::default(),
            arrived: Condvar::new(),
            has_reader: AtomicBool::new(false),
        })
    }

    /// Returns the queue of this process.
    fn current() -> Arc<Self> {
        let queue = QUEUE.load_full();
        if queue.process == std::process::id() {
            return queue;
        }
        // The first thread of the child that comes here wins.
        QUEUE.compare_and_swap(&queue, Self::new());
        QUEUE.load_full()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Line) {
        let mut state = self.lock();
        if state.is_stopped {
            return;
        }
        if state.lines.len() < LINES_MAX {
            state.lines.push(line);
        } else {
            state.lost += 1;
        }
        self.arrived.notify_one();
    }

    /// Waits for lines; `None` once the queue is stopped and empty.
    fn take(&self) -> Option<Vec<Line>> {
        let waits = |state: &mut State| state.lines.is_empty() && !state.is_stopped;
        let state = self.arrived.wait_while(self.lock(), waits);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let mut lines = std::mem::take(&mut state.lines);
        let lost = std::mem::take(&mut state.lost);
        if lost > 0 {
            let text = format!("{lost} lines of the log were lost: logging took them too slowly");
            lines.push((number(Level::WARN), "stockade".to_owned(), text));
        }
        (!lines.is_empty()).then_some(lines)
    }
}

/// Returns a level in the numbers of `logging`.
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        _ => 10,
    }
}

/// Starts the thread that takes the log, once in a process.
///
/// # Errors
/// What Python raises where no thread can be started.
pub fn start(py: Python<'_>) -> PyResult<()> {
    let queue = Queue::current();
    if queue.has_reader.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let levels = Targets::new().with_target("stockade", LevelFilter::DEBUG);
    let lines = fmt::layer()
        .with_writer(Lines)
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false);
    // In the child of a fork it is there already.
    let _ = registry().with(levels).with(lines).try_init();
    py.import("stockade._log")?.call_method0("start")?;
    Ok(())
}

/// Waits for lines of the log, and returns them; None once the log is stopped.
#[pyfunction]
pub fn take_log(py: Python<'_>) -> Option<Vec<Line>> {
    py.detach(|| Queue::current().take())
}

/// Ends the log: what was written is taken, and nothing more is.
#[pyfunction]
pub fn stop_log() {
    let queue = Queue::current();
    queue.lock().is_stopped = true;
    queue.arrived.notify_all();
}

/// Writes lines to the queue.
struct Lines;

struct Writer {
    level: Level,
    logger: String,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Writer;

    fn make_writer(&'a self) -> Writer {
        Writer { level: Level::INFO, logger: "stockade".to_owned() }
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Writer {
        Writer { level: *line.level(), logger: line.target().replace("::", ".") }
    }
}

impl io::Write for Writer {
    /// Takes the whole line, as the layer writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        let logger = std::mem::take(&mut self.logger);
        Queue::current().push((number(self.level), logger, text.into_owned()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
