//! Payment providers' webhooks: which providers there are, what their events mean,
//! and the secrets by which each is verified.
//!
//! One module for each provider verifies a delivery and translates its events by a
//! table. [`crate::handlers`] passes the events to the engine.

mod adyen;
mod amount;
mod ask;
mod checkout;
mod json;
mod mac;
mod mollie;
mod order_name;
mod paymob;
mod paypal;
mod razorpay;
mod standard_webhooks;
mod stripe;
#[cfg(test)]
mod tests;

use hyper::HeaderMap;
use serde_json::Value;

pub use amount::Amount;
pub use order_name::OrderName;

use crate::problem::{Code, Rejection};
use crate::settings::{Secrets, Settings};
use crate::signature::unix_seconds;
use amount::MoneyPointers;
use ask::HttpClient;

/// A payment provider whose webhooks the server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Stripe,
    Adyen,
    Razorpay,
    Paymob,
    Checkout,
    StandardWebhooks,
    PayPal,
    Mollie,
}

impl Provider {
    /// All providers.
    pub const ALL: [Self; 8] = [
        Self::Stripe,
        Self::Adyen,
        Self::Razorpay,
        Self::Paymob,
        Self::Checkout,
        Self::StandardWebhooks,
        Self::PayPal,
        Self::Mollie,
    ];

    /// Returns the provider that a path names.
    pub fn parse(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == segment)
    }

    /// Returns the name in paths, metrics and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Adyen => "adyen",
            Self::Razorpay => "razorpay",
            Self::Paymob => "paymob",
            Self::Checkout => "checkout",
            Self::StandardWebhooks => "standard",
            Self::PayPal => "paypal",
            Self::Mollie => "mollie",
        }
    }

    /// Returns the setting without which the provider is not served.
    fn setting(self) -> &'static str {
        match self {
            Self::Stripe => "stripe_secret",
            Self::Adyen => "adyen_secret",
            Self::Razorpay => "razorpay_secret",
            Self::Paymob => "paymob_secret",
            Self::Checkout => "checkout_secret",
            Self::StandardWebhooks => "standard_webhooks_secret",
            Self::PayPal => "paypal_credentials",
            Self::Mollie => "mollie_key",
        }
    }
}

/// What a provider's event means for its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The payment succeeded.
    Success,
    /// An attempt to pay failed; another may follow.
    AttemptFailed,
    /// The payment ended without money, for good.
    Failed,
    /// Money went back to the customer.
    Refund {
        /// Whether this one refund is of the whole payment, if the event tells.
        is_full: Option<bool>,
    },
    /// A dispute was opened, or took money back.
    Dispute,
    /// Nothing that changes an order.
    Neutral,
    /// Not about a payment.
    Ignored,
}

impl Meaning {
    /// Returns the label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::AttemptFailed => "attempt_failed",
            Self::Failed => "failed",
            Self::Refund { .. } => "refund",
            Self::Dispute => "dispute",
            Self::Neutral => "neutral",
            Self::Ignored => "ignored",
        }
    }

    /// Adds to a refund whether it is a full one; other meanings stay as they are.
    fn with_fullness(self, is_full: impl FnOnce() -> Option<bool>) -> Self {
        match self {
            Self::Refund { .. } => Self::Refund { is_full: is_full() },
            other => other,
        }
    }
}

/// Compares two amounts in minor units; `None` if the event lacks one of them.
fn is_same_amount(part: Option<&Value>, all: Option<&Value>) -> Option<bool> {
    Some(part?.as_i64()? == all?.as_i64()?)
}

/// A refund whose event does not tell whether it is a full one.
const REFUND: Meaning = Meaning::Refund { is_full: None };

/// The events of a provider, by the provider's names. A name in no table is ignored.
type EventTable = [(&'static str, Meaning)];

/// Looks an event up by its name.
fn meaning(table: &EventTable, name: &str) -> Meaning {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map_or(Meaning::Ignored, |(_, meaning)| *meaning)
}

/// A provider's event in the server's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// The provider's own id of the event, after the provider's name: `stripe/evt_1`.
    /// Made of signed fields only, so that a replay cannot change it.
    pub key: String,
    /// What it means.
    pub meaning: Meaning,
    /// The money that it is about, if it tells.
    pub amount: Option<Amount>,
    /// The order that it is about.
    pub order: OrderName,
}

/// A webhook request as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The query string, still percent-encoded.
    pub query: Option<&'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Returns a header that must be readable as text.
    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the value of a form-encoded field in the query.
    fn query_value(&self, name: &str) -> Option<String> {
        form_value(self.query.unwrap_or_default().as_bytes(), name)
    }
}

/// Returns the value of a field in a form-encoded text.
fn form_value(text: &[u8], name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(text);
    fields.find_map(|(known, value)| (known == name).then(|| value.into_owned()))
}

/// Verifies and translates deliveries of all providers.
pub struct Providers {
    settings: Settings,
    paypal: paypal::PayPal,
    /// None where no provider is asked back.
    client: Option<HttpClient>,
    /// The clock, in seconds since 1970.
    now: fn() -> i64,
}

