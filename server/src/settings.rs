//! The server's settings: one line each with name, default and help. The
//! engine's are in [`stockade::Config::SETTINGS`].

use std::fmt;
use std::time::Duration;

use hyper::Uri;
use stockade::{parse_bool, parse_duration};

use crate::api_keys::NamedKeys;
use crate::caller::Scope;
use crate::client_address::TrustedProxies;
use crate::cors::Origins;
use crate::providers;
use crate::rate_limit::Rate;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Human-readable.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// One or several secrets, separated by commas. `Debug` hides them.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Iterates over the secrets; an empty setting has none.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are no secrets.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} hidden)", self.0.len())
    }
}

/// Ids of a provider's, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids(Vec<u64>);

impl Ids {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an id is among them.
    pub fn contains(&self, id: u64) -> bool {
        self.0.contains(&id)
    }
}

impl Value for Ids {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let id = |id: &str| {
            let digits = id.trim();
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_number)
        };
        let ids: Option<Vec<_>> = text.split(',').map(id).collect();
        ids.map(Self).ok_or_else(|| "expected whole numbers, separated by commas".to_owned())
    }
}

/// The permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode(u32);

impl Mode {
    /// Returns the bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Returns the mode with the owner's permissions granted to the group.
    #[must_use]
    pub fn with_group(self) -> Self {
        Self(self.0 | 0o060)
    }
}

impl Value for Mode {
    fn read(text: &str) -> Result<Self, String> {
        match u32::from_str_radix(text, 8) {
            Ok(bits) if bits <= 0o777 && !text.starts_with('+') => Ok(Self(bits)),
            _ => Err("expected three octal digits, such as 600".to_owned()),
        }
    }
}

/// What callers without an API key may do where keys are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anonymous(Option<Scope>);

impl Anonymous {
    /// Returns the scope of keyless callers among the buyers' endpoints.
    pub fn scope(self) -> Option<Scope> {
        self.0
    }
}

impl Default for Anonymous {
    fn default() -> Self {
        Self(Some(Scope::Sell))
    }
}

impl Value for Anonymous {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "sell" => Ok(Self(Some(Scope::Sell))),
            "read" => Ok(Self(Some(Scope::Read))),
            "none" => Ok(Self(None)),
            _ => Err("expected sell, read or none".to_owned()),
        }
    }
}

/// The address of a provider's interface, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderUrl(String);

impl ProviderUrl {
    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for ProviderUrl {
    fn read(text: &str) -> Result<Self, String> {
        let url = text.strip_suffix('/').unwrap_or(text);
        let is_plain = !url.contains(['?', '#', '@']);
        let parsed = url.parse::<Uri>().ok().filter(|_| is_plain);
        let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let is_safe = |url: Uri| match url.scheme_str() {
            Some("https") => url.host().is_some(),
            // The keys that are sent there stay on this machine.
            Some("http") => url.host().is_some_and(is_local),
            _ => false,
        };
        if parsed.is_some_and(is_safe) {
            return Ok(Self(url.to_owned()));
        }
        Err("expected https://HOST, or http://127.0.0.1:PORT for a stand-in".to_owned())
    }
}

/// Parses a setting. The error must not repeat the text, which may be a secret.
pub trait Value: Sized {
    /// Parses the text.
    fn read(text: &str) -> Result<Self, String>;
}

impl Value for Duration {
    fn read(text: &str) -> Result<Self, String> {
        parse_duration(text).map_err(|error| error.to_string())
    }
}

impl Value for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for Secrets {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let secrets: Vec<_> = text.split(',').map(|one| one.trim().to_owned()).collect();
        if secrets.iter().any(String::is_empty) {
            return Err("empty secret in a comma-separated list".to_owned());
        }
        Ok(Self(secrets))
    }
}

impl Value for LogFormat {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".to_owned()),
        }
    }
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, String> {
        parse_bool(text).map_err(|error| error.to_string())
    }
}

impl Value for usize {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected a whole number".to_owned())
    }
}

macro_rules! settings {
    ($($name:ident: $kind:ty = $default:literal, $help:literal;)*) => {
        /// The server's settings.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $(#[doc = $help] pub $name: $kind,)*
        }

        impl Settings {
            /// Name, default and help of every setting.
            pub const LIST: &'static [(&'static str, &'static str, &'static str)] =
                &[$((stringify!($name), $default, $help),)*];

            /// Sets a setting by name.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
                match name {
                    $(stringify!($name) => self.$name = Value::read(value)?,)*
                    _ => return Err("unknown setting".to_owned()),
                }
                Ok(())
            }
        }

        impl Default for Settings {
            fn default() -> Self {
                // Every default parses; a test checks them all.
                Self { $($name: <$kind as Value>::read($default).unwrap_or_default(),)* }
            }
        }
    };
}

