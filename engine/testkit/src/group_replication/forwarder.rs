//! Forwards a loopback port to a server's unix socket.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Forwards TCP connections from a loopback port to a unix socket. A socket file
/// is reachable from every network namespace, so clients reach a server in its
/// own namespace even while that network is partitioned.
///
/// While the server is down, clients are closed at once. Dropping the forwarder
/// frees its port; a connection lasts until one side closes it.
#[derive(Debug)]
pub(super) struct Forwarder {
    addr: SocketAddr,
    stopping: Arc<AtomicBool>,
    // `None` only while being dropped.
    acceptor: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Starts to forward from this port.
    ///
    /// # Errors
    ///
    /// Says so when the port is taken.
    pub(super) fn start(port: u16, socket: PathBuf) -> Result<Forwarder, String> {
        Forwarder::open(port, socket)
            .map_err(|cause| format!("failed to forward from port {port}: {cause}"))
    }

    fn open(port: u16, socket: PathBuf) -> io::Result<Forwarder> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let addr = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stopping);
        let acceptor = thread::Builder::new()
            .name("forwarder-accept".to_owned())
            .spawn(move || accept(&listener, &socket, &is_over))?;
        Ok(Forwarder { addr, stopping, acceptor: Some(acceptor) })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // A connection to itself wakes the accepting thread. If it is refused,
        // the thread is awake or has ended.
        let _ = TcpStream::connect(self.addr);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

// Runs until the forwarder is dropped.
fn accept(listener: &TcpListener, socket: &Path, is_over: &AtomicBool) {
    loop {
        let accepted = listener.accept();
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let Ok((client, _)) = accepted else {
            // For example out of file descriptors, which may be transient.
            thread::sleep(ACCEPT_ERROR_PAUSE);
            continue;
        };
        let socket = socket.to_path_buf();
        // Without a thread the client is dropped, and so closed.
        let _ = thread::Builder::new().name("forwarder-requests".to_owned()).spawn(move || {
            // An error on either side ends the connection, which is the only
            // signal.
            let _ = forward(&client, &socket);
            let _ = client.shutdown(Shutdown::Both);
        });
    }
}

/// Copies in both directions until one of them ends, then ends the other.
fn forward(client: &TcpStream, socket: &Path) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = UnixStream::connect(socket)?;
    thread::scope(|scope| {
        let replies = thread::Builder::new().name("forwarder-replies".to_owned());
        let copying = replies.spawn_scoped(scope, || {
            let copied = io::copy(&mut &server, &mut &*client);
            end(client, &server);
            copied
        });
        let copied = copying.and_then(|_| io::copy(&mut &*client, &mut &server));
        end(client, &server);
        copied.map(drop)
    })
}

fn end(client: &TcpStream, server: &UnixStream) {
    // It may be closed already.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::folder::Folder;

    #[test]
    fn forwarder_copies_both_ways_and_forwards_eof() -> io::Result<()> {
        let folder = Folder::new("stockade-forwarder-")?;
        let socket = folder.path().join("server.sock");
        let forwarder = Forwarder::open(0, socket.clone())?;
        // Nobody is there yet.
        let mut early = TcpStream::connect(forwarder.addr)?;
        assert_eq!(early.read(&mut [0])?, 0);

        let listener = UnixListener::bind(&socket)?;
        let mut client = TcpStream::connect(forwarder.addr)?;
        let (mut server, _) = listener.accept()?;
        client.write_all(b"ask")?;
        let mut asked = [0; 3];
        server.read_exact(&mut asked)?;
        assert_eq!(&asked, b"ask");
        server.write_all(b"reply")?;
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        assert_eq!(answer, "reply");
        let addr = forwarder.addr;
        drop(forwarder);
        assert!(TcpStream::connect(addr).is_err());
        Ok(())
    }
}
