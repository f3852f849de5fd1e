//! Verifies PayPal's deliveries by `POST /v1/notifications/verify-webhook-signature`.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use crate::body;
use crate::problem::Rejection;
use crate::providers::ask::{self, Answer, HttpClient, unavailable};
use crate::providers::{Delivery, json, unsigned};
use crate::settings::{Secrets, Settings};

const NAME: &str = "PayPal";
const SCHEME: &str = "PayPal-Transmission-Sig";

/// A token is renewed so long before its end that a question in flight keeps it.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// The question, as PayPal documents it.
#[derive(Serialize)]
struct Question<'a> {
    auth_algo: &'a str,
    cert_url: &'a str,
    transmission_id: &'a str,
    transmission_sig: &'a str,
    transmission_time: &'a str,
    webhook_id: &'a str,
    /// As it came: PayPal verifies the bytes.
    webhook_event: &'a RawValue,
}

/// An OAuth token.
struct Token {
    text: String,
    ends: Instant,
}

/// An application at PayPal.
struct App {
    /// `Basic …` of the client's id and secret.
    authorization: String,
    /// The token while it lasts. Held while one is fetched, so that a flood of
    /// deliveries fetches one; an async lock, since that takes a round trip.
    token: Mutex<Option<Token>>,
}

/// The applications whose webhooks are accepted.
pub struct PayPal {
    url: String,
    apps: Vec<App>,
    webhook_ids: Secrets,
}

impl PayPal {
    pub fn new(settings: &Settings) -> Self {
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        let app = |pair| App { authorization: basic(pair), token: Mutex::default() };
        Self {
            url: settings.paypal_url.as_str().to_owned(),
            apps: settings.paypal_credentials.iter().map(app).collect(),
            webhook_ids: settings.paypal_webhook_id.clone(),
        }
    }

    /// Asks PayPal whether it signed a delivery for one of the webhooks.
    pub async fn verify(
        &self,
        client: &HttpClient,
        delivery: &Delivery<'_>,
    ) -> Result<(), Rejection> {
        let header = |name| {
            delivery.header(name).ok_or_else(|| unsigned(SCHEME, "a PayPal header is missing"))
        };
        let mut question = Question {
            auth_algo: header("paypal-auth-algo")?,
            cert_url: header("paypal-cert-url")?,
            transmission_id: header("paypal-transmission-id")?,
            transmission_sig: header("paypal-transmission-sig")?,
            transmission_time: header("paypal-transmission-time")?,
            webhook_id: "",
            webhook_event: serde_json::from_str(body::text(delivery.body)?)
                .map_err(|error| body::rejection(&error))?,
        };
        for app in &self.apps {
            for id in self.webhook_ids.iter() {
                question.webhook_id = id;
                let answer = self.ask(client, app, &question).await?;
                if answer.status == StatusCode::OK
                    && answer.body["verification_status"] == "SUCCESS"
                {
                    return Ok(());
                }
            }
        }
        Err(unsigned(SCHEME, "PayPal did not sign this delivery for a webhook of this server"))
    }

    async fn ask(
        &self,
        client: &HttpClient,
        app: &App,
        question: &Question<'_>,
    ) -> Result<Answer, Rejection> {
        let url = format!("{}/v1/notifications/verify-webhook-signature", self.url);
        let body = serde_json::to_vec(question)
            .map_err(|error| Rejection::internal(format!("cannot ask PayPal: {error}")))?;
        let mut retried = false;
        loop {
            let token = format!("Bearer {}", self.token(client, app).await?);
            let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
            let request = ask::request("POST", &url, &headers, body.clone())?;
            let answer = client.ask(NAME, request).await?;
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            // PayPal may end a token early.
            *app.token.lock().await = None;
            if std::mem::replace(&mut retried, true) {
                return Err(unavailable(NAME, "it takes no token that it has just issued"));
            }
        }
    }

    async fn token(&self, client: &HttpClient, app: &App) -> Result<String, Rejection> {
        let mut kept = app.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| Instant::now() < token.ends) {
            return Ok(token.text.clone());
        }
        let headers = [
            ("authorization", app.authorization.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let url = format!("{}/v1/oauth2/token", self.url);
        let request = ask::request("POST", &url, &headers, "grant_type=client_credentials")?;
        let answer = client.ask(NAME, request).await?;
        let text = json::text(&answer.body, "/access_token")
            .ok_or_else(|| unavailable(NAME, "it refuses paypal_credentials"))?;
        let life = Duration::from_secs(answer.body["expires_in"].as_u64().unwrap_or(0));
        // A day bounds what PayPal may say.
        let life = life.min(Duration::from_secs(86_400)).saturating_sub(TOKEN_MARGIN);
        *kept = Some(Token { text: text.to_owned(), ends: Instant::now() + life });
        Ok(text.to_owned())
    }
}
