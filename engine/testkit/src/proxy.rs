//! Injects network faults between a client and a server.

mod connection;
mod trigger;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::connection::Connection;
use self::trigger::Trigger;

pub use self::trigger::CutWhen;

const CONNECTIONS_MAX: usize = 1024;
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Forwards TCP connections from its own loopback port to a server, and breaks
/// them on demand.
///
/// It buffers at most 16 KiB per connection and direction, so flow control works
/// as without a proxy. It serves at most 1024 connections and resets further
/// ones. Dropping it resets all connections.
///
/// Every cut resets (RST) the client's side, so that the client gets an error
/// rather than end of file.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<ProxyState>,
    addr: SocketAddr,
    // `None` only while being dropped.
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct ProxyState {
    // The target of new connections.
    upstream: Mutex<SocketAddr>,
    stopping: AtomicBool,
    refusing: AtomicBool,
    swallowing: AtomicBool,
    delay_micros: AtomicU64,
    fired: AtomicUsize,
    armed_count: AtomicU64,
    // The armed trigger, until it fires. A plain mutex: the critical section is
    // one search of one chunk.
    armed: Mutex<Option<Trigger>>,
    // The same for the servers' data.
    armed_replies: Mutex<Option<Trigger>>,
    // The connections whose threads still run; `closed` signals each that ends.
    // Lock order: never held while taking a connection's own locks.
    live: Mutex<HashMap<u64, Arc<Connection>>>,
    closed: Condvar,
}

impl Proxy {
    /// Starts a proxy for the server at `upstream`. The server need not be
    /// there yet: it is connected to once per client, and a client that comes
    /// while it is away is reset.
    ///
    /// # Panics
    ///
    /// Panics when no loopback port can be opened.
    #[must_use]
    pub fn start(upstream: SocketAddr) -> Proxy {
        match Proxy::open(upstream) {
            Ok(proxy) => proxy,
            Err(cause) => panic!("failed to start a proxy for {upstream}: {cause}"),
        }
    }

    fn open(upstream: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(ProxyState {
            upstream: Mutex::new(upstream),
            stopping: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            swallowing: AtomicBool::new(false),
            delay_micros: AtomicU64::new(0),
            fired: AtomicUsize::new(0),
            armed_count: AtomicU64::new(0),
            armed: Mutex::new(None),
            armed_replies: Mutex::new(None),
            live: Mutex::new(HashMap::new()),
            closed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name("proxy-accept".to_owned())
            .spawn(move || accept(&listener, &accepting))?;
        Ok(Proxy { shared, addr, acceptor: Some(acceptor) })
    }

    /// Returns the address that clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the port that clients connect to, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Redirects new connections to another server, as a cluster's proxy does
    /// after a failover. Live ones are unaffected; [`cut`](Proxy::cut) ends
    /// those.
    pub fn lead_to(&self, upstream: SocketAddr) {
        *lock(&self.shared.upstream) = upstream;
    }

    /// Returns `url` with the server's address replaced by the proxy's.
    ///
    /// # Panics
    ///
    /// Panics when `url` does not name the proxy's upstream as `host:port`.
    #[must_use]
    #[track_caller]
    pub fn url(&self, url: &str) -> String {
        let upstream = lock(&self.shared.upstream).to_string();
        match url.split_once(&upstream) {
            Some((before, after)) if !after.starts_with(|next: char| next.is_ascii_digit()) => {
                format!("{before}{}{after}", self.addr)
            }
            _ => panic!("{url:?} does not name {upstream}"),
        }
    }

    /// Resets every live connection and returns when they are closed. New ones
    /// are still accepted.
    ///
    /// # Panics
    ///
    /// Panics when they are not closed within 10 seconds.
    #[track_caller]
    pub fn cut(&self) {
        if !self.shared.cut() {
            panic!("connections of the proxy at {} did not close in {CLOSED_WITHIN:?}", self.addr);
        }
    }

    /// Resets each new connection at once (true), or serves it again (false).
    /// Live connections stay; [`cut`](Proxy::cut) ends those.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refusing.store(refuse, Ordering::SeqCst);
    }

    /// Holds each chunk of up to 16 KiB back for `delay`, in both directions.
    /// `Duration::ZERO` ends it.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_micros.store(micros, Ordering::SeqCst);
    }

