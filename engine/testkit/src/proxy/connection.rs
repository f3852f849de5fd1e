//! Pumps one client's connection through the proxy with two threads.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::trigger::{CutWhen, Scanner};
use super::{ProxyState, lock};

const CHUNK_BYTES: usize = 16 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
// Bounds the time until a blocked writer or a delayed chunk notices a cut. The
// shutdown wakes a blocked reader at once.
const NOTICE_WITHIN: Duration = Duration::from_millis(20);

/// Makes the last close of this socket send RST rather than FIN, and wakes its
/// reader. A shutdown for reading sends nothing by itself.
pub(super) fn reset(stream: &TcpStream) {
    // Both fail only on a socket that is disconnected already.
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

/// The writing end of one side. The reading end is a duplicate that the pump on
/// that side owns; the kernel closes the socket when both are gone.
#[derive(Debug, Default)]
struct Peer {
    // `None` before the server is connected, and after a cut. Guards one write,
    // which the write timeout bounds; a plain mutex, as the threads block anyway.
    stream: Mutex<Option<TcpStream>>,
}

impl Peer {
    fn open(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(NOTICE_WITHIN))?;
        *lock(&self.stream) = Some(stream.try_clone()?);
        Ok(())
    }

    fn reset(&self) {
        if let Some(stream) = lock(&self.stream).take() {
            reset(&stream);
        }
    }

    /// Forwards the other side's end of file.
    fn finish(&self) {
        if let Some(stream) = lock(&self.stream).as_ref() {
            // Fails only if the peer has closed already.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    /// Sends all of `bytes`; returns false if the peer has closed or the
    /// connection is cut.
    fn send(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let mut slot = lock(&self.stream);
            let Some(stream) = slot.as_mut() else {
                return false;
            };
            match stream.write(bytes) {
                Ok(0) => return false,
                Ok(count) => bytes = &bytes[count..],
                Err(cause) if waits(cause.kind()) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn waits(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// A proxied connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    client: Peer,
    server: Peer,
    // Set before the sockets are shut down, so that a woken reader can tell a
    // cut from the peer's own end.
    broken: AtomicBool,
    // The client is gone by an `AfterForward`; the server may finish.
    orphaned: AtomicBool,
    // An `AfterReply` waits for the server's next chunk.
    cut_at_reply: AtomicBool,
}

impl Connection {
    pub(super) fn new(client: &TcpStream) -> std::io::Result<Connection> {
        let connection = Connection::default();
        connection.client.open(client)?;
        Ok(connection)
    }

    /// Cuts both sides. Their sockets close with RST once the pumps drop their
    /// reading ends, which happens at once.
    pub(super) fn reset(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.client.reset();
        self.server.reset();
    }

    fn broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Connects to the server and pumps both ways until both ends have closed
    /// or the connection is cut. All its sockets are closed on return.
    pub(super) fn serve(&self, client: TcpStream, shared: &ProxyState) {
        let upstream = *lock(&shared.upstream);
        let server = TcpStream::connect_timeout(&upstream, CONNECT_WITHIN)
            .and_then(|server| self.server.open(&server).map(|()| server));
        let Ok(server) = server else {
            self.reset();
            return;
        };
        // A cut may have come during the connect.
        if self.broken() {
            self.reset();
        }
        thread::scope(|scope| {
            let pump = || self.pump_replies(server, shared);
            let spawned =
                thread::Builder::new().name("proxy-replies".to_owned()).spawn_scoped(scope, pump);
            match spawned {
                Ok(_) => self.pump_requests(client, shared),
                Err(_) => self.reset(),
            }
        });
        *lock(&self.client.stream) = None;
        *lock(&self.server.stream) = None;
    }

    fn pump_requests(&self, mut client: TcpStream, shared: &ProxyState) {
        let mut buffer = [0_u8; CHUNK_BYTES];
        let mut scanner = Scanner::default();
        while let Some(chunk) = self.read(&mut client, &mut buffer, &self.server, shared) {
            let hit = scanner.scan(&mut lock(&shared.armed), chunk).map(|hit| hit.when);
            match hit {
                Some(CutWhen::BeforeForward) => {
                    shared.count_shot();
                    self.reset();
                    return;
                }
                Some(CutWhen::AfterReply) => self.cut_at_reply.store(true, Ordering::SeqCst),
                Some(CutWhen::AfterForward) => self.orphaned.store(true, Ordering::SeqCst),
                None => {}
            }
            if !self.server.send(chunk) {
                self.reset();
            }
            if hit == Some(CutWhen::AfterForward) {
                // FIN rather than RST for the server: it reads and executes the
                // forwarded data before it sees the end.
                shared.count_shot();
                self.client.reset();
                self.server.finish();
                return;
            }
        }
    }

    fn pump_replies(&self, mut server: TcpStream, shared: &ProxyState) {
        let mut buffer = [0_u8; CHUNK_BYTES];
        let mut scanner = Scanner::default();
        while let Some(chunk) = self.read(&mut server, &mut buffer, &self.client, shared) {
            if let Some(hit) = scanner.scan(&mut lock(&shared.armed_replies), chunk) {
                shared.count_shot();
                // FIN rather than RST for the client: it reads the forwarded data
                // first.
                self.client.send(&chunk[..hit.end]);
                self.client.finish();
                self.broken.store(true, Ordering::SeqCst);
                self.server.reset();
                return;
            }
            if self.cut_at_reply.load(Ordering::SeqCst) {
                shared.count_shot();
                self.reset();
                return;
            }
            let orphaned = self.orphaned.load(Ordering::SeqCst);
            if orphaned || shared.swallowing.load(Ordering::SeqCst) {
                continue;
            }
            if !self.client.send(chunk) {
                // The cut may have come while the chunk was in flight; the server
                // must still finish.
                if !self.orphaned.load(Ordering::SeqCst) {
                    self.reset();
                }
            }
        }
    }

    // Reads one chunk and delays it. Returns `None` at end of file, after
    // forwarding that to `other`.
    fn read<'b>(
        &self,
        from: &mut TcpStream,
        buffer: &'b mut [u8],
        other: &Peer,
        shared: &ProxyState,
    ) -> Option<&'b [u8]> {
        let count = loop {
            let read = from.read(buffer);
            if self.broken() {
                return None;
            }
            match read {
                Ok(0) => {
                    other.finish();
                    return None;
                }
                Ok(count) => break count,
                Err(cause) if waits(cause.kind()) => {}
                Err(_) => {
                    self.reset();
                    return None;
                }
            }
        };
        let delay = Duration::from_micros(shared.delay_micros.load(Ordering::SeqCst));
        let started = Instant::now();
        while !self.broken() {
            let left = delay.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Some(&buffer[..count]);
            }
            thread::sleep(left.min(NOTICE_WITHIN));
        }
        None
    }
}
