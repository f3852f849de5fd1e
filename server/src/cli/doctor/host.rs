//! Checks of this machine: free disk, the store's file, open files.

use std::path::{Path, PathBuf};

use stockade::StoreFacts;

use super::Check;
use super::facts::bytes;
use crate::settings::Settings;

/// Less free disk is a problem, and less than the second number a warning.
const FREE_BYTES: [u64; 2] = [200 << 20, 2 << 30];

/// Files that are open besides the clients' connections: the store's, Redis', listeners.
const OTHER_FILES: u64 = 128;

pub(super) fn checks(facts: &StoreFacts, settings: &Settings) -> Vec<Check> {
    let mut checks = Vec::new();
    match facts {
        StoreFacts::Sqlite(facts) => {
            if let Some(file) = &facts.file {
                checks.push(rights(file));
                checks.extend(file_system(file));
                checks.extend(free_disk(&folder_of(file)));
            }
        }
        StoreFacts::MySql(facts) => {
            // Its folder is on this machine, and may be looked at.
            let folder = facts.variables.get("datadir").map(PathBuf::from);
            if let Some(folder) = folder.filter(|folder| facts.is_local && folder.is_dir()) {
                checks.extend(free_disk(&folder));
            }
        }
        _ => {}
    }
    checks.extend(open_files(settings));
    checks
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn rate_free(folder: &Path, free: u64) -> Check {
    let name = "host.disk";
    let found = format!("{} free in {}", bytes(free), folder.display());
    let change = "free some, or move the store: a full disk stops every sale";
    match free {
        free if free < FREE_BYTES[0] => Check::problem(name, found, change),
        free if free < FREE_BYTES[1] => Check::warning(name, found, change),
        _ => Check::ok(name, found),
    }
}

#[cfg(unix)]
fn free_disk(folder: &Path) -> Option<Check> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(rate_free(folder, found.f_bavail.saturating_mul(found.f_frsize)))
}

#[cfg(not(unix))]
fn free_disk(_: &Path) -> Option<Check> {
    None
}

/// Whether the store can be written, and by whom it can be read.
#[cfg(unix)]
fn rights(file: &Path) -> Check {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::{Access, access};

    let name = "store.rights";
    let folder = folder_of(file);
    for path in [file, &folder] {
        if access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
            return Check::problem(
                name,
                format!("{} cannot be written by this user", path.display()),
                "give this user the file and its folder, where SQLite keeps its log",
            );
        }
    }
    let mode = file.metadata().map_or(0, |metadata| metadata.mode() & 0o777);
    if mode & 0o002 != 0 {
        return Check::warning(
            name,
            format!("{} may be changed by everyone (mode {mode:03o})", file.display()),
            format!("chmod 600 {}", file.display()),
        );
    }
    Check::ok(name, format!("file and folder can be written (mode {mode:03o})"))
}

#[cfg(not(unix))]
fn rights(file: &Path) -> Check {
    Check::ok("store.rights", format!("{} can be read", file.display()))
}

/// Warns of file systems on which SQLite's locks and shared memory do not work.
#[cfg(target_os = "linux")]
fn file_system(file: &Path) -> Option<Check> {
    let kind = rustix::fs::statfs(file).ok()?.f_type;
    let kind = match kind as u64 & 0xffff_ffff {
        0x6969 => "NFS",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "SMB",
        _ => return None,
    };
    Some(Check::problem(
        "store.file_system",
        format!("{} is on {kind}", file.display()),
        "move it to a local disk: SQLite's locks and log do not work over a network",
    ))
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path) -> Option<Check> {
    None
}

#[cfg(unix)]
fn open_files(settings: &Settings) -> Option<Check> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let wanted = settings.client_connections_max as u64 + OTHER_FILES;
    let name = "host.open_files";
    let found = format!("{limit} at most; serve may want {wanted}");
    if limit >= wanted {
        return Some(Check::ok(name, found));
    }
    Some(Check::warning(
        name,
        found,
        "raise the limit (ulimit -n, LimitNOFILE=), or lower client_connections_max",
    ))
}

#[cfg(not(unix))]
fn open_files(_: &Settings) -> Option<Check> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    #[test]
    fn little_free_disk_is_a_warning_and_less_a_problem() {
        let verdict = |free| rate_free(Path::new("."), free).verdict;
        assert_eq!(verdict(3 << 30), Verdict::Ok);
        assert_eq!(verdict(1 << 30), Verdict::Warning);
        assert_eq!(verdict(1 << 20), Verdict::Problem);
    }
}
