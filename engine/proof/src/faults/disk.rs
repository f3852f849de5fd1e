//! Tests SQLite on a full disk and on a disk that fails in mid-write.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::SliceRandom;
use rustix::process::Signal;
use stockade_testkit::wait_until;
use tempfile::TempDir;

use super::check::check;
use super::child::{Child, ChildTask};
use super::deployment::Deployment;
use super::findings::Findings;
use super::journal::Journal;
use super::load::{first_answers, rng, stock_up};
use super::power::try_images;
use super::virtual_disk::{Call, Library, VirtualDisk};

const SHOPPERS: u64 = 8;
const TIMES: u64 = 4;
/// Few retries, so that callers soon get the error.
const RETRIES: &str = "2";
const PROBES: u64 = 5_000;
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
/// The mount point of the small disk, in the child's own mount namespace.
const DISK: &str = "/mnt";
/// Calls that succeed before one fails.
const SKIPPED_MAX: u32 = 60;
/// The same after a checkpoint has begun, which writes a few dozen pages and then
/// syncs the database file.
const WRITES_SKIPPED_IN_CHECKPOINT: u32 = 20;
const SYNCS_SKIPPED_IN_CHECKPOINT: u32 = 1;
/// This count means until further notice.
const ALWAYS: u32 = u32::MAX;
const SYNC: Duration = Duration::from_micros(200);

fn task(deployment: &Deployment, products: &[u64], seed: u64) -> ChildTask {
    ChildTask {
        settings: deployment.settings(),
        products: products.to_vec(),
        seed,
        first: 100,
        shoppers: SHOPPERS,
        at: None,
        shell: None,
    }
}

/// Waits until the child's callers get `unavailable`.
fn wait_for_refusals(child: &Child) {
    let refused = || child.count_calls("unavailable");
    let before = refused();
    wait_until("the engine finds out", REFUSED_WITHIN, || refused() > before);
}

/// Waits until the child's callers are served again.
fn wait_for_answers(child: &Child) -> Duration {
    let since = Instant::now();
    let served = || child.count_calls("\"Holds\"");
    let before = served();
    wait_until("the engine commits again", REFUSED_WITHIN, || served() > before);
    since.elapsed()
}

/// Fills a small disk repeatedly: a tmpfs in the child's own mount namespace,
/// invisible to other processes.
pub fn full(seed: u64) -> Findings {
    let inside = Deployment::sqlite_at(format!("sqlite:{DISK}/shop.db")).set("retries", RETRIES);
    // Only the child sees the disk, so its first engine creates the products.
    let mut task = task(&inside, &[], seed);
    task.shell = Some(format!(
        "exec unshare --user --map-root-user --mount sh -c \
         'mount -t tmpfs -o size=4m none {DISK} && exec \"$0\"' \"$0\""
    ));
    let mut findings = Findings::default();
    let mut child = Child::start(&task);
    child.wait_for("served");
    let disk = PathBuf::from(format!("/proc/{}/root{DISK}", child.pid().as_raw_nonzero()));
    for _ in 0..TIMES {
        let filler = disk.join("filler");
        fill(&filler);
        findings.injected += 1;
        wait_for_refusals(&child);
        fs::remove_file(&filler).expect("removed");
        findings.recovered(wait_for_answers(&child));
    }
    // Before the child ends and its disk is unmounted.
    child.stop_shopping();
    let copy = Deployment::sqlite();
    for end in ["db", "db-wal"] {
        // SQLite itself would resolve the path to the parent's own disk.
        let from = disk.join("shop.db").with_extension(end);
        fs::copy(from, copy.path().with_extension(end)).expect("copied");
    }
    child.finish();
    check(&copy.open(), &mut child.journal(), false, &mut findings);
    findings
}

