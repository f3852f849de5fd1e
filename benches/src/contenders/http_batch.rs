//! Holds by the batch call over HTTP.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::names;
use super::raw::PACKED_BATCH;
use crate::contender::{Answer, Contender};

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// What the answer to a line begins with whose hold was made.
const HELD: &[u8] = b"{\"status\":200,";

/// Holds one unit of product 1 by each line of `POST /api/holds/batch`, as many times
/// as the batch call in the process. One caller on one connection.
pub struct HttpBatch {
    request: Vec<u8>,
    stream: Mutex<TcpStream>,
}

impl HttpBatch {
    /// Connects to a server.
    ///
    /// # Panics
    /// When it does not accept the connection.
    pub async fn connect(address: SocketAddr) -> Self {
        let count = usize::try_from(PACKED_BATCH).expect("a length");
        let lines = "{\"product_id\":1,\"quantity\":1}\n".repeat(count);
        let length = lines.len();
        let head = "POST /api/holds/batch HTTP/1.1\r\nhost: localhost\r\n";
        let request = format!("{head}content-length: {length}\r\n\r\n{lines}").into_bytes();
        let stream = Mutex::new(TcpStream::connect(address).await.expect("connects"));
        Self { request, stream }
    }

    /// Sends the request while it reads the answers, and returns how many holds were
    /// made.
    async fn ask(&self) -> io::Result<u64> {
        let mut stream = self.stream.lock().await;
        let (mut from, mut to) = stream.split();
        let read = async {
            let mut answer = Vec::with_capacity(self.request.len() * 8);
            while !answer.ends_with(LAST_CHUNK) {
                if from.read_buf(&mut answer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(answer)
        };
        let ((), answer) = tokio::try_join!(to.write_all(&self.request), read)?;
        let lines = answer.split(|byte| *byte == b'\n');
        // The server writes whole lines into a chunk, and a chunk's length on a line of
        // its own.
        Ok(lines.filter(|line| line.starts_with(HELD)).count() as u64)
    }
}

impl Contender for HttpBatch {
    fn name(&self) -> &str {
        names::HTTP_BATCH
    }

    fn units(&self) -> u64 {
        PACKED_BATCH
    }

    fn most_callers(&self) -> usize {
        1
    }

    async fn request(&self, _caller: usize) -> Answer {
        match self.ask().await {
            Ok(PACKED_BATCH) => Answer::Done,
            Ok(_) => Answer::Failed("not every hold was made"),
            Err(_) => Answer::Failed("cut"),
        }
    }

    async fn close(&self) {
        let _ = self.stream.lock().await.shutdown().await;
    }
}
