//! What goes wrong, how often, and what did.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::world::here;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ill {
    /// A request or an answer is long under way.
    Slow,
    /// It is under way for longer than it is waited for.
    Silent,
    /// The connection breaks before the request arrives.
    LostRequest,
    /// It breaks before the answer arrives.
    LostAnswer,
    /// It breaks while the request is under way, which arrives all the same.
    LostUnderWay,
    /// The last three, at COMMIT.
    CommitLostRequest,
    CommitLostAnswer,
    CommitLostUnderWay,
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
    RedisAnswerLost,
    RedisSlow,
    /// Redis forgets who has the lock.
    LockLost,
    /// Redis forgets everything, its fences included.
    RedisFlushed,
    /// Word of another process's write comes late, and so out of order.
    NoticeLate,
    /// It does not come, and that is noticed.
    NoticeLost,
    /// A process stands still, with all that it holds.
    Paused,
    Killed,
    /// A caller does not wait for its answer.
    CallerGone,
}

/// Every fault, with how often it strikes where it does.
const RATES: [(Ill, f64); 24] = [
    (Ill::Slow, 0.05),
    (Ill::Silent, 0.003),
    (Ill::LostRequest, 0.01),
    (Ill::LostAnswer, 0.01),
    (Ill::LostUnderWay, 0.01),
    (Ill::CommitLostRequest, 0.03),
    (Ill::CommitLostAnswer, 0.03),
    (Ill::CommitLostUnderWay, 0.03),
    (Ill::CommitRefused, 0.02),
    (Ill::Deadlock, 0.01),
    (Ill::LockWait, 0.01),
    (Ill::Refused, 0.01),
    (Ill::NoConnection, 0.02),
    (Ill::HalfOpen, 0.2),
    (Ill::RedisDown, 0.1),
    (Ill::RedisAnswerLost, 0.05),
    (Ill::RedisSlow, 0.1),
    (Ill::LockLost, 0.05),
    (Ill::RedisFlushed, 0.02),
    (Ill::NoticeLate, 0.3),
    (Ill::NoticeLost, 0.1),
    (Ill::Paused, 0.3),
    (Ill::Killed, 0.1),
    (Ill::CallerGone, 0.03),
];

/// The faults of one history.
pub(super) struct Weather {
    rates: Mutex<BTreeMap<Ill, f64>>,
    struck: Mutex<BTreeMap<Ill, u64>>,
}

impl Weather {
    /// Draws which faults there are, and how many.
    pub fn drawn() -> Self {
        let force = here().pick(&[0.0, 0.5, 1.0, 1.0, 2.0]);
        let rate = |(ill, rate): (Ill, f64)| {
            let rate = rate * force * here().pick(&[0.0, 0.0, 1.0, 3.0]);
            (ill, rate.min(0.5))
        };
        Self { rates: Mutex::new(RATES.map(rate).into()), struck: Mutex::default() }
    }

    /// Nothing goes wrong from now on.
    pub fn clear_up(&self) {
        self.rates().clear();
    }

    fn rates(&self) -> MutexGuard<'_, BTreeMap<Ill, f64>> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn struck(&self) -> MutexGuard<'_, BTreeMap<Ill, u64>> {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this goes wrong here and now.
    pub fn strikes(&self, ill: Ill) -> bool {
        let rate = self.rates().get(&ill).copied().unwrap_or(0.0);
        let strikes = here().happens(rate);
        if strikes {
            here().note(&ill);
            *self.struck().entry(ill).or_default() += 1;
        }
        strikes
    }

    /// How often each has struck.
    pub fn count(&self) -> BTreeMap<Ill, u64> {
        self.struck().clone()
    }

    /// How long something is under way.
    pub fn under_way(&self, slow: Ill) -> Duration {
        let world = here();
        if self.strikes(slow) {
            return world.draw_time(Duration::from_millis(5)..Duration::from_millis(400));
        }
        world.draw_time(Duration::from_micros(20)..Duration::from_micros(600))
    }
}
