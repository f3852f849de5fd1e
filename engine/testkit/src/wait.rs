//! Waits for a condition with a time limit.

use std::thread::sleep;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` holds, asking every few milliseconds.
///
/// # Panics
///
/// Panics with `what` when the condition does not hold within `bound`.
#[track_caller]
pub fn wait_until(what: &str, bound: Duration, condition: impl FnMut() -> bool) {
    if !holds_within(bound, condition) {
        panic!("waited {bound:?} in vain until {what}");
    }
}

/// Returns whether `condition` held within `bound`. It is checked at least once,
/// and once more at the bound, so a slow machine does not fail a condition that
/// already holds.
pub(crate) fn holds_within(bound: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        let last = started.elapsed() >= bound;
        if condition() {
            return true;
        }
        if last {
            return false;
        }
        sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::{holds_within, wait_until};
    use std::panic::catch_unwind;
    use std::time::{Duration, Instant};

    #[test]
    fn wait_returns_when_condition_holds() {
        let started = Instant::now();
        let mut asked = 0;
        wait_until("asked three times", Duration::from_secs(60), || {
            asked += 1;
            asked == 3
        });
        assert_eq!(asked, 3);
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn wait_panics_with_description_at_timeout() {
        let caught = catch_unwind(|| {
            wait_until("pigs fly", Duration::from_millis(20), || false);
        });
        let message = caught.err().and_then(|cause| cause.downcast::<String>().ok());
        assert!(message.is_some_and(|text| text.contains("pigs fly")));
    }

    #[test]
    fn condition_is_checked_even_with_zero_bound() {
        assert!(holds_within(Duration::ZERO, || true));
        assert!(!holds_within(Duration::ZERO, || false));
    }
}
