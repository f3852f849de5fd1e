//! The relay's targets, read from its file of TOML and from the settings.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use serde::Deserialize;
use stockade::{ConsumerPosition, parse_duration};

use super::address::AddressPolicy;
use super::filter::Filter;
use crate::command_error::CommandError;
use crate::settings::Settings;
use crate::values::read_value;

/// The consumer of the plain table of events.
pub const EVENT_ROWS: &str = "event_rows";

/// For how long an event is retried by default.
const GIVE_UP: Duration = Duration::from_secs(3 * 86_400);
/// How long one attempt may take by default.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many events an endpoint is sent at a time by default, and at most.
const IN_FLIGHT: usize = 16;
const IN_FLIGHT_MAX: usize = 256;
/// About how many events a stream keeps by default.
const STREAM_LENGTH: u64 = 1_000_000;
/// How long a lease lasts by default: after a relay died, another goes on then.
const LEASE: Duration = Duration::from_secs(30);

/// The bytes of a secret, as Standard Webhooks has them.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanText {
    lease: Option<String>,
    #[serde(default)]
    webhook: Vec<WebhookText>,
    #[serde(default)]
    redis: Vec<StreamText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookText {
    name: String,
    url: String,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    secret_files: Vec<String>,
    #[serde(default)]
    allow: Vec<String>,
    timeout: Option<String>,
    give_up: Option<String>,
    in_flight: Option<usize>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    products: Vec<u64>,
    #[serde(default)]
    skus: Vec<String>,
    start: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamText {
    name: String,
    url: Option<String>,
    url_file: Option<String>,
    stream: String,
    max_length: Option<u64>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    products: Vec<u64>,
    #[serde(default)]
    skus: Vec<String>,
    start: Option<String>,
}

/// What all targets have.
#[derive(Debug, Clone)]
pub struct Target {
    /// The consumer's name.
    pub name: String,
    pub filter: Filter,
    pub start: ConsumerPosition,
    pub in_flight: usize,
    /// For how long an event is retried.
    pub give_up: Duration,
}

/// A webhook endpoint.
#[derive(Clone)]
pub struct WebhookPlan {
    pub target: Target,
    pub url: Uri,
    pub secrets: Vec<String>,
    pub policy: AddressPolicy,
    pub timeout: Duration,
}

/// A Redis stream.
#[derive(Clone)]
pub struct StreamPlan {
    pub target: Target,
    pub client: redis::Client,
    pub stream: String,
    pub max_length: u64,
}

/// All targets of a relay.
pub struct Plan {
    pub webhooks: Vec<WebhookPlan>,
    pub streams: Vec<StreamPlan>,
    pub event_rows: Option<Target>,
    pub lease: Duration,
}

impl Plan {
    /// Reads the plan that the settings name.
    ///
    /// # Errors
    /// What in the file cannot be used, and what to write instead.
    pub fn of_settings(settings: &Settings) -> Result<Self, CommandError> {
        let mut plan = if settings.relay.is_empty() {
            Self { webhooks: vec![], streams: vec![], event_rows: None, lease: LEASE }
        } else {
            let path = Path::new(&settings.relay);
            let shown = path.display();
            let text = std::fs::read_to_string(path).map_err(|error| {
                CommandError::Setup(format!("relay: cannot read {shown}: {error}"))
            })?;
            Self::parse(&text).map_err(|why| CommandError::Setup(format!("{shown}: {why}")))?
        };
        plan.event_rows = settings.event_rows.then(|| Target {
            name: EVENT_ROWS.to_owned(),
            filter: Filter::default(),
            start: ConsumerPosition::First,
            in_flight: 1,
            give_up: GIVE_UP,
        });
        Ok(plan)
    }

    /// Whether it names no target.
    pub fn is_empty(&self) -> bool {
        self.webhooks.is_empty() && self.streams.is_empty() && self.event_rows.is_none()
    }

    fn parse(text: &str) -> Result<Self, String> {
        // Only the message: the error's full text repeats the line, with its secrets.
        let file: PlanText = toml::from_str(text).map_err(|error| {
            let start = error.span().and_then(|span| text.get(..span.start));
            let line = start.map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {}", error.message())
        })?;
        let mut names = HashSet::from([EVENT_ROWS.to_owned()]);
        let mut check_name = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
                return Err("name: expected 1 to 64 letters, digits, `-`, `_` and `.`".to_owned());
            }
            let is_new = names.insert(name.to_owned());
            if is_new { Ok(()) } else { Err("name: another target has it".to_owned()) }
        };
        let mut plan = Self { webhooks: vec![], streams: vec![], event_rows: None, lease: LEASE };
        if let Some(lease) = file.lease {
            plan.lease = duration("lease", &lease)?;
            if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&plan.lease) {
                return Err("lease must be from 1s to 10m".to_owned());
            }
        }
        for webhook in file.webhook {
            let name = webhook.name.clone();
            let read = check_name(&name).and_then(|()| read_webhook(webhook));
            plan.webhooks.push(read.map_err(|why| format!("webhook {name}: {why}"))?);
        }
        for stream in file.redis {
            let name = stream.name.clone();
            let read = check_name(&name).and_then(|()| read_stream(stream));
            plan.streams.push(read.map_err(|why| format!("redis {name}: {why}"))?);
        }
        Ok(plan)
    }
}

