//! The table of settings: each has one name, one default and one line of help, and
//! every binding offers all of them by that name.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::mechanisms::Mechanisms;
use crate::model::{Currency, InvalidArgument, parse_bool, parse_duration};

/// What to do with a payment that arrives after its order was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum LatePayment {
    /// Reserve the units again if they are available, else require a refund.
    #[default]
    ReReserve,
    /// Always require a refund.
    Refund,
}

/// What to do about the store's schema when an engine is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Migrate {
    /// Create the store if there is none, and apply missing migrations.
    #[default]
    Auto,
    /// Change nothing, and refuse a store that lacks a migration. It requires no
    /// permission to change tables.
    Check,
    /// Do not check the applied migrations. A store that lacks a table or a column
    /// is still refused.
    Off,
}

/// The clock by which an engine decides what is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ClockSource {
    /// The store's.
    #[default]
    Store,
    /// A clock that stands still until a test moves it by
    /// [`Engine::advance_clock`](crate::Engine::advance_clock).
    Manual,
}

/// A setting's name, default and help, for a binding that lists them.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Setting {
    /// The name, for [`Config::set`].
    pub name: &'static str,
    /// The default, for [`Config::set`].
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

trait Value: Sized {
    fn parse(text: &str) -> std::result::Result<Self, String>;
}

impl Value for Duration {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        parse_duration(text).map_err(|error| error.to_string())
    }
}

impl Value for String {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for LatePayment {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        match text {
            "re_reserve" => Ok(Self::ReReserve),
            "refund" => Ok(Self::Refund),
            _ => Err("expected re_reserve or refund".to_owned()),
        }
    }
}

impl Value for Migrate {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "check" => Ok(Self::Check),
            "off" => Ok(Self::Off),
            _ => Err("expected auto, check or off".to_owned()),
        }
    }
}

impl Value for ClockSource {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        match text {
            "store" => Ok(Self::Store),
            "manual" => Ok(Self::Manual),
            _ => Err("expected store or manual".to_owned()),
        }
    }
}

impl Value for Currency {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        text.parse().map_err(|error: InvalidArgument| error.to_string())
    }
}

impl Value for bool {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        parse_bool(text).map_err(|error| error.to_string())
    }
}

macro_rules! whole_number {
    ($($name:ty),*) => {
        $(impl Value for $name {
            fn parse(text: &str) -> std::result::Result<Self, String> {
                let invalid = |_| format!("expected a whole number from 0 to {}", Self::MAX);
                text.parse().map_err(invalid)
            }
        })*
    };
}

whole_number!(u32, usize);

macro_rules! config {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:literal, $help:literal;)*) => {
        /// The settings of an engine. See [`Config::SETTINGS`] for the list.
        #[derive(Clone)]
        #[non_exhaustive]
        pub struct Config {
            $(#[doc = $help] #[doc = ""] #[doc = concat!("Default: `", $default, "`.")] pub $name: $kind,)*
            /// No setting: a bench alone switches optimizations off.
            pub(crate) mechanisms: Mechanisms,
        }

        impl Config {
            /// All settings.
            pub const SETTINGS: &'static [Setting] =
                &[$(Setting { name: stringify!($name), default: $default, help: $help },)*];

            /// Sets one setting by its name.
            ///
            /// # Errors
            /// `invalid_argument` for an unknown name or an invalid value.
            pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
                match name {
                    $(stringify!($name) => {
                        self.$name = Value::parse(value).map_err(|why| {
                            Error::invalid_argument(format!("setting {name}: {why}"))
                        })?;
                    })*
                    _ => return Err(Error::invalid_argument(format!("unknown setting {name}"))),
                }
                Ok(())
            }

            #[cfg(feature = "remote")]
            fn changed(&self) -> impl Iterator<Item = &'static str> {
                let default = Self::default();
                let changed = [$((stringify!($name), self.$name != default.$name),)*];
                changed.into_iter().filter_map(|(name, changed)| changed.then_some(name))
            }
        }

        impl Default for Config {
            fn default() -> Self {
                // Every default parses: a test checks all of them.
                Self { $($name: <$kind as Value>::parse($default).unwrap_or_default(),)* mechanisms: Mechanisms::default() }
            }
        }
    };
}

