//! An open engine, bound to the process that opened it.

use stockade::{AsyncEngine, Config};
use tokio::runtime::Handle;

use crate::call_error::CallError;

/// The error of a call in a forked child.
const FORKED: &str = "the engine was opened before a fork; open one in this process";

/// The error of a call before `AsyncEngine` is opened.
const NOT_OPEN: &str =
    "the engine is not open; enter it by `async with`, or await AsyncEngine.open(…)";

/// Returns the open engine, or the error that it is not open.
pub fn require(open: Option<&OpenEngine>) -> Result<&OpenEngine, CallError> {
    open.ok_or(CallError::Misuse(NOT_OPEN))
}

/// An open engine on the process's runtime.
pub struct OpenEngine {
    engine: Option<AsyncEngine>,
    handle: Handle,
    process: u32,
}

impl OpenEngine {
    /// Opens an engine; must be awaited on the process's runtime.
    pub async fn new(config: Config) -> stockade::Result<Self> {
        let engine = AsyncEngine::with_config(config).await?;
        Ok(Self { engine: Some(engine), handle: Handle::current(), process: std::process::id() })
    }

    /// Returns another handle to the same engine, whose requests `actor` sends.
    pub fn acting_as(&self, actor: &str) -> Result<Self, CallError> {
        let _context = self.handle.enter();
        let engine = Some(self.engine()?.acting_as(actor)?);
        Ok(Self { engine, handle: self.handle.clone(), process: self.process })
    }

    /// Returns the engine if this process opened it.
    pub fn engine(&self) -> Result<&AsyncEngine, CallError> {
        match &self.engine {
            Some(engine) if self.process == std::process::id() => Ok(engine),
            _ => Err(CallError::Misuse(FORKED)),
        }
    }

    /// Returns the runtime that the engine runs on.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for OpenEngine {
    fn drop(&mut self) {
        let _context = self.handle.enter();
        if self.process != std::process::id() {
            // The engine's connections and threads belong to the parent.
            // Closing it here could deadlock on a lock that another thread held
            // at the fork.
            std::mem::forget(self.engine.take());
        }
    }
}
