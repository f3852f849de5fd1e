//! Derives a plan from a seed: products with little stock and concurrent callers.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Microseconds in a millisecond.
pub const MS: i64 = 1_000;

/// The price of every product, in minor units.
pub const PRICE: i64 = 1_999;

/// TTLs of holds and orders, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Ttls {
    pub hold_ttl_shortest: i64,
    pub hold_ttl_longest: i64,
    pub hold_ttl_max: i64,
    pub payment_ttl: i64,
    /// The longest single advance of time.
    pub pass: i64,
}

impl Ttls {
    /// For the manual clock.
    pub const STEPPED: Self = Self {
        hold_ttl_shortest: MS,
        hold_ttl_longest: 40 * MS,
        hold_ttl_max: 50 * MS,
        payment_ttl: 50 * MS,
        pass: 15 * MS,
    };
    /// For real time.
    pub const REAL: Self = Self {
        hold_ttl_shortest: 2 * MS,
        hold_ttl_longest: 120 * MS,
        hold_ttl_max: 150 * MS,
        payment_ttl: 100 * MS,
        pass: 4 * MS,
    };
}

/// The plan of one seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub seed: u64,
    /// The initial stock of each product.
    pub stocks: Vec<u64>,
    pub callers: u32,
    pub steps: u32,
    pub ttls: Ttls,
}

impl Plan {
    pub fn new(seed: u64, ttls: Ttls) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let products = rng.random_range(1..=3);
        Self {
            seed,
            stocks: (0..products).map(|_| rng.random_range(1..=7)).collect(),
            callers: rng.random_range(3..=6),
            steps: rng.random_range(10..=18),
            ttls,
        }
    }

    /// Returns one caller's random generator.
    pub fn rng(&self, caller: u32) -> StdRng {
        // An odd multiplier keeps the callers' seeds apart.
        let caller = u64::from(caller) + 1;
        StdRng::seed_from_u64(self.seed.wrapping_add(caller.wrapping_mul(0xd1b5_4a32_d192_ed03)))
    }
}
