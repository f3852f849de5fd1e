//! The endpoint handlers: each parses its arguments, makes one engine call and
//! renders the response.

mod admin;
mod engine;
mod ops;
mod shop;
mod webhook;

#[cfg(test)]
pub use ops::DOCUMENT;

use crate::call::Call;
use crate::reply::HandlerResult;
use crate::router::Endpoint;
use crate::state::ServerState;

/// Whether the duration grows with the size of the store, so that the request
/// timeout does not apply. The calling engine has its own timeout, and cancels
/// by closing the stream.
pub fn is_unbounded(endpoint: Endpoint, call: &Call<'_>) -> bool {
    endpoint == Endpoint::Engine && matches!(call.segments.get("call"), Some("audit" | "sweep"))
}

/// Dispatches a request to its handler.
pub async fn run(state: &ServerState, endpoint: Endpoint, call: &Call<'_>) -> HandlerResult {
    match endpoint {
        Endpoint::Product => shop::product(state, call).await,
        Endpoint::Products => shop::products(state, call).await,
        Endpoint::Hold => shop::hold(state, call).await,
        Endpoint::Cart => shop::cart(state, call).await,
        Endpoint::GetHold => shop::get_hold(state, call).await,
        Endpoint::Release => shop::release(state, call).await,
        Endpoint::Extend => shop::extend(state, call).await,
        Endpoint::Order => shop::order(state, call).await,
        Endpoint::GetOrder => shop::get_order(state, call).await,
        Endpoint::Webhook => webhook::webhook(state, call).await,
        Endpoint::CreateProduct => admin::create_product(state, call).await,
        Endpoint::Adjust => admin::adjust(state, call).await,
        Endpoint::Sweep => admin::sweep(state).await,
        Endpoint::Audit => admin::audit(state).await,
        Endpoint::Events => admin::events(state, call).await,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(state).await,
        Endpoint::Metrics => ops::metrics(state),
        Endpoint::Document => ops::document(),
        Endpoint::Engine => engine::handle(state, call).await,
    }
}
