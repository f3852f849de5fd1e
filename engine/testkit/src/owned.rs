//! Owns a server that one test uses alone.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::folder::Folder;
use crate::port::free_port;
use crate::process::Server;

const STARTS_MAX: u32 = 5;

/// Owns a private server: its folder, loopback port, unix socket and process.
/// Dropping it kills the server and removes the folder.
///
/// It dereferences to the handle `H` with the client operations, such as `url`:
/// [`SharedSqlServer`](crate::SharedSqlServer) or
/// [`SharedRedis`](crate::SharedRedis).
#[derive(Debug)]
pub struct Owned<H> {
    handle: H,
    pub(crate) server: Server,
}

/// How to start a server: its command line and its readiness check on the unix
/// socket.
pub(crate) struct Launch {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<OsString>,
    pub(crate) answers: fn(&Path) -> bool,
}

impl<H> Owned<H> {
    /// Creates a server's folder and lets `prepare` fill it, without starting the
    /// server.
    pub(crate) fn new(
        prefix: &str,
        handle: H,
        prepare: impl FnOnce(&Path) -> Result<Launch, String>,
    ) -> Result<Owned<H>, String> {
        let folder = Folder::new(prefix)
            .map_err(|cause| format!("failed to make a folder {prefix}*: {cause}"))?;
        let Launch { name, command, answers } = prepare(folder.path())?;
        Ok(Owned { handle, server: Server::new(name, command, folder, answers) })
    }

    /// Returns the process id.
    ///
    /// # Panics
    ///
    /// Panics when the server was killed and not restarted.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Returns the path of the unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.server.socket_path()
    }

    /// Kills the server with SIGKILL and waits until it is gone. A second call
    /// does nothing.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Kills the server if it runs, restarts it on the same data and port, and
    /// waits until it answers. A Redis restarts empty.
    ///
    /// # Panics
    ///
    /// Panics with the tail of the server's log when it does not answer within
    /// 60 seconds.
    #[track_caller]
    pub fn restart(&self) {
        self.restart_with(&[]);
    }

    /// Restarts the server as [`restart`](Owned::restart) does, with further
    /// flags. They come last and override the others.
    ///
    /// # Panics
    ///
    /// As [`restart`](Owned::restart).
    #[track_caller]
    pub fn restart_with(&self, flags: &[&str]) {
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        if let Err(cause) = self.server.launch_with(&flags) {
            panic!("{cause}");
        }
    }

    /// Stops the server with SIGSTOP: connections stay open without responses.
    ///
    /// # Panics
    ///
    /// Panics when the server is not running.
    #[track_caller]
    pub fn pause(&self) {
        self.server.pause();
    }

    /// Resumes a paused server with SIGCONT.
    ///
    /// # Panics
    ///
    /// Panics when the server is not running.
    #[track_caller]
    pub fn resume(&self) {
        self.server.resume();
    }
}

impl<H> Deref for Owned<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.handle
    }
}

// Retries only after a lost race for a port: any other error would repeat.
#[track_caller]
pub(crate) fn on_a_free_port<T>(start: impl Fn(u16) -> Result<T, String>) -> T {
    let mut failure = String::new();
    for _ in 0..STARTS_MAX {
        match start(free_port()) {
            Ok(started) => return started,
            Err(cause) => failure = cause,
        }
        if !failure.contains("Address already in use") {
            break;
        }
    }
    panic!("{failure}");
}
