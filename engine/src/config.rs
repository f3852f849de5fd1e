//! Settings: each has one name, one default and one line of help here, and
//! every face offers all of them by that name.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::model::{parse_bool, parse_duration};

/// What to do with money that arrives after its order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LatePayment {
    /// Take the units again if they are there, else ask for a refund.
    #[default]
    ReReserve,
    /// Always ask for a refund.
    Refund,
}

/// What to do about the store's tables when an engine is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Migrate {
    /// Make the store if there is none, and apply the migrations that are
    /// missing.
    #[default]
    Auto,
    /// Change nothing, and refuse a store that lacks a migration. This needs
    /// no right to change tables.
    Check,
    /// Do not look at which migrations were applied. A store that lacks a
    /// table or a column is refused all the same.
    Off,
}

/// A setting's name, default and meaning, for a face that lists them.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Setting {
    /// The name, as [`Config::set`] takes it.
    pub name: &'static str,
    /// The default, as [`Config::set`] takes it.
    pub default: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// How a setting is read from text.
trait Value: Sized {
    fn read(text: &str) -> std::result::Result<Self, String>;
}

impl Value for Duration {
    fn read(text: &str) -> std::result::Result<Self, String> {
        parse_duration(text).map_err(|error| error.to_string())
    }
}

impl Value for String {
    fn read(text: &str) -> std::result::Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for LatePayment {
    fn read(text: &str) -> std::result::Result<Self, String> {
        match text {
            "re_reserve" => Ok(Self::ReReserve),
            "refund" => Ok(Self::Refund),
            _ => Err("expected re_reserve or refund".to_owned()),
        }
    }
}

impl Value for Migrate {
    fn read(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "check" => Ok(Self::Check),
            "off" => Ok(Self::Off),
            _ => Err("expected auto, check or off".to_owned()),
        }
    }
}

impl Value for bool {
    fn read(text: &str) -> std::result::Result<Self, String> {
        parse_bool(text).map_err(|error| error.to_string())
    }
}

macro_rules! whole_number {
    ($($name:ty),*) => {
        $(impl Value for $name {
            fn read(text: &str) -> std::result::Result<Self, String> {
                let wrong = |_| format!("expected a whole number from 0 to {}", Self::MAX);
                text.parse().map_err(wrong)
            }
        })*
    };
}

whole_number!(u32, usize);

macro_rules! config {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:literal, $help:literal;)*) => {
        /// Everything an engine can be told. See [`Config::SETTINGS`] for the list.
        #[derive(Clone)]
        #[non_exhaustive]
        pub struct Config {
            $(#[doc = $help] #[doc = ""] #[doc = concat!("Default: `", $default, "`.")] pub $name: $kind,)*
        }

        impl Config {
            /// Every setting there is.
            pub const SETTINGS: &'static [Setting] =
                &[$(Setting { name: stringify!($name), default: $default, help: $help },)*];

            /// Changes one setting by its name.
            ///
            /// # Errors
            /// `invalid_argument` for an unknown name or a value that does not fit.
            pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
                match name {
                    $(stringify!($name) => {
                        self.$name = Value::read(value).map_err(|why| {
                            Error::invalid_argument(format!("setting {name}: {why}"))
                        })?;
                    })*
                    _ => return Err(Error::invalid_argument(format!("unknown setting {name}"))),
                }
                Ok(())
            }

            /// The settings that do not have their default.
            #[cfg(feature = "remote")]
            fn changed(&self) -> impl Iterator<Item = &'static str> {
                let default = Self::default();
                let changed = [$((stringify!($name), self.$name != default.$name),)*];
                changed.into_iter().filter_map(|(name, changed)| changed.then_some(name))
            }
        }

        impl Default for Config {
            fn default() -> Self {
                // Each default reads: a test goes through them all.
                Self { $($name: <$kind as Value>::read($default).unwrap_or_default(),)* }
            }
        }
    };
}

