//! The one connection to a running engine, opened anew when it is lost, and a
//! call's way over it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::AUTHORIZATION;
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::{Address, Place};
use super::counters::Counters;
use crate::config::Config;
use crate::engine::life::closed;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Token;
use crate::wire::{Resend, Sent};

/// The most bytes of an answer: ten thousand events have about two millions.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How long one attempt to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// While calls are under way, the other side is asked so often whether it is
/// still there, and has so long to say so.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How often a call is tried again at most.
const TRIES_MAX: usize = 32;
/// How long a connection may take to be closed in good order.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whether a call may be sent again when its connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Doing it twice is doing it once: it reads, has its caller's key, or is
    /// so by nature.
    Freely,
    /// By a key drawn for it.
    ByKey(Token),
}

/// A call to be made.
pub(super) struct Errand {
    pub call: &'static str,
    pub args: Box<RawValue>,
    pub repeat: Repeat,
}

/// Why an attempt brought no answer.
enum Failure {
    /// The connection was lost, or has not been to be had since then.
    Lost(Error, Instant),
    /// The server refused, or answered what cannot be read.
    Refused(Error),
}

/// What became of an attempt.
type Attempt = std::result::Result<Bytes, Failure>;

/// An open connection.
#[derive(Clone)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Tells this connection from those before.
    number: u64,
}

/// An attempt to connect, for all who wait for it.
type Opening = Shared<BoxFuture<'static, Result<Connection>>>;

/// The one connection.
enum Live {
    None,
    Opening(Opening),
    Open(Connection),
}

pub(super) struct Link {
    address: Address,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsConnector>,
    pub counters: Counters,
    remote_timeout: Duration,
    remote_reconnect: Duration,
    /// Held for a moment, never while anything is waited for.
    live: Mutex<Live>,
    tasks: Tasks,
}