settings! {
    listen: String = "127.0.0.1:8080", "The TCP address to listen on, as HOST:PORT; port 0 picks a free one; empty for none";
    unix: String = "", "A Unix socket for engines in other processes, which open unix:///PATH as their store; it serves engine calls and probes, never the HTTP API; a process that can open it can do everything";
    unix_mode: Mode = "600", "The file mode of the engines' socket";
    unix_group: String = "", "A group, by name or number, that may open the engines' socket as well";
    unix_http: String = "", "A Unix socket for a reverse proxy; it serves the HTTP API, never engine calls, and requires the same secrets as a public address";
    unix_http_mode: Mode = "600", "The file mode of the proxy's socket";
    unix_http_group: String = "", "A group, by name or number, that may open the proxy's socket as well";
    api_key: Secrets = "", "The API key of operators for /api/admin, or several separated by commas; prefer the environment or a file";
    api_keys: NamedKeys = "", "API keys as NAME:SCOPE:SECRET, separated by commas; the scope is read, sell or operate, each includes the ones before; prefer the environment or a file";
    api_keys_file: String = "", "A file of API keys, one NAME:SCOPE:SECRET a line, with comments that start with #";
    anonymous: Anonymous = "sell", "What callers without an API key may do where keys are set: sell (hold and order), read, or none";
    webhook_secret: Secrets = "", "The HMAC secret of payment webhooks, or several separated by commas; prefer the environment or a file";
    stripe_secret: Secrets = "", "The signing secret of Stripe's webhook endpoint (whsec_...), or several separated by commas; without it Stripe's webhooks are not served";
    adyen_secret: Secrets = "", "The hexadecimal HMAC key of Adyen's webhook, or several separated by commas; without it Adyen's webhooks are not served";
    razorpay_secret: Secrets = "", "The secret of Razorpay's webhook, or several separated by commas; without it Razorpay's webhooks are not served";
    paymob_secret: Secrets = "", "Paymob's HMAC secret, or several separated by commas; without it Paymob's callbacks are not served";
    paymob_integration_ids: Ids = "", "The integrations whose transactions are taken from Paymob, as ids separated by commas; empty for all of the account";
    checkout_secret: Secrets = "", "The signature key of Checkout.com's webhook, or several separated by commas; without it Checkout.com's webhooks are not served";
    standard_webhooks_secret: Secrets = "", "The secret of a sender of Standard Webhooks (whsec_ and base64 of at least 24 bytes), or several separated by commas; without it they are not served";
    paypal_credentials: Secrets = "", "CLIENT_ID:SECRET of the PayPal application that has the webhook, or several separated by commas; without it PayPal's webhooks are not served";
    paypal_webhook_id: Secrets = "", "The id of PayPal's webhook, or several separated by commas";
    paypal_url: ProviderUrl = "https://api-m.paypal.com", "The address of PayPal's interface, which is asked whether it signed a webhook";
    mollie_key: Secrets = "", "The API key by which payments are fetched from Mollie, or several separated by commas; without it Mollie's webhooks are not served";
    mollie_url: ProviderUrl = "https://api.mollie.com", "The address of Mollie's interface, from which payments are fetched";
    insecure: bool = "false", "Serve without a webhook secret and an API key even beyond loopback, behind a proxy and to web pages of any origin";
    rate_limit_key: Rate = "", "The most requests of one API key, as N/s or N/m, with a burst of N; empty or 0 for no limit";
    rate_limit_address: Rate = "", "The most requests from one address, as N/s or N/m, with a burst of N; empty or 0 for no limit";
    trusted_proxies: TrustedProxies = "", "The addresses of proxies whose X-Forwarded-For names the client, as IPs and CIDRs separated by commas; unix for the proxy of unix_http";
    cors_origins: Origins = "", "The origins whose web pages may call the HTTP API, separated by commas, each as SCHEME://HOST or SCHEME://HOST:PORT; or * for all";
    relay: String = "", "A TOML file of webhook endpoints and Redis streams to which events are delivered; empty for none";
    event_rows: bool = "false", "Write each event as a row of the table stockade_event_rows, for change data capture such as Debezium's";
    demo: bool = "false", "Add demo products to an empty store; without it only the default store, sqlite:shop.db, gets them";
    no_seed: bool = "false", "Do not add demo products to the default store either";
    body_max: usize = "65536", "The largest request body, in bytes; beyond it requests are rejected with 413";
    client_connections_max: usize = "4096", "The most concurrent connections; beyond it they are rejected with 503";
    in_flight_max: usize = "2048", "The most requests in flight; beyond it they are rejected with 503";
    header_timeout: Duration = "10s", "How long a client may take to send a request head, or idle between two requests";
    request_timeout: Duration = "15s", "How long a request may take in all, except audits and sweeps of remote engines; also how long a response may wait for the client to read it";
    drain_delay: Duration = "0s", "How long to keep accepting after a stop signal, while /readyz already fails";
    drain_timeout: Duration = "10s", "How long requests in flight may take to finish after a stop signal";
    log_format: LogFormat = "text", "The format of the log on stderr: text or json";
    log_level: String = "info", "The log level: off, error, warn, info, debug or trace; also per module: warn,stockade=debug";
}

