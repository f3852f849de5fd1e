//! Real faults under load, with real servers.
//!
//! Each fault is a function of a seed: it makes a store of its own, lets
//! shoppers buy, does harm meanwhile, and compares what they were told with
//! what is left. `STOCKADE_PROOF_FAULT` picks faults by the beginning of their
//! names.

mod check;
mod child;
mod clocks;
mod cuts;
mod disk;
mod found;
mod journal;
mod kills;
mod load;
mod locks;
mod place;
mod power;
mod rows;
mod servers;
mod virtual_disk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

pub use child::run_if_told;

use crate::Extent;
use crate::outcome::Row;
use found::Found;

/// Picks faults by the beginning of their names.
pub const ENV_FAULT: &str = "STOCKADE_PROOF_FAULT";

/// A fault: what is done, on what, and how often.
pub struct Fault {
    /// The name by which it is picked.
    pub name: &'static str,
    what: &'static str,
    place: &'static str,
    /// Cases in the short form and in the long form.
    cases: (u64, u64),
    /// How many of them at once: more than one where a case waits rather than
    /// works.
    at_once: usize,
    run: fn(u64) -> Found,
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "cut-at-commit",
        what: "connection reset during COMMIT",
        place: "MariaDB, Redis in every other case",
        cases: (2, 110),
        at_once: 2,
        run: cuts::at_commit,
    },
    Fault {
        name: "cut-elsewhere",
        what: "connection reset elsewhere in a transaction",
        place: "MariaDB, Redis in every other case",
        cases: (1, 40),
        at_once: 2,
        run: cuts::elsewhere,
    },
    Fault {
        name: "kill-mariadb",
        what: "engine killed at each failpoint",
        place: "MariaDB and Redis",
        cases: (2, 50),
        at_once: 4,
        run: kills::on_mariadb,
    },
    Fault {
        name: "kill-sqlite",
        what: "engine killed at each failpoint",
        place: "SQLite",
        cases: (1, 40),
        at_once: 2,
        run: kills::on_sqlite,
    },
    Fault {
        name: "stop-engine",
        what: "engine stopped in mid-transaction past its lock's life",
        place: "MariaDB and Redis",
        cases: (1, 16),
        at_once: 4,
        run: kills::stopped,
    },
    Fault {
        name: "lock-outlived",
        what: "engine stopped past its lock's life, and the lock another's by then",
        place: "MariaDB and Redis",
        cases: (2, 10),
        at_once: 2,
        run: locks::outlived,
    },
    Fault {
        name: "mariadb-killed",
        what: "MariaDB killed and restarted",
        place: "MariaDB",
        cases: (1, 30),
        at_once: 2,
        run: servers::mariadb_killed,
    },
    Fault {
        name: "redis-killed",
        what: "Redis killed and restarted",
        place: "MariaDB and Redis",
        cases: (1, 30),
        at_once: 2,
        run: servers::redis_killed,
    },
    Fault {
        name: "redis-stopped",
        what: "Redis stopped past the lock's life",
        place: "MariaDB and Redis",
        cases: (1, 20),
        at_once: 4,
        run: servers::redis_stopped,
    },
    Fault {
        name: "redis-flushed",
        what: "Redis emptied",
        place: "MariaDB and Redis",
        cases: (1, 60),
        at_once: 2,
        run: servers::redis_flushed,
    },
    Fault {
        name: "redis-evicting",
        what: "Redis evicting keys",
        place: "MariaDB and Redis",
        cases: (1, 30),
        at_once: 2,
        run: servers::redis_evicting,
    },
    Fault {
        name: "deadlock",
        what: "deadlock forced (1213)",
        place: "MariaDB",
        cases: (1, 40),
        at_once: 2,
        run: rows::deadlocks,
    },
    Fault {
        name: "lock-wait",
        what: "row lock not had in time (1205)",
        place: "MariaDB",
        cases: (1, 30),
        at_once: 4,
        run: rows::lock_waits,
    },
    Fault {
        name: "pool-exhausted",
        what: "pool of one connection, and that one stuck",
        place: "MariaDB",
        cases: (1, 12),
        at_once: 4,
        run: rows::pool_exhausted,
    },
    Fault {
        name: "clocks-apart",
        what: "clocks ten minutes apart, one of them set back and forth",
        place: "MariaDB and SQLite in turn",
        cases: (2, 100),
        at_once: 2,
        run: clocks::apart,
    },
    Fault {
        name: "disk-full",
        what: "disk full (a small tmpfs)",
        place: "SQLite",
        cases: (1, 60),
        at_once: 2,
        run: disk::full,
    },
    Fault {
        name: "write-fails",
        what: "writes that fail half way (a limit to the file's size)",
        place: "SQLite",
        cases: (1, 20),
        at_once: 2,
        run: disk::write_fails,
    },
    Fault {
        name: "disk-errors",
        what: "disk errors (EIO) on write, sync and read",
        place: "SQLite",
        cases: (1, 60),
        at_once: 2,
        run: disk::errors,
    },
    Fault {
        name: "power-cut",
        what: "power cut: what was not synced gone, torn or rubbish",
        place: "SQLite",
        cases: (1, 40),
        at_once: 2,
        run: power::cut,
    },
];

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let wanted = std::env::var(ENV_FAULT).unwrap_or_default();
    let wanted = FAULTS.iter().filter(|fault| fault.name.starts_with(&wanted));
    extent.run_each(wanted, |fault| fault.try_all(extent))
}

impl Fault {
    /// Runs every case of it and prints what came of them.
    #[must_use]
    pub fn try_all(&self, extent: Extent) -> Row {
        let since = Instant::now();
        let (short, long) = self.cases;
        let seeds = Mutex::new((extent.seed..).take(extent.seeds(short, long) as usize));
        let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
        let all = Mutex::new((Found::default(), 0));
        thread::scope(|scope| {
            for _ in 0..self.at_once {
                scope.spawn(|| {
                    while let Some(seed) = next() {
                        let found = self.try_one(seed);
                        self.tell(seed, &found);
                        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                        all.0.absorb(found);
                        all.1 += 1;
                        if extent.until_broken && !all.0.is_clean() {
                            break;
                        }
                    }
                });
            }
        });
        let (all, tried) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        let row = Row { seeds: tried, ..all.row(self.what, self.place) };
        let Row { injected, operations, note, .. } = &row;
        let recovery = row.recovery.map_or_else(|| "-".to_owned(), |took| format!("{took:.2?}"));
        println!(
            "{}: {injected} injected, {operations} operations, oversold {}, leaked {}, lost {}, \
             doubled {}, unexplained {}, recovery {recovery}, {:.0?} in all; {note}",
            self.name,
            row.oversold,
            row.leaked,
            row.lost,
            row.doubled,
            row.unexplained,
            since.elapsed()
        );
        row
    }

    /// Tells of a case in which something is wrong.
    fn tell(&self, seed: u64, found: &Found) {
        if !found.is_clean() {
            eprintln!("{}, seed {seed}:", self.name);
            found.told.iter().for_each(|told| eprintln!("  {told}"));
            eprintln!(
                "again: {ENV_FAULT}={} stockade-proof faults --seed {seed} --seeds 1",
                self.name
            );
        }
    }

    fn try_one(&self, seed: u64) -> Found {
        catch_unwind(AssertUnwindSafe(|| (self.run)(seed))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let mut found = Found::default();
            found.cut_short(text.unwrap_or_default());
            found
        })
    }
}
