//! The server's listeners: a TCP address and two Unix sockets, each optional.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tokio::net::{TcpListener, lookup_host};

use crate::command_error::CommandError;
use crate::settings::Settings;
use crate::stream::Stream;
use crate::unix_socket::UnixSocket;

/// The transport a client connected by; it decides what the client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The TCP address: the HTTP API, and engine calls with the API key.
    Tcp,
    /// The engines' Unix socket. Its file mode authorizes processes to do
    /// everything, so no proxy may stand in front of it. Serves no HTTP API.
    Unix,
    /// The proxy's Unix socket: the HTTP API only.
    UnixHttp,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// How it connected.
    pub transport: Transport,
    /// Its address, which only TCP has.
    pub address: Option<IpAddr>,
}

impl Peer {
    /// A peer that connected by TCP.
    pub fn tcp(address: IpAddr) -> Self {
        Self { transport: Transport::Tcp, address: Some(address) }
    }

    /// A peer without an address.
    pub fn on(transport: Transport) -> Self {
        Self { transport, address: None }
    }
}

/// All open listeners. Dropping it closes them and removes the socket files.
#[derive(Debug)]
pub struct Listeners {
    tcp: Option<TcpListener>,
    unix: Option<UnixSocket>,
    unix_http: Option<UnixSocket>,
}

impl Listeners {
    /// Opens the listeners of the settings.
    ///
    /// # Errors
    /// Which listener cannot be opened, and why.
    pub async fn bind(settings: &Settings) -> Result<Self, CommandError> {
        let Settings { listen, unix, unix_mode, unix_group, .. } = settings;
        let Settings { unix_http, unix_http_mode, unix_http_group, .. } = settings;
        if listen.is_empty() && unix.is_empty() && unix_http.is_empty() {
            return Err(CommandError::Setup(
                "nothing to listen on: listen, unix and unix_http are all empty".to_owned(),
            ));
        }
        if !unix_http.is_empty() {
            // A proxy forwards requests from other machines.
            reject_without_secrets(settings, unix_http)?;
        }
        let tcp = match listen.as_str() {
            "" => None,
            _ => Some(bind_tcp(settings).await?),
        };
        let file = |path: &str, mode, group: &str| match path {
            "" => Ok(None),
            path => UnixSocket::bind(Path::new(path), mode, group).map(Some),
        };
        Ok(Self {
            tcp,
            unix: file(unix, *unix_mode, unix_group)?,
            unix_http: file(unix_http, *unix_http_mode, unix_http_group)?,
        })
    }

    /// Returns the URL of each listener.
    ///
    /// # Errors
    /// The operating system does not know the bound address.
    pub fn urls(&self) -> Result<Vec<String>, CommandError> {
        let mut urls = Vec::new();
        if let Some(tcp) = &self.tcp {
            let address = tcp.local_addr().map_err(|error| {
                CommandError::system("cannot read the bound address of the listener", &error)
            })?;
            urls.push(format!("http://{address}"));
        }
        urls.extend(self.unix.as_ref().map(|file| file.url("unix")));
        urls.extend(self.unix_http.as_ref().map(|file| file.url("http+unix")));
        Ok(urls)
    }

    /// Accepts the next client.
    ///
    /// # Errors
    /// The operating system's, such as running out of file descriptors.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        let tcp = async {
            match &self.tcp {
                Some(tcp) => tcp.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = tcp => {
                let (stream, address) = accepted?;
                // Responses are small; TCP_NODELAY sends them at once.
                let _ = stream.set_nodelay(true);
                Ok((Box::pin(stream), Peer::tcp(address.ip())))
            }
            accepted = accept_on(self.unix.as_ref()) => Ok((accepted?, Peer::on(Transport::Unix))),
            accepted = accept_on(self.unix_http.as_ref()) => {
                Ok((accepted?, Peer::on(Transport::UnixHttp)))
            }
        }
    }
}

/// Accepts on an optional socket; pends forever without one.
async fn accept_on(file: Option<&UnixSocket>) -> io::Result<Stream> {
    match file {
        Some(file) => file.accept().await,
        None => std::future::pending().await,
    }
}

/// Rejects a configuration that would let remote clients do everything.
fn reject_without_secrets(settings: &Settings, address: &str) -> Result<(), CommandError> {
    match settings.missing_secrets() {
        Some(missing) if !settings.insecure => Err(CommandError::Setup(format!(
            "refusing to listen on {address} without a webhook secret and an API key: every \
             client could mark orders as paid and change the stock. Set {missing}, or pass \
             --insecure",
        ))),
        _ => Ok(()),
    }
}

async fn bind_tcp(settings: &Settings) -> Result<TcpListener, CommandError> {
    let wrong = |error: &io::Error| {
        CommandError::Setup(format!("cannot listen on {}: {error}", settings.listen))
    };
    let addresses: Vec<SocketAddr> =
        lookup_host(&settings.listen).await.map_err(|error| wrong(&error))?.collect();
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        reject_without_secrets(settings, &settings.listen)?;
    }
    TcpListener::bind(addresses.as_slice()).await.map_err(|error| wrong(&error))
}
