//! The socket file: whose it is, and what becomes of one that was left behind.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use crate::failure::Failure;
use crate::settings::Mode;
use crate::stream::Stream;

/// Clients that may wait to be accepted.
const BACKLOG: u32 = 1_024;

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
    /// Listens on a path of which no other server lives.
    pub fn bind(path: &Path, mode: Mode) -> Result<Self, Failure> {
        let shown = path.display();
        let wrong = |error: io::Error| Failure::Setup(format!("cannot listen on {shown}: {error}"));
        // Its URL is for programs that may work in another folder.
        let path = std::path::absolute(path).map_err(wrong)?;
        let lock = lock(&path)?;
        remove_stale(&path)?;
        let socket = tokio::net::UnixSocket::new_stream().map_err(wrong)?;
        socket.bind(&path).map_err(wrong)?;
        // Nobody can connect before we listen, so nobody slips in before this.
        let listener = fs::set_permissions(&path, Permissions::from_mode(mode.bits()))
            .and_then(|()| socket.listen(BACKLOG));
        match listener {
            Ok(listener) => Ok(Self { listener, path, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(wrong(error))
            }
        }
    }

    /// The URL that an engine opens.
    pub fn url(&self) -> String {
        format!("unix://{}", self.path.display())
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

fn lock(path: &Path) -> Result<File, Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let shown = path.display();
    let opened = File::options().create(true).write(true).truncate(false).open(&beside);
    let opened = opened
        .map_err(|error| Failure::Setup(format!("cannot lock {shown} for this server: {error}")))?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::Setup(format!("a server listens on {shown} already")))
        }
        Err(TryLockError::Error(error)) => {
            Err(Failure::Setup(format!("cannot lock {shown} for this server: {error}")))
        }
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
