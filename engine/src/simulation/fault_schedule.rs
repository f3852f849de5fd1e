//! What goes wrong, how often, and what did.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::world::here;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FaultKind {
    /// A request or an answer is long under way.
    Slow,
    /// It is under way for longer than it is waited for.
    Silent,
    /// The connection breaks before the request arrives.
    LostRequest,
    /// It breaks before the answer arrives.
    LostResponse,
    /// It breaks while the request is under way, which arrives all the same.
    LostInFlight,
    /// The last three, at COMMIT.
    CommitLostRequest,
    CommitLostResponse,
    CommitLostInFlight,
    /// COMMIT is answered with a conflict, as by a cluster.
    CommitRefused,
    Deadlock,
    LockWait,
    /// The database refuses a statement for a reason that does not pass.
    Refused,
    /// No connection can be had.
    NoConnection,
    /// The server keeps the transaction of a broken connection for long.
    HalfOpen,
    RedisDown,
    RedisResponseLost,
    RedisSlow,
    /// Redis forgets who has the lock.
    LockLost,
    /// Redis forgets everything, its fences included.
    RedisFlushed,
    /// Word of another process's write comes late, and so out of order.
    InvalidationLate,
    /// It does not come, and that is noticed.
    InvalidationLost,
    /// A process stands still, with all that it holds.
    Paused,
    Killed,
    /// A caller does not wait for its answer.
    CallerCancelled,
}

/// Every fault, with how often it strikes where it does.
const RATES: [(FaultKind, f64); 24] = [
    (FaultKind::Slow, 0.05),
    (FaultKind::Silent, 0.003),
    (FaultKind::LostRequest, 0.01),
    (FaultKind::LostResponse, 0.01),
    (FaultKind::LostInFlight, 0.01),
    (FaultKind::CommitLostRequest, 0.03),
    (FaultKind::CommitLostResponse, 0.03),
    (FaultKind::CommitLostInFlight, 0.03),
    (FaultKind::CommitRefused, 0.02),
    (FaultKind::Deadlock, 0.01),
    (FaultKind::LockWait, 0.01),
    (FaultKind::Refused, 0.01),
    (FaultKind::NoConnection, 0.02),
    (FaultKind::HalfOpen, 0.2),
    (FaultKind::RedisDown, 0.1),
    (FaultKind::RedisResponseLost, 0.05),
    (FaultKind::RedisSlow, 0.1),
    (FaultKind::LockLost, 0.05),
    (FaultKind::RedisFlushed, 0.02),
    (FaultKind::InvalidationLate, 0.3),
    (FaultKind::InvalidationLost, 0.1),
    (FaultKind::Paused, 0.3),
    (FaultKind::Killed, 0.1),
    (FaultKind::CallerCancelled, 0.03),
];

/// The faults of one history.
pub(super) struct FaultSchedule {
    rates: Mutex<BTreeMap<FaultKind, f64>>,
    struck: Mutex<BTreeMap<FaultKind, u64>>,
}

impl FaultSchedule {
    /// Draws which faults there are, and how many.
    pub fn drawn() -> Self {
        let force = here().pick(&[0.0, 0.5, 1.0, 1.0, 2.0]);
        let rate = |(kind, rate): (FaultKind, f64)| {
            let rate = rate * force * here().pick(&[0.0, 0.0, 1.0, 3.0]);
            (kind, rate.min(0.5))
        };
        Self { rates: Mutex::new(RATES.map(rate).into()), struck: Mutex::default() }
    }

    /// Nothing goes wrong from now on.
    pub fn clear(&self) {
        self.rates().clear();
    }

    fn rates(&self) -> MutexGuard<'_, BTreeMap<FaultKind, f64>> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn struck(&self) -> MutexGuard<'_, BTreeMap<FaultKind, u64>> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this goes wrong here and now.
    pub fn strikes(&self, kind: FaultKind) -> bool {
        let rate = self.rates().get(&kind).copied().unwrap_or(0.0);
        let strikes = here().happens(rate);
        if strikes {
            here().note(&kind);
            *self.struck().entry(kind).or_default() += 1;
        }
        strikes
    }

    /// How often each has struck.
    pub fn count(&self) -> BTreeMap<FaultKind, u64> {
        self.struck().clone()
    }

    /// How long something is under way.
    pub fn latency(&self, slow: FaultKind) -> Duration {
        let world = here();
        if self.strikes(slow) {
            return world.draw_time(Duration::from_millis(5)..Duration::from_millis(400));
        }
        world.draw_time(Duration::from_micros(20)..Duration::from_micros(600))
    }
}
