//! Where the server listens: on an address, on socket files, or on all of them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, lookup_host};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::stream::Stream;
use crate::unix_socket::UnixSocket;

/// How a client came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// By an address: the HTTP API, and engines that show the API key.
    Tcp,
    /// By the engines' socket file, whose mode decides which processes can do
    /// everything: no proxy is put before it, since it serves no HTTP API.
    Unix,
    /// By the proxy's socket file: the HTTP API alone.
    UnixHttp,
}

/// What the server listens on. Dropping it closes everything and removes the
/// socket files.
#[derive(Debug)]
pub struct Listeners {
    tcp: Option<TcpListener>,
    unix: Option<UnixSocket>,
    unix_http: Option<UnixSocket>,
}

impl Listeners {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Says which of them cannot be listened on, and why.
    pub async fn bind(settings: &Settings) -> Result<Self, Failure> {
        let Settings { listen, unix, unix_mode, unix_group, .. } = settings;
        let Settings { unix_http, unix_http_mode, unix_http_group, .. } = settings;
        if listen.is_empty() && unix.is_empty() && unix_http.is_empty() {
            return Err(Failure::Setup("listen, unix and unix_http are all empty".to_owned()));
        }
        if !unix_http.is_empty() {
            // A proxy brings the requests of the world.
            refuse_without_secrets(settings, unix_http)?;
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

    /// The URLs of what it listens on.
    ///
    /// # Errors
    /// Says that the system does not know the address.
    pub fn urls(&self) -> Result<Vec<String>, Failure> {
        let mut urls = Vec::new();
        if let Some(tcp) = &self.tcp {
            let address = tcp
                .local_addr()
                .map_err(|error| Failure::system("the listener has no address", &error))?;
            urls.push(format!("http://{address}"));
        }
        urls.extend(self.unix.as_ref().map(|file| file.url("unix")));
        urls.extend(self.unix_http.as_ref().map(|file| file.url("http+unix")));
        Ok(urls)
    }

    /// The next client.
    ///
    /// # Errors
    /// The system's, as when it is out of file descriptors.
    pub async fn accept(&self) -> io::Result<(Stream, Door)> {
        let tcp = async {
            match &self.tcp {
                Some(tcp) => tcp.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = tcp => {
                let (stream, _) = accepted?;
                // Answers are small and should leave at once.
                let _ = stream.set_nodelay(true);
                Ok((Box::pin(stream), Door::Tcp))
            }
            accepted = accept_on(self.unix.as_ref()) => Ok((accepted?, Door::Unix)),
            accepted = accept_on(self.unix_http.as_ref()) => Ok((accepted?, Door::UnixHttp)),
        }
    }
}

/// The next client of a socket file; never one where there is no file.
async fn accept_on(file: Option<&UnixSocket>) -> io::Result<Stream> {
    match file {
        Some(file) => file.accept().await,
        None => std::future::pending().await,
    }
}

/// Refuses to serve strangers who could do everything.
fn refuse_without_secrets(settings: &Settings, place: &str) -> Result<(), Failure> {
    match settings.missing_secrets() {
        Some(missing) if !settings.insecure => Err(Failure::Setup(format!(
            "will not listen on {place}, which requests from beyond this machine can reach, \
             without a webhook secret and an API key: anyone could mark orders as paid and \
             change the stock. Set {missing}, or say --insecure",
        ))),
        _ => Ok(()),
    }
}

async fn bind_tcp(settings: &Settings) -> Result<TcpListener, Failure> {
    let wrong = |error: &io::Error| {
        Failure::Setup(format!("cannot listen on {}: {error}", settings.listen))
    };
    let addresses: Vec<SocketAddr> =
        lookup_host(&settings.listen).await.map_err(|error| wrong(&error))?.collect();
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        refuse_without_secrets(settings, &settings.listen)?;
    }
    TcpListener::bind(addresses.as_slice()).await.map_err(|error| wrong(&error))
}
