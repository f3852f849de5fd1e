//! The endpoint handlers: each parses its arguments, makes one engine call and
//! renders the response.

mod admin;
mod engine;
mod hold_batch;
mod ops;
mod shop;
mod webhook;

pub use hold_batch::{CONTENT_TYPE as HOLD_BATCH_TYPE, HoldBatch};
#[cfg(test)]
pub use ops::DOCUMENT;

use tokio::time::{Instant, timeout_at};

use crate::call::Call;
use crate::problem::{Code, Rejection};
use crate::reply::HandlerResult;
use crate::router::Endpoint;
use crate::state::ServerState;

/// Dispatches a request to its handler, which ends at `deadline`.
pub async fn run(
    state: &ServerState,
    endpoint: Endpoint,
    call: &Call<'_>,
    deadline: Instant,
) -> HandlerResult {
    let work = execute(state, endpoint, call, deadline);
    if endpoint == Endpoint::Engine {
        // It applies the deadline itself, by the call.
        return work.await;
    }
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(timed_out()))
}

pub fn timed_out() -> Rejection {
    let detail = "the request timed out; its transaction may still commit";
    Rejection::Server(Code::Unavailable, detail.into())
}

async fn execute(
    state: &ServerState,
    endpoint: Endpoint,
    call: &Call<'_>,
    deadline: Instant,
) -> HandlerResult {
    match endpoint {
        Endpoint::Product => shop::product(state, call).await,
        Endpoint::Products => shop::products(state, call).await,
        Endpoint::CreateHold => shop::create_hold(state, call).await,
        Endpoint::CreateHolds => shop::create_holds(state, call).await,
        // The app streams it.
        Endpoint::CreateHoldBatch => Err(Rejection::internal("a batch has no complete body")),
        Endpoint::Hold => shop::hold(state, call).await,
        Endpoint::ReleaseHold => shop::release_hold(state, call).await,
        Endpoint::ExtendHold => shop::extend_hold(state, call).await,
        Endpoint::CreateOrder => shop::create_order(state, call).await,
        Endpoint::Order => shop::order(state, call).await,
        Endpoint::Webhook => webhook::webhook(state, call).await,
        Endpoint::CreateProduct => admin::create_product(state, call).await,
        Endpoint::AdjustStock => admin::adjust_stock(state, call).await,
        Endpoint::Sweep => admin::sweep(state).await,
        Endpoint::Audit => admin::audit(state).await,
        Endpoint::Events => admin::events(state, call).await,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(state).await,
        Endpoint::Metrics => ops::metrics(state),
        Endpoint::Document => ops::document(),
        Endpoint::Engine => engine::handle(state, call, deadline).await,
    }
}
