//! SQLite after a loss of power: the files as they are at a random moment, less
//! what the disk need not have kept.
//!
//! The process is stopped, so that its files stand still and everything it has
//! answered has been told. What a disk must have kept then is what was synced:
//! every transaction before the last whole one in the log, and that one, too, if
//! anyone was answered. What it need not have kept is all behind the last
//! whole transaction; of that any part may be missing, and pages may have
//! become rubbish. So behind the last commit the log is cut off at a random
//! byte, or has a random page zeroed or scrambled; then every answered
//! operation must be there. In some images the last whole transaction is torn
//! as well, as by a disk that loses it before its sync has ended; then it must
//! be gone whole, with all before it in place.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rustix::process::Signal;
use stockade::Engine;
use tempfile::TempDir;

use super::check::{all_events, check};
use super::child::{Child, Orders};
use super::found::Found;
use super::journal::Journal;
use super::load::{dice, stock_up};
use super::place::Place;
use crate::outcome::Broken;

const SHOPPERS: u64 = 8;
const MOMENTS: u64 = 10;
const IMAGES_EACH: u64 = 5;
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Where the shared index tells how many frames may be in the database file.
const BACKFILL_ATTEMPTED: usize = 128;

/// The database's files at one moment.
struct Moment {
    database: Vec<u8>,
    log: Vec<u8>,
    /// Ends of the log's whole transactions, oldest first.
    commits: Vec<usize>,
    /// Where in the log that begins which no checkpoint may have used.
    unused_from: usize,
}

impl Moment {
    fn of(database: &Path) -> Self {
        let read = |end: &str| fs::read(database.with_extension(end)).unwrap_or_default();
        let (log, index) = (read("db-wal"), read("db-shm"));
        let word = |bytes: &[u8], at: usize| {
            bytes
                .get(at..at + 4)
                .map_or(0, |word| u32::from_be_bytes(word.try_into().unwrap_or_default()) as usize)
        };
        let frame = FRAME_HEADER + word(&log, 8);
        let salts = log.get(16..24).unwrap_or_default().to_vec();
        let mut commits = Vec::new();
        let mut at = WAL_HEADER;
        // Frames of an earlier round of the log have other salts.
        while log.len() >= at + frame && log[at + 8..at + 16] == salts {
            if word(&log, at + 4) != 0 {
                commits.push(at + frame);
            }
            at += frame;
        }
        let attempted = index.get(BACKFILL_ATTEMPTED..BACKFILL_ATTEMPTED + 4);
        let attempted = attempted
            .map_or(0, |word| u32::from_ne_bytes(word.try_into().unwrap_or_default()) as usize);
        let unused_from = WAL_HEADER + attempted * frame;
        Self { database: fs::read(database).expect("a database"), log, commits, unused_from }
    }

    /// Makes the files of an image and answers the database's path.
    fn write(&self, folder: &Path, number: u64, log: &[u8]) -> PathBuf {
        let path = folder.join(format!("{number}.db"));
        fs::write(&path, &self.database).expect("written");
        fs::write(path.with_extension("db-wal"), log).expect("written");
        path
    }

    /// The log without some of what stands behind `from`.
    fn harmed(&self, from: usize, dice: &mut StdRng) -> Vec<u8> {
        let mut log = self.log.clone();
        match dice.random_range(0..3) {
            _ if from >= log.len() => {
                // Nothing is there yet: a page began to be written.
                let torn = dice.random_range(1..4_096);
                log.extend((0..torn).map(|_| dice.random::<u8>()));
            }
            0 => log.truncate(dice.random_range(from..log.len())),
            kind => {
                let begin = dice.random_range(from..log.len());
                let end = log.len().min(begin + 4_096);
                let harm = |_: &u8| if kind == 1 { 0 } else { dice.random::<u8>() };
                let harmed: Vec<u8> = log[begin..end].iter().map(harm).collect();
                log[begin..end].copy_from_slice(&harmed);
            }
        }
        log
    }
}

/// Power lost at random moments.
pub fn power_lost(seed: u64) -> Found {
    let place = Place::sqlite();
    let products = stock_up(&place.open());
    let mut dice = dice(seed, 9_999);
    let orders = Orders {
        settings: place.settings(),
        products,
        seed,
        first: 100,
        shoppers: SHOPPERS,
        at: None,
        shell: None,
    };
    let mut found = Found::default();
    let mut child = Child::start(&orders);
    child.wait_for("served");
    let folder = TempDir::new().expect("a folder");
    for moment in 0..MOMENTS {
        thread::sleep(Duration::from_micros(dice.random_range(500..12_000)));
        child.signal(Signal::STOP);
        child.wait_until_stopped();
        let now = Moment::of(&place.path());
        let journal = child.journal();
        for image in 0..IMAGES_EACH {
            let number = moment * IMAGES_EACH + image;
            found.injected += 1;
            let tail = now.commits.last().copied().unwrap_or(WAL_HEADER);
            let log = now.harmed(tail, &mut dice);
            let path = now.write(folder.path(), number, &log);
            check_image(&path, journal.clone(), &mut found);
        }
        if let Some(torn) = tear_last(&now, &mut dice) {
            found.injected += 1;
            found.count("last transaction torn as well", 1);
            let whole = now.write(folder.path(), 9_000 + moment, &now.log);
            let path = now.write(folder.path(), 8_000 + moment, &torn);
            check_torn(&path, &whole, &mut found);
        }
        child.signal(Signal::CONT);
    }
    child.finish();
    found.operations = child.journal().entries.len() as u64;
    found
}

/// The log with its last whole transaction torn, if no checkpoint may have
/// used that already.
fn tear_last(now: &Moment, dice: &mut StdRng) -> Option<Vec<u8>> {
    let [.., before, last] = now.commits.as_slice() else { return None };
    if now.unused_from > *before {
        return None;
    }
    let mut log = now.log.clone();
    log.truncate(dice.random_range(*before..*last));
    Some(log)
}

fn open(path: &Path) -> Engine {
    Place::sqlite_at(format!("sqlite:{}", path.display())).open()
}

/// Every answered operation is there, and the shop goes on.
fn check_image(path: &Path, mut journal: Journal, found: &mut Found) {
    let engine = open(path);
    check(&engine, &mut journal, false, found);
    engine.close().expect("closes");
    remove(path);
}

/// The books agree, and tell what the whole log told, less one transaction.
fn check_torn(path: &Path, whole: &Path, found: &mut Found) {
    let events = |path: &Path| {
        let engine = open(path);
        let report = engine.audit().expect("audits");
        let events = all_events(&engine);
        engine.close().expect("closes");
        remove(path);
        (report, events)
    };
    let ((report, torn), (_, whole)) = (events(path), events(whole));
    if !report.consistent {
        let why = || format!("half a transaction: {:?}", report.findings);
        found.blame(Broken::Leaked, 1, why);
    }
    let is_same = torn.len() <= whole.len()
        && torn.iter().zip(&whole).all(|(a, b)| (a.kind, a.hold_id) == (b.kind, b.hold_id));
    if !is_same {
        found.blame(Broken::Lost, 1, || "what was synced before is gone".to_owned());
    }
}

fn remove(path: &Path) {
    for end in ["db", "db-wal", "db-shm"] {
        let _ = fs::remove_file(path.with_extension(end));
    }
}