fn duration(name: &str, text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{name}: {error}"))
}

fn start(text: Option<&str>) -> Result<ConsumerPosition, String> {
    match text {
        None | Some("first") => Ok(ConsumerPosition::First),
        Some("tail") => Ok(ConsumerPosition::Tail),
        Some(_) => Err("start: expected first or tail".to_owned()),
    }
}

fn read_webhook(text: WebhookText) -> Result<WebhookPlan, String> {
    let url: Uri = text.url.parse().map_err(|_| "url: expected https://HOST/PATH".to_owned())?;
    let host = url.host().ok_or("url: expected https://HOST/PATH")?.to_owned();
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("url: a user and password are not sent; leave them out".to_owned());
    }
    let policy = AddressPolicy::new(&host, &text.allow)?;
    match url.scheme_str() {
        Some("https") => {}
        Some("http") if policy.names_host(&host) => {}
        _ => {
            return Err("url: expected https://, or http:// for a host that allow names".to_owned());
        }
    }
    // A name is checked when it is resolved; an address never is.
    if let Ok(address) = host.trim_matches(['[', ']']).parse()
        && !policy.permits(address)
    {
        return Err(format!(
            "url: {address} is not an address of the public internet: name it in allow if it is meant"
        ));
    }
    let mut secrets = text.secrets;
    for path in &text.secret_files {
        let secret = read_value(Path::new(path));
        secrets.push(secret.map_err(|why| format!("secret_files: cannot read {path}: {why}"))?);
    }
    if secrets.is_empty() {
        return Err("secrets: name one, as whsec_ and base64 of 24 to 64 random bytes".to_owned());
    }
    for secret in &secrets {
        let bytes = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
        if !bytes.is_ok_and(|bytes| SECRET_BYTES.contains(&bytes.len())) {
            return Err("secrets: expected whsec_ and base64 of 24 to 64 random bytes".to_owned());
        }
    }
    let in_flight = text.in_flight.unwrap_or(IN_FLIGHT);
    if in_flight == 0 || in_flight > IN_FLIGHT_MAX {
        return Err(format!("in_flight: expected 1 to {IN_FLIGHT_MAX}"));
    }
    let given =
        |name, text: Option<&str>, default| text.map_or(Ok(default), |text| duration(name, text));
    let timeout = given("timeout", text.timeout.as_deref(), TIMEOUT)?;
    if timeout.is_zero() || timeout > Duration::from_secs(120) {
        return Err("timeout: expected up to 120s, and more than 0".to_owned());
    }
    Ok(WebhookPlan {
        target: Target {
            name: text.name,
            filter: Filter::new(&text.events, text.products, text.skus)?,
            start: start(text.start.as_deref())?,
            in_flight,
            give_up: given("give_up", text.give_up.as_deref(), GIVE_UP)?,
        },
        url,
        secrets,
        policy,
        timeout,
    })
}