impl Link {
    /// A link that connects at its first call, on this runtime.
    ///
    /// # Errors
    /// `invalid_argument` when the certificates to trust cannot be read.
    pub fn new(address: Address, config: &Config, handle: Handle) -> Result<Self> {
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: connector(&address, config)?,
            address,
            counters: Counters::new(),
            remote_timeout: config.remote_timeout,
            remote_reconnect: config.remote_reconnect,
            live: Mutex::new(Live::None),
            tasks: Tasks { handle, tracker: TaskTracker::new(), stop: CancellationToken::new() },
        })
    }

    pub fn handle(&self) -> &Handle {
        &self.tasks.handle
    }

    /// Closes the connection and opens no other.
    pub async fn close(&self) {
        self.tasks.tracker.close();
        *self.live() = Live::None;
        // With no one left to send, the connection says good-bye by itself.
        if timeout(FAREWELL, self.tasks.tracker.wait()).await.is_err() {
            tracing::debug!("the running engine did not see the connection off in time");
        }
        self.abandon();
    }

    /// Ends the connection at once and opens no other.
    pub fn abandon(&self) {
        self.tasks.stop.cancel();
    }

    /// Makes a call: again and again, within bounds, where that is safe.
    pub async fn run(self: Arc<Self>, errand: Errand) -> Result<Bytes> {
        let sent = AtomicBool::new(false);
        let answer = timeout(self.remote_timeout, self.insist(&errand, &sent)).await;
        answer.unwrap_or_else(|_| {
            let why = format!("no answer within {:?}", self.remote_timeout);
            Err(Error::new(ErrorKind::Unavailable, told_apart(why, &errand, &sent)))
        })
    }

    async fn insist(self: &Arc<Self>, errand: &Errand, sent: &AtomicBool) -> Result<Bytes> {
        let mut pauses = pauses().build();
        let mut lost_since = None;
        loop {
            let (error, since) = match self.attempt(errand, sent).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(error, since)) => (error, since),
            };
            if error.kind() == ErrorKind::Misuse {
                return Err(error);
            }
            let since = *lost_since.get_or_insert(since);
            let pause =
                pauses.next().filter(|pause| since.elapsed() + *pause < self.remote_reconnect);
            let Some(pause) = pause else {
                let why = told_apart(error.message().to_owned(), errand, sent);
                return Err(Error::caused(ErrorKind::Unavailable, why, error));
            };
            self.counters.retries.inc();
            sleep(pause).await;
        }
    }

    async fn attempt(self: &Arc<Self>, errand: &Errand, sent: &AtomicBool) -> Attempt {
        let since = Instant::now();
        let connection = self.connection().await.map_err(|error| match error.kind() {
            // What a setting is to mend does not pass.
            ErrorKind::InvalidArgument => Failure::Refused(error),
            _ => Failure::Lost(error, since),
        })?;
        let Connection { mut sender, number } = connection;
        let sent_before = sent.load(Ordering::Relaxed);
        let request = self.request(errand, sent_before).map_err(Failure::Refused)?;
        sent.store(true, Ordering::Relaxed);
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                if failed.take_message().is_some() {
                    sent.store(sent_before, Ordering::Relaxed);
                }
                return Err(self.lost(number, failed.into_error()));
            }
        };
        let status = response.status();
        match body_of(response).await {
            Ok(body) if status == StatusCode::OK => Ok(body),
            Ok(body) => Err(Failure::Refused(refusal(errand.call, status, &body))),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = format!("the answer to {} is too long", errand.call);
                Err(Failure::Refused(Error::new(ErrorKind::Internal, why)))
            }
            Err(error) => Err(self.lost(number, Interrupted(error))),
        }
    }

    fn request(&self, errand: &Errand, again: bool) -> Result<Request<Full<Bytes>>> {
        let unwritten =
            |error| Error::caused(ErrorKind::Internal, "the call cannot be written", error);
        let resend = match errand.repeat {
            Repeat::ByKey(key) => Some(Resend { key, again }),
            Repeat::Freely => None,
        };
        let body = serde_json::to_vec(&Sent { resend, args: &errand.args }).map_err(unwritten)?;
        let uri = self.uri(format!("/engine/v1/{}", errand.call))?;
        let request = Request::builder().method(Method::POST).uri(uri);
        let request = match &self.address.key {
            Some(key) => request.header(AUTHORIZATION, key),
            None => request,
        };
        request.body(Full::from(body)).map_err(unfit)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, opened if there is none. However many ask meanwhile,
    /// they wait for one attempt, and all are told when it fails.
    async fn connection(self: &Arc<Self>) -> Result<Connection> {
        let opening = {
            let mut live = self.live();
            match &*live {
                Live::Open(open) if !open.sender.is_closed() => return Ok(open.clone()),
                Live::Opening(opening) => opening.clone(),
                Live::Open(_) | Live::None => {
                    if self.tasks.stop.is_cancelled() || self.tasks.tracker.is_closed() {
                        return Err(closed());
                    }
                    let opening = self.open();
                    *live = Live::Opening(opening.clone());
                    opening
                }
            }
        };
        opening.await
    }

    /// Begins to connect. No caller who goes away takes the attempt along from
    /// those who also wait for it.
    fn open(self: &Arc<Self>) -> Opening {
        let (tell, told) = oneshot::channel();
        let link = Arc::clone(self);
        self.tasks.spawn(async move {
            let late = |_| Error::new(ErrorKind::Unavailable, "the running engine does not answer");
            let opened = timeout(CONNECT_WITHIN, link.connect()).await.map_err(late);
            let opened = opened.and_then(|connected| connected).map(|sender| {
                let number = link.counters.connections.inc() + 1;
                Connection { sender, number }
            });
            let mut live = link.live();
            *live = match &opened {
                Ok(open) if !link.tasks.tracker.is_closed() => Live::Open(open.clone()),
                _ => Live::None,
            };
            drop(live);
            // It fails when nobody waits any more.
            let _ = tell.send(opened);
        });
        told.map(|told| told.unwrap_or_else(|_| Err(closed()))).boxed().shared()
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let unreached = |error| {
            Error::caused(ErrorKind::Unavailable, "the running engine cannot be reached", error)
        };
        match &self.address.place {
            #[cfg(unix)]
            Place::Unix(path) => {
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
                    _ => unreached(error),
                };
                let stream = tokio::net::UnixStream::connect(path).await.map_err(denied)?;
                self.greet(stream).await
            }
            #[cfg(not(unix))]
            Place::Unix(_) => {
                Err(Error::invalid_argument("this system has no sockets that are files"))
            }
            Place::Tcp(host) => {
                let stream = TcpStream::connect(host).await.map_err(unreached)?;
                // Calls are small and should leave at once.
                stream.set_nodelay(true).map_err(unreached)?;
                self.greet(stream).await
            }
            Place::Tls { address, name } => {
                let stream = TcpStream::connect(address).await.map_err(unreached)?;
                stream.set_nodelay(true).map_err(unreached)?;
                self.greet(self.secure(stream, name).await?).await
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
            return Err(Error::new(ErrorKind::Internal, "the link was made without TLS"));
        };
        connector.connect(name, stream).await.map_err(|error| {
            let text = error.to_string();
            match crate::tls::advice(&text, "setting remote_ca") {
                Some(advice) => Error::caused(ErrorKind::InvalidArgument, advice, error),
                None => {
                    let why = "the running engine hung up in the TLS handshake";
                    Error::caused(ErrorKind::Unavailable, why, error)
                }
            }
        })
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(&self, _stream: TcpStream, _name: &str) -> Result<TcpStream> {
        Err(Error::invalid_argument("this program was built without TLS (the feature tls)"))
    }

    async fn greet<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new(self.tasks.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| {
                Error::caused(ErrorKind::Unavailable, "the running engine hung up", error)
            })?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the running engine ended");
            }
        });
        self.hear(sender.clone()).await?;
        Ok(sender)
    }

    /// Waits until the server shows that it is there and serves: what is never
    /// sent to one who does not is known not to have been done.
    async fn hear(&self, mut sender: SendRequest<Full<Bytes>>) -> Result<()> {
        let request = Request::builder().uri(self.uri("/healthz".to_owned())?);
        let request = request.body(Full::default()).map_err(unfit)?;
        let answer = sender.send_request(request).await.map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "the running engine hung up", error)
        })?;
        if answer.status() == StatusCode::OK {
            return Ok(());
        }
        let why = format!("the running engine cannot be reached: {} came", answer.status());
        Err(Error::new(ErrorKind::Unavailable, why))
    }

    fn uri(&self, path: String) -> Result<Uri> {
        let authority = self.address.authority.clone();
        let scheme = match self.address.place {
            Place::Tls { .. } => Scheme::HTTPS,
            Place::Unix(_) | Place::Tcp(_) => Scheme::HTTP,
        };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
        uri.build().map_err(unfit)
    }

    /// Gives a connection up that failed, so that the next call opens another.
    fn lost(&self, number: u64, cause: impl std::error::Error + Send + Sync + 'static) -> Failure {
        let mut live = self.live();
        if matches!(&*live, Live::Open(open) if open.number == number) {
            *live = Live::None;
            self.counters.connections_lost.inc();
        }
        drop(live);
        if self.tasks.stop.is_cancelled() {
            return Failure::Lost(closed(), Instant::now());
        }
        let why = "the connection to the running engine was lost";
        Failure::Lost(Error::caused(ErrorKind::Unavailable, why, cause), Instant::now())
    }
}

