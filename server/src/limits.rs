//! Concurrency limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A non-blocking counting semaphore: it rejects above the maximum instead of
/// queueing.
#[derive(Debug, Clone)]
pub struct Limit {
    count: Arc<AtomicUsize>,
    max: usize,
}

/// A permit of a [`Limit`], released on drop.
#[derive(Debug)]
pub struct Permit(Arc<AtomicUsize>);

impl Limit {
    /// Creates a limit of `max` permits.
    pub fn new(max: usize) -> Self {
        Self { count: Arc::default(), max }
    }

    /// Takes a permit if one is free.
    pub fn enter(&self) -> Option<Permit> {
        // Increment first, check afterwards: the count exceeds the maximum only
        // for this moment, and two concurrent callers cannot both get the last
        // permit.
        let permit = Permit(Arc::clone(&self.count));
        (permit.0.fetch_add(1, Ordering::Relaxed) < self.max).then_some(permit)
    }

    /// Returns the number of permits taken.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_rejects_until_a_permit_is_released() {
        let limit = Limit::new(2);
        let first = limit.enter();
        let second = limit.enter();
        assert!(first.is_some() && second.is_some());
        assert!(limit.enter().is_none());
        assert_eq!(limit.count(), 2);
        drop(first);
        assert!(limit.enter().is_some());
        assert_eq!(limit.count(), 1);
    }
}
