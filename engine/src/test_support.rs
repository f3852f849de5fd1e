//! Bounded waits for tests, and what a thread logs.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::clock::{StoreClock, SystemClock};
use crate::config::Config;
use crate::store::StoreOptions;

/// Far more than a wait takes, also on a busy machine.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

/// Awaits `work`, and fails the test if that takes longer than [`WAIT_MAX`].
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Polls until `condition` holds, and fails the test as [`in_time`] does.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    in_time(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

impl StoreOptions {
    /// One connection to `url`, with long timeouts.
    pub fn at(url: &str) -> Self {
        let config = Config {
            store: url.to_owned(),
            connections: 1,
            store_timeout: Duration::from_secs(30),
            retries: 1,
            ..Config::default()
        };
        let (clock, host) = (Arc::new(StoreClock), Arc::new(SystemClock));
        Self { config, clock, host, clock_steps: Counter::default() }
    }
}

/// Collects what this thread logs.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("stockade")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
