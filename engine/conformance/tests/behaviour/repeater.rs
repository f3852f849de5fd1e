//! A proxy that sends a text to the database once more, as some do that lost
//! its answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Forwards MySQL's packets, and repeats the first that holds what it is armed
/// with: the client gets the answer to the second run only.
pub struct Repeater {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    needle: Mutex<Option<Vec<u8>>>,
    repeated: AtomicUsize,
}

impl Repeater {
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(upstream).expect("the database is there");
                serve(&client, &server, &serving);
            }
        });
        Self { addr, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn arm(&self, needle: &str) {
        *lock(&self.shared.needle) = Some(needle.as_bytes().to_vec());
    }

    /// How many texts were sent twice.
    pub fn repeated(&self) -> usize {
        self.shared.repeated.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(client: &TcpStream, server: &TcpStream, shared: &Arc<Shared>) {
    // The text whose first answer is kept from the client.
    let again: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let copy = |stream: &TcpStream| stream.try_clone().expect("a copy");
    let (mut from, mut to) = (copy(client), copy(server));
    let (shared, repeat) = (Arc::clone(shared), Arc::clone(&again));
    thread::spawn(move || {
        while let Some(packet) = read(&mut from) {
            let mut needle = lock(&shared.needle);
            let is_hit = |needle: &Vec<u8>| packet.windows(needle.len()).any(|at| at == needle);
            if needle.as_ref().is_some_and(is_hit) {
                *needle = None;
                *lock(&repeat) = Some(packet.clone());
                shared.repeated.fetch_add(1, Ordering::SeqCst);
            }
            drop(needle);
            if to.write_all(&packet).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let (mut from, mut to, mut back) = (copy(server), copy(client), copy(server));
    thread::spawn(move || {
        while let Some(packet) = read(&mut from) {
            let mut again = lock(&again);
            let sent = match &*again {
                None => to.write_all(&packet),
                Some(_) if !is_last(&packet) => Ok(()),
                Some(text) => back.write_all(text),
            };
            if again.is_some() && is_last(&packet) {
                *again = None;
            }
            if sent.is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

/// A packet with its head: three bytes of length, one of its number.
fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; 4];
    stream.read_exact(&mut packet).ok()?;
    let length =
        usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
    packet.resize(4 + length, 0);
    stream.read_exact(&mut packet[4..]).ok()?;
    Some(packet)
}

/// Whether it ends the answer to a text of writes: an error, or an OK without
/// the flag that more results follow.
fn is_last(packet: &[u8]) -> bool {
    let body = &packet[4..];
    if body[0] == 0xff {
        return true;
    }
    // Rows hit and the last id come before the flags, each of a length that its
    // first byte tells.
    let after = |at: usize| match body[at] {
        0xfc => at + 3,
        0xfd => at + 4,
        0xfe => at + 9,
        _ => at + 1,
    };
    body[after(after(1))] & 0x08 == 0
}