/// What secures connections to this address, if it wants TLS.
#[cfg(feature = "tls")]
fn connector(address: &Address, config: &Config) -> Result<Option<tokio_rustls::TlsConnector>> {
    if !matches!(address.place, Place::Tls { .. }) {
        if config.remote_ca.is_empty() {
            return Ok(None);
        }
        let why = "setting remote_ca: it is for TLS; begin the URL of the engine with https";
        return Err(Error::invalid_argument(why));
    }
    let ca = crate::tls::read_pem("remote_ca", &config.remote_ca, crate::tls::CERTIFICATE)?;
    let mut config = crate::tls::client_config("remote_ca", ca.as_deref())?;
    // The only protocol that is spoken; a proxy that lists none is taken at its word.
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(Arc::new(config).into()))
}

/// Spawns what a connection needs to have done beside its calls.
#[derive(Clone)]
struct Tasks {
    handle: Handle,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let work = self.stop.clone().run_until_cancelled_owned(work);
        self.tracker.spawn_on(work, &self.handle);
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, work: F) {
        self.spawn(work);
    }
}

/// A body that ended early.
#[derive(Debug, thiserror::Error)]
#[error("the answer was interrupted")]
struct Interrupted(#[source] BodyError);

type BodyError = Box<dyn std::error::Error + Send + Sync>;

async fn body_of(response: Response<Incoming>) -> std::result::Result<Bytes, BodyError> {
    Ok(Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes())
}

/// What a server that did not pass the call on has to say.
fn refusal(call: &str, status: StatusCode, body: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        message: String,
    }
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let (code, message) =
        problem.map_or((None, String::new()), |p| (ErrorKind::of_code(&p.code), p.message));
    // Other codes speak of the request, which is ours and not the caller's.
    let own = [ErrorKind::Contention, ErrorKind::Unavailable, ErrorKind::Unauthorized];
    match code.filter(|code| own.contains(code)) {
        Some(kind) => Error::new(kind, message),
        None if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::BAD_GATEWAY) => {
            Error::new(ErrorKind::Unavailable, format!("{call} was answered with {status}"))
        }
        None if status == StatusCode::FORBIDDEN => Error::new(ErrorKind::Unauthorized, message),
        None => Error::new(
            ErrorKind::Internal,
            format!("{call} was answered with {status}; is that a server of this version?"),
        ),
    }
}

fn unfit(error: hyper::http::Error) -> Error {
    Error::caused(ErrorKind::Internal, "the call makes no request", error)
}

/// Says of a call that failed whether it may have been done.
fn told_apart(why: String, errand: &Errand, sent: &AtomicBool) -> String {
    if sent.load(Ordering::Relaxed) {
        format!("{why}; {} may have been done", errand.call)
    } else {
        format!("{why}; {} was not done", errand.call)
    }
}

/// The pauses between tries: doubling, with jitter, bounded in number.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(400))
        .with_max_times(TRIES_MAX)
        .with_jitter()
}