config! {
    store: String = "sqlite:shop.db", "The store's URL: sqlite:FILE (in its path %25 stands for %, %3F for ?), sqlite::memory: or mysql://USER@HOST/DATABASE; or that of a running engine: unix:///SOCKET, http://:KEY@HOST:PORT or https://:KEY@HOST:PORT";
    migrate: Migrate = "auto", "What to do about the store's schema at the start: auto creates the store and applies missing migrations, check changes nothing and refuses a store that lacks one, off does not check";
    clock: ClockSource = "store", "The clock that decides what is due: store for the store's own, or manual for tests, which stands still until a test moves it (on sqlite::memory: alone)";
    redis: String = "", "Redis for lock and cache: redis://USER:PASSWORD@HOST:PORT/DATABASE, redis+sentinel://HOST:PORT,HOST:PORT/NAME for the master that these sentinels name, or redis+cluster://HOST:PORT,HOST:PORT for a cluster; rediss instead of redis for TLS; empty for none";
    redis_prefix: String = "stockade", "The prefix of all Redis keys and channels, before the store's id";
    redis_ca: String = "", "PEM file with the CA certificates trusted for Redis over TLS; empty for the system's";
    redis_cert: String = "", "PEM file with the client certificate for Redis; empty for none";
    redis_key: String = "", "PEM file with the private key of redis_cert";
    currency: Currency = "EUR", "Currency (ISO 4217) of the price of a product that names none";
    hold_ttl: Duration = "120s", "Default time to live of a hold";
    hold_ttl_max: Duration = "24h", "Longest total time to live of a hold, extensions included";
    payment_ttl: Duration = "30m", "Time after which an unpaid order is cancelled; 0 for never";
    payment_ttl_max: Duration = "7days", "Longest time that an order may stay unpaid, extensions included";
    failed_payment_grace: Duration = "0s", "How long an unpaid order lives on after the first failed attempt to pay it; 0 cancels it at once";
    late_payment: LatePayment = "re_reserve", "Payment for a cancelled order: re_reserve its units if available, or always refund";
    max_per_hold: u32 = "1000000", "Most units that one hold may have of a product";
    max_per_customer: u32 = "0", "Most units of one product for one customer: in active holds, and within customer_window in orders; 0 for no limit";
    customer_window: Duration = "0s", "How long the units that a customer has paid for count for max_per_customer, those of unpaid orders included; 0 counts active holds alone";
    early_payment_ttl: Duration = "10m", "How long a payment event that names an order by its id waits for that order";
    cart_lines_max: usize = "100", "Most lines in a cart";
    require_hold_token: bool = "false", "Whether order, release and extend require the hold's token, so that no caller uses another's hold";
    strict: bool = "false", "Whether requests are refused with unavailable while Redis is down, rather than served with the row lock alone";
    sweeper: bool = "true", "Whether this engine returns the stock of due holds and orders, and deletes old history, in the background";
    sweep_batch: u32 = "1000", "Most due holds, and most due orders, ended in one transaction";
    cache_ttl: Duration = "1s", "Time to live of a cached product";
    cache_products: u32 = "100000", "Most products in this process's cache";
    queue_limit: usize = "65536", "Most requests queued in this engine; beyond it they are refused with contention";
    queue_wait: Duration = "5s", "Longest time in the queue; after it a request is refused with contention";
    batch_max: usize = "4096", "Most requests decided in one transaction";
    connections: u32 = "4", "Connections for writes, and as many for reads (an embedded store has one writer)";
    store_timeout: Duration = "10s", "Time after which a statement without a response counts as a lost connection";
    lock_wait: Duration = "3s", "Longest wait for a row lock before the transaction is retried";
    retries: u32 = "5", "Most retries of a transaction before its requests are refused";
    lock_ttl: Duration = "1s", "Lease of a Redis lock, which is how long a dead holder blocks others";
    lock_run: Duration = "20ms", "Longest time that an engine keeps a Redis lock while another waits";
    idempotency_ttl: Duration = "7days", "How long the response to an idempotency key is kept";
    retention: Duration = "90days", "How long ended holds, events and payment events are kept (these for 7 days at least); 0 for ever, orders included";
    order_retention: Duration = "730days", "How long final orders are kept, with their holds (7 days at least); 0 for ever";
    remote_timeout: Duration = "20s", "Timeout of a call to a running engine, resends included";
    remote_ca: String = "", "PEM file with the CA certificates trusted for a running engine over TLS; empty for the system's";
    remote_reconnect: Duration = "5s", "How long a call waits for a running engine that is unreachable";
}

