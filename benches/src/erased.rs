//! Type-erased contenders.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::closed::{self, ClosedPlan};
use crate::contender::Contender;
use crate::open::{self, OpenPlan};
use crate::run::Run;

/// A [`Contender`] of any type, with the load drivers that call it.
pub trait ErasedContender: Send + Sync {
    /// [`Contender::name`].
    fn name(&self) -> &str;

    /// Whether callers send its requests, one unit each.
    fn has_callers(&self) -> bool;

    /// Units done when each of so many callers has sent one request.
    fn units_of(&self, callers: usize) -> u64;

    /// Runs a closed loop: each caller waits for its answer.
    fn closed(&self, plan: ClosedPlan) -> BoxFuture<'_, Run>;

    /// Runs an open loop: a fixed rate, independent of the answers.
    fn open(&self, plan: OpenPlan) -> BoxFuture<'_, Run>;

    /// Lets each caller send `times` requests and returns the total duration.
    fn each(&self, callers: usize, times: u64) -> BoxFuture<'_, Duration>;

    /// [`Contender::close`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

impl<C: Contender> ErasedContender for Arc<C> {
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

/// Erases a contender's type.
pub fn erase<C: Contender>(contender: C) -> Box<dyn ErasedContender> {
    Box::new(Arc::new(contender))
}
