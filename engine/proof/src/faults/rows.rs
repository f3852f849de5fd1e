//! Rows that others keep: deadlocks, waits that run out, and a pool without a
//! free connection.

use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::IndexedRandom;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use stockade::Engine;
use stockade_testkit::Flavour;
use tokio::runtime::{Builder, Runtime};

use super::check::check;
use super::found::Found;
use super::load::{Crowd, Load, dice, stock_up, under_load};
use super::place::Place;

const SHOPPERS: u64 = 16;
const DEADLOCKS_TRIED: u64 = 30;
const WAITS: u64 = 2;
/// Longer than `lock_wait`, which is a second here.
const KEPT: Duration = Duration::from_millis(1_300);

/// Someone else in the same database, with a transaction kept open.
struct Outsider {
    runtime: Runtime,
    connection: MySqlConnection,
}

impl Outsider {
    fn new(place: &Place) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(MySqlConnection::connect(&place.url));
        Self { runtime, connection: connection.expect("connects") }
    }

    /// Runs statements; says no if the database refused.
    fn run(&mut self, sql: &str) -> bool {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(sql.execute(&mut self.connection)).is_ok()
    }

    /// Begins a transaction with so much to undo that a deadlock is never
    /// resolved at its cost.
    fn begin_heavy(&mut self) {
        self.run("CREATE TABLE IF NOT EXISTS outsider (id INT)");
        let rows: Vec<String> = (0..200).map(|id| format!("({id})")).collect();
        self.run(&format!("START TRANSACTION; INSERT INTO outsider VALUES {}", rows.join(",")));
    }

    fn lock(&mut self, product: u64) -> bool {
        self.run(&format!("SELECT id FROM stockade_products WHERE id = {product} FOR UPDATE"))
    }
}

/// A counter of the engine's.
fn metric(engine: &Engine, name: &str) -> u64 {
    let text = engine.metrics_text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap_or_default())
}

fn disturb(
    seed: u64,
    place: &Place,
    counter: Option<&str>,
    script: impl FnOnce(&[u64], &Load, &mut Found),
) -> Found {
    let engines = [place.open(), place.open()];
    let products = stock_up(&engines[0]);
    let mut found = Found::default();
    let mut journal = under_load(&engines, &products, Crowd::new(seed, SHOPPERS), |load| {
        load.wait_for(SHOPPERS);
        script(&products, load, &mut found);
        let free = Instant::now();
        load.wait_for(SHOPPERS);
        found.recovered(free.elapsed());
    });
    if let Some(counter) = counter {
        found.injected += engines.iter().map(|engine| metric(engine, counter)).sum::<u64>();
    }
    check(&engines[0], &mut journal, false, &mut found);
    found
}

/// Deadlocks (1213), by an outsider that takes two products in the other order
/// than carts do, and always wins.
pub fn deadlocks(database: Flavour, seed: u64) -> Found {
    let place = Place::on(database);
    let counter = Some("stockade_retries_total{cause=\"deadlock\"}");
    disturb(seed, &place, counter, |products, _, _| {
        let mut outsider = Outsider::new(&place);
        let mut dice = dice(seed, 9_999);
        for _ in 0..DEADLOCKS_TRIED {
            outsider.begin_heavy();
            outsider.lock(products[1]);
            // A cart comes, takes the first and waits for the second.
            thread::sleep(Duration::from_millis(dice.random_range(5..40)));
            outsider.lock(products[0]);
            outsider.run("ROLLBACK");
        }
    })
}

/// Row locks that are not had in time (1205).
pub fn lock_waits(database: Flavour, seed: u64) -> Found {
    let place = Place::on(database);
    let counter = Some("stockade_retries_total{cause=\"lock_wait\"}");
    disturb(seed, &place, counter, |products, _, _| {
        let mut outsiders: Vec<Outsider> = products.iter().map(|_| Outsider::new(&place)).collect();
        for _ in 0..WAITS {
            for (outsider, product) in outsiders.iter_mut().zip(products) {
                outsider.run("START TRANSACTION");
                outsider.lock(*product);
            }
            thread::sleep(KEPT);
            for outsider in &mut outsiders {
                outsider.run("ROLLBACK");
            }
        }
    })
}

/// The engine's only connection stuck behind a locked row for longer than
/// others wait for one.
pub fn pool_exhausted(database: Flavour, seed: u64) -> Found {
    let place = Place::on(database).set("connections", "1");
    disturb(seed, &place, None, |products, load, found| {
        let mut outsider = Outsider::new(&place);
        let mut dice = dice(seed, 9_999);
        for _ in 0..WAITS {
            outsider.run("START TRANSACTION");
            outsider.lock(*products.choose(&mut dice).expect("one"));
            thread::sleep(KEPT * 2);
            outsider.run("ROLLBACK");
            found.injected += 1;
            load.wait_for(SHOPPERS);
        }
    })
}
