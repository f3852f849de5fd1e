//! Whether an engine can still be used.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// An engine's life: from its opening to its closing, in one process.
pub(crate) struct Life {
    closed: AtomicBool,
    /// The process that opened the engine.
    process: u32,
}

impl Life {
    /// Begins now, in this process.
    pub fn new() -> Self {
        Self { closed: AtomicBool::new(false), process: std::process::id() }
    }

    /// Refuses calls that could only hang or corrupt: those of a forked child,
    /// which has the parent's sockets and none of its threads, and those after
    /// closing.
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

    /// Ends it; says whether it had not ended before.
    pub fn end(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }
}

/// The refusal of a call to an engine that is closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Misuse, "the engine is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_once_and_with_its_process() {
        let life = Life::new();
        assert!(life.check_usable().is_ok());
        assert!(life.end() && !life.end());
        assert_eq!(life.check_usable().map_err(|e| e.kind()), Err(ErrorKind::Misuse));
        assert!(life.check_process().is_ok());
        let forked = Life { process: std::process::id() + 1, ..Life::new() };
        assert_eq!(forked.check_usable().map_err(|e| e.kind()), Err(ErrorKind::Misuse));
    }
}
