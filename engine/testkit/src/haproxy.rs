//! Runs a throw-away HAProxy in front of a server.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::owned::{Launch, Owned, on_a_free_port};

/// Owns an HAProxy that forwards TCP connections from its own loopback port to
/// one server and closes idle ones; see [`Owned`] for its lifetime.
pub type HaProxy = Owned<HaProxyAddr>;

/// Names where an [`HaProxy`] listens.
#[derive(Clone, Copy, Debug)]
pub struct HaProxyAddr {
    port: u16,
}

impl HaProxy {
    /// Starts an HAProxy for the server at `upstream`. It ends a connection over
    /// which nothing has gone in either direction for `idle`.
    ///
    /// # Panics
    ///
    /// Panics with the tail of its log when it does not answer within 60
    /// seconds, for example because `haproxy` is not installed.
    #[must_use]
    #[track_caller]
    pub fn start(upstream: SocketAddr, idle: Duration) -> HaProxy {
        on_a_free_port(|port| {
            let owned = Owned::new("stockade-haproxy-", HaProxyAddr { port }, |folder| {
                let config = folder.join("haproxy.cfg");
                fs::write(&config, config_text(folder, port, upstream, idle))
                    .map_err(|cause| format!("failed to write {}: {cause}", config.display()))?;
                // In the foreground, as one process.
                let command = vec!["haproxy".into(), "-db".into(), "-f".into(), config.into()];
                Ok(Launch { name: "HAProxy", command, answers })
            })?;
            owned.server.launch()?;
            Ok(owned)
        })
    }
}

impl HaProxyAddr {
    /// Returns the TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the TCP address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

fn config_text(folder: &Path, port: u16, upstream: SocketAddr, idle: Duration) -> String {
    let (socket, idle) = (folder.join("server.sock"), idle.as_millis());
    format!(
        "global\n    stats socket {} mode 600\n\
         defaults\n    mode tcp\n    timeout connect 5s\n    timeout client {idle}ms\n    \
         timeout server {idle}ms\n\
         listen shop\n    bind 127.0.0.1:{port}\n    server database {upstream}\n",
        socket.display()
    )
}

// It opens its ports before it answers on its own socket.
fn answers(socket: &Path) -> bool {
    let mut reply = String::new();
    let read = UnixStream::connect(socket).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"show info\n")?;
        stream.read_to_string(&mut reply)
    });
    read.is_ok() && reply.contains("Name: HAProxy")
}
