//! Tests SQLite after power cuts: the disk keeps what was synced and any part of
//! the rest.
//!
//! The test holds the disk in mid-write now and then, and kills the process.
//! Every response by then must be durable in every possible disk image. The next
//! process continues from one of these images.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::Signal;
use stockade::Engine;
use tempfile::TempDir;

use super::check::check;
use super::child::{Child, ChildTask};
use super::deployment::Deployment;
use super::findings::Findings;
use super::journal::Journal;
use super::load::{first_answers, rng};
use super::virtual_disk::{Keep, Library, VirtualDisk, url};
use crate::results::Violation;

const SHOPPERS: u64 = 8;
/// Consecutive processes, each ended by SIGKILL.
const PROCESS_RUNS: u64 = 2;
/// How often each process's disk is held, every other time soon after a
/// checkpoint begins. Checkpoints come after about 2,000 changes; each is a few
/// dozen writes, a sync, and a restart of the log.
const HOLDS: u64 = 6;
const CHANGES_BETWEEN: u32 = 1_500;
const CHANGES_IN_CHECKPOINT: u32 = 60;
const SYNC_MAX: u64 = 2_000;
/// Caller numbers reserved for each child.
const CALLERS_EACH: u64 = 100;
const PROBES: u64 = 5_000;
const PRODUCTS_AT_ONCE: u32 = 100;
/// What each image keeps of the unsynced changes.
const IMAGES: [Keep; 4] = [Keep::Nothing, Keep::Everything, Keep::Some, Keep::Some];

/// Cuts the power at random moments.
pub fn cut(seed: u64) -> Findings {
    let library = Library::build();
    let mut rng = rng(seed, 9_999);
    let (mut findings, mut observed) = (Findings::default(), Journal::default());
    let mut folder = TempDir::new().expect("a folder");
    let mut products = Vec::new();
    for run in 0..PROCESS_RUNS {
        let mut disk = VirtualDisk::over(&library, folder, super::load::rng(seed, 8_000 + run));
        disk.slow_down(Duration::from_micros(rng.random_range(0..SYNC_MAX)));
        let orders = ChildTask {
            settings: Deployment::sqlite_at(disk.url()).settings(),
            products,
            seed,
            first: (run + 1) * CALLERS_EACH,
            shoppers: SHOPPERS,
            at: None,
            shell: Some(disk.shell()),
        };
        let mut child = Child::start(&orders);
        for hold in 0..HOLDS {
            let changes = if hold % 2 == 1 {
                disk.await_checkpoint();
                CHANGES_IN_CHECKPOINT
            } else {
                CHANGES_BETWEEN
            };
            disk.hold_after(rng.random_range(1..changes));
            disk.wait_until_held();
            child.signal(Signal::STOP);
            child.wait_until_stopped();
            let mut known = observed.clone();
            known.absorb(child.journal());
            try_images(&mut disk, &known, &mut findings);
            if !disk.has_seen_all() {
                let why = || {
                    format!("the journal missed a write, held moment {hold} of process run {run}")
                };
                findings.blame(Violation::Unexplained, 1, why);
            }
            disk.resume();
            child.signal(Signal::CONT);
        }
        child.wait_for("served");
        thread::sleep(Duration::from_micros(rng.random_range(0..50_000)));
        child.signal(Signal::KILL);
        child.wait_until_dead();
        observed.absorb(child.journal());
        try_images(&mut disk, &observed, &mut findings);
        folder = TempDir::new().expect("a folder");
        disk.image(Keep::Some, folder.path());
        findings.injected += 1;
        let since = Instant::now();
        let engine = open(folder.path());
        let all = engine.products(None, PRODUCTS_AT_ONCE).expect("reads").items;
        products = all.iter().map(|product| product.id.0).collect();
        let (_, journal) = first_answers(&engine, &products, (since, PROBES + run));
        findings.recovered(since.elapsed());
        observed.absorb(journal);
        check(&engine, &mut observed, false, &mut findings);
        engine.close().expect("closes");
    }
    findings.operations = observed.entries.len() as u64;
    findings
}

/// Makes images of the current disk and checks that each has every acknowledged
/// operation.
pub fn try_images(disk: &mut VirtualDisk, observed: &Journal, findings: &mut Findings) {
    disk.catch_up();
    findings.count("in the middle of a checkpoint", u64::from(disk.is_checkpointing()));
    for keep in IMAGES {
        let folder = TempDir::new().expect("a folder");
        disk.image(keep, folder.path());
        findings.injected += 1;
        let engine = open(folder.path());
        check(&engine, &mut observed.clone(), false, findings);
        engine.close().expect("closes");
    }
}

fn open(folder: &Path) -> Engine {
    Deployment::sqlite_at(url(folder)).open()
}
