//! The metrics of a remote backend.

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::metrics::{Code, latency, metrics};

metrics! {
    struct Counters("stockade_remote") {
        call_seconds: Histogram = latency(), "Duration of a call, retries included";
        refusals: Family<Code, Counter>, "Failed calls, by error code";
        retries: Counter, "Retries of calls after their connection failed";
        connections: Counter, "Connections opened";
        connections_lost: Counter, "Connections lost";
    }
}
