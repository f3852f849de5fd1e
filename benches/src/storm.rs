//! Holds that all expire at one moment.

use std::time::{Duration, Instant};

use stockade::AsyncEngine;

use crate::setup::{self, Shop};

/// Rows inserted per statement.
const CHUNK: u64 = 10_000;
/// Holds in one row, below the engine's maximum.
const HOLDS_PER_ROW: u64 = 250;
/// How often the engine's count of expired holds is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The timeout of a storm.
const TIMEOUT: Duration = Duration::from_secs(300);
/// A sweeper that gets no notification polls every five seconds.
const NOTICE: Duration = Duration::from_millis(5_500);

/// Holds of one unit each, spread evenly over a shop's products, as engines
/// would have left them; consecutive rows go to consecutive products.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// The number of holds.
    pub holds: u64,
    /// The number of products, from id 1 on.
    pub products: u64,
}

impl Storm {
    /// Inserts the rows, with ids from 1 on. They are due, but the products'
    /// due times do not say so yet, so no sweeper notices.
    ///
    /// # Panics
    /// Unless each product gets the same number of full rows.
    pub async fn gather(self, shop: &Shop) {
        let Self { holds, products } = self;
        let row = HOLDS_PER_ROW.min(holds / products);
        assert_eq!(holds % (row * products), 0, "each product has full rows");
        let rows = holds / row;
        let mut first = 0;
        while first < rows {
            let last = rows.min(first + CHUNK) - 1;
            let rows = format!(
                "INSERT INTO stockade_hold_batches \
                 (first_id, product_id, count, active, detached, converted, released, expired, \
                 active_units, expires_at, created_at, due, version, seed, quantities, statuses) \
                 SELECT 1 + seq * {row}, 1 + seq % {products}, {row}, {row}, 0, 0, 0, 0, \
                 {row}, 1000000, 0, 1000000, 1, UNHEX(MD5(seq)), \
                 REPEAT(x'01', {row}), REPEAT(x'00', {row}) FROM seq_{first}_to_{last}"
            );
            setup::run(&shop.url, &rows).await;
            first = last + 1;
        }
        let each = holds / products;
        let more = format!("held = held + {each}, received = received + {each}");
        let next = holds + 1;
        let sql = format!(
            "UPDATE stockade_products SET {more}, version = version + 1; \
             UPDATE stockade_sequences SET next = {next} WHERE name = 'hold'"
        );
        setup::run(&shop.url, &sql).await;
    }

    /// Sets the products' due times to one moment and returns it. It is far
    /// enough ahead that every sweeper learns of it in time.
    pub async fn announce(self, shop: &Shop) -> Instant {
        let micros = NOTICE.as_micros();
        let at = Instant::now() + NOTICE;
        let sql = format!(
            "UPDATE stockade_products SET version = version + 1, \
             next_due = CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) + {micros}"
        );
        setup::run(&shop.url, &sql).await;
        at
    }

    /// Waits until an engine has expired all holds, and returns when.
    ///
    /// # Panics
    /// When it times out.
    pub async fn passes(self, engine: &AsyncEngine) -> Instant {
        let since = Instant::now();
        while taken_back(engine) < self.holds {
            assert!(since.elapsed() < TIMEOUT, "only {} are back", taken_back(engine));
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Instant::now()
    }
}

/// Returns the engine's count of expired holds.
fn taken_back(engine: &AsyncEngine) -> u64 {
    let text = engine.metrics_text();
    let count = text.lines().find_map(|line| line.strip_prefix("stockade_holds_expired_total "));
    count.and_then(|count| count.trim().parse().ok()).expect("a count of expired holds")
}
