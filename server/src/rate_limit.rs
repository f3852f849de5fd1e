//! Rate limits: a bucket for each API key and for each client address.

use std::convert::Infallible;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;

use crate::problem::Rejection;
use crate::settings::Value;

/// The most buckets of one limit, which bounds its memory to some megabytes. A
/// bucket that is evicted starts full again.
const BUCKETS_MAX: usize = 65_536;

/// A rate: a number of requests for each second or minute, which may also come
/// at once. None for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate(Option<Quota>);

impl Value for Rate {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || "expected N/s or N/m, such as 20/s, or 0 for no limit".to_owned();
        if matches!(text, "" | "0") {
            return Ok(Self(None));
        }
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let quota = match unit {
            "s" => Quota::per_second,
            "m" => Quota::per_minute,
            _ => return Err(wrong()),
        };
        let number: u32 = number.parse().map_err(|_| wrong())?;
        Ok(Self(NonZeroU32::new(number).map(quota)))
    }
}

type Bucket<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Limits the requests of each client.
pub struct RateLimit<K, C: Clock = MonotonicClock> {
    /// The message of a rejection.
    why: &'static str,
    quota: Quota,
    clock: C,
    buckets: Cache<K, Arc<Bucket<C>>>,
}

impl<K: Eq + Hash + Clone> RateLimit<K> {
    /// Creates the limit with the process's clock; None if there is none.
    pub fn new(why: &'static str, rate: Rate) -> Option<Self> {
        Self::with_clock(why, rate, MonotonicClock, BUCKETS_MAX)
    }
}

impl<K: Eq + Hash + Clone, C: Clock + Clone> RateLimit<K, C> {
    fn with_clock(why: &'static str, rate: Rate, clock: C, buckets: usize) -> Option<Self> {
        let buckets = Cache::new(buckets);
        rate.0.map(|quota| Self { why, quota, clock, buckets })
    }

    /// Counts a request of this client.
    ///
    /// # Errors
    /// `rate_limited`, with the time until the next request may come.
    pub fn check(&self, client: &K) -> Result<(), Rejection> {
        let full = || {
            let bucket = Bucket::direct_with_clock(self.quota, self.clock.clone());
            Ok::<_, Infallible>(Arc::new(bucket))
        };
        let Ok(bucket) = self.buckets.get_or_insert_with(client, full);
        bucket.check().map_err(|until| {
            // A client that comes back at once would be counted again.
            let wait = until.wait_time_from(self.clock.now()).max(Duration::from_millis(1));
            Rejection::RateLimited(self.why, wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limit(rate: &str, buckets: usize) -> (RateLimit<u32, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rate = Rate::read(rate).unwrap();
        (RateLimit::with_clock("too many", rate, clock.clone(), buckets).unwrap(), clock)
    }

    fn seconds(limit: &RateLimit<u32, FakeRelativeClock>, client: u32) -> Option<u64> {
        limit.check(&client).err().map(|rejection| rejection.retry_after_seconds().unwrap())
    }

    #[test]
    fn rates_are_requests_for_each_second_or_minute() {
        for (text, quota) in [
            ("20/s", Quota::per_second(NonZeroU32::new(20).unwrap())),
            ("600/m", Quota::per_minute(NonZeroU32::new(600).unwrap())),
        ] {
            assert_eq!(Rate::read(text), Ok(Rate(Some(quota))), "{text}");
        }
        for off in ["", "0", "0/s", "0/m"] {
            assert_eq!(Rate::read(off), Ok(Rate(None)), "{off}");
        }
        for bad in ["20", "20/h", "/s", "+1/s", "-1/s", "1.5/s", "99999999999/s", "1/s/s", " 1/s"] {
            assert!(Rate::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_burst_of_the_rate_passes_then_one_request_at_a_time() {
        let (limit, clock) = limit("3/m", 10);
        for _ in 0..3 {
            assert_eq!(seconds(&limit, 1), None);
        }
        assert_eq!(seconds(&limit, 1), Some(20));
        // Another client has a bucket of its own.
        assert_eq!(seconds(&limit, 2), None);
        clock.advance(Duration::from_millis(19_500));
        // Rounded up: a client that waits for so long is served.
        assert_eq!(seconds(&limit, 1), Some(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!((seconds(&limit, 1), seconds(&limit, 1)), (None, Some(20)));
        clock.advance(Duration::from_secs(600));
        let served = (0..10).filter(|_| seconds(&limit, 1).is_none()).count();
        assert_eq!(served, 3, "time without requests saves up no more than the burst");
    }

    #[test]
    fn many_clients_cost_bounded_memory() {
        let (limit, _) = limit("1/m", 100);
        for client in 0..10_000 {
            assert_eq!(seconds(&limit, client), None);
        }
        assert!(limit.buckets.len() <= 100, "{}", limit.buckets.len());
        assert_eq!(seconds(&limit, 9_999), Some(60));
    }
}