config! {
    store: String = "sqlite:shop.db", "Where stock is kept: sqlite:FILE (in its path %25 stands for %, %3F for ?), sqlite::memory: or mysql://USER@HOST/DATABASE; or a running engine that has it: unix:///SOCKET, http://:KEY@HOST:PORT or https://:KEY@HOST:PORT";
    migrate: Migrate = "auto", "What to do about the store's tables at the start: auto makes the store and applies the migrations that are missing, check changes nothing and refuses a store that lacks one, off does not look";
    redis: String = "", "Redis for lock and cache: redis://USER:PASSWORD@HOST:PORT/DATABASE, redis+sentinel://HOST:PORT,HOST:PORT/NAME for the master of that name by these sentinels, or redis+cluster://HOST:PORT,HOST:PORT for a cluster; rediss instead of redis for TLS; empty for none";
    redis_prefix: String = "stockade", "What the names of all Redis keys and channels begin with, before the store's own id";
    redis_ca: String = "", "PEM file with the certificates trusted to vouch for Redis by TLS; empty for the system's";
    redis_cert: String = "", "PEM file with the certificate shown to Redis; empty for none";
    redis_key: String = "", "PEM file with the private key of redis_cert";
    hold_ttl: Duration = "120s", "How long a hold lives unless its caller says otherwise";
    hold_ttl_max: Duration = "24h", "The longest a hold may live in all";
    payment_ttl: Duration = "30m", "An order unpaid for so long is cancelled; 0 for never";
    late_payment: LatePayment = "re_reserve", "Money for a cancelled order: re_reserve the units if there are any, or always refund";
    max_per_hold: u32 = "1000000", "The most units one hold may have of a product";
    max_per_customer: u32 = "0", "The most units of one product that the active holds of one customer may keep together; 0 for any number";
    cart_lines_max: usize = "100", "The most lines a cart may have";
    require_hold_token: bool = "false", "Whether order, release and extend must show the hold's token, so that nobody uses another's hold";
    strict: bool = "false", "Refuse with unavailable while Redis is down, rather than go on with the row lock alone";
    sweeper: bool = "true", "Whether this engine returns the stock of due holds and orders by itself";
    sweep_batch: u32 = "250", "The most due holds, and as many due orders, taken back in one transaction";
    cache_ttl: Duration = "1s", "How long a cached product may be served without asking again";
    cache_products: u32 = "100000", "The most products kept in this process's cache";
    queue_limit: usize = "65536", "The most requests waiting in this engine; beyond it they are refused with contention";
    queue_wait: Duration = "5s", "A request that waited so long is refused with contention";
    batch_max: usize = "512", "The most requests decided in one transaction";
    connections: u32 = "4", "Connections that write, and as many that read (an embedded store has one writer)";
    store_timeout: Duration = "10s", "A statement unanswered for so long counts as a lost connection";
    lock_wait: Duration = "3s", "How long a row lock is waited for before the transaction is tried again";
    retries: u32 = "5", "How often a transaction is tried again before its requests are refused";
    lock_ttl: Duration = "1s", "The lease of a Redis lock, which is how long a dead holder keeps others from it";
    lock_run: Duration = "20ms", "How long one engine keeps a Redis lock while another waits";
    idempotency_ttl: Duration = "7days", "How long the answer to an idempotency key is remembered";
    remote_timeout: Duration = "20s", "How long a call to a running engine may take in all, being sent again included";
    remote_ca: String = "", "PEM file with the certificates trusted to vouch for a running engine by TLS; empty for the system's";
    remote_reconnect: Duration = "5s", "How long a call waits for a running engine that cannot be reached";
}

