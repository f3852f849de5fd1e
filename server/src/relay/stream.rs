//! Appends events to a Redis stream.

use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use stockade::Event;

use super::plan::StreamPlan;
use crate::event_view::EventView;

/// How long Redis may take to connect, and to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The stream of one target, with its connection while there is one.
pub struct Stream {
    plan: StreamPlan,
    connection: Option<MultiplexedConnection>,
}

impl From<StreamPlan> for Stream {
    fn from(plan: StreamPlan) -> Self {
        Self { plan, connection: None }
    }
}

impl Stream {
    /// Appends events, in order. After an error some of them may be there.
    ///
    /// # Errors
    /// Why Redis did not take all.
    pub async fn append(&mut self, events: &[&Event]) -> Result<(), String> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(TIMEOUT))
                    .set_response_timeout(Some(TIMEOUT));
                let connecting =
                    self.plan.client.get_multiplexed_async_connection_with_config(&config);
                none.insert(connecting.await.map_err(|error| error.to_string())?)
            }
        };
        // One transaction: of two relays no events interleave within a page.
        let mut pipe = redis::pipe();
        pipe.atomic();
        for event in events {
            let body = serde_json::to_string(&EventView::of(event)).map_err(|it| it.to_string())?;
            pipe.cmd("XADD")
                .arg(&self.plan.stream)
                .arg("MAXLEN")
                .arg("~")
                .arg(self.plan.max_length);
            pipe.arg("*").arg("cursor").arg(event.cursor).arg("type").arg(event.kind.as_str());
            pipe.arg("product_id").arg(event.product_id.0).arg("event").arg(body).ignore();
        }
        let appended: redis::RedisResult<()> = pipe.query_async(connection).await;
        if appended.is_err() {
            self.connection = None;
        }
        appended.map_err(|error| error.to_string())
    }
}