impl Providers {
    /// Creates the providers with the process's clock.
    pub fn new(settings: &Settings) -> Self {
        Self::with_clock(settings, unix_seconds)
    }

    /// Creates the providers with another clock, in seconds since 1970.
    pub fn with_clock(settings: &Settings, now: fn() -> i64) -> Self {
        let asks = !settings.paypal_credentials.is_empty() || !settings.mollie_key.is_empty();
        Self {
            settings: settings.clone(),
            paypal: paypal::PayPal::new(settings),
            client: asks.then(HttpClient::new).flatten(),
            now,
        }
    }

    /// Verifies a delivery, by its signature or by asking the provider, and
    /// translates its events.
    ///
    /// # Errors
    /// `unauthorized` for a signature that is missing, wrong or too old; `not_found`
    /// for a provider without its secret; `unavailable` for a provider that cannot be
    /// asked; `malformed_request` and `invalid_argument` for another body.
    pub async fn receive(
        &self,
        provider: Provider,
        delivery: &Delivery<'_>,
    ) -> Result<Vec<ProviderEvent>, Rejection> {
        let secrets = self.secrets(provider);
        if secrets.is_empty() {
            return Err(unset(provider));
        }
        let now = (self.now)();
        match provider {
            Provider::Stripe => {
                stripe::verify(delivery, secrets, now)?;
                stripe::events(delivery.body)
            }
            Provider::Adyen => {
                let body = json::object(delivery.body)?;
                adyen::verify(&body, secrets)?;
                adyen::events(&body)
            }
            Provider::Razorpay => {
                razorpay::verify(delivery, secrets)?;
                razorpay::events(delivery.body)
            }
            Provider::Paymob => {
                let body = json::object(delivery.body)?;
                paymob::verify(delivery, &body, secrets)?;
                paymob::events(&body, &self.settings.paymob_integration_ids)
            }
            Provider::Checkout => {
                checkout::verify(delivery, secrets)?;
                checkout::events(delivery.body)
            }
            Provider::StandardWebhooks => {
                standard_webhooks::verify(delivery, secrets, now)?;
                standard_webhooks::events(delivery)
            }
            Provider::PayPal => {
                self.paypal.verify(self.client()?, delivery).await?;
                paypal::events(delivery.body)
            }
            Provider::Mollie => {
                let url = self.settings.mollie_url.as_str();
                let payment = mollie::fetch(self.client()?, url, secrets, delivery.body).await?;
                payment.map_or_else(|| Ok(Vec::new()), |payment| mollie::events(&payment))
            }
        }
    }

    fn secrets(&self, provider: Provider) -> &Secrets {
        let settings = &self.settings;
        match provider {
            Provider::Stripe => &settings.stripe_secret,
            Provider::Adyen => &settings.adyen_secret,
            Provider::Razorpay => &settings.razorpay_secret,
            Provider::Paymob => &settings.paymob_secret,
            Provider::Checkout => &settings.checkout_secret,
            Provider::StandardWebhooks => &settings.standard_webhooks_secret,
            Provider::PayPal => &settings.paypal_credentials,
            Provider::Mollie => &settings.mollie_key,
        }
    }

    fn client(&self) -> Result<&HttpClient, Rejection> {
        self.client.as_ref().ok_or_else(|| Rejection::internal("no client to ask a provider"))
    }
}

fn unset(provider: Provider) -> Rejection {
    let variable = provider.setting().to_uppercase();
    let name = provider.as_str();
    let detail = format!("this server takes no webhooks of {name}: set STOCKADE_{variable}");
    Rejection::Server(Code::NotFound, detail.into())
}

/// Rejects secrets in another form than the provider's.
///
/// # Errors
/// Names the setting, never its value.
pub fn check_settings(settings: &Settings) -> Result<(), String> {
    if settings.adyen_secret.iter().any(|secret| adyen::key(secret).is_none()) {
        return Err("adyen_secret must be the hexadecimal HMAC key of the webhook".to_owned());
    }
    let keys = &settings.standard_webhooks_secret;
    if keys.iter().any(|secret| standard_webhooks::key(secret).is_none()) {
        return Err(
            "standard_webhooks_secret must be base64 of at least 24 bytes, after whsec_ or not"
                .to_owned(),
        );
    }
    if settings.paypal_credentials.iter().any(|one| !one.contains(':')) {
        return Err("paypal_credentials must read CLIENT_ID:SECRET".to_owned());
    }
    if settings.paypal_credentials.is_empty() != settings.paypal_webhook_id.is_empty() {
        return Err("paypal_credentials and paypal_webhook_id must be set together".to_owned());
    }
    Ok(())
}

/// The rejection of a delivery that is not signed; `scheme` names where the
/// signature stands.
fn unsigned(scheme: &'static str, why: &'static str) -> Rejection {
    Rejection::Secret(scheme, why)
}
