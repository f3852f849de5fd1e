//! Sends one event to a webhook endpoint, signed after Standard Webhooks.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};
use stockade::{Event, EventKind, Timestamp};
use tokio::time::timeout;

use super::address::CheckedResolver;
use super::plan::WebhookPlan;
use crate::event_view::EventView;
use crate::https_client::{causes, over_tls};
use crate::signature::unix_seconds;

/// The pauses between attempts grow from the first to the second.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30 * 60);
/// The longest pause that an endpoint may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);
/// The most bytes of an answer that are read, so that its connection can be used again.
const ANSWER_MAX: usize = 64 * 1024;
/// How long an idle connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long connecting may take at most, within the time for the whole attempt.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// What an attempt led to.
#[derive(Debug)]
pub enum Attempt {
    /// The endpoint answered with a status from 200 to 299.
    Delivered,
    /// It did not, for this reason; it may have asked for a pause.
    Failed(String, Option<Duration>),
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: EventKind,
    timestamp: Timestamp,
    data: EventView<'a>,
}

/// The sender of one endpoint. A clone shares its connections.
#[derive(Clone)]
pub struct Sender {
    client: Client<HttpsConnector<HttpConnector<CheckedResolver>>, Full<Bytes>>,
    url: Uri,
    signers: Arc<Vec<Webhook>>,
    timeout: Duration,
    /// Begins the ids of messages: the same event of two stores has two ids.
    store: Arc<str>,
}

impl Sender {
    /// Creates the sender of an endpoint.
    ///
    /// # Errors
    /// A secret that is none, and TLS that cannot be set up.
    pub fn new(plan: &WebhookPlan, store_id: u64) -> Result<Self, String> {
        let signer = |secret: &String| {
            Webhook::new(secret).map_err(|_| "secret: expected whsec_ and base64".to_owned())
        };
        let signers: Result<Vec<_>, _> = plan.secrets.iter().map(signer).collect();
        let mut http = HttpConnector::new_with_resolver(CheckedResolver::new(plan.policy.clone()));
        http.set_connect_timeout(Some(CONNECT_MAX.min(plan.timeout)));
        let connector = over_tls(http).map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        Ok(Self {
            client,
            url: plan.url.clone(),
            signers: Arc::new(signers?),
            timeout: plan.timeout,
            store: format!("{store_id:x}").into(),
        })
    }

    /// Sends an event and waits for the answer. Redirects are not followed.
    pub async fn send(&self, event: &Event) -> Attempt {
        let request = match self.request(event) {
            Ok(request) => request,
            Err(why) => return Attempt::Failed(why, None),
        };
        match timeout(self.timeout, self.exchange(request)).await {
            Ok(attempt) => attempt,
            Err(_) => Attempt::Failed(format!("no answer within {:?}", self.timeout), None),
        }
    }

    fn request(&self, event: &Event) -> Result<Request<Full<Bytes>>, String> {
        let message =
            Message { r#type: event.kind, timestamp: event.at, data: EventView::of(event) };
        let body = serde_json::to_vec(&message).map_err(|error| error.to_string())?;
        let id = format!("evt_{}_{}", self.store, event.cursor);
        let at = unix_seconds();
        let sign = |signer: &Webhook| signer.sign(&id, at, &body).map_err(|why| why.to_string());
        let signatures: Result<Vec<String>, String> = self.signers.iter().map(sign).collect();
        Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("Stockade/", env!("CARGO_PKG_VERSION")))
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, at)
            .header(HEADER_WEBHOOK_SIGNATURE, signatures?.join(" "))
            .body(Full::new(body.into()))
            .map_err(|error| error.to_string())
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Attempt {
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Attempt::Failed(causes(&error), None),
        };
        let status = response.status();
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| {
            let seconds = value.to_str().ok()?.parse().ok()?;
            Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
        });
        // A body that is too long, or cut off, costs its connection alone: the status
        // is the answer.
        let _ = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let why = match status {
            _ if status.is_success() => return Attempt::Delivered,
            _ if status.is_redirection() => format!("{status}: redirects are not followed"),
            StatusCode::GONE => format!("{status}: remove this endpoint from the relay's file"),
            _ => status.to_string(),
        };
        Attempt::Failed(why, asked)
    }
}

/// The pause after so many failed attempts, with jitter; at least what the endpoint asked
/// for.
pub fn pause_after(failed: u32, asked: Option<Duration>) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .without_max_times()
        .with_jitter();
    // Beyond so many the pause is the longest.
    let nth = usize::try_from(failed.clamp(1, 16) - 1).unwrap_or(0);
    let pause = pauses.build().nth(nth).unwrap_or(PAUSE_MAX);
    pause.max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_an_hour_and_are_as_long_as_asked_for() {
        // Jitter at most doubles the pause before it was bounded.
        for (failed, least, most) in
            [(1, 1, 2), (2, 2, 4), (5, 16, 32), (12, 1_800, 3_600), (400, 1_800, 3_600)]
        {
            let pause = pause_after(failed, None).as_secs_f64();
            assert!(pause >= f64::from(least) && pause <= f64::from(most), "{failed}: {pause}");
        }
        assert!(pause_after(1, Some(Duration::from_secs(90))) >= Duration::from_secs(90));
    }
}