    /// Discards the servers' data (true), or forwards it again (false), while the
    /// clients' data still arrives. Discarded data is lost, so a connection that
    /// lost a reply is best cut.
    pub fn swallow_replies(&self, swallow: bool) {
        self.shared.swallowing.store(swallow, Ordering::SeqCst);
    }

    /// Arms one shot: the first connection whose client sends `needle` from now
    /// on is cut, at the moment that `when` says. Only that connection is cut,
    /// and only once. Arming again replaces a shot that has not fired.
    ///
    /// The needle may be split over chunks, but it must come on one connection.
    /// It is looked for in the raw bytes, so `b"COMMIT"` finds the SQL text of
    /// that statement. The proxy acts on the chunk that holds the needle's end:
    /// what a client pipelines in the same chunk shares its fate.
    ///
    /// [`fired`](Proxy::fired) has risen by the time the client finds out.
    ///
    /// # Panics
    ///
    /// Panics when `needle` is empty or longer than 1024 bytes.
    #[track_caller]
    pub fn cut_after_client_sends(&self, needle: &[u8], when: CutWhen) {
        *lock(&self.shared.armed) = Some(self.trigger(needle, when));
    }

    /// Arms one shot as [`cut_after_client_sends`](Proxy::cut_after_client_sends)
    /// does, but for what servers send: the first connection whose server sends
    /// `needle` is cut in the middle of that reply. The client gets all up to
    /// the needle's end, and then an end.
    ///
    /// # Panics
    ///
    /// Panics when `needle` is empty or longer than 1024 bytes.
    #[track_caller]
    pub fn cut_in_reply_after(&self, needle: &[u8]) {
        *lock(&self.shared.armed_replies) = Some(self.trigger(needle, CutWhen::AfterForward));
    }

    #[track_caller]
    fn trigger(&self, needle: &[u8], when: CutWhen) -> Trigger {
        assert!(!needle.is_empty() && needle.len() <= 1024, "a needle has 1 to 1024 bytes");
        let number = self.shared.armed_count.fetch_add(1, Ordering::SeqCst) + 1;
        Trigger { needle: needle.to_vec(), when, number }
    }

    /// Returns how many shots have fired since the proxy started.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.shared.fired.load(Ordering::SeqCst)
    }

    /// Returns how many connections are live.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.live).len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // A connection to itself wakes the accepting thread. If it is refused,
        // the thread is awake or has ended.
        let _ = TcpStream::connect(self.addr);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.shared.cut();
    }
}

impl ProxyState {
    // Returns whether all connections that were live at the call have closed.
    fn cut(&self) -> bool {
        let doomed: Vec<_> = {
            let live = lock(&self.live);
            live.iter().map(|(id, connection)| (*id, Arc::clone(connection))).collect()
        };
        for (_, connection) in &doomed {
            connection.reset();
        }
        let live = lock(&self.live);
        let waited = self.closed.wait_timeout_while(live, CLOSED_WITHIN, |live| {
            doomed.iter().any(|(id, _)| live.contains_key(id))
        });
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    // Before the cut itself, so that a client that sees the cut also sees the
    // count.
    fn count_shot(&self) {
        self.fired.fetch_add(1, Ordering::SeqCst);
    }

    fn register(&self, id: u64, connection: &Arc<Connection>) {
        lock(&self.live).insert(id, Arc::clone(connection));
    }

    fn forget(&self, id: u64) {
        lock(&self.live).remove(&id);
        self.closed.notify_all();
    }
}

// Runs until the proxy is dropped.
fn accept(listener: &TcpListener, shared: &Arc<ProxyState>) {
    for id in 0_u64.. {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let client = match accepted {
            Ok((client, _)) => client,
            Err(_) => {
                // For example out of file descriptors, which may be transient.
                thread::sleep(ACCEPT_ERROR_PAUSE);
                continue;
            }
        };
        let full = lock(&shared.live).len() >= CONNECTIONS_MAX;
        if full || shared.refusing.load(Ordering::SeqCst) {
            connection::reset(&client);
            continue;
        }
        let Ok(connection) = Connection::new(&client) else {
            continue;
        };
        let connection = Arc::new(connection);
        shared.register(id, &connection);
        let serving = Arc::clone(shared);
        let served = Arc::clone(&connection);
        let spawned = thread::Builder::new().name("proxy-requests".to_owned()).spawn(move || {
            served.serve(client, &serving);
            serving.forget(id);
        });
        if spawned.is_err() {
            connection.reset();
            shared.forget(id);
        }
    }
}

// No code panics under these locks; if it did, the data would still be
// consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
