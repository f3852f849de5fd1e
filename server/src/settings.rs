//! The server's own settings: each has its name, default and help in one line
//! here. The engine's are in [`stockade::Config::SETTINGS`].

use std::fmt;
use std::time::Duration;

use stockade::{parse_bool, parse_duration};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Secrets, one or several separated by commas. They are never shown.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The secrets; none when the setting is empty.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} hidden)", self.0.len())
    }
}

/// The mode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode(u32);

impl Mode {
    /// Its bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The same mode, in which the file's group can connect as well.
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

/// How a setting is read from text. The message of a refusal must not repeat
/// the text: it may be a secret.
trait Value: Sized {
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
            return Err("a secret between commas is empty".to_owned());
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
        /// Everything the server can be told beside the engine's settings.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $(#[doc = $help] pub $name: $kind,)*
        }

        impl Settings {
            /// Name, default and help of every setting.
            pub const LIST: &'static [(&'static str, &'static str, &'static str)] =
                &[$((stringify!($name), $default, $help),)*];

            /// Changes one setting by its name.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
                match name {
                    $(stringify!($name) => self.$name = Value::read(value)?,)*
                    _ => return Err("there is no such setting".to_owned()),
                }
                Ok(())
            }
        }

        impl Default for Settings {
            fn default() -> Self {
                // Each default reads: a test goes through them all.
                Self { $($name: <$kind as Value>::read($default).unwrap_or_default(),)* }
            }
        }
    };
}

settings! {
    listen: String = "127.0.0.1:8080", "Where to listen, as HOST:PORT; port 0 takes a free one; empty for no address";
    unix: String = "", "A socket file for engines in other processes, which open unix:///PATH as their store; it serves their calls and the probes, never the HTTP API; a process that can open it can do everything";
    unix_mode: Mode = "600", "The mode of the engines' socket file";
    unix_group: String = "", "The group that may open the engines' socket file as well, by name or number";
    unix_http: String = "", "A socket file that serves the HTTP API to a reverse proxy, never engines' calls; it needs the secrets that a public address needs";
    unix_http_mode: Mode = "600", "The mode of the proxy's socket file";
    unix_http_group: String = "", "The group that may open the proxy's socket file as well, by name or number";
    api_key: Secrets = "", "The operators' key for /api/admin, or several separated by commas; better given by environment or file";
    webhook_secret: Secrets = "", "The secret that signs payment webhooks, or several separated by commas; better given by environment or file";
    insecure: bool = "false", "Serve without a webhook secret and an API key also beyond loopback, behind a proxy and for web pages of any origin";
    no_seed: bool = "false", "Keep an empty SQLite store empty, rather than fill it with demo products";
    body_max: usize = "65536", "The most bytes the body of a request may have";
    client_connections_max: usize = "4096", "The most connections served at a time; further ones are told to come back later";
    in_flight_max: usize = "2048", "The most requests worked on at a time; beyond it they are refused with 503";
    header_timeout: Duration = "10s", "How long a client may take to send the head of a request, or stay silent between two";
    request_timeout: Duration = "15s", "How long a request may take in all, but for the audit and sweep of an engine elsewhere; also how long a client may refuse to read its answer";
    drain_delay: Duration = "0s", "How long to go on accepting after a signal to stop, with /readyz already red";
    drain_timeout: Duration = "10s", "How long requests under way may take to finish after a signal to stop";
    log_format: LogFormat = "text", "How to write the log, which goes to stderr: text or json";
    log_level: String = "info", "What to log: off, error, warn, info, debug or trace, also by part: warn,stockade=debug";
}

impl Settings {
    /// The settings that must not be given where others can read them.
    pub const SECRET: &'static [&'static str] = &["api_key", "webhook_secret"];

    /// The secrets that are not set; without one of them a stranger's request
    /// can change stock or mark an order as paid.
    pub fn missing_secrets(&self) -> Option<&'static str> {
        match (self.api_key.is_empty(), self.webhook_secret.is_empty()) {
            (false, false) => None,
            (true, false) => Some("STOCKADE_API_KEY"),
            (false, true) => Some("STOCKADE_WEBHOOK_SECRET"),
            (true, true) => Some("STOCKADE_API_KEY and STOCKADE_WEBHOOK_SECRET"),
        }
    }

    /// Refuses settings that make no sense.
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
            return Err("header_timeout and request_timeout must be over 0".to_owned());
        }
        let a_day = Duration::from_secs(86_400);
        if self.header_timeout > a_day || self.request_timeout > a_day {
            return Err("header_timeout and request_timeout must be at most a day".to_owned());
        }
        Ok(())
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
        let refused = settings.set("webhook_secret", "hush,,").unwrap_err();
        assert!(!refused.contains("hush"));
    }
}
