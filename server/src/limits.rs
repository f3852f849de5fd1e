//! How many of something may be there at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is there and refuses what would be too many.
#[derive(Debug, Clone)]
pub struct Limit {
    count: Arc<AtomicUsize>,
    max: usize,
}

/// A place within a [`Limit`], free again when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Limit {
    /// A limit of `max`.
    pub fn new(max: usize) -> Self {
        Self { count: Arc::default(), max }
    }

    /// Takes a place if one is free.
    pub fn enter(&self) -> Option<Place> {
        // Count first and look after: the number is never over the limit for
        // longer than this takes, and two that ask at once cannot both get the
        // last place.
        let place = Place(Arc::clone(&self.count));
        (place.0.fetch_add(1, Ordering::Relaxed) < self.max).then_some(place)
    }

    /// How many places are taken.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_beyond_the_limit_is_refused_until_one_is_free() {
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
