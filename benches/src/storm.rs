//! Holds that all fall due at one moment.

use std::time::{Duration, Instant};

use stockade::AsyncEngine;

use crate::setup::{self, Shop};

/// Holds inserted by one statement.
const CHUNK: u64 = 100_000;
/// How often the engine is asked how many holds it has taken back.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A storm that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(300);
/// A sweeper that nobody tells of new holds looks every five seconds.
const NOTICE: Duration = Duration::from_millis(5_500);

/// Holds of one unit each, spread evenly over a shop's products, as engines
/// would have left them; each product has the next id's hold.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// How many holds there are.
    pub holds: u64,
    /// Over how many products, from 1 on.
    pub products: u64,
}

impl Storm {
    /// Writes the rows, with ids from 1 on. Their time is over, but products
    /// do not say so yet, so that nobody takes notice.
    pub async fn gather(self, shop: &Shop) {
        let Self { holds, products } = self;
        let mut first = 1;
        while first <= holds {
            let last = holds.min(first + CHUNK - 1);
            let rows = format!(
                "INSERT INTO stockade_holds \
                 (id, product_id, qty, status, expires_at, created_at, token) \
                 SELECT seq, 1 + seq % {products}, 1, 0, 1000000, 0, UNHEX(MD5(seq)) \
                 FROM seq_{first}_to_{last}"
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

    /// Lets products say that all is due at a moment, and returns that. It is
    /// far enough off that every sweeper knows of it before.
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

    /// Waits until an engine has taken all back, and returns when it was done.
    ///
    /// # Panics
    /// When that takes minutes.
    pub async fn passes(self, engine: &AsyncEngine) -> Instant {
        let since = Instant::now();
        while taken_back(engine) < self.holds {
            assert!(since.elapsed() < PATIENCE, "only {} are back", taken_back(engine));
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Instant::now()
    }
}

/// Holds whose time ran out, as the engine counts them.
fn taken_back(engine: &AsyncEngine) -> u64 {
    let text = engine.metrics_text();
    let count = text.lines().find_map(|line| line.strip_prefix("stockade_holds_expired_total "));
    count.and_then(|count| count.trim().parse().ok()).expect("a count of expired holds")
}
