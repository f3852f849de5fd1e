//! Entries that expire: those of the current generation, and those of the previous one.

use std::time::{Duration, Instant};

use crate::runtime;

/// The most entries of one generation. The two generations of all tables take about
/// 20 MB.
const ENTRIES_MAX: usize = 1 << 16;
/// How long a generation is filled: an entry expires within twice that.
pub(super) const TTL: Duration = Duration::from_secs(60);

/// Two generations of a map.
pub(super) struct Generations<Map> {
    /// Since when the current generation is filled.
    pub since: Instant,
    pub current: Map,
    pub previous: Map,
}

impl<Map: Default> Generations<Map> {
    pub fn new() -> Self {
        Self { since: runtime::now(), current: Map::default(), previous: Map::default() }
    }

    /// Starts a new generation when the current one is over, and drops the previous.
    pub fn rotate(&mut self) {
        let age = runtime::elapsed(self.since);
        if age >= TTL {
            self.start();
            if age >= 2 * TTL {
                self.previous = Map::default();
            }
        }
    }

    /// Starts a new generation when the current one is over, or full with so many entries.
    pub fn make_room(&mut self, entries: fn(&Map) -> usize) {
        self.rotate();
        if entries(&self.current) >= ENTRIES_MAX {
            self.start();
        }
    }

    fn start(&mut self) {
        self.previous = std::mem::take(&mut self.current);
        self.since = runtime::now();
    }
}
