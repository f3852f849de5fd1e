//! Opens SQLite in the child of a fork, or refuses to: never hangs there.
//!
//! A fork copies SQLite's process-wide mutexes as they are at that moment. One
//! that another thread of the parent held stays locked in the child for ever,
//! since that thread is not there. So a child whose parent has used SQLite gives
//! its opening a bound. A file that the parent has open at the fork is refused at
//! once: SQLite would take the parent's file locks, of which it has a copy in
//! memory, for the child's own, which they are not (POSIX locks stay with the
//! process), and two processes could write at the same time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::process_shared::try_lock_for;
use crate::store::identity;

/// An opening that waits for no lost mutex takes milliseconds; it may migrate a
/// store, and the machine may be busy.
const OPENING_MAX: Duration = Duration::from_secs(10);
/// The list is held for as long as a folder is read.
const LIST_MAX: Duration = Duration::from_secs(1);

/// The process that first opened SQLite here, or 0. Its descendants by fork
/// find it as it was.
static FIRST_USER: AtomicU32 = AtomicU32::new(0);

/// The files that this process had open when it first opened SQLite after a
/// fork. Guards the list only; never held while a store is opened.
static INHERITED: Mutex<Inherited> = Mutex::new(Inherited { process: 0, files: BTreeSet::new() });

/// Device and inode: what names a file however its path is written.
type FileId = (u64, u64);

struct Inherited {
    process: u32,
    files: BTreeSet<FileId>,
}

/// Opens a store, within bounds where SQLite may have been copied by a fork.
pub(super) async fn guard<T>(store: &str, opening: impl Future<Output = Result<T>>) -> Result<T> {
    if !store.starts_with("sqlite:") || is_first_user(std::process::id()) {
        return opening.await;
    }
    check_file(store, std::process::id())?;
    match tokio::time::timeout(OPENING_MAX, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::new(
            ErrorKind::Misuse,
            "SQLite was in use by another thread at the fork and cannot be used in this child; \
             fork before an engine is opened, or start the child by exec or spawn",
        )),
    }
}

/// Whether SQLite's state is this process's own and no copy of a parent's.
fn is_first_user(process: u32) -> bool {
    match FIRST_USER.compare_exchange(0, process, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => true,
        Err(first) => first == process,
    }
}

/// Refuses a file that was inherited open.
fn check_file(store: &str, process: u32) -> Result<()> {
    let refused = |why: &str| Err(Error::new(ErrorKind::Misuse, why));
    let Some(mut inherited) = try_lock_for(&INHERITED, LIST_MAX) else {
        return refused("another thread opened an engine at the fork; start the child by exec");
    };
    if inherited.process != process {
        *inherited = Inherited { process, files: open_files() };
    }
    let identity = identity(store);
    let path = identity.as_deref().and_then(|identity| identity.strip_prefix("sqlite:"));
    let file = path.and_then(|path| file_id(path.as_ref()));
    if file.is_some_and(|file| inherited.files.contains(&file)) {
        return refused(
            "the SQLite file was open in the parent at the fork: close it there first, or start \
             the child by exec or spawn",
        );
    }
    Ok(())
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;

    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((found.dev(), found.ino()))
}

/// There is no fork.
#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    None
}

/// The files that this process has open. Where the system does not tell there
/// are none, and the bound alone guards the opening.
fn open_files() -> BTreeSet<FileId> {
    let listed = fs::read_dir("/dev/fd").into_iter().flatten().flatten();
    listed.filter_map(|entry| file_id(&entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn an_inherited_file_is_refused_under_any_name_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (open, other) = (folder.path().join("open.db"), folder.path().join("other.db"));
        let _held = fs::File::create(&open).expect("written");
        fs::write(&other, "").expect("written");
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&open, &link).expect("linked");
        // No process has this id: what is open now was inherited.
        let check = |path: &Path| check_file(&format!("sqlite:{}", path.display()), u32::MAX);
        for path in [&open, &link] {
            assert_eq!(check(path).map_err(|error| error.kind()), Err(ErrorKind::Misuse));
        }
        assert!(check(&other).is_ok());
        assert!(check(&folder.path().join("new.db")).is_ok());
        // What this process opens later is its own.
        let _later = fs::File::open(&other).expect("opened");
        assert!(check(&other).is_ok());
        assert!(check_file("sqlite::memory:", u32::MAX).is_ok());
    }
}
