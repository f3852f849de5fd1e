//! Simulates a disk beneath a child's SQLite files: it tracks what was synced,
//! derives the images that a power cut could leave, and injects errors.
//!
//! `virtual_disk.c` interposes on the child's libc calls and journals each write
//! and sync. An image is derived from that journal alone: everything synced, and
//! any subset of the other sectors, some of them torn or garbage.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use stockade_testkit::wait_until;
use tempfile::TempDir;

const SOURCE: &str = include_str!("virtual_disk.c");
const DATABASE: &str = "shop.db";
const LOG: &str = "shop.db-wal";
const SECTOR: usize = 512;
/// Probability that an unsynced sector is torn or garbage.
const TORN: f64 = 0.1;
/// `struct line` of `virtual_disk.c`, without its payload.
const LINE: usize = 24;
/// `struct control`: three numbers per kind of call, then these.
const CONTROL: usize = 52;
const HOLD_AFTER: u64 = 36;
const HELD: u64 = 40;
const SYNC_MICROS: u64 = 44;
const AWAITS_CHECKPOINT: u64 = 48;
const HELD_WITHIN: Duration = Duration::from_secs(60);

/// `enum kind`.
const OPENED: u32 = 0;
const WRITTEN: u32 = 1;
const CUT_SHORT: u32 = 2;
const SYNCED: u32 = 3;
const NOT_SYNCED: u32 = 4;
const REMOVED: u32 = 5;
const FOLDER_SYNCED: u32 = 6;

/// The compiled interposition library.
pub struct Library {
    folder: TempDir,
}

impl Library {
    pub fn build() -> Self {
        let folder = TempDir::new().expect("a folder");
        let library = Self { folder };
        let source = library.folder.path().join("virtual_disk.c");
        fs::write(&source, SOURCE).expect("written");
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]);
        let done = compile.arg(library.path()).arg(source).status().expect("a C compiler");
        assert!(done.success(), "cc said {done}");
        library
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("virtual_disk.so")
    }
}

/// A kind of call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Write,
    Sync,
    Read,
}

impl Call {
    /// Offset of its three numbers in the control page.
    fn at(self) -> u64 {
        12 * self as u64
    }
}

/// How much of the unsynced data an image keeps.
#[derive(Debug, Clone, Copy)]
pub enum Keep {
    Nothing,
    Everything,
    /// A random subset.
    Some,
}

/// A file's durable content and the changes since.
#[derive(Default)]
struct Inode {
    synced: Vec<u8>,
    open: Vec<Change>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    CutShort(usize),
}

impl Inode {
    /// Makes the changes durable, or drops some of them.
    fn settle(&mut self, keep: Keep, rng: &mut StdRng) {
        let open = std::mem::take(&mut self.open);
        apply(&open, &mut self.synced, keep, rng);
    }

    /// Returns one possible content after a power cut.
    fn left(&self, keep: Keep, rng: &mut StdRng) -> Vec<u8> {
        let mut left = self.synced.clone();
        apply(&self.open, &mut left, keep, rng);
        left
    }
}

fn apply(changes: &[Change], file: &mut Vec<u8>, keep: Keep, rng: &mut StdRng) {
    let share = match keep {
        Keep::Nothing => return,
        Keep::Everything => 1.0,
        Keep::Some => rng.random_range(0.0..1.0),
    };
    for change in changes {
        match change {
            Change::CutShort(length) if rng.random_bool(share) => file.resize(*length, 0),
            Change::CutShort(_) => {}
            Change::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
                    if rng.random_bool(share) {
                        let is_torn = matches!(keep, Keep::Some) && rng.random_bool(TORN);
                        let torn = is_torn.then_some(&mut *rng);
                        put_sector(file, offset + at, &bytes[at..end], torn);
                    }
                    at = end;
                }
            }
        }
    }
}

