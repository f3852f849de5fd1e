//! The endpoints: each reads its arguments, makes one call of the engine and
//! writes the answer.

mod admin;
mod engine;
mod ops;
mod shop;
mod webhook;

#[cfg(test)]
pub use ops::DOCUMENT;

use crate::call::Call;
use crate::reply::Answer;
use crate::router::Endpoint;
use crate::shared::Shared;

/// Whether a request takes as long as the store is large. An engine that sends
/// such a call bounds it by a setting of its own, and takes it back by hanging
/// up.
pub fn takes_its_time(endpoint: Endpoint, call: &Call<'_>) -> bool {
    endpoint == Endpoint::Engine && matches!(call.segments.get("call"), Some("audit" | "sweep"))
}

/// Runs an endpoint.
pub async fn run(shared: &Shared, endpoint: Endpoint, call: &Call<'_>) -> Answer {
    match endpoint {
        Endpoint::Product => shop::product(shared, call).await,
        Endpoint::Products => shop::products(shared, call).await,
        Endpoint::Hold => shop::hold(shared, call).await,
        Endpoint::Cart => shop::cart(shared, call).await,
        Endpoint::GetHold => shop::get_hold(shared, call).await,
        Endpoint::Release => shop::release(shared, call).await,
        Endpoint::Extend => shop::extend(shared, call).await,
        Endpoint::Order => shop::order(shared, call).await,
        Endpoint::GetOrder => shop::get_order(shared, call).await,
        Endpoint::Webhook => webhook::webhook(shared, call).await,
        Endpoint::CreateProduct => admin::create_product(shared, call).await,
        Endpoint::Adjust => admin::adjust(shared, call).await,
        Endpoint::Sweep => admin::sweep(shared).await,
        Endpoint::Audit => admin::audit(shared).await,
        Endpoint::Events => admin::events(shared, call).await,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(shared).await,
        Endpoint::Metrics => ops::metrics(shared),
        Endpoint::Document => ops::document(),
        Endpoint::Engine => engine::answer(shared, call).await,
    }
}
