//! The one HTTP/2 connection to a running engine, which is opened anew when it
//! is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http_body_util::Full;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::http::uri::Scheme;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::{Address, RemoteEndpoint};
use super::counters::Counters;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::closed;

/// The timeout of one attempt to connect: a host that accepts no connection
/// within seconds is down, and other attempts follow.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// HTTP/2 keep-alive: interval and timeout of PING frames while calls are in
/// flight. A dead peer is noticed within twice of it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long closing waits for the HTTP/2 GOAWAY exchange.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Connection {
    pub sender: SendRequest<Full<Bytes>>,
    /// Tells this connection from earlier ones.
    pub number: u64,
}

/// An attempt to connect that its waiters share (single-flight).
type Opening = Shared<BoxFuture<'static, Result<Connection>>>;

enum State {
    Closed,
    Opening(Opening),
    Open(Connection),
}

pub(super) struct Connector {
    pub address: Address,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsConnector>,
    pub counters: Counters,
    /// Guards the connection's state. A plain mutex: each critical section
    /// clones or replaces the state and never awaits.
    state: Mutex<State>,
    pub tasks: Tasks,
}

impl Connector {
    /// # Errors
    /// `invalid_argument` when the trusted certificates cannot be read.
    pub fn new(address: Address, config: &Config, handle: Handle) -> Result<Self> {
        #[cfg(not(feature = "tls"))]
        let _ = config;
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: tls_connector(&address, config)?,
            address,
            counters: Counters::new(),
            state: Mutex::new(State::Closed),
            tasks: Tasks { handle, tracker: TaskTracker::new(), stop: CancellationToken::new() },
        })
    }

    /// Closes the connection and opens no other.
    pub async fn close(&self) {
        self.tasks.tracker.close();
        *self.state.lock() = State::Closed;
        // Without a sender, hyper closes the connection with GOAWAY.
        if timeout(GOAWAY_TIMEOUT, self.tasks.tracker.wait()).await.is_err() {
            tracing::debug!("the running engine did not close its end of the connection in time");
        }
        self.abort();
    }

    /// Drops the connection at once and opens no other.
    pub fn abort(&self) {
        self.tasks.stop.cancel();
    }

    /// Returns the connection, and opens it if there is none: all callers share
    /// one attempt and its error.
    pub async fn connection(self: &Arc<Self>) -> Result<Connection> {
        let opening = {
            let mut state = self.state.lock();
            match &*state {
                State::Open(open) if !open.sender.is_closed() => return Ok(open.clone()),
                State::Opening(opening) => opening.clone(),
                State::Open(_) | State::Closed => {
                    if self.tasks.stop.is_cancelled() || self.tasks.tracker.is_closed() {
                        return Err(closed());
                    }
                    let opening = self.open();
                    *state = State::Opening(opening.clone());
                    opening
                }
            }
        };
        opening.await
    }

    /// Starts to connect in a task of its own, so that a caller that drops its
    /// future does not cancel the attempt for the others.
    fn open(self: &Arc<Self>) -> Opening {
        let connector = Arc::clone(self);
        let opening = self.tasks.spawn(async move {
            let late = |_| {
                Error::new(
                    ErrorKind::Unavailable,
                    "the running engine does not accept the connection in time",
                )
            };
            let opened = timeout(CONNECT_TIMEOUT, connector.connect()).await.map_err(late);
            let opened = opened.and_then(|connected| connected).map(|sender| {
                let number = connector.counters.connections.inc() + 1;
                Connection { sender, number }
            });
            let mut state = connector.state.lock();
            *state = match &opened {
                Ok(open) if !connector.tasks.tracker.is_closed() => State::Open(open.clone()),
                _ => State::Closed,
            };
            opened
        });
        opening
            .map(|opened| opened.ok().flatten().unwrap_or_else(|| Err(closed())))
            .boxed()
            .shared()
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let unreachable = |error| {
            Error::caused(ErrorKind::Unavailable, "the running engine cannot be reached", error)
        };
        match &self.address.endpoint {
            #[cfg(unix)]
            RemoteEndpoint::Unix(path) => {
                let denied = |error: std::io::Error| match error.kind() {
                    std::io::ErrorKind::PermissionDenied => {
                        let why = format!(
                            "permission denied on the socket file {}: this process is not its \
                             owner; start the server with --unix-group=GROUP and this process in \
                             that group",
                            path.display()
                        );
                        Error::caused(ErrorKind::Unavailable, why, error)
                    }
                    _ => unreachable(error),
                };
                let stream = tokio::net::UnixStream::connect(path).await.map_err(denied)?;
                self.handshake(stream).await
            }
            #[cfg(not(unix))]
            RemoteEndpoint::Unix(_) => {
                Err(Error::invalid_argument("this system has no Unix domain sockets"))
            }
            RemoteEndpoint::Tcp(host) => {
                let stream = TcpStream::connect(host).await.map_err(unreachable)?;
                // Calls are small: Nagle's algorithm would delay them.
                stream.set_nodelay(true).map_err(unreachable)?;
                self.handshake(stream).await
            }
            RemoteEndpoint::Tls { address, name } => {
                let stream = TcpStream::connect(address).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                self.handshake(self.secure(stream, name).await?).await
            }
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(
        &self,
        stream: TcpStream,
        name: &str,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let no_name = |_| Error::invalid_argument("the URL's host is no name of a certificate");
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).map_err(no_name)?;
        let Some(connector) = &self.tls else {
            return Err(Error::new(ErrorKind::Internal, "the connector was made without TLS"));
        };
        connector.connect(name, stream).await.map_err(|error| {
            let text = error.to_string();
            match crate::tls::advice(&text, "setting remote_ca") {
                Some(advice) => Error::caused(ErrorKind::InvalidArgument, advice, error),
                None => {
                    let why = "the running engine closed the connection in the TLS handshake";
                    Error::caused(ErrorKind::Unavailable, why, error)
                }
            }
        })
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(&self, _stream: TcpStream, _name: &str) -> Result<TcpStream> {
        Err(crate::features::left_out("tls", "use TLS"))
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new(self.tasks.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| {
                Error::caused(
                    ErrorKind::Unavailable,
                    "the running engine closed the connection",
                    error,
                )
            })?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the running engine ended");
            }
        });
        self.check_health(sender.clone()).await?;
        Ok(sender)
    }

    /// Waits until the server answers its health check. A call is sent only to a
    /// server that serves, so that one that was never sent is known not to have
    /// been executed.
    async fn check_health(&self, mut sender: SendRequest<Full<Bytes>>) -> Result<()> {
        let request = Request::builder().uri(self.uri("/healthz")?);
        let request = request.body(Full::default()).map_err(unfit)?;
        let answer = sender.send_request(request).await.map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "the running engine closed the connection", error)
        })?;
        if answer.status() == StatusCode::OK {
            return Ok(());
        }
        let why = format!("the running engine is not ready: it answered {}", answer.status());
        Err(Error::new(ErrorKind::Unavailable, why))
    }

    pub fn uri(&self, path: &str) -> Result<Uri> {
        let authority = self.address.authority.clone();
        let scheme = match self.address.endpoint {
            RemoteEndpoint::Tls { .. } => Scheme::HTTPS,
            RemoteEndpoint::Unix(_) | RemoteEndpoint::Tcp(_) => Scheme::HTTP,
        };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
        uri.build().map_err(unfit)
    }

    /// Discards a connection that failed, so that the next call opens another;
    /// returns the call's error.
    pub fn lost(
        &self,
        number: u64,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        let mut state = self.state.lock();
        if matches!(&*state, State::Open(open) if open.number == number) {
            *state = State::Closed;
            self.counters.connections_lost.inc();
        }
        drop(state);
        if self.tasks.stop.is_cancelled() {
            return closed();
        }
        let why = "the connection to the running engine was lost";
        Error::caused(ErrorKind::Unavailable, why, cause)
    }
}

