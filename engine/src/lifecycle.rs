//! Tracks whether an engine can still be used.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// An engine's state from opening to closing, bound to one process.
pub(crate) struct Lifecycle {
    closed: AtomicBool,
    /// The process that opened the engine.
    process: u32,
}

impl Lifecycle {
    pub fn new() -> Self {
        Self { closed: AtomicBool::new(false), process: std::process::id() }
    }

    /// Rejects calls that could only hang or corrupt: those of a forked child,
    /// which shares the parent's sockets and has none of its threads, and those
    /// after closing.
    ///
    /// # Errors
    /// `misuse`.
    pub fn check_usable(&self) -> Result<()> {
        self.check_process()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    pub fn check_process(&self) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        let why = "the engine was opened before a fork; open one in this process";
        Err(Error::new(ErrorKind::Misuse, why))
    }

    /// Marks the engine as closed; returns whether it was open.
    pub fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Misuse, "the engine is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifecycle_closes_once_and_rejects_a_forked_child() {
        let lifecycle = Lifecycle::new();
        assert!(lifecycle.check_usable().is_ok());
        assert!(lifecycle.close() && !lifecycle.close());
        assert_eq!(lifecycle.check_usable().map_err(|e| e.kind()), Err(ErrorKind::Misuse));
        assert!(lifecycle.check_process().is_ok());
        let forked = Lifecycle { process: std::process::id() + 1, ..Lifecycle::new() };
        assert_eq!(forked.check_usable().map_err(|e| e.kind()), Err(ErrorKind::Misuse));
    }
}
