//! Where the server listens: on an address, on a socket file, or on both.

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
    /// By an address.
    Tcp,
    /// By the socket file, whose mode lets in whom it shall.
    Unix,
}

/// What the server listens on. Dropping it closes both and removes the socket
/// file.
#[derive(Debug)]
pub struct Listeners {
    tcp: Option<TcpListener>,
    unix: Option<UnixSocket>,
}

impl Listeners {
    /// Opens what the settings name.
    ///
    /// # Errors
    /// Says which of them cannot be listened on, and why.
    pub async fn bind(settings: &Settings) -> Result<Self, Failure> {
        if settings.listen.is_empty() && settings.unix.is_empty() {
            return Err(Failure::Setup("listen and unix are both empty".to_owned()));
        }
        let tcp = match settings.listen.as_str() {
            "" => None,
            _ => Some(listen(settings).await?),
        };
        let unix = match settings.unix.as_str() {
            "" => None,
            path => Some(UnixSocket::bind(Path::new(path), settings.unix_mode)?),
        };
        Ok(Self { tcp, unix })
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
        urls.extend(self.unix.as_ref().map(UnixSocket::url));
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
        let unix = async {
            match &self.unix {
                Some(unix) => unix.accept().await,
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
            accepted = unix => Ok((accepted?, Door::Unix)),
        }
    }
}

async fn listen(settings: &Settings) -> Result<TcpListener, Failure> {
    let wrong = |error: &io::Error| {
        Failure::Setup(format!("cannot listen on {}: {error}", settings.listen))
    };
    let addresses: Vec<SocketAddr> =
        lookup_host(&settings.listen).await.map_err(|error| wrong(&error))?.collect();
    let open = settings.webhook_secret.is_empty() || settings.api_key.is_empty();
    if open && !settings.insecure && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(Failure::Setup(format!(
            "will not listen on {}, beyond this machine, without a webhook secret and an API key: \
             anyone could mark orders as paid and change the stock. Set STOCKADE_WEBHOOK_SECRET \
             and STOCKADE_API_KEY, or say --insecure",
            settings.listen
        )));
    }
    TcpListener::bind(addresses.as_slice()).await.map_err(|error| wrong(&error))
}
