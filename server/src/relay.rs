//! The relay: delivers the events of the outbox to webhook endpoints, Redis Streams and
//! the plain table of events, at least once and in the order of each product.
//!
//! Each target has a task, a consumer in the store with its position, and a lease of
//! it: several relays on one store share the targets, and a slow target delays no
//! other. A webhook endpoint has a lane for each product ([`lanes`]); an event that an
//! endpoint refuses is put aside in the store with the later events of its product,
//! while other products go on.

mod address;
mod batches;
mod endpoint;
mod filter;
mod lanes;
mod lease;
mod metrics;
mod plan;
mod sender;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use stockade::{AsyncEngine, Consumers};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::metrics::RelayMetrics;
pub use self::plan::Plan;
use self::sender::Sender;
use crate::command_error::CommandError;
use crate::settings::Settings;

/// The pause between two reads at the tail of the outbox grows from the first to the
/// second: one after an event is most often followed by others, and an idle relay
/// costs two reads a second for each target.
const POLL_MIN: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_millis(500);

/// The most events of one read.
const PAGE: u32 = 500;

/// What the tasks of a relay share.
struct Shared {
    engine: AsyncEngine,
    consumers: Consumers,
    metrics: RelayMetrics,
    /// How long a lease lasts without being prolonged.
    lease: Duration,
    stop: CancellationToken,
}

/// A running relay.
pub struct Relay {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Relay {
    /// Starts the relay of these settings on an engine; `None` if they name no target.
    ///
    /// # Errors
    /// A file that cannot be used, and a store without consumers.
    pub async fn of_settings(
        settings: &Settings,
        engine: &AsyncEngine,
        metrics: RelayMetrics,
    ) -> Result<Option<Self>, CommandError> {
        let plan = Plan::of_settings(settings)?;
        if plan.is_empty() { Ok(None) } else { Self::start(plan, engine, metrics).await.map(Some) }
    }

    async fn start(
        plan: Plan,
        engine: &AsyncEngine,
        metrics: RelayMetrics,
    ) -> Result<Self, CommandError> {
        let consumers = engine.consumers()?;
        let store_id = consumers.store_id().await?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            engine: engine.clone(),
            consumers,
            metrics,
            lease: plan.lease,
            stop: stop.clone(),
        });
        let mut tasks = JoinSet::new();
        for endpoint in plan.webhooks {
            let sender = Sender::new(&endpoint, store_id).map_err(|why| {
                CommandError::Setup(format!("webhook {}: {why}", endpoint.target.name))
            })?;
            tasks.spawn(endpoint::run(Arc::clone(&shared), endpoint.target, sender));
        }
        for stream in plan.streams {
            tasks.spawn(batches::run(Arc::clone(&shared), stream.target.clone(), stream.into()));
        }
        if let Some(target) = plan.event_rows {
            tasks.spawn(batches::run(Arc::clone(&shared), target, batches::Sink::Rows));
        }
        tracing::info!("the relay delivers to {} targets", tasks.len());
        Ok(Self { tasks, stop })
    }

    /// Stops the relay: what is in flight may finish, and leases are returned.
    pub async fn stop(mut self, bound: Duration) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(bound, ended).await.is_err() {
            tracing::warn!("the relay did not stop in time; what was in flight is sent again");
        }
    }
}
