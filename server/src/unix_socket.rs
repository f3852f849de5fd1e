//! Unix sockets: ownership, permissions, and removal of stale files.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use tokio::net::UnixListener;

use crate::command_error::CommandError;
use crate::settings::Mode;
use crate::stream::Stream;

/// The listen backlog.
const BACKLOG: u32 = 1_024;

/// The group database.
const GROUPS: &str = "/etc/group";

/// A listening Unix socket. Dropping it removes the file.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// A file lock held for the socket's lifetime, so that two servers cannot
    /// use one path. The lock file is never removed: otherwise two servers
    /// could lock two files of the same name.
    _lock: File,
}

impl UnixSocket {
    /// Listens on a path that no running server uses. `group`, a name or a
    /// number, gets the owner's permissions.
    pub fn bind(path: &Path, mode: Mode, group: &str) -> Result<Self, CommandError> {
        let shown = path.display();
        let wrong =
            |error: io::Error| CommandError::Setup(format!("cannot listen on {shown}: {error}"));
        // The URL must be absolute: other programs have other working
        // directories.
        let path = std::path::absolute(path).map_err(wrong)?;
        let group = match group {
            "" => None,
            group => Some((group, group_id(group)?)),
        };
        let mode = if group.is_some() { mode.with_group() } else { mode };
        let lock = lock(&path)?;
        remove_stale(&path)?;
        let socket = tokio::net::UnixSocket::new_stream().map_err(wrong)?;
        socket.bind(&path).map_err(wrong)?;
        // Clients cannot connect before `listen`, so permissions are set in
        // time.
        let listener = give_to_group(&path, group).and_then(|()| {
            fs::set_permissions(&path, Permissions::from_mode(mode.bits()))
                .and_then(|()| socket.listen(BACKLOG))
                .map_err(wrong)
        });
        match listener {
            Ok(listener) => Ok(Self { listener, path, _lock: lock }),
            Err(failure) => {
                let _ = fs::remove_file(&path);
                Err(failure)
            }
        }
    }

    /// Returns the socket's URL with this scheme.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.path.display())
    }

    /// Accepts the next client.
    pub async fn accept(&self) -> io::Result<Stream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(Box::pin(stream))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // A file that cannot be removed is stale, which the next server
        // detects.
        let _ = fs::remove_file(&self.path);
    }
}

fn give_to_group(path: &Path, group: Option<(&str, u32)>) -> Result<(), CommandError> {
    let Some((name, id)) = group else { return Ok(()) };
    chown(path, None, Some(id)).map_err(|error| {
        let shown = path.display();
        CommandError::Setup(format!(
            "cannot give {shown} to the group {name}: {error}; the server's user must belong to it"
        ))
    })
}

/// Resolves a group to its number.
fn group_id(group: &str) -> Result<u32, CommandError> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let known = fs::read_to_string(GROUPS).unwrap_or_default();
    let id = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
    });
    id.ok_or_else(|| {
        CommandError::Setup(format!(
            "unknown group {group}: not in {GROUPS}; give a group of another directory by its \
             number"
        ))
    })
}

/// Locks the lock file beside the socket. Only its owner can open it, so that
/// another user cannot hold the lock and block the server from starting.
fn lock(path: &Path) -> Result<File, CommandError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let (shown, shown_lock) = (path.display(), beside.display());
    let wrong = |why: &dyn std::fmt::Display| {
        CommandError::Setup(format!("cannot lock {shown} with {shown_lock}: {why}"))
    };
    // NOFOLLOW: a link could point to a file of another user's choice.
    // NONBLOCK: opening a pipe would block.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(&beside)
        .map_err(|error| wrong(&error))?;
    let known = opened.metadata().map_err(|error| wrong(&error))?;
    if !known.is_file() {
        return Err(wrong(&"not a regular file"));
    }
    let (owner, own) = (known.uid(), geteuid().as_raw());
    if owner != own {
        let why = format!(
            "it belongs to the user {owner}, and this server runs as {own}; remove it, and choose \
             a folder that other users cannot write to"
        );
        return Err(wrong(&why));
    }
    // Tighten the permissions of a file that an older version created.
    if known.mode() & 0o777 != 0o600 {
        opened.set_permissions(Permissions::from_mode(0o600)).map_err(|error| wrong(&error))?;
    }
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => {
            Err(CommandError::Setup(format!("another server already listens on {shown}")))
        }
        Err(TryLockError::Error(error)) => Err(wrong(&error)),
    }
}

/// Removes the socket of a dead server, and nothing else.
fn remove_stale(path: &Path) -> Result<(), CommandError> {
    let shown = path.display();
    let known = match fs::symlink_metadata(path) {
        Ok(known) => known,
        // If the directory is unusable, listening reports why.
        Err(_) => return Ok(()),
    };
    if !known.file_type().is_socket() {
        return Err(CommandError::Setup(format!("{shown} exists and is not a socket")));
    }
    // A socket of another program has no lock file of ours.
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| {
                CommandError::Setup(format!("cannot remove the stale socket {shown}: {error}"))
            }),
        Ok(_) => Err(CommandError::Setup(format!("another program listens on {shown}"))),
        Err(error) => {
            Err(CommandError::Setup(format!("cannot check whether {shown} is in use: {error}")))
        }
    }
}
