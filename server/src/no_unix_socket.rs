//! Where the system has no socket files: all that can be said of them.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use crate::failure::Failure;
use crate::settings::Mode;
use crate::stream::Stream;

/// A listening socket file, of which there is none.
#[derive(Debug)]
pub struct UnixSocket(Infallible);

impl UnixSocket {
    /// Refuses.
    pub fn bind(path: &Path, _: Mode, _: &str) -> Result<Self, Failure> {
        let shown = path.display();
        Err(Failure::Setup(format!("cannot listen on {shown}: this system has no socket files")))
    }

    /// Its URL.
    pub fn url(&self, _: &str) -> String {
        match self.0 {}
    }

    /// The next client.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self.0 {}
    }
}
