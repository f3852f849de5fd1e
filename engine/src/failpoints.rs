//! Places in a transaction at which a test may end or stop the process.
//!
//! Built with the feature `failpoints` only, which is off by default; without
//! it nothing of this is there. A test that wants them starts a process of its
//! own, since what is installed holds for the whole process.

use std::sync::OnceLock;

/// A place that every transaction passes, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// The product's lock was had, or was not to be asked for.
    AfterLock,
    /// Rows are locked and read, and nothing is written.
    AfterLoad,
    /// Everything is written, and COMMIT is not sent.
    AfterWrite,
    /// The very next step sends COMMIT.
    BeforeCommit,
    /// COMMIT was answered.
    AfterCommit,
    /// The answers are known and no caller has one.
    BeforeAnswer,
}

impl Failpoint {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::AfterLock,
        Self::AfterLoad,
        Self::AfterWrite,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeAnswer,
    ];

    /// The name, as in `after-lock`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AfterLock => "after-lock",
            Self::AfterLoad => "after-load",
            Self::AfterWrite => "after-write",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::BeforeAnswer => "before-answer",
        }
    }
}

struct Installed {
    splits: bool,
    hook: Box<dyn Fn(Failpoint) + Send + Sync>,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Calls `hook` at each place from now on, in the thread that passes it. The
/// first that is installed stays.
///
/// Writes and COMMIT may go to the store in one piece, and then no process can
/// end between them; `splits` sends them apart.
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
