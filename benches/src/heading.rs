//! The heading of every table: the machine, its disk and the versions.

use std::fs::{self, File};
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection};
use stockade_testkit::Flavour;

use crate::results::{Latency, Machine};
use crate::run::histogram;
use crate::setup::Servers;
use crate::table::time;

/// The block appended at a time.
const BLOCK: [u8; 4096] = [7; 4096];

/// Describes the machine. The disk was measured before servers used it. Keeps
/// what is `known` of servers that ran before.
pub async fn machine(servers: Option<&Servers>, known: Machine) -> Machine {
    let mut machine = Machine {
        cores: cores(),
        processor: processor().unwrap_or_default(),
        sqlite: sqlite_version().await.unwrap_or_default(),
        rustc: rustc_version().unwrap_or_default(),
        ..known
    };
    if let Some(servers) = servers {
        let version = servers.sql.query("SELECT VERSION()");
        match servers.sql.flavour() {
            Flavour::MariaDb => machine.mariadb = version,
            Flavour::MySql => machine.mysql = version,
        }
        machine.redis = redis_version(servers);
    }
    machine
}

/// Formats the heading.
#[must_use]
pub fn text(machine: &Machine) -> String {
    let nanos = |nanos| time(Duration::from_nanos(nanos));
    let mut text = format!(
        "{} cores ({}); append 4 KiB and fdatasync: median {}, p99 {}\n",
        machine.cores,
        machine.processor,
        nanos(machine.fsync.p50),
        nanos(machine.fsync.p99),
    );
    let versions = [
        ("MariaDB", &machine.mariadb),
        ("MySQL", &machine.mysql),
        ("Redis", &machine.redis),
        ("SQLite", &machine.sqlite),
        ("rustc", &machine.rustc),
    ];
    let known = versions.iter().filter(|(_, version)| !version.is_empty());
    let known: Vec<String> = known.map(|(name, version)| format!("{name} {version}")).collect();
    text.push_str(&known.join(", "));
    text.push_str("; innodb_flush_log_at_trx_commit=1, SQLite synchronous=FULL");
    if !machine.mysql.is_empty() {
        text.push_str(", MySQL with its binary log and sync_binlog=1, as by default");
    }
    text.push('\n');
    text
}

/// Returns the number of processors that this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(": ").map(|(_, name)| name.to_owned())
}

/// Appends and syncs so many times, in the directory of the servers' data.
///
/// # Errors
/// When the temporary directory is not writable.
pub fn fsync(times: u32) -> io::Result<Latency> {
    let folder = tempfile::Builder::new().prefix("stockade-fsync-").tempdir()?;
    let mut file = File::create(folder.path().join("log"))?;
    let mut taken = histogram();
    for _ in 0..times {
        let since = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        taken.saturating_record(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(Latency::of(&taken))
}

fn redis_version(servers: &Servers) -> String {
    let info = servers.redis.command(&["INFO", "server"]);
    let line = info.lines().find_map(|line| line.trim().strip_prefix("redis_version:"));
    line.unwrap_or_default().to_owned()
}

async fn sqlite_version() -> sqlx::Result<String> {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
    let version = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(version)
}

fn rustc_version() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}
