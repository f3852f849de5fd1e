//! A client that violates the protocol.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::server::{SOON, Server};

/// A raw connection to the server.
pub struct Raw(TcpStream);

impl Raw {
    pub fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self(stream)
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Reads one response with a `content-length` and leaves the connection
    /// open.
    pub fn answer(&mut self) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(b"\r\n\r\n") {
            assert_eq!(
                self.0.read(&mut byte).unwrap(),
                1,
                "closed after {}",
                String::from_utf8_lossy(&read)
            );
            read.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&read).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap_or("0").parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        head + &String::from_utf8_lossy(&body)
    }

    /// Half-closes the connection; responses can still be read.
    pub fn done(&mut self) -> &mut Self {
        // Fails if the server has already closed.
        let _ = self.0.shutdown(Shutdown::Write);
        self
    }

    /// Sends bytes, unless the server has closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Reads until the server closes.
    pub fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.rest_bytes()).into_owned()
    }

    /// The same as bytes.
    #[track_caller]
    pub fn rest_bytes(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        // A reset after the response is an end as well; a timeout is not.
        if let Err(error) = self.0.read_to_end(&mut read) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "still open after {read:?}");
        }
        read
    }
}

/// Sends bytes on their own connection and returns everything received.
pub fn exchange(server: &Server, bytes: impl AsRef<[u8]>) -> String {
    Raw::connect(server).send(bytes).rest()
}