/// Writes a sector: whole, torn or as garbage.
fn put_sector(file: &mut Vec<u8>, offset: usize, bytes: &[u8], torn: Option<&mut StdRng>) {
    let end = offset + bytes.len();
    file.resize(file.len().max(end), 0);
    let target = &mut file[offset..end];
    let Some(rng) = torn else { return target.copy_from_slice(bytes) };
    if rng.random() {
        let torn = rng.random_range(0..bytes.len());
        target[..torn].copy_from_slice(&bytes[..torn]);
    } else {
        target.iter_mut().for_each(|byte| *byte = rng.random());
    }
}

/// The simulated disk of one folder.
pub struct VirtualDisk {
    folder: TempDir,
    /// The folder of the journal and the control page.
    _home: TempDir,
    shell: String,
    journal: File,
    control: File,
    /// The partial last line of the journal read so far.
    rest: Vec<u8>,
    inodes: Vec<Inode>,
    /// The current inode of each file number; numbers are reused.
    numbers: HashMap<u64, usize>,
    /// The directory as the process sees it, and as the disk has it.
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    rng: StdRng,
}

impl VirtualDisk {
    /// Creates a disk with the folder's current content, all durable.
    pub fn over(library: &Library, folder: TempDir, rng: StdRng) -> Self {
        let home = TempDir::new().expect("a folder");
        let (journal, control) = (home.path().join("journal"), home.path().join("control"));
        fs::write(&journal, []).expect("written");
        fs::write(&control, [0; CONTROL]).expect("written");
        let shell = format!(
            "export LD_PRELOAD='{}' STOCKADE_DISK_FOLDER='{}' STOCKADE_DISK_JOURNAL='{}' \
             STOCKADE_DISK_CONTROL='{}'; exec \"$0\"",
            library.path().display(),
            folder.path().display(),
            journal.display(),
            control.display(),
        );
        let (mut inodes, mut numbers, mut names) = (Vec::new(), HashMap::new(), BTreeMap::new());
        for file in fs::read_dir(folder.path()).expect("a folder") {
            let file = file.expect("a file");
            let number = file.metadata().expect("a file").ino();
            let synced = fs::read(file.path()).expect("read");
            numbers.insert(number, inodes.len());
            names.insert(file.file_name().to_string_lossy().into_owned(), inodes.len());
            inodes.push(Inode { synced, open: Vec::new() });
        }
        let open = |path| File::options().read(true).write(true).open(path).expect("a file");
        Self {
            shell,
            journal: open(&journal),
            control: open(&control),
            rest: Vec::new(),
            inodes,
            numbers,
            synced_names: names.clone(),
            names,
            rng,
            folder,
            _home: home,
        }
    }

    /// Returns the shell line that starts a child on this disk.
    pub fn shell(&self) -> String {
        self.shell.clone()
    }

    pub fn url(&self) -> String {
        url(self.folder.path())
    }

    fn set(&self, at: u64, value: u32) {
        self.control.write_all_at(&value.to_ne_bytes(), at).expect("the control page");
    }

    fn get(&self, at: u64) -> u32 {
        let mut value = [0; 4];
        self.control.read_exact_at(&mut value, at).expect("the control page");
        u32::from_ne_bytes(value)
    }

    /// Sets the duration of each sync.
    pub fn slow_down(&self, sync: Duration) {
        self.set(SYNC_MICROS, u32::try_from(sync.as_micros()).expect("a short while"));
    }

    /// Defers the next orders until a checkpoint begins: until a page moves from
    /// the log to the database file.
    pub fn await_checkpoint(&self) {
        self.set(AWAITS_CHECKPOINT, 1);
    }

    /// Makes calls of this kind fail `times` times after `skip` more successes.
    pub fn fail(&self, call: Call, skip: u32, times: u32) {
        self.set(call.at(), skip);
        self.set(call.at() + 4, times);
    }

    /// Returns the number of failed calls of this kind.
    pub fn failed(&self, call: Call) -> u32 {
        self.get(call.at() + 8)
    }

