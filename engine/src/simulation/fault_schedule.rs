//! Schedules faults: draws their rates from the seed and counts injections.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::world::here;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FaultKind {
    /// A request or a response has a high latency.
    Slow,
    /// Its latency exceeds the caller's timeout.
    Silent,
    /// The connection breaks before the request arrives.
    LostRequest,
    /// The connection breaks before the response arrives.
    LostResponse,
    /// The connection breaks while the request is in flight; the request still
    /// arrives.
    LostInFlight,
    /// The previous three, at COMMIT.
    CommitLostRequest,
    CommitLostResponse,
    CommitLostInFlight,
    /// COMMIT fails with a certification conflict, as on a Galera cluster.
    CommitRefused,
    Deadlock,
    LockWait,
    /// The database rejects a statement with a permanent error.
    Refused,
    /// The database rejects the connection.
    NoConnection,
    /// The server detects a broken connection late and keeps its transaction
    /// open.
    HalfOpen,
    RedisDown,
    RedisResponseLost,
    RedisSlow,
    /// Redis loses a lock's owner.
    LockLost,
    /// Redis loses all keys, including its fencing tokens.
    RedisFlushed,
    /// A cache invalidation arrives late, and therefore out of order.
    InvalidationLate,
    /// A cache invalidation is lost, and the subscriber detects the gap.
    InvalidationLost,
    /// A process pauses while it holds its locks and connections.
    Paused,
    Killed,
    /// A caller cancels before the response arrives.
    CallerCancelled,
}

/// Each fault's base probability per opportunity, before [`FaultSchedule::drawn`]
/// scales it.
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

/// The fault schedule of one history.
pub(super) struct FaultSchedule {
    rates: Mutex<BTreeMap<FaultKind, f64>>,
    struck: Mutex<BTreeMap<FaultKind, u64>>,
}

impl FaultSchedule {
    /// Draws which faults are enabled, and their rates.
    pub fn drawn() -> Self {
        let force = here().pick(&[0.0, 0.5, 1.0, 1.0, 2.0]);
        let rate = |(kind, rate): (FaultKind, f64)| {
            let rate = rate * force * here().pick(&[0.0, 0.0, 1.0, 3.0]);
            (kind, rate.min(0.5))
        };
        Self { rates: Mutex::new(RATES.map(rate).into()), struck: Mutex::default() }
    }

    /// Disables all faults.
    pub fn clear(&self) {
        self.rates().clear();
    }

    fn rates(&self) -> MutexGuard<'_, BTreeMap<FaultKind, f64>> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn struck(&self) -> MutexGuard<'_, BTreeMap<FaultKind, u64>> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws whether to inject this fault now, and counts it if so.
    pub fn strikes(&self, kind: FaultKind) -> bool {
        let rate = self.rates().get(&kind).copied().unwrap_or(0.0);
        let strikes = here().happens(rate);
        if strikes {
            here().note(&kind);
            *self.struck().entry(kind).or_default() += 1;
        }
        strikes
    }

    /// Number of injections of each fault.
    pub fn count(&self) -> BTreeMap<FaultKind, u64> {
        self.struck().clone()
    }

    /// Draws the latency of one message.
    pub fn latency(&self, slow: FaultKind) -> Duration {
        let world = here();
        if self.strikes(slow) {
            return world.draw_time(Duration::from_millis(5)..Duration::from_millis(400));
        }
        world.draw_time(Duration::from_micros(20)..Duration::from_micros(600))
    }
}
