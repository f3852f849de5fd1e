//! What a seed stands for: products with little stock, and callers who do not
//! wait for each other.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Microseconds in a millisecond.
pub const MS: i64 = 1_000;

/// How long things live, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Ttls {
    pub hold_ttl_shortest: i64,
    pub hold_ttl_longest: i64,
    pub hold_ttl_max: i64,
    pub payment_ttl: i64,
    /// How much time passes at once, at most.
    pub pass: i64,
}

impl Ttls {
    /// Where callers move the time.
    pub const STEPPED: Self = Self {
        hold_ttl_shortest: MS,
        hold_ttl_longest: 40 * MS,
        hold_ttl_max: 50 * MS,
        payment_ttl: 50 * MS,
        pass: 15 * MS,
    };
    /// Where it passes by itself.
    pub const REAL: Self = Self {
        hold_ttl_shortest: 2 * MS,
        hold_ttl_longest: 120 * MS,
        hold_ttl_max: 150 * MS,
        payment_ttl: 100 * MS,
        pass: 4 * MS,
    };
}

/// What a seed stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub seed: u64,
    /// Stock of each product.
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

    /// The dice of one caller.
    pub fn rng(&self, caller: u32) -> StdRng {
        // Far apart, so that no two callers throw the same numbers.
        let caller = u64::from(caller) + 1;
        StdRng::seed_from_u64(self.seed.wrapping_add(caller.wrapping_mul(0xd1b5_4a32_d192_ed03)))
    }
}