    /// Holds the disk in the middle of the call that follows this many changes.
    pub fn hold_after(&self, changes: u32) {
        self.set(HOLD_AFTER, changes);
    }

    pub fn wait_until_held(&self) {
        wait_until("the disk stands still", HELD_WITHIN, || self.get(HELD) != 0);
    }

    pub fn resume(&self) {
        self.set(HELD, 0);
    }

    /// Replays the journal's new lines.
    pub fn catch_up(&mut self) {
        self.journal.read_to_end(&mut self.rest).expect("read");
        let lines = std::mem::take(&mut self.rest);
        let mut at = 0;
        while let Some((head, rest)) = lines[at..].split_at_checked(LINE) {
            let word =
                |from: usize| u32::from_ne_bytes(head[from..from + 4].try_into().expect("4"));
            let long =
                |from: usize| u64::from_ne_bytes(head[from..from + 8].try_into().expect("8"));
            // A killed process may leave a partial line.
            let Some(bytes) = rest.get(..word(4) as usize) else { break };
            self.replay(word(0), long(8), long(16), bytes);
            at += LINE + bytes.len();
        }
        self.rest = lines[at..].to_vec();
    }

    /// Replays one journal line; kinds are those of `enum kind`.
    fn replay(&mut self, kind: u32, number: u64, offset: u64, bytes: &[u8]) {
        let name = || String::from_utf8_lossy(bytes).into_owned();
        let offset = usize::try_from(offset).expect("a small file");
        match kind {
            OPENED => {
                let known = self.numbers.get(&number);
                if known.is_none() || self.names.get(&name()) != known {
                    self.numbers.insert(number, self.inodes.len());
                    self.names.insert(name(), self.inodes.len());
                    self.inodes.push(Inode::default());
                }
            }
            REMOVED => {
                self.names.remove(&name());
            }
            FOLDER_SYNCED => self.synced_names = self.names.clone(),
            _ => {
                let inode = &mut self.inodes[self.numbers[&number]];
                match kind {
                    WRITTEN => inode.open.push(Change::Write { offset, bytes: bytes.to_vec() }),
                    CUT_SHORT => inode.open.push(Change::CutShort(offset)),
                    SYNCED => inode.settle(Keep::Everything, &mut self.rng),
                    NOT_SYNCED => inode.settle(Keep::Some, &mut self.rng),
                    _ => panic!("a line of kind {kind}"),
                }
            }
        }
    }

    /// Whether the journal is complete: its replay gives the files' actual
    /// content. Call it only while the disk is held.
    pub fn has_seen_all(&mut self) -> bool {
        let Self { folder, inodes, names, rng, .. } = self;
        let mut is_there = |(name, number): (&String, &usize)| {
            let there = fs::read(folder.path().join(name)).unwrap_or_default();
            inodes[*number].left(Keep::Everything, rng) == there
        };
        names.iter().all(&mut is_there)
    }

    /// Whether a checkpoint is copying pages from the log to the database file.
    pub fn is_checkpointing(&self) -> bool {
        let inode = |name: &str| self.names.get(name).map(|number| &self.inodes[*number]);
        inode(LOG).is_some() && inode(DATABASE).is_some_and(|inode| !inode.open.is_empty())
    }

    /// Writes one possible image of a power cut at this moment.
    pub fn image(&mut self, keep: Keep, into: &Path) {
        let all: BTreeSet<&String> = self.names.keys().chain(self.synced_names.keys()).collect();
        for name in all {
            // An unsynced creation or removal of a name may or may not be
            // durable.
            let both = [self.synced_names.get(name), self.names.get(name)];
            let is_newer = match keep {
                Keep::Nothing => false,
                Keep::Everything => true,
                Keep::Some => self.rng.random(),
            };
            if let Some(number) = both[usize::from(is_newer)] {
                let left = self.inodes[*number].left(keep, &mut self.rng);
                fs::write(into.join(name), left).expect("written");
            }
        }
    }
}

