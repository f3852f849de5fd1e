//! The client of the server under load: kept connections, a bound of requests in flight,
//! and retries of what the server did not answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use serde::de::DeserializeOwned;
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::command_error::CommandError;
use crate::https_client::{HttpsClient, causes, https_client};
use crate::signature;

/// How long one attempt may take: longer than the server's `request_timeout`.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a request is sent again until it is answered: a server that restarts, or is
/// overloaded, answers within.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first pause before a request is sent again; it doubles up to a second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The most bytes of an answer: a page of a list of a thousand orders has less.
const ANSWER_MAX: usize = 16 << 20;

/// One request. A key or the method makes that it can be sent again.
#[derive(Debug, Clone, Default)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub idempotency_key: Option<String>,
    pub hold_token: Option<String>,
    pub body: Option<String>,
    /// Whether it is a payment provider's, which signs it and has no API key.
    pub is_webhook: bool,
}

impl Call {
    pub fn get(path: String) -> Self {
        Self { path, ..Self::default() }
    }

    pub fn post(path: String) -> Self {
        Self { method: Method::POST, path, ..Self::default() }
    }

    pub fn key(self, key: String) -> Self {
        Self { idempotency_key: Some(key), ..self }
    }

    pub fn token(self, token: Option<String>) -> Self {
        Self { hold_token: token, ..self }
    }

    pub fn body(self, body: &serde_json::Value) -> Self {
        Self { body: Some(body.to_string()), ..self }
    }
}

/// An answer other than that the server is overloaded or down.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Answer {
    /// Parses the body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let body = String::from_utf8_lossy(&self.body);
            let shown: String = body.chars().take(200).collect();
            format!("cannot parse the answer ({error}): {shown}")
        })
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Problem {
            code: String,
        }
        self.parse().map_or_else(|_| self.status.as_u16().to_string(), |Problem { code }| code)
    }
}

/// A client of one server.
pub struct ShopClient {
    client: HttpsClient,
    base: String,
    api_key: Option<String>,
    webhook_secret: Option<String>,
    in_flight: Semaphore,
    retries: AtomicU64,
}

impl ShopClient {
    /// Creates a client of the server at this URL.
    ///
    /// # Errors
    /// Unless it is `http://HOST` or `https://HOST`.
    pub fn new(
        url: &str,
        api_key: Option<String>,
        webhook_secret: Option<String>,
        in_flight: usize,
    ) -> Result<Self, CommandError> {
        let base = url.strip_suffix('/').unwrap_or(url).to_owned();
        let parsed = base.parse::<Uri>().ok().filter(|url| url.host().is_some());
        if parsed.is_none_or(|url| !matches!(url.scheme_str(), Some("http" | "https"))) {
            let why = format!("--url {url}: expected http://HOST:PORT or https://HOST:PORT");
            return Err(CommandError::Setup(why));
        }
        let client = https_client()
            .ok_or_else(|| CommandError::Runtime("TLS cannot be set up".to_owned()))?;
        let in_flight = Semaphore::new(in_flight);
        Ok(Self { client, base, api_key, webhook_secret, in_flight, retries: AtomicU64::new(0) })
    }

    /// The server's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// How often a request was sent again, because it was not answered or the server was
    /// overloaded.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Sends a request until it is answered.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, call: &Call) -> Result<Answer, String> {
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let (why, wanted) = match self.attempt(call).await {
                Ok((answer, _)) if !is_overload(answer.status) => return Ok(answer),
                Ok((answer, retry_after)) => {
                    (format!("the answer is {} {}", answer.status, answer.code()), retry_after)
                }
                Err(why) => (why, None),
            };
            let wait = wanted.unwrap_or(pause);
            if started.elapsed() + wait > PATIENCE {
                return Err(why);
            }
            sleep(wait).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a request once, for a first look at the server.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send_once(&self, call: &Call) -> Result<Answer, String> {
        self.attempt(call).await.map(|(answer, _)| answer)
    }

    async fn attempt(&self, call: &Call) -> Result<(Answer, Option<Duration>), String> {
        let request = self.request(call)?;
        let _permit = self.in_flight.acquire().await.map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| causes(&error))?;
            let status = response.status();
            let wanted = response.headers().get(RETRY_AFTER);
            let wanted = wanted.and_then(|value| value.to_str().ok()?.parse().ok());
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            let body = body.map_err(|error| format!("cannot read the answer: {error}"))?.to_bytes();
            Ok((Answer { status, body }, wanted.map(Duration::from_secs)))
        };
        let answer = timeout(ATTEMPT_TIMEOUT, exchange).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {ATTEMPT_TIMEOUT:?}")))
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.base, call.path));
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(token) = &call.hold_token {
            request = request.header("hold-token", token);
        }
        let body = call.body.clone().unwrap_or_default();
        match (&self.api_key, &self.webhook_secret) {
            (_, Some(secret)) if call.is_webhook => {
                let signed = sign(secret, signature::unix_seconds(), body.as_bytes());
                request = request.header(signature::HEADER, signed.unwrap_or_default());
            }
            (Some(key), _) if !call.is_webhook => {
                request = request.header(AUTHORIZATION, format!("Bearer {key}"));
            }
            _ => {}
        }
        request.body(Full::from(body)).map_err(|error| format!("cannot make the request: {error}"))
    }
}

/// Whether an answer says that the same request may succeed soon.
fn is_overload(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Signs a webhook as the server verifies it. HMAC accepts a key of any length.
fn sign(secret: &str, time: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    Some(format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;
    use crate::settings::Settings;
    use crate::signature::Verifier;

    #[test]
    fn webhooks_are_signed_as_the_server_verifies_them() {
        let mut settings = Settings::default();
        settings.set("webhook_secret", "hush").unwrap();
        let verifier = Verifier::new(&settings.webhook_secret);
        let signed = |secret| {
            let mut headers = HeaderMap::new();
            let signed = sign(secret, signature::unix_seconds(), b"{}").unwrap();
            headers.insert(signature::HEADER, signed.parse().unwrap());
            verifier.check(&headers, b"{}").is_ok()
        };
        assert!(signed("hush") && !signed("guess"));
    }

    #[test]
    fn a_url_that_is_none_of_a_server_is_refused() {
        for bad in ["", "127.0.0.1:8080", "ftp://shop", "http://", "unix:///run/shop"] {
            assert!(ShopClient::new(bad, None, None, 1).is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1:8080/", "https://shop.example"] {
            assert!(!ShopClient::new(good, None, None, 1).unwrap().base().ends_with('/'));
        }
    }
}
