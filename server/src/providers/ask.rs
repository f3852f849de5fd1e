//! Asks a provider over HTTPS: bounded in time, size and number, and never at another
//! address than the setting's, because no redirect is followed.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::https_client::{HttpsClient, causes, https_client};
use crate::problem::{Code, Rejection};

/// How long one answer may take: less than the server's `request_timeout` by default,
/// so that the provider hears why.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of an answer. A payment with its refunds has a few thousand.
const ANSWER_MAX: usize = 1 << 20;

/// The most questions in flight: anyone may send a webhook that has to be asked for.
const IN_FLIGHT_MAX: usize = 32;

/// A provider's answer: its status, and its body if that is JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

/// An HTTP client for providers' interfaces.
pub struct HttpClient {
    client: HttpsClient,
    permits: Semaphore,
}

impl HttpClient {
    /// Creates a client that trusts the system's certificates; none if TLS cannot be
    /// set up, which ring's default versions rule out.
    pub fn new() -> Option<Self> {
        let client = https_client()?;
        Some(Self { client, permits: Semaphore::new(IN_FLIGHT_MAX) })
    }

    /// Asks and reads the answer.
    ///
    /// # Errors
    /// `contention` beyond the questions in flight; `unavailable` without an answer in
    /// time, for one that is too long, and for an answer that tells of a fault there.
    pub async fn ask(
        &self,
        provider: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Rejection> {
        let full = |_| {
            let detail = format!("too many webhooks wait for answers of {provider}");
            Rejection::Server(Code::Contention, detail.into())
        };
        let _permit = self.permits.try_acquire().map_err(full)?;
        let answer = timeout(TIMEOUT, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let (status, body) = answer.map_err(|why| unavailable(provider, &why))?;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(unavailable(provider, &format!("the answer is {status}")));
        }
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        let response = self.client.request(request).await.map_err(|error| causes(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| format!("cannot read the answer: {error}"))?;
        Ok((status, body.to_bytes()))
    }
}

/// The rejection of a delivery that cannot be verified now; the provider sends it
/// again. The cause goes to the log.
pub fn unavailable(provider: &str, why: &str) -> Rejection {
    tracing::warn!("cannot ask {provider} about a webhook: {why}");
    let detail = format!("{provider} cannot be asked about this webhook now; send it again");
    Rejection::Server(Code::Unavailable, detail.into())
}

/// Builds a request.
///
/// # Errors
/// `internal` for parts that make no request, such as a key with a line end.
pub fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Request<Full<Bytes>>, Rejection> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("accept", "application/json").body(Full::new(body.into()));
    request.map_err(|error| Rejection::internal(format!("cannot ask a provider: {error}")))
}