/// Returns the URL of the database in a simulated folder or an image.
pub fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join(DATABASE).display())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn line(kind: u32, file: u64, offset: u64, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).expect("short");
        let numbers = [kind.to_ne_bytes(), length.to_ne_bytes()].concat();
        [numbers, file.to_ne_bytes().to_vec(), offset.to_ne_bytes().to_vec(), bytes.to_vec()]
            .concat()
    }

    fn disk(lines: &[Vec<u8>]) -> VirtualDisk {
        let library = Library { folder: TempDir::new().expect("a folder") };
        let folder = TempDir::new().expect("a folder");
        let mut disk = VirtualDisk::over(&library, folder, StdRng::seed_from_u64(1));
        disk.journal.write_all_at(&lines.concat(), 0).expect("written");
        disk.catch_up();
        disk
    }

    fn images(disk: &mut VirtualDisk) -> Vec<Option<Vec<u8>>> {
        let image = |_| {
            let folder = TempDir::new().expect("a folder");
            disk.image(Keep::Some, folder.path());
            fs::read(folder.path().join("a")).ok()
        };
        (0..200).map(image).collect()
    }

    #[test]
    fn image_always_has_synced_data_and_sometimes_the_rest() {
        let mut disk = disk(&[
            line(OPENED, 7, 0, b"a"),
            line(FOLDER_SYNCED, 1, 0, b""),
            line(WRITTEN, 7, 0, &[1; 512]),
            line(SYNCED, 7, 0, b""),
            line(WRITTEN, 7, 512, &[2; 1024]),
        ]);
        let images: Vec<_> =
            images(&mut disk).into_iter().map(|image| image.expect("a file")).collect();
        assert!(images.iter().all(|image| image[..512] == [1; 512]));
        assert!(images.iter().any(|image| image.len() == 512));
        assert!(images.iter().any(|image| image.get(512..1536) == Some(&[2; 1024])));
        let is_torn = |image: &&Vec<u8>| {
            image.get(512..1024).is_some_and(|sector| {
                sector.iter().any(|byte| *byte != 2) && sector.iter().any(|byte| *byte != 0)
            })
        };
        assert!(images.iter().any(|image| is_torn(&image)));
    }

    #[test]
    fn name_is_durable_after_folder_sync() {
        let made = [line(OPENED, 7, 0, b"a"), line(WRITTEN, 7, 0, b"x"), line(SYNCED, 7, 0, b"")];
        let unsure = images(&mut disk(&made));
        assert!(unsure.iter().any(Option::is_none) && unsure.iter().any(Option::is_some));
        let gone =
            [&made[..], &[line(REMOVED, 0, 0, b"a"), line(FOLDER_SYNCED, 1, 0, b"")]].concat();
        assert!(images(&mut disk(&gone)).iter().all(Option::is_none));
    }

    #[test]
    fn failed_sync_is_not_repaired_by_the_next() {
        let lines = [
            line(OPENED, 7, 0, b"a"),
            line(FOLDER_SYNCED, 1, 0, b""),
            line(WRITTEN, 7, 0, &[1; 512 * 100]),
            line(NOT_SYNCED, 7, 0, b""),
            line(SYNCED, 7, 0, b""),
        ];
        let images = images(&mut disk(&lines));
        assert!(images.iter().all(|image| *image == images[0]));
        assert!(images[0].as_ref().is_some_and(|image| image.contains(&0)));
    }

    #[test]
    fn replay_ignores_partial_journal_line() {
        let mut whole = line(WRITTEN, 7, 0, &[1; 100]);
        whole.truncate(60);
        let mut disk = disk(&[line(OPENED, 7, 0, b"a"), whole]);
        assert!(disk.inodes.iter().all(|inode| inode.open.is_empty()));
        assert_eq!(disk.rest.len(), 60);
        disk.image(Keep::Everything, TempDir::new().expect("a folder").path());
    }
}
