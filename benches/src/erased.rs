//! A contender of any type as it enters a bench.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::closed::{self, ClosedPlan};
use crate::contender::Contender;
use crate::open::{self, OpenPlan};
use crate::run::Run;

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