impl Config {
    /// Settings from names and values; those not named keep their default.
    ///
    /// # Errors
    /// `invalid_argument` for an unknown name or a value that does not fit.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut config = Self::default();
        for (name, value) in pairs {
            config.set(name, value)?;
        }
        Ok(config)
    }

    /// Refuses settings that contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |why: &str| Err(Error::invalid_argument(format!("settings: {why}")));
        if self.hold_ttl.is_zero() || self.hold_ttl > self.hold_ttl_max {
            return refuse("hold_ttl must be over 0 and at most hold_ttl_max");
        }
        // Ten years: beyond it a moment of the clock could overflow.
        if self.hold_ttl_max.max(self.payment_ttl) > Duration::from_secs(10 * 366 * 86_400) {
            return refuse("hold_ttl_max and payment_ttl must be at most ten years");
        }
        if self.max_per_hold == 0 || self.cart_lines_max == 0 || self.sweep_batch == 0 {
            return refuse("max_per_hold, cart_lines_max and sweep_batch must be at least 1");
        }
        if self.queue_limit == 0 || self.batch_max == 0 || self.connections == 0 {
            return refuse("queue_limit, batch_max and connections must be at least 1");
        }
        // It would have each key in a slot of its own.
        if self.redis_prefix.contains("{}") {
            return refuse("redis_prefix must not contain {}");
        }
        if self.lock_ttl < Duration::from_millis(100) || self.lock_run > self.lock_ttl / 2 {
            return refuse("lock_ttl must be at least 100ms and lock_run at most half of it");
        }
        if self.lock_wait < Duration::from_secs(1) || self.store_timeout <= self.lock_wait {
            return refuse("lock_wait must be at least 1s and store_timeout longer than it");
        }
        Ok(())
    }

    /// Whether the store is a running engine, to which the calls are sent.
    #[must_use]
    pub fn names_a_running_engine(&self) -> bool {
        let scheme = self.store.split_once(':').map(|(scheme, _)| scheme);
        matches!(scheme, Some("unix" | "http" | "https"))
    }

    /// Refuses settings that would do nothing: those of the engine that does
    /// the calls are told to it.
    #[cfg(feature = "remote")]
    pub(crate) fn check_remote(&self) -> Result<()> {
        // A remote engine never sweeps, so it is no lie to say so.
        const OWN: &[&str] =
            &["store", "queue_limit", "remote_timeout", "remote_reconnect", "remote_ca", "sweeper"];
        if let Some(name) = self.changed().find(|name| !OWN.contains(name)) {
            return Err(Error::invalid_argument(format!(
                "setting {name}: the running engine has its own; set it there"
            )));
        }
        if self.queue_limit == 0 || self.remote_timeout.is_zero() {
            let why = "settings: queue_limit and remote_timeout must be over 0";
            return Err(Error::invalid_argument(why));
        }
        Ok(())
    }
}

/// A URL without the password it may carry, before its host or in its query.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (shown, rest) = match (rest.rfind('@'), rest.find('?')) {
        // A ? in a password, or an @ in a query.
        (Some(at), Some(query)) if query < at => return format!("{scheme}://.."),
        (Some(at), _) => ("..@", &rest[at + 1..]),
        (None, _) => ("", rest),
    };
    match rest.split_once('?') {
        Some((place, _)) => format!("{scheme}://{shown}{place}?.."),
        None => format!("{scheme}://{shown}{rest}"),
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("store", &without_password(&self.store))
            .field("redis", &without_password(&self.redis))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_and_the_defaults_agree() {
        let mut config = Config::default();
        for setting in Config::SETTINGS {
            config.set(setting.name, setting.default).expect(setting.name);
        }
        config.check().expect("defaults");
        assert_eq!(config.hold_ttl, Duration::from_secs(120));
    }

    #[test]
    fn a_wrong_name_or_value_is_refused() {
        assert!(Config::from_pairs([("hold_tll", "1s")]).is_err());
        for (name, value, wanted) in [
            ("hold_ttl", "soon", "a duration such as 90s, 2m or 1h"),
            ("strict", "perhaps", "true or false"),
            ("retries", "-1", "a whole number from 0 to 4294967295"),
        ] {
            let refused = Config::from_pairs([(name, value)]).expect_err("refused");
            let message = refused.message();
            assert!(message.starts_with(&format!("setting {name}: expected")), "{message}");
            assert!(message.contains(wanted), "{message}");
        }
        assert!(Config::from_pairs([("strict", "yes")]).expect("reads").strict);
        assert!(Config::from_pairs([("hold_ttl", "0")]).expect("reads").check().is_err());
    }

    #[test]
    fn a_password_is_not_shown() {
        let config =
            Config::from_pairs([("store", "mysql://root:se@cret@host/shop")]).expect("reads");
        let shown = format!("{config:?}");
        assert!(!shown.contains("cret@") && shown.contains("@host/shop"), "{shown}");
        for redis in [
            "redis+unix:///run/redis.sock?db=3&password=secret",
            "rediss+cluster://u:secret@one,two",
            "redis://u:sec?ret@host",
            "redis+unix:///run/redis.sock?pass=top@secret",
        ] {
            let config = Config::from_pairs([("redis", redis)]).expect("reads");
            let shown = format!("{config:?}");
            assert!(!shown.contains("secret") && !shown.contains("ret@"), "{shown}");
        }
    }
}
