//! The metrics of a remote backend.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::{Label, latency, metrics};

metrics! {
    struct Counters("stockade_remote") {
        call_seconds: Histogram = latency(), "Duration of a call, retries included";
        refusals: Family<Label, Counter>, "Failed calls, by error code";
        retries: Counter, "Retries of calls after their connection failed";
        connections: Counter, "Connections opened";
        connections_lost: Counter, "Connections lost";
    }
}
