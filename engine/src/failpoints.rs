//! Failpoints in a transaction, at which a test may end or stop the process.
//!
//! They are compiled in with the feature `failpoints` only, which is off by
//! default. A test that uses them starts a process of its own, since the hook is
//! installed for the whole process.

use std::sync::OnceLock;

use crate::model::named_enum;

named_enum!(
    /// A point that every transaction passes, in this order.
    Failpoint {
        /// The product's lock was acquired, or is not needed.
        AfterLock = "after-lock",
        /// Rows are locked and read; nothing is written.
        AfterLoad = "after-load",
        /// Everything is written; COMMIT is not sent.
        AfterWrite = "after-write",
        /// The next step sends COMMIT.
        BeforeCommit = "before-commit",
        /// COMMIT has succeeded.
        AfterCommit = "after-commit",
        /// The responses are ready; no caller has one.
        BeforeAnswer = "before-answer",
    }
);

struct Installed {
    splits: bool,
    hook: Box<dyn Fn(Failpoint) + Send + Sync>,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Calls `hook` at each failpoint from now on, in the thread that passes it. Only
/// the first hook is installed.
///
/// The engine may send writes and COMMIT in one round trip, and then no process
/// can end between them; `splits` sends them separately.
pub fn install(splits: bool, hook: impl Fn(Failpoint) + Send + Sync + 'static) {
    let _ = INSTALLED.set(Installed { splits, hook: Box::new(hook) });
}

pub(crate) fn pass(at: Failpoint) {
    if let Some(installed) = INSTALLED.get() {
        (installed.hook)(at);
    }
}

pub(crate) fn splits() -> bool {
    INSTALLED.get().is_some_and(|installed| installed.splits)
}
