//! Tests row lock contention: deadlocks, lock wait timeouts, and an exhausted
//! connection pool.

use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::IndexedRandom;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use stockade::Engine;
use stockade_testkit::Flavour;
use stockade_testkit::load::Load;
use tokio::runtime::{Builder, Runtime};

use super::check::check;
use super::deployment::Deployment;
use super::findings::Findings;
use super::load::{Crowd, rng, stock_up, under_load};

const SHOPPERS: u64 = 16;
const DEADLOCKS_TRIED: u64 = 30;
const WAITS: u64 = 2;
/// Longer than `lock_wait`, which is one second here.
const KEPT: Duration = Duration::from_millis(1_300);

/// A separate connection to the same database that keeps a transaction open.
struct SideConnection {
    runtime: Runtime,
    connection: MySqlConnection,
}

impl SideConnection {
    fn new(deployment: &Deployment) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(MySqlConnection::connect(&deployment.url));
        Self { runtime, connection: connection.expect("connects") }
    }

    /// Runs statements; returns false on a database error.
    fn run(&mut self, sql: &str) -> bool {
        let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(sql.execute(&mut self.connection)).is_ok()
    }

    /// Begins a transaction with a large undo log, so that the database never
    /// picks it as the deadlock victim.
    fn begin_heavy(&mut self) {
        self.run("CREATE TABLE IF NOT EXISTS outsider (id INT)");
        let rows: Vec<String> = (0..200).map(|id| format!("({id})")).collect();
        self.run(&format!("START TRANSACTION; INSERT INTO outsider VALUES {}", rows.join(",")));
    }

    fn lock(&mut self, product: u64) -> bool {
        self.run(&format!("SELECT id FROM stockade_products WHERE id = {product} FOR UPDATE"))
    }
}

/// Reads one of the engine's counters.
fn metric(engine: &Engine, name: &str) -> u64 {
    let text = engine.metrics_text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap_or_default())
}

fn disturb(
    seed: u64,
    deployment: &Deployment,
    counter: Option<&str>,
    script: impl FnOnce(&[u64], &Load, &mut Findings),
) -> Findings {
    let engines = [deployment.open(), deployment.open()];
    let products = stock_up(&engines[0]);
    let mut findings = Findings::default();
    let mut journal = under_load(&engines, &products, Crowd::new(seed, SHOPPERS), |load| {
        load.wait_for(SHOPPERS);
        script(&products, load, &mut findings);
        let free = Instant::now();
        load.wait_for(SHOPPERS);
        findings.recovered(free.elapsed());
    });
    if let Some(counter) = counter {
        findings.injected += engines.iter().map(|engine| metric(engine, counter)).sum::<u64>();
    }
    check(&engines[0], &mut journal, false, &mut findings);
    findings
}

/// Forces deadlocks (1213): a side connection locks two products in the reverse
/// of the carts' order and always wins.
pub fn deadlocks(database: Flavour, seed: u64) -> Findings {
    let deployment = Deployment::on(database);
    let counter = Some("stockade_retries_total{cause=\"deadlock\"}");
    disturb(seed, &deployment, counter, |products, _, _| {
        let mut outsider = SideConnection::new(&deployment);
        let mut rng = rng(seed, 9_999);
        for _ in 0..DEADLOCKS_TRIED {
            outsider.begin_heavy();
            outsider.lock(products[1]);
            // A cart locks the first product and waits for the second.
            thread::sleep(Duration::from_millis(rng.random_range(5..40)));
            outsider.lock(products[0]);
            outsider.run("ROLLBACK");
        }
    })
}

/// Forces lock wait timeouts (1205).
pub fn lock_waits(database: Flavour, seed: u64) -> Findings {
    let deployment = Deployment::on(database);
    let counter = Some("stockade_retries_total{cause=\"lock_wait\"}");
    disturb(seed, &deployment, counter, |products, _, _| {
        let mut outsiders: Vec<SideConnection> =
            products.iter().map(|_| SideConnection::new(&deployment)).collect();
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

/// Blocks the engine's only connection behind a locked row for longer than the
/// pool's timeout.
pub fn pool_exhausted(database: Flavour, seed: u64) -> Findings {
    let deployment = Deployment::on(database).set("connections", "1");
    disturb(seed, &deployment, None, |products, load, findings| {
        let mut outsider = SideConnection::new(&deployment);
        let mut rng = rng(seed, 9_999);
        for _ in 0..WAITS {
            outsider.run("START TRANSACTION");
            outsider.lock(*products.choose(&mut rng).expect("one"));
            thread::sleep(KEPT * 2);
            outsider.run("ROLLBACK");
            findings.injected += 1;
            load.wait_for(SHOPPERS);
        }
    })
}
