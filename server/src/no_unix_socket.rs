//! Stub of `unix_socket` for platforms without Unix sockets.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use crate::command_error::CommandError;
use crate::settings::Mode;
use crate::stream::Stream;

/// A Unix socket, which cannot exist on this platform.
#[derive(Debug)]
pub struct UnixSocket(Infallible);

impl UnixSocket {
    /// Always fails.
    pub fn bind(path: &Path, _: Mode, _: &str) -> Result<Self, CommandError> {
        let shown = path.display();
        Err(CommandError::Setup(format!(
            "cannot listen on {shown}: this platform has no Unix sockets"
        )))
    }

    /// Returns the socket's URL.
    pub fn url(&self, _: &str) -> String {
        match self.0 {}
    }

    /// Accepts the next client.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self.0 {}
    }
}
