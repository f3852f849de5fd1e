//! Runs rounds on Redis behind Sentinel, with one MariaDB server.

use std::thread;
use std::time::{Duration, Instant};

use stockade::Engine;
use stockade_testkit::{MariaDb, Redis, Sentinel, SqlServer, wait_until};

use super::load::{buy_while, stock_up};
use super::verdict::{StoreDump, judge};
use crate::Extent;
use crate::results::Row;

const DEPLOYMENT: &str = "MariaDB, Redis by Sentinel";
const LOAD_AROUND_FAULT: Duration = Duration::from_millis(1_000);
const FOUND_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn run(extent: Extent) -> Vec<Row> {
    let (mariadb, sentinel) = (MariaDb::start(), Sentinel::start());
    let mut rows = Vec::new();
    for seed in (extent.seed..).take(usize::try_from(extent.seeds(1, 6)).unwrap_or(usize::MAX)) {
        super::add(&mut rows, round(&mariadb, &sentinel, seed, false));
        if extent.is_long {
            super::add(&mut rows, round(&mariadb, &sentinel, seed, true));
        }
    }
    rows
}

fn round(mariadb: &SqlServer, sentinel: &Sentinel, seed: u64, is_stopped: bool) -> Row {
    let url = mariadb.fresh_database();
    let (_, database) = url.rsplit_once('/').expect("a database");
    let open = |_| {
        let builder = Engine::builder().store(&url).redis(&sentinel.url());
        let builder = builder.hold_ttl(Duration::from_secs(600));
        builder.set("redis_prefix", database).expect("a setting").open().expect("an engine")
    };
    let engines: Vec<Engine> = (0..2).map(open).collect();
    let products = stock_up(&engines[0]);
    let mut found_after = Duration::ZERO;
    let journal = buy_while(&engines, &products, seed, || {
        thread::sleep(LOAD_AROUND_FAULT);
        let old = sentinel.master();
        let since = Instant::now();
        if is_stopped {
            old.pause();
        } else {
            old.kill();
        }
        let new = sentinel.wait_for_failover(old);
        // Both connections have recovered: commands and pub/sub messages.
        wait_until("all engines use the new master", FOUND_WITHIN, || {
            engines.iter().all(is_linked) && ears(new, database) == engines.len()
        });
        found_after = since.elapsed();
        thread::sleep(LOAD_AROUND_FAULT);
        if is_stopped {
            old.resume();
        } else {
            old.restart();
        }
        sentinel.wait_for_replicas();
    });
    let fault = if is_stopped { "Redis master stopped" } else { "Redis master killed" };
    let mut row = Row {
        fault: fault.to_owned(),
        deployment: DEPLOYMENT.to_owned(),
        injected: 1,
        ..Row::default()
    };
    engines[0].sweep().expect("a sweep");
    let dump = StoreDump::read(database, |sql| mariadb.query(sql));
    judge(&mut row, &dump, &journal, &products, &engines[0]);
    let longest = journal.gap;
    row.recovery = Some(found_after);
    if row.note.is_empty() {
        row.note = format!("back at the new master; without a sale {longest:.1?} at most");
    }
    engines.iter().for_each(|engine| engine.close().expect("a close"));
    row
}

fn is_linked(engine: &Engine) -> bool {
    engine.metrics_text().lines().any(|line| line == "stockade_degraded 0")
}

/// Returns the number of engines subscribed to lock wake-ups at this server.
fn ears(redis: &Redis, prefix: &str) -> usize {
    redis.command(&["PUBSUB", "CHANNELS", &format!("{prefix}:*:wake:*")]).lines().count()
}