#[cfg(feature = "tls")]
fn tls_connector(address: &Address, config: &Config) -> Result<Option<tokio_rustls::TlsConnector>> {
    if !matches!(address.endpoint, RemoteEndpoint::Tls { .. }) {
        if config.remote_ca.is_empty() {
            return Ok(None);
        }
        let why = "setting remote_ca: it is for TLS; begin the URL of the engine with https";
        return Err(Error::invalid_argument(why));
    }
    let ca = crate::tls::read_pem("remote_ca", &config.remote_ca, crate::tls::CERTIFICATE)?;
    let mut config = crate::tls::client_config("remote_ca", ca.as_deref())?;
    // The client speaks HTTP/2 only. A proxy without ALPN is assumed to speak it.
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(Arc::new(config).into()))
}

/// Spawns the background tasks of a connection.
#[derive(Clone)]
pub(super) struct Tasks {
    pub handle: Handle,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Spawns a task whose result is `None` if it was stopped.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let work = self.stop.clone().run_until_cancelled_owned(work);
        self.tracker.spawn_on(work, &self.handle)
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, work: F) {
        self.spawn(work);
    }
}

pub(super) fn unfit(error: hyper::http::Error) -> Error {
    Error::caused(ErrorKind::Internal, "the call makes no valid HTTP request", error)
}
