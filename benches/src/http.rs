//! A minimal HTTP/1.1 load generator: keep-alive connections, one request at a
//! time on each. Minimal, because it shares the machine's cores with the server
//! that it measures.

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::contender::{Answer, Contender};

/// Requests to one server, on as many connections as there are callers.
pub struct Http {
    name: &'static str,
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    /// One per caller; none before its first request and after an error.
    connections: Vec<Mutex<Option<Connection>>>,
}

struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    /// The index of the next request.
    turn: usize,
}

/// A parsed response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, without those that every server adds.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Builds a request without a body.
#[must_use]
pub fn request(method: &str, path: &str) -> Vec<u8> {
    let length = if method == "GET" { "" } else { "content-length: 0\r\n" };
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n").into_bytes()
}

/// Sends one request on its own connection.
///
/// # Errors
/// When the server does not respond.
pub async fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Reply> {
    let mut connection = Connection::open(address).await?;
    let (status, head) = connection.ask(request).await?;
    let (head, body) = connection.read.split_at(head);
    let head = String::from_utf8_lossy(head);
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let own = headers.filter(|(name, _)| !matches!(*name, "date" | "content-length"));
    Ok(Reply {
        status,
        headers: own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: String::from_utf8_lossy(body).into_owned(),
    })
}

impl Http {
    /// Cycles through these requests with at most so many callers.
    #[must_use]
    pub fn new(
        name: &'static str,
        address: SocketAddr,
        requests: Vec<Vec<u8>>,
        callers: usize,
    ) -> Self {
        let connections = (0..callers).map(|_| Mutex::new(None)).collect();
        Self { name, address, requests, connections }
    }
}

impl Contender for Http {
    fn name(&self) -> &str {
        self.name
    }

    fn most_callers(&self) -> usize {
        self.connections.len()
    }

    async fn prepare(&self, callers: usize) {
        for slot in &self.connections[..callers] {
            let mut slot = slot.lock().await;
            if slot.is_none() {
                *slot = Connection::open(self.address).await.ok();
            }
        }
    }

    async fn request(&self, caller: usize) -> Answer {
        let mut slot = self.connections[caller].lock().await;
        if slot.is_none() {
            *slot = Connection::open(self.address).await.ok();
        }
        let Some(connection) = slot.as_mut() else { return Answer::Failed("no connection") };
        let request = &self.requests[connection.turn % self.requests.len()];
        connection.turn += 1;
        match connection.ask(request).await {
            Ok((200..300, _)) => Answer::Done,
            Ok((409, _)) => Answer::Refused,
            Ok((503, _)) => Answer::Failed("503"),
            Ok(_) => Answer::Failed("another status"),
            Err(_) => {
                *slot = None;
                Answer::Failed("cut")
            }
        }
    }

    async fn close(&self) {
        for slot in &self.connections {
            *slot.lock().await = None;
        }
    }
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4096), turn: 0 })
    }

    /// Sends a request; returns the response's status and the length of its
    /// head.
    async fn ask(&mut self, request: &[u8]) -> io::Result<(u16, usize)> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(whole) = whole(&self.read)? {
                return Ok(whole);
            }
        }
    }
}

/// Parses the status and the length of the head of a complete response.
fn whole(read: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let Some(head) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let text = std::str::from_utf8(&read[..head]).map_err(|_| wrong())?;
    let status = text.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(wrong)?;
    // Both servers write the header in lower case.
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).ok_or_else(wrong)?;
    let head = head + 4;
    Ok((read.len() >= head + length).then_some((status, head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_with_its_last_byte() {
        let text = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(whole(text).expect("reads"), Some((201, text.len() - 2)));
        for end in 0..text.len() {
            assert_eq!(whole(&text[..end]).expect("reads"), None, "{end}");
        }
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