/// Writes until the disk is full.
fn fill(file: &Path) {
    let mut file = fs::File::create(file).expect("a file");
    while file.write_all(&[1; 4096]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}

/// Makes writes fail half way: RLIMIT_FSIZE stops the child's files from growing
/// in the middle of a page.
pub fn write_fails(seed: u64) -> Findings {
    let deployment = Deployment::sqlite().set("retries", RETRIES);
    let engine = deployment.open();
    let products = stock_up(&engine);
    let mut task = task(&deployment, &products, seed);
    // With SIGXFSZ ignored, a write beyond the limit fails with an error.
    task.shell = Some("trap '' XFSZ; exec \"$0\"".to_owned());
    let mut rng = rng(seed, 9_999);
    let (mut findings, mut observed) = (Findings::default(), Journal::default());
    let mut child = Child::start(&task);
    child.wait_for("served");
    for time in 0..TIMES {
        let wal = deployment.path().with_extension("db-wal");
        let size = fs::metadata(&wal).map_or(0, |wal| wal.len());
        // Anywhere in the log or soon behind it: a log that restarts from its
        // beginning may not grow for long.
        limit(&child, &rng.random_range(1..size + 20_000).to_string());
        findings.injected += 1;
        wait_for_refusals(&child);
        limit(&child, "unlimited");
        findings.recovered(wait_for_answers(&child));
        // Another process uses the same file meanwhile.
        let (_, journal) = first_answers(&engine, &products, (Instant::now(), PROBES + time));
        observed.absorb(journal);
    }
    child.finish();
    let mut journal = child.journal();
    journal.absorb(observed);
    check(&engine, &mut journal, false, &mut findings);
    findings
}

fn limit(child: &Child, bytes: &str) {
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={}", child.pid().as_raw_nonzero()));
    // The soft limit only: a lowered hard limit cannot be raised again.
    let done = command.arg(format!("--fsize={bytes}:")).status().expect("prlimit");
    assert!(done.success(), "prlimit said {done}");
}

/// The call that fails, how often, the upper bound of calls skipped before, and
/// whether counting starts only in a checkpoint.
#[derive(Clone, Copy)]
struct Failing {
    call: Call,
    times: u32,
    skipped: u32,
    in_checkpoint: bool,
}

const fn failing(call: Call, times: u32) -> Failing {
    Failing { call, times, skipped: SKIPPED_MAX, in_checkpoint: false }
}

/// Once: a checkpoint belongs to no caller, so further failures would reject
/// none.
const fn failing_in_checkpoint(call: Call, skipped: u32) -> Failing {
    Failing { call, times: 1, skipped, in_checkpoint: true }
}

const ERRORS: [Failing; 12] = [
    failing(Call::Write, 1),
    failing(Call::Write, 1),
    failing(Call::Write, ALWAYS),
    failing(Call::Sync, 1),
    failing(Call::Sync, 1),
    failing(Call::Sync, ALWAYS),
    failing(Call::Read, 1),
    failing(Call::Read, 1),
    failing(Call::Read, ALWAYS),
    failing_in_checkpoint(Call::Write, WRITES_SKIPPED_IN_CHECKPOINT),
    failing_in_checkpoint(Call::Sync, SYNCS_SKIPPED_IN_CHECKPOINT),
    failing_in_checkpoint(Call::Sync, SYNCS_SKIPPED_IN_CHECKPOINT),
];

/// Makes writes, syncs and reads fail, once or for a while. Data written before a
/// failed sync may be lost for good. A power cut ends the case.
pub fn errors(seed: u64) -> Findings {
    let library = Library::build();
    let mut rng = rng(seed, 9_999);
    let folder = TempDir::new().expect("a folder");
    let mut disk = VirtualDisk::over(&library, folder, super::load::rng(seed, 8_000));
    disk.slow_down(SYNC);
    let deployment = Deployment::sqlite_at(disk.url()).set("retries", RETRIES);
    let mut task = task(&deployment, &[], seed);
    task.shell = Some(disk.shell());
    let mut findings = Findings::default();
    let mut child = Child::start(&task);
    child.wait_for("served");
    let mut errors = ERRORS;
    errors.shuffle(&mut rng);
    for Failing { call, times, skipped, in_checkpoint } in errors {
        let before = disk.failed(call);
        if in_checkpoint {
            disk.await_checkpoint();
        }
        disk.fail(call, rng.random_range(0..skipped), times);
        wait_until("a call fails", REFUSED_WITHIN, || disk.failed(call) > before);
        // Few operations read from the disk rather than from memory.
        if times == ALWAYS && call != Call::Read {
            wait_for_refusals(&child);
        }
        disk.fail(call, 0, 0);
        if in_checkpoint {
            findings.count("failed in a checkpoint", u64::from(disk.failed(call) - before));
        }
        findings.recovered(wait_for_answers(&child));
    }
    child.signal(Signal::KILL);
    child.wait_until_dead();
    let calls = [
        (Call::Write, "writes failed"),
        (Call::Sync, "syncs failed"),
        (Call::Read, "reads failed"),
    ];
    for (call, what) in calls {
        findings.injected += u64::from(disk.failed(call));
        findings.count(what, u64::from(disk.failed(call)));
    }
    // A process that continues without a power cut sees the kernel's page cache,
    // which may differ from the disk.
    let mut journal = child.journal();
    let operations = journal.entries.len() as u64;
    try_images(&mut disk, &journal, &mut findings);
    check(&deployment.open(), &mut journal, false, &mut findings);
    findings.operations = operations;
    findings
}