fn read_stream(text: StreamText) -> Result<StreamPlan, String> {
    let url = match (text.url, text.url_file) {
        (Some(url), None) => url,
        (None, Some(path)) => read_value(Path::new(&path))
            .map_err(|why| format!("url_file: cannot read {path}: {why}"))?,
        _ => return Err("name either url, as redis://HOST, or url_file".to_owned()),
    };
    // The error may repeat a password.
    let client = redis::Client::open(url)
        .map_err(|_| "url: expected redis://HOST, rediss://HOST or unix:///PATH".to_owned())?;
    if text.stream.is_empty() {
        return Err("stream: expected the key of a stream".to_owned());
    }
    let max_length = text.max_length.unwrap_or(STREAM_LENGTH);
    if max_length == 0 {
        return Err("max_length: expected at least 1".to_owned());
    }
    Ok(StreamPlan {
        target: Target {
            name: text.name,
            filter: Filter::new(&text.events, text.products, text.skus)?,
            start: start(text.start.as_deref())?,
            in_flight: 1,
            give_up: GIVE_UP,
        },
        client,
        stream: text.stream,
        max_length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn parse(more: &str) -> Result<Plan, String> {
        Plan::parse(&format!("[[webhook]]\nname = \"erp\"\nsecrets = [\"{SECRET}\"]\n{more}"))
    }

    #[test]
    fn a_target_has_defaults() {
        let plan = parse("url = \"https://erp.example.com/hooks\"\n").ok().unwrap();
        let [webhook] = &plan.webhooks[..] else { panic!() };
        assert_eq!((webhook.target.in_flight, webhook.target.give_up), (16, GIVE_UP));
        assert_eq!((webhook.timeout, webhook.target.start), (TIMEOUT, ConsumerPosition::First));
        let stream = "[[redis]]\nname = \"s\"\nurl = \"redis://h\"\nstream = \"e\"\n";
        let plan = parse(&format!("url = \"https://erp.example.com\"\n{stream}")).ok().unwrap();
        assert_eq!(plan.streams.len(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_the_secret() {
        for (wrong, named) in [
            ("url = \"http://erp.example.com\"", "url: expected https"),
            ("url = \"https://127.0.0.1/x\"", "127.0.0.1 is not an address"),
            ("url = \"https://[::1]/x\"", "::1 is not an address"),
            ("url = \"https://[::ffff:10.0.0.1]/x\"", "is not an address"),
            ("url = \"https://169.254.169.254/x\"", "is not an address"),
            ("url = \"https://a:b@erp.example.com\"", "user and password"),
            ("url = \"ftp://erp.example.com\"", "url: expected https"),
            ("url = \"/x\"", "url: expected https"),
            ("url = \"https://e.com\"\nevents = [\"order.payed\"]", "order.payed"),
            ("url = \"https://e.com\"\nallow = [\"f.com\"]", "allow: `f.com`"),
            ("url = \"https://e.com\"\nin_flight = 0", "in_flight"),
            ("url = \"https://e.com\"\ntimeout = \"soon\"", "timeout"),
            ("url = \"https://e.com\"\nstart = \"now\"", "start: expected first or tail"),
            ("url = \"https://e.com\"\nurls = 1", "line 5: unknown field `urls`"),
            (
                "url = \"https://e.com\"\n[[redis]]\nname = \"erp\"\nurl = \"redis://h\"\nstream = \"e\"",
                "another target",
            ),
            (
                "url = \"https://e.com\"\n[[redis]]\nname = \"x y\"\nurl = \"redis://h\"\nstream = \"e\"",
                "name: expected",
            ),
        ] {
            let why = parse(wrong).err().unwrap_or_default();
            assert!(why.contains(named) && !why.contains("MfKQ"), "{wrong}: {why}");
        }
        let short =
            "[[webhook]]\nname = \"a\"\nurl = \"https://e.com\"\nsecrets = [\"whsec_AAAA\"]";
        assert!(Plan::parse(short).err().unwrap().contains("24 to 64"));
        assert!(parse("url = \"http://127.0.0.1:1\"\nallow = [\"127.0.0.0/8\"]").is_ok());
        assert!(parse("url = \"http://localhost:1\"\nallow = [\"localhost\"]").is_ok());
    }
}
