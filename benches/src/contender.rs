//! What takes part in a bench: one way to do the work that is measured.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::closed::{self, ClosedPlan};
use crate::open::{self, OpenPlan};
use crate::run::Run;

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

/// A [`Contender`] of any type, with the drivers that ask it.
pub trait Entrant: Send + Sync {
    /// [`Contender::name`].
    fn name(&self) -> &str;

    /// Whether its requests are those of callers, one unit each.
    fn has_callers(&self) -> bool;

    /// Units done when each of so many callers has asked once.
    fn units_of(&self, callers: usize) -> u64;

    /// Asks in a closed loop: each caller waits for its answer.
    fn closed(&self, plan: ClosedPlan) -> BoxFuture<'_, Run>;

    /// Asks at a fixed rate, whatever the answers take.
    fn open(&self, plan: OpenPlan) -> BoxFuture<'_, Run>;

    /// Lets each caller ask `times` times and returns how long all took.
    fn each(&self, callers: usize, times: u64) -> BoxFuture<'_, Duration>;

    /// [`Contender::close`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

impl<C: Contender> Entrant for Arc<C> {
    fn name(&self) -> &str {
        Contender::name(&**self)
    }

    fn has_callers(&self) -> bool {
        self.own_callers().is_none() && self.units() == 1
    }

    fn units_of(&self, callers: usize) -> u64 {
        self.units() * self.own_callers().unwrap_or(callers) as u64
    }

    fn closed(&self, plan: ClosedPlan) -> BoxFuture<'_, Run> {
        Box::pin(closed::run(self, plan))
    }

    fn open(&self, plan: OpenPlan) -> BoxFuture<'_, Run> {
        Box::pin(open::run(self, plan))
    }

    fn each(&self, callers: usize, times: u64) -> BoxFuture<'_, Duration> {
        Box::pin(closed::each(self, callers, times))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Contender::close(&**self))
    }
}

/// Hides a contender's type.
pub fn entrant<C: Contender>(contender: C) -> Box<dyn Entrant> {
    Box::new(Arc::new(contender))
}
