//! What the stream tells the page, as server-sent events.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use stockade::{Config, OrderId, ProductId};

use super::counters::State;

/// The time between two frames: people see it as live, and a store hardly notices it.
pub const PERIOD: Duration = Duration::from_millis(500);

/// The rates and sizes that are plotted, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Holds made each second, by all processes of the store.
    pub holds: f64,
    /// Requests refused each second by this process.
    pub refusals: f64,
    /// The latency that 99 of 100 requests do not exceed; None without requests.
    pub p99_ms: Option<f64>,
    /// The mean number of requests of a transaction; None without transactions.
    pub batch: Option<f64>,
    /// Requests that wait for a transaction.
    pub queue: f64,
    /// Events each second.
    pub events: f64,
}

/// The first event of a stream.
#[derive(Serialize)]
pub struct Hello<'a> {
    now_ms: u64,
    version: &'static str,
    period_ms: u128,
    /// The scheme of the store's URL, which itself may have a password.
    store: &'a str,
    redis: bool,
    history: &'a VecDeque<Sample>,
    events: &'a VecDeque<Box<RawValue>>,
}

impl<'a> Hello<'a> {
    /// Describes the server and what was before this viewer.
    pub fn new(
        config: &'a Config,
        history: &'a VecDeque<Sample>,
        events: &'a VecDeque<Box<RawValue>>,
    ) -> Self {
        Self {
            now_ms: now_ms(),
            version: env!("CARGO_PKG_VERSION"),
            period_ms: PERIOD.as_millis(),
            store: config.store.split(':').next().unwrap_or_default(),
            redis: !config.redis.is_empty(),
            history,
            events,
        }
    }
}

/// What a period has brought.
#[derive(Default, Serialize)]
pub struct Frame {
    pub now_ms: u64,
    /// Missing in the first frame: a rate needs two readings.
    pub sample: Option<Sample>,
    pub state: State,
    /// The newest events of the period, the newest last.
    pub events: Vec<Box<RawValue>>,
    /// How many events the period had by their families.
    pub families: Families,
    /// The products that changed.
    pub changed: Vec<ProductId>,
    /// Whether more products changed than `changed` has room for.
    pub changed_more: bool,
    /// The newest order of the period.
    pub newest_order: Option<OrderId>,
}

/// Events by what they are about: the page reads again what they concern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Families {
    pub holds: u64,
    pub orders: u64,
    pub payments: u64,
    pub others: u64,
}

#[cfg(test)]
impl Frame {
    /// A frame that tests tell from others.
    pub fn numbered(number: u64) -> Self {
        let sample = Some(Sample { queue: number as f64, ..Sample::default() });
        Self { sample, ..Self::default() }
    }
}

/// Returns the time of this host, by which the page counts down.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Renders a server-sent event. JSON has no line breaks outside of texts, where they
/// are escaped.
pub fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    // Texts and numbers only: it cannot fail.
    let _ = serde_json::to_writer(&mut text, data);
    text.extend_from_slice(b"\n\n");
    text.into()
}
