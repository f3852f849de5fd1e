//! An engine and the process that opened it.

use stockade::{AsyncEngine, Config};
use tokio::runtime::Handle;

use crate::failure::Failure;

/// What a call in a forked child is told.
const FORKED: &str = "the engine was opened before a fork; open one in this process";

/// What a call of an `AsyncEngine` is told before it is opened.
const NOT_OPEN: &str =
    "the engine is not open; enter it by `async with`, or await AsyncEngine.open(…)";

/// What was opened, if anything was.
pub fn given(open: Option<&Open>) -> Result<&Open, Failure> {
    open.ok_or(Failure::Misuse(NOT_OPEN))
}

/// An opened engine. It runs on the process's runtime.
pub struct Open {
    engine: Option<AsyncEngine>,
    handle: Handle,
    process: u32,
}

impl Open {
    /// Opens an engine; awaited on the process's runtime.
    pub async fn new(config: Config) -> stockade::Result<Self> {
        let engine = AsyncEngine::with_config(config).await?;
        Ok(Self { engine: Some(engine), handle: Handle::current(), process: std::process::id() })
    }

    /// The engine, for a call from this process.
    pub fn engine(&self) -> Result<&AsyncEngine, Failure> {
        match &self.engine {
            Some(engine) if self.process == std::process::id() => Ok(engine),
            _ => Err(Failure::Misuse(FORKED)),
        }
    }

    /// The runtime that the engine runs on.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _context = self.handle.enter();
        if self.process != std::process::id() {
            // Its connections and threads are the parent's: there is nothing
            // to end here, and a lock that another thread had at the fork
            // would be waited for without end.
            std::mem::forget(self.engine.take());
        }
    }
}