impl Config {
    /// Builds settings from names and values; all others keep their default.
    ///
    /// # Errors
    /// `invalid_argument` for an unknown name or an invalid value.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut config = Self::default();
        for (name, value) in pairs {
            config.set(name, value)?;
        }
        Ok(config)
    }

    /// Rejects settings that contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |why: &str| Err(Error::invalid_argument(format!("settings: {why}")));
        if self.hold_ttl.is_zero() || self.hold_ttl > self.hold_ttl_max {
            return refuse("hold_ttl must be over 0 and at most hold_ttl_max");
        }
        // Ten years, so that no timestamp overflows.
        let longest = self.hold_ttl_max.max(self.payment_ttl_max).max(self.failed_payment_grace);
        if longest > Duration::from_secs(10 * 366 * 86_400) {
            return refuse(
                "hold_ttl_max, payment_ttl_max and failed_payment_grace must be at most ten years",
            );
        }
        if self.payment_ttl > self.payment_ttl_max {
            return refuse("payment_ttl must be at most payment_ttl_max");
        }
        if self.max_per_hold == 0 || self.cart_lines_max == 0 || self.sweep_batch == 0 {
            return refuse("max_per_hold, cart_lines_max and sweep_batch must be at least 1");
        }
        if self.queue_limit == 0 || self.batch_max == 0 || self.connections == 0 {
            return refuse("queue_limit, batch_max and connections must be at least 1");
        }
        // A resend must find the response to its first attempt.
        if self.idempotency_ttl < Duration::from_secs(3_600) {
            return refuse("idempotency_ttl must be at least 1h");
        }
        // A commit in doubt is looked for in the outbox.
        if !self.retention.is_zero() && self.retention < Duration::from_secs(3_600) {
            return refuse("retention must be 0 or at least 1h");
        }
        if !self.order_retention.is_zero() && self.order_retention < self.retention {
            return refuse("order_retention must be 0 or at least retention");
        }
        if !self.retention.is_zero()
            && !self.order_retention.is_zero()
            && self.customer_window > self.order_retention
        {
            return refuse("customer_window must be at most order_retention");
        }
        // Ten years, as above.
        if self.customer_window.max(self.early_payment_ttl) > Duration::from_secs(10 * 366 * 86_400)
        {
            return refuse("customer_window and early_payment_ttl must be at most ten years");
        }
        // A clock that stands still must not reach a shop's stock.
        if self.clock == ClockSource::Manual && self.store != "sqlite::memory:" {
            return refuse(
                "clock=manual is for tests on the store sqlite::memory: alone; open that store, or set clock=store",
            );
        }
        // An empty hash tag would put each key of a product into another slot.
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

    /// Whether the store is a running engine, to which calls are sent.
    #[must_use]
    pub fn names_a_running_engine(&self) -> bool {
        let scheme = self.store.split_once(':').map(|(scheme, _)| scheme);
        matches!(scheme, Some("unix" | "http" | "https"))
    }

    /// Rejects settings that have no effect here, since the running engine has its
    /// own.
    #[cfg(feature = "remote")]
    pub(crate) fn check_remote(&self) -> Result<()> {
        // `sweeper` is here because it is false in effect: a client never sweeps.
        const CLIENT_SETTINGS: &[&str] =
            &["store", "queue_limit", "remote_timeout", "remote_reconnect", "remote_ca", "sweeper"];
        if let Some(name) = self.changed().find(|name| !CLIENT_SETTINGS.contains(name)) {
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

/// Redacts a URL: without user, password and query.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (login, rest) = match (rest.rfind('@'), rest.find('?')) {
        // A ? in a password, or an @ in a query: ambiguous.
        (Some(at), Some(query)) if query < at => return format!("{scheme}://.."),
        (Some(at), _) => ("..@", &rest[at + 1..]),
        (None, _) => ("", rest),
    };
    match rest.split_once('?') {
        Some((host, _)) => format!("{scheme}://{login}{host}?.."),
        None => format!("{scheme}://{login}{rest}"),
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("store", &redacted(&self.store))
            .field("redis", &redacted(&self.redis))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_parses_and_the_defaults_are_consistent() {
        let mut config = Config::default();
        for setting in Config::SETTINGS {
            config.set(setting.name, setting.default).expect(setting.name);
        }
        config.check().expect("defaults");
        assert_eq!(config.hold_ttl, Duration::from_secs(120));
    }

    #[test]
    fn an_unknown_name_or_invalid_value_is_rejected() {
        assert!(Config::from_pairs([("hold_tll", "1s")]).is_err());
        for (name, value, wanted) in [
            ("hold_ttl", "soon", "a duration such as 90s, 2m or 1h"),
            ("strict", "perhaps", "true or false"),
            ("clock", "sundial", "store or manual"),
            ("retries", "-1", "a whole number from 0 to 4294967295"),
        ] {
            let refused = Config::from_pairs([(name, value)]).expect_err("refused");
            let message = refused.message();
            assert!(message.starts_with(&format!("setting {name}: expected")), "{message}");
            assert!(message.contains(wanted), "{message}");
        }
        assert!(Config::from_pairs([("strict", "yes")]).expect("valid").strict);
        assert!(Config::from_pairs([("hold_ttl", "0")]).expect("valid").check().is_err());
    }

    #[test]
    fn manual_clock_is_rejected_on_any_store_but_one_in_memory() {
        for (store, is_accepted) in [
            ("sqlite::memory:", true),
            ("sqlite:shop.db", false),
            ("sqlite:shop.db?mode=memory", false),
            ("mysql://root@localhost/shop", false),
        ] {
            let settings = [("clock", "manual"), ("store", store)];
            let checked = Config::from_pairs(settings).expect("valid").check();
            assert_eq!(checked.is_ok(), is_accepted, "{store}");
            if let Err(refused) = checked {
                assert_eq!(refused.code(), "invalid_argument");
                assert!(refused.message().contains("sqlite::memory:"), "{refused}");
            }
        }
    }

    #[test]
    fn debug_does_not_show_a_password() {
        let config =
            Config::from_pairs([("store", "mysql://root:se@cret@host/shop")]).expect("valid");
        let shown = format!("{config:?}");
        assert!(!shown.contains("cret@") && shown.contains("@host/shop"), "{shown}");
        for redis in [
            "redis+unix:///run/redis.sock?db=3&password=secret",
            "rediss+cluster://u:secret@one,two",
            "redis://u:sec?ret@host",
            "redis+unix:///run/redis.sock?pass=top@secret",
        ] {
            let config = Config::from_pairs([("redis", redis)]).expect("valid");
            let shown = format!("{config:?}");
            assert!(!shown.contains("secret") && !shown.contains("ret@"), "{shown}");
        }
    }
}