impl Settings {
    /// The settings that must not be visible to other users.
    pub const SECRET: &'static [&'static str] = &[
        "api_key",
        "api_keys",
        "webhook_secret",
        "stripe_secret",
        "adyen_secret",
        "razorpay_secret",
        "paymob_secret",
        "checkout_secret",
        "standard_webhooks_secret",
        "paypal_credentials",
        "mollie_key",
    ];

    /// Returns the names of the secrets that are not set. Without them any client
    /// can change stock or mark an order as paid.
    pub fn missing_secrets(&self) -> Option<&'static str> {
        // A file without a key is refused when it is read.
        let no_key =
            self.api_key.is_empty() && self.api_keys.is_empty() && self.api_keys_file.is_empty();
        match (no_key, self.webhook_secret.is_empty()) {
            (false, false) => None,
            (true, false) => Some("STOCKADE_API_KEY"),
            (false, true) => Some("STOCKADE_WEBHOOK_SECRET"),
            (true, true) => Some("STOCKADE_API_KEY and STOCKADE_WEBHOOK_SECRET"),
        }
    }

    /// Rejects invalid combinations and values.
    pub fn check(&self) -> Result<(), String> {
        let at_least_one = [
            ("body_max", self.body_max),
            ("client_connections_max", self.client_connections_max),
            ("in_flight_max", self.in_flight_max),
        ];
        for (name, value) in at_least_one {
            if value == 0 {
                return Err(format!("{name} must be at least 1"));
            }
        }
        if self.client_connections_max > 1_000_000 {
            return Err("client_connections_max must be at most 1000000".to_owned());
        }
        if self.header_timeout.is_zero() || self.request_timeout.is_zero() {
            return Err("header_timeout and request_timeout must be greater than 0".to_owned());
        }
        let a_day = Duration::from_secs(86_400);
        if self.header_timeout > a_day || self.request_timeout > a_day {
            return Err("header_timeout and request_timeout must be at most a day".to_owned());
        }
        providers::check_settings(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_and_makes_sense() {
        let mut settings = Settings::default();
        for (name, default, _) in Settings::LIST {
            settings.set(name, default).unwrap();
        }
        settings.check().unwrap();
        assert_eq!(settings.listen, "127.0.0.1:8080");
        assert_eq!(settings.unix_mode.bits(), 0o600);
        assert_eq!(settings.request_timeout, Duration::from_secs(15));
    }

    #[test]
    fn a_mode_is_octal_and_within_bounds() {
        let mut settings = Settings::default();
        settings.set("unix_mode", "0660").unwrap();
        assert_eq!(settings.unix_mode.bits(), 0o660);
        for bad in ["", "rw", "888", "1777", "-1", "+600", "0x1f"] {
            assert!(settings.set("unix_mode", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_provider_is_asked_by_https_or_on_this_machine() {
        let mut settings = Settings::default();
        for good in ["https://api.mollie.com/", "http://127.0.0.1:8081", "http://[::1]:1"] {
            settings.set("mollie_url", good).unwrap();
        }
        assert_eq!(settings.mollie_url.as_str(), "http://[::1]:1");
        for bad in [
            "",
            "api.mollie.com",
            "http://api.mollie.com",
            "ftp://localhost",
            "https://key@api.mollie.com",
            "https://api.mollie.com/?next=",
            "http://localhost.evil.example",
        ] {
            assert!(settings.set("mollie_url", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_whole_numbers_separated_by_commas() {
        let mut settings = Settings::default();
        assert!(settings.paymob_integration_ids.is_empty());
        settings.set("paymob_integration_ids", "16105, 4097558").unwrap();
        let ids = &settings.paymob_integration_ids;
        assert!(ids.contains(16105) && ids.contains(4_097_558) && !ids.contains(16));
        for bad in [",", "16105,", "+1", "-1", "1.5", "card"] {
            assert!(settings.set("paymob_integration_ids", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_of_providers_have_their_form() {
        for (name, value) in [
            ("adyen_secret", "not hexadecimal"),
            ("standard_webhooks_secret", "whsec_!"),
            ("standard_webhooks_secret", "whsec_===="),
            ("standard_webhooks_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaQ"),
            ("paypal_credentials", "no-colon"),
            ("paypal_credentials", "id:secret"),
            ("paypal_webhook_id", "1JE4291016473214C"),
        ] {
            let mut settings = Settings::default();
            settings.set(name, value).unwrap();
            let why = settings.check().unwrap_err();
            assert!(why.contains(name) && !why.contains(value), "{why}");
        }
    }

    #[test]
    fn no_name_is_also_one_of_the_engine() {
        for (name, ..) in Settings::LIST {
            let taken = |setting: &stockade::Setting| setting.name == *name;
            assert!(!stockade::Config::SETTINGS.iter().any(taken), "{name}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let mut settings = Settings::default();
        settings.set("webhook_secret", "hush, old-hush").unwrap();
        assert_eq!(settings.webhook_secret.iter().collect::<Vec<_>>(), ["hush", "old-hush"]);
        assert!(!format!("{settings:?}").contains("hush"));
        let rejected = settings.set("webhook_secret", "hush,,").unwrap_err();
        assert!(!rejected.contains("hush"));
    }
}
