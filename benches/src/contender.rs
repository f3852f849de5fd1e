//! Contenders: the implementations that a bench compares.

use std::future::{Future, ready};
/// The result of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Success.
    Done,
    /// Rejected by the rules, such as when sold out.
    Refused,
    /// Failed, with the cause.
    Failed(&'static str),
}

/// One implementation of the measured work.
///
/// Each contender has its own constructor, which opens its connections, so that
/// the first request does not.
pub trait Contender: Send + Sync + 'static {
    /// Its name in tables and files.
    fn name(&self) -> &str;

    /// Prepares a run of `callers`; not measured.
    fn prepare(&self, callers: usize) -> impl Future<Output = ()> + Send {
        let _ = callers;
        ready(())
    }

    /// Executes one request of caller number `caller`.
    fn request(&self, caller: usize) -> impl Future<Output = Answer> + Send;

    /// Called when counting has ended: requests that could block for long may
    /// give up.
    fn over(&self) {}

    /// Closes what it opened.
    fn close(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// The units of work per request.
    fn units(&self) -> u64 {
        1
    }

    /// The number of callers it brings itself, for one without requests of
    /// callers, such as a ceiling.
    fn own_callers(&self) -> Option<usize> {
        None
    }

    /// The most requests it can have in flight, for one that needs a connection
    /// per request.
    fn most_callers(&self) -> usize {
        usize::MAX
    }

    /// Whether a request blocks its thread; then each caller gets a thread.
    fn blocks(&self) -> bool {
        false
    }
}
