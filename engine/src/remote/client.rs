//! The client: a call's way to the running engine and back, with retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::connection::{Connection, Connector, unfit};
use crate::call::{self, Response};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Token;
use crate::rpc::{self, Call, Reply};

/// The most bytes of a request: the server takes a body of one megabyte, which
/// also has the retry key.
const REQUEST_BYTES_MAX: usize = (1 << 20) - 1_024;
/// The most bytes of a response: ten thousand events have about two millions.
const RESPONSE_BYTES_MAX: usize = 16 << 20;
/// The most retries of one call; `remote_reconnect` bounds their time.
const RETRIES_MAX: usize = 32;

pub(super) struct PendingCall {
    pub name: &'static str,
    request: Box<RawValue>,
    /// An idempotency key that is drawn for a request without one.
    key: Option<Token>,
    /// Whether an attempt may have reached the server.
    is_sent: AtomicBool,
}

impl PendingCall {
    /// # Errors
    /// `invalid_argument` for a request that is too long.
    pub fn new(request: call::Request) -> Result<Self> {
        let key = request.needs_key().then(Token::by_time);
        let name = request.name();
        let request = to_raw_value(&request).map_err(unserializable)?;
        if request.get().len() > REQUEST_BYTES_MAX {
            let why = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
            return Err(Error::invalid_argument(why));
        }
        Ok(Self { name, request, key, is_sent: AtomicBool::new(false) })
    }

    /// Names another operation in errors: that of the callers whose requests the call
    /// carries.
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn body(&self, is_retry: bool, actor: Option<&Arc<str>>) -> Result<Vec<u8>> {
        let retry = self.key.map(|key| call::Retry { key, is_retry });
        let actor = actor.map(|name| String::from(&**name));
        let call = Call { retry, actor, request: &self.request };
        serde_json::to_vec(&call).map_err(unserializable)
    }

    /// Says of a failed call whether it may have been executed.
    fn outcome(&self, why: &str) -> String {
        let name = self.name;
        if self.is_sent.load(Ordering::Relaxed) {
            format!("{why}; {name} may have been executed")
        } else {
            format!("{why}; {name} was not executed")
        }
    }
}

fn unserializable(error: serde_json::Error) -> Error {
    Error::caused(ErrorKind::Internal, "the call cannot be serialized", error)
}

enum AttemptError {
    /// The connection was lost, or could not be opened, at this moment.
    Lost(Error, Instant),
    /// The server rejected the call, or its response cannot be read.
    Rejected(Error),
}

pub(super) struct Client {
    pub connector: Arc<Connector>,
    /// Who sends the calls.
    actor: Option<Arc<str>>,
    /// Bounds a call, all attempts together.
    remote_timeout: Duration,
    /// Bounds the time for which a lost connection is opened anew.
    remote_reconnect: Duration,
}

impl Client {
    /// A client that connects at its first call, on this runtime.
    ///
    /// # Errors
    /// `invalid_argument` when the trusted certificates cannot be read.
    pub fn new(address: Address, config: &Config, handle: Handle) -> Result<Self> {
        Ok(Self {
            connector: Arc::new(Connector::new(address, config, handle)?),
            actor: None,
            remote_timeout: config.remote_timeout,
            remote_reconnect: config.remote_reconnect,
        })
    }

    /// Returns a client with the same connection whose calls `actor` sends.
    pub fn acting_as(&self, actor: Arc<str>) -> Self {
        let Self { remote_timeout, remote_reconnect, .. } = *self;
        let connector = Arc::clone(&self.connector);
        Self { connector, actor: Some(actor), remote_timeout, remote_reconnect }
    }

    /// Sends a call, with retries, and returns its parsed reply.
    pub async fn exchange(self: Arc<Self>, call: PendingCall) -> Result<Response> {
        let name = call.name;
        let body = self.run(call).await?;
        let reply: Reply = serde_json::from_slice(&body).map_err(|error| {
            let why = format!("cannot parse the response to {name}");
            Error::caused(ErrorKind::Internal, why, error)
        })?;
        reply
    }

    /// Sends a call, with retries, and returns the response's body.
    async fn run(&self, call: PendingCall) -> Result<Bytes> {
        let response = timeout(self.remote_timeout, self.send_with_retries(&call)).await;
        response.unwrap_or_else(|_| {
            let why = format!("no response within {:?}", self.remote_timeout);
            Err(Error::new(ErrorKind::Unavailable, call.outcome(&why)))
        })
    }

