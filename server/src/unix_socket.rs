//! A socket file: whose it is, and what becomes of one that was left behind.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use tokio::net::UnixListener;

use crate::failure::Failure;
use crate::settings::Mode;
use crate::stream::Stream;

/// Clients that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Where the system lists its groups.
const GROUPS: &str = "/etc/group";

/// A listening socket file. Dropping it removes the file.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Locked for as long as we live, so that no two servers have one path.
    /// The file stays: removing it would let two lock two files of one name.
    _lock: File,
}

impl UnixSocket {
    /// Listens on a path of which no other server lives. A group, by name or
    /// number, can open the file as its owner can.
    pub fn bind(path: &Path, mode: Mode, group: &str) -> Result<Self, Failure> {
        let shown = path.display();
        let wrong = |error: io::Error| Failure::Setup(format!("cannot listen on {shown}: {error}"));
        // Its URL is for programs that may work in another folder.
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
        // Nobody can connect before we listen, so nobody slips in before this.
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

    /// Its URL, with the scheme of what it serves.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.path.display())
    }

    /// The next client.
    pub async fn accept(&self) -> io::Result<Stream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(Box::pin(stream))
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // What stays behind is stale, which the next server sees.
        let _ = fs::remove_file(&self.path);
    }
}

fn give_to_group(path: &Path, group: Option<(&str, u32)>) -> Result<(), Failure> {
    let Some((name, id)) = group else { return Ok(()) };
    chown(path, None, Some(id)).map_err(|error| {
        let shown = path.display();
        Failure::Setup(format!(
            "cannot give {shown} to the group {name}: {error}; the server's user must belong to it"
        ))
    })
}

/// The number of a group.
fn group_id(group: &str) -> Result<u32, Failure> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let known = fs::read_to_string(GROUPS).unwrap_or_default();
    let id = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
    });
    id.ok_or_else(|| {
        Failure::Setup(format!(
            "there is no group {group} in {GROUPS}; a group of another directory is given by its \
             number"
        ))
    })
}

/// Locks the file beside the socket file. Only its owner can open it, so that
/// no other user of the machine holds the lock and keeps the server from
/// starting.
fn lock(path: &Path) -> Result<File, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let (shown, shown_lock) = (path.display(), beside.display());
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::Setup(format!("cannot lock {shown} for this server by {shown_lock}: {why}"))
    };
    // A link would lead to a file of another's choice, and a pipe would keep
    // the server waiting.
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
        return Err(wrong(&"it is no plain file"));
    }
    let (owner, own) = (known.uid(), geteuid().as_raw());
    if owner != own {
        let why = format!(
            "it belongs to the user {owner}, and this server runs as {own}; remove it, and choose \
             a folder that other users cannot write to"
        );
        return Err(wrong(&why));
    }
    // An older server may have made it so that others can open and lock it.
    if known.mode() & 0o777 != 0o600 {
        opened.set_permissions(Permissions::from_mode(0o600)).map_err(|error| wrong(&error))?;
    }
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::Setup(format!("a server listens on {shown} already")))
        }
        Err(TryLockError::Error(error)) => Err(wrong(&error)),
    }
}

/// Removes the socket of a server that is dead, and nothing else.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    let known = match fs::symlink_metadata(path) {
        Ok(known) => known,
        // Listening tells what is wrong with the folder, if anything is.
        Err(_) => return Ok(()),
    };
    if !known.file_type().is_socket() {
        return Err(Failure::Setup(format!("{shown} is there already and is no socket")));
    }
    // One of another program has no lock of ours.
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| Failure::Setup(format!("cannot remove the stale {shown}: {error}"))),
        Ok(_) => Err(Failure::Setup(format!("another program listens on {shown}"))),
        Err(error) => Err(Failure::Setup(format!("cannot tell whose {shown} is: {error}"))),
    }
}
