//! Injects real faults into real servers under load.
//!
//! Each fault is a function of a seed: it creates its own store, runs shoppers,
//! injects the fault meanwhile, and compares their responses with the final data.
//! `STOCKADE_PROOF_FAULT` selects faults by name prefix.

mod check;
mod child;
mod clocks;
mod cuts;
mod deployment;
mod disk;
mod findings;
mod journal;
mod kills;
mod load;
mod locks;
mod power;
mod rows;
mod servers;
mod virtual_disk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

pub use child::run_child_if_requested;

use stockade_testkit::Flavour;

use crate::Extent;
use crate::results::Row;
use findings::Findings;

/// Selects faults by name prefix.
pub const ENV_FAULT: &str = "STOCKADE_PROOF_FAULT";

/// A fault: what it injects, on which stores, and how often.
struct Fault {
    name: &'static str,
    what: &'static str,
    /// Cases per store in the short and in the long form.
    cases: (u64, u64),
    /// Concurrent cases: more than one where a case mostly waits.
    at_once: usize,
    run: Run,
}

/// The stores on which a fault runs.
#[derive(Clone, Copy)]
enum Run {
    /// Each database server, with a row for each. The text names the components
    /// beside the server.
    OnServers(&'static str, fn(Flavour, u64) -> Findings),
    /// SQLite files.
    OnSqlite(fn(u64) -> Findings),
}

/// All faults.
const FAULTS: &[Fault] = &[
    Fault {
        name: "cut-at-commit",
        what: "connection reset during COMMIT",
        cases: (2, 110),
        at_once: 2,
        run: Run::OnServers(", Redis in every other case", cuts::at_commit),
    },
    Fault {
        name: "cut-elsewhere",
        what: "connection reset elsewhere in a transaction",
        cases: (1, 40),
        at_once: 2,
        run: Run::OnServers(", Redis in every other case", cuts::elsewhere),
    },
    Fault {
        name: "kill",
        what: "engine killed at each failpoint",
        cases: (2, 50),
        at_once: 4,
        run: Run::OnServers(" and Redis", kills::on_server),
    },
    Fault {
        name: "kill-sqlite",
        what: "engine killed at each failpoint",
        cases: (1, 40),
        at_once: 2,
        run: Run::OnSqlite(kills::on_sqlite),
    },
    Fault {
        name: "stop-engine",
        what: "engine stopped in mid-transaction past its lease",
        cases: (1, 16),
        at_once: 4,
        run: Run::OnServers(" and Redis", kills::stopped),
    },
    Fault {
        name: "lock-outlived",
        what: "engine stopped past its lease while another owner takes the lock",
        cases: (2, 10),
        at_once: 2,
        run: Run::OnServers(" and Redis", locks::outlived),
    },
    Fault {
        name: "server-killed",
        what: "database server killed and restarted",
        cases: (1, 30),
        at_once: 2,
        run: Run::OnServers("", servers::database_killed),
    },
    Fault {
        name: "redis-killed",
        what: "Redis killed and restarted",
        cases: (1, 15),
        at_once: 2,
        run: Run::OnServers(" and Redis", servers::redis_killed),
    },
    Fault {
        name: "redis-stopped",
        what: "Redis stopped past the lease",
        cases: (1, 10),
        at_once: 4,
        run: Run::OnServers(" and Redis", servers::redis_stopped),
    },
    Fault {
        name: "redis-flushed",
        what: "Redis flushed",
        cases: (1, 30),
        at_once: 2,
        run: Run::OnServers(" and Redis", servers::redis_flushed),
    },
    Fault {
        name: "redis-evicting",
        what: "Redis evicting keys",
        cases: (1, 15),
        at_once: 2,
        run: Run::OnServers(" and Redis", servers::redis_evicting),
    },
    Fault {
        name: "deadlock",
        what: "deadlock forced (1213)",
        cases: (1, 40),
        at_once: 2,
        run: Run::OnServers("", rows::deadlocks),
    },
    Fault {
        name: "lock-wait",
        what: "row lock wait timeout (1205)",
        cases: (1, 30),
        at_once: 4,
        run: Run::OnServers("", rows::lock_waits),
    },
    Fault {
        name: "pool-exhausted",
        what: "connection pool exhausted (one connection, blocked)",
        cases: (1, 12),
        at_once: 4,
        run: Run::OnServers("", rows::pool_exhausted),
    },
    Fault {
        name: "clocks-apart",
        what: "clock skew of ten minutes, one clock set back and forth",
        cases: (1, 50),
        at_once: 2,
        run: Run::OnServers("", clocks::on_server),
    },
    Fault {
        name: "clocks-apart-sqlite",
        what: "clock skew of ten minutes, one clock set back and forth",
        cases: (1, 50),
        at_once: 2,
        run: Run::OnSqlite(clocks::on_sqlite),
    },
    Fault {
        name: "disk-full",
        what: "disk full (a small tmpfs)",
        cases: (1, 60),
        at_once: 2,
        run: Run::OnSqlite(disk::full),
    },
    Fault {
        name: "write-fails",
        what: "partial writes (file size limit)",
        cases: (1, 20),
        at_once: 2,
        run: Run::OnSqlite(disk::write_fails),
    },
    Fault {
        name: "disk-errors",
        what: "disk errors (EIO) on write, sync and read",
        cases: (1, 60),
        at_once: 2,
        run: Run::OnSqlite(disk::errors),
    },
    Fault {
        name: "power-cut",
        what: "power cut: unsynced data lost, torn or garbage",
        cases: (1, 40),
        at_once: 2,
        run: Run::OnSqlite(power::cut),
    },
];

/// A fault on one of its stores: a row of the report.
pub struct Trial {
    /// The name that selects it.
    pub name: String,
    deployment: String,
    fault: &'static Fault,
    run: Box<dyn Fn(u64) -> Findings + Send + Sync>,
}

/// Returns every fault on every store.
pub fn trials() -> impl Iterator<Item = Trial> {
    FAULTS.iter().flat_map(Fault::trials)
}

/// Runs the part.
#[must_use]
pub fn run(extent: Extent) -> Vec<Row> {
    let wanted = std::env::var(ENV_FAULT).unwrap_or_default();
    let wanted = trials().filter(|trial| trial.name.starts_with(&wanted));
    extent.run_each(wanted, |trial| trial.try_all(extent))
}

impl Fault {
    fn trials(&'static self) -> Vec<Trial> {
        let trial = |name, deployment, run| Trial { name, deployment, fault: self, run };
        match self.run {
            Run::OnServers(beside, run) => Flavour::ALL
                .into_iter()
                .map(|database| {
                    let name = format!("{}-{}", self.name, database.name().to_lowercase());
                    let deployment = format!("{}{beside}", database.name());
                    trial(name, deployment, Box::new(move |seed| run(database, seed)))
                })
                .collect(),
            Run::OnSqlite(run) => {
                vec![trial(self.name.to_owned(), "SQLite".to_owned(), Box::new(run))]
            }
        }
    }
}

impl Trial {
    /// Runs all cases and prints their findings.
    #[must_use]
    pub fn try_all(&self, extent: Extent) -> Row {
        let since = Instant::now();
        let (short, long) = self.fault.cases;
        let seeds = Mutex::new((extent.seed..).take(extent.seeds(short, long) as usize));
        let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
        let all = Mutex::new((Findings::default(), 0));
        thread::scope(|scope| {
            for _ in 0..self.fault.at_once {
                scope.spawn(|| {
                    while let Some(seed) = next() {
                        let findings = self.try_one(seed);
                        self.report_failure(seed, &findings);
                        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                        all.0.absorb(findings);
                        all.1 += 1;
                        if extent.until_broken && !all.0.is_clean() {
                            break;
                        }
                    }
                });
            }
        });
        let (all, tried) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        let row = Row { seeds: tried, ..all.row(self.fault.what, &self.deployment) };
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

    /// Prints the findings of a failed case.
    fn report_failure(&self, seed: u64, findings: &Findings) {
        if !findings.is_clean() {
            let Self { name, .. } = self;
            eprintln!("{name}, seed {seed}:");
            findings.messages.iter().for_each(|message| eprintln!("  {message}"));
            eprintln!("again: {ENV_FAULT}={name} stockade-proof faults --seed {seed} --seeds 1");
        }
    }

    fn try_one(&self, seed: u64) -> Findings {
        catch_unwind(AssertUnwindSafe(|| (self.run)(seed))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let mut findings = Findings::default();
            findings.cut_short(text.unwrap_or_default());
            findings
        })
    }
}