    async fn send_with_retries(&self, call: &PendingCall) -> Result<Bytes> {
        let mut backoff = backoff().build();
        let mut lost_since = None;
        loop {
            let (error, since) = match self.attempt(call).await {
                Ok(body) => return Ok(body),
                Err(AttemptError::Rejected(error)) => return Err(error),
                Err(AttemptError::Lost(error, since)) => (error, since),
            };
            if error.kind() == ErrorKind::Misuse {
                return Err(error);
            }
            let since = *lost_since.get_or_insert(since);
            let pause =
                backoff.next().filter(|pause| since.elapsed() + *pause < self.remote_reconnect);
            let Some(pause) = pause else {
                let why = call.outcome(error.message());
                return Err(Error::caused(ErrorKind::Unavailable, why, error));
            };
            self.connector.counters.retries.inc();
            sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &PendingCall) -> std::result::Result<Bytes, AttemptError> {
        let since = Instant::now();
        let connection = self.connector.connection().await.map_err(|error| match error.kind() {
            // A wrong setting stays wrong: no retry helps.
            ErrorKind::InvalidArgument => AttemptError::Rejected(error),
            _ => AttemptError::Lost(error, since),
        })?;
        let Connection { mut sender, number } = connection;
        let was_sent = call.is_sent.load(Ordering::Relaxed);
        let request = self.request(call, was_sent).map_err(AttemptError::Rejected)?;
        call.is_sent.store(true, Ordering::Relaxed);
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut failed) => {
                if failed.take_message().is_some() {
                    call.is_sent.store(was_sent, Ordering::Relaxed);
                }
                return Err(self.lost(number, failed.into_error()));
            }
        };
        let status = response.status();
        match read_body(response).await {
            Ok(body) if status == StatusCode::OK => Ok(body),
            Ok(body) => Err(AttemptError::Rejected(rejection(call.name, status, &body))),
            Err(error) if error.is::<LengthLimitError>() => {
                let why = format!("the response to {} is too long", call.name);
                Err(AttemptError::Rejected(Error::new(ErrorKind::Internal, why)))
            }
            Err(error) => Err(self.lost(number, Interrupted(error))),
        }
    }

    fn lost(
        &self,
        number: u64,
        cause: impl std::error::Error + Send + Sync + 'static,
    ) -> AttemptError {
        AttemptError::Lost(self.connector.lost(number, cause), Instant::now())
    }

    fn request(&self, call: &PendingCall, is_retry: bool) -> Result<Request<Full<Bytes>>> {
        let uri = self.connector.uri(rpc::PATH)?;
        let request = Request::builder().method(Method::POST).uri(uri);
        let request = match &self.connector.address.key {
            Some(key) => request.header(AUTHORIZATION, key),
            None => request,
        };
        request.body(Full::from(call.body(is_retry, self.actor.as_ref())?)).map_err(unfit)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the response was interrupted")]
struct Interrupted(#[source] BodyError);

type BodyError = Box<dyn std::error::Error + Send + Sync>;

async fn read_body(response: hyper::Response<Incoming>) -> std::result::Result<Bytes, BodyError> {
    Ok(Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await?.to_bytes())
}

/// Reads the error of a server that did not pass the call to its engine.
fn rejection(name: &str, status: StatusCode, body: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        message: String,
    }
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let (code, message) =
        problem.map_or((None, String::new()), |p| (ErrorKind::of_code(&p.code), p.message));
    // Other codes are about the HTTP request, which is the client's and not the
    // caller's.
    let passed_on = [ErrorKind::Contention, ErrorKind::Unavailable, ErrorKind::Unauthorized];
    match code.filter(|code| passed_on.contains(code)) {
        Some(kind) => Error::new(kind, message),
        None if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::BAD_GATEWAY) => {
            Error::new(ErrorKind::Unavailable, format!("{name} was answered with {status}"))
        }
        None if status == StatusCode::FORBIDDEN => Error::new(ErrorKind::Unauthorized, message),
        None => Error::new(
            ErrorKind::Internal,
            format!("{name} was answered with {status}; is that a server of this version?"),
        ),
    }
}

/// The backoff between attempts: exponential with jitter, bounded in number.
fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(400))
        .with_max_times(RETRIES_MAX)
        .with_jitter()
}
