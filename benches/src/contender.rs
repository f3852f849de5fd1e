//! What takes part in a bench: one way to do the work that is measured.

use std::future::{Future, ready};
/// What came of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Refused as the rules want it, as when nothing is left.
    Refused,
    /// Not done, with the cause.
    Failed(&'static str),
}

/// One way to do the work.
///
/// A contender is opened by a constructor of its own, which needs whatever it
/// needs: connections are made there, not in the first request.
pub trait Contender: Send + Sync + 'static {
    /// Its name in tables and files.
    fn name(&self) -> &str;

    /// Makes ready for a run of `callers`; what it takes is not measured.
    fn prepare(&self, callers: usize) -> impl Future<Output = ()> + Send {
        let _ = callers;
        ready(())
    }

    /// Does one request of caller number `caller`.
    fn request(&self, caller: usize) -> impl Future<Output = Answer> + Send;

    /// Hears that a run is over: nothing is counted any more, and requests
    /// that could wait for long may give up.
    fn over(&self) {}

    /// Lets go of what it opened.
    fn close(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// The units of work that one request carries.
    fn units(&self) -> u64 {
        1
    }

    /// The number of callers it brings itself, for one that is not asked by
    /// callers at all, such as a ceiling.
    fn own_callers(&self) -> Option<usize> {
        None
    }

    /// The most requests that it can have under way at a time, as where each
    /// needs a connection of its own.
    fn most_callers(&self) -> usize {
        usize::MAX
    }

    /// Whether a request blocks its thread; then each caller gets a thread.
    fn blocks(&self) -> bool {
        false
    }
}
