//! The endpoints: each reads its arguments, makes one call of the engine and
//! writes the answer.

mod admin;
mod engine;
mod ops;
mod shop;
mod webhook;

#[cfg(test)]
pub use ops::DOCUMENT;

use tokio::time::{Instant, timeout_at};

use crate::call::Call;
use crate::problem::{Code, Refusal};
use crate::reply::Answer;
use crate::router::Endpoint;
use crate::shared::Shared;

/// Runs an endpoint until `deadline`.
pub async fn run(
    shared: &Shared,
    endpoint: Endpoint,
    call: &Call<'_>,
    deadline: Instant,
) -> Answer {
    let work = execute(shared, endpoint, call, deadline);
    if endpoint == Endpoint::Engine {
        // It applies the deadline itself, by the call.
        return work.await;
    }
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(timed_out()))
}

fn timed_out() -> Refusal {
    let detail = "no answer in time; what was begun may still be done";
    Refusal::Server(Code::Unavailable, detail.into())
}

async fn execute(
    shared: &Shared,
    endpoint: Endpoint,
    call: &Call<'_>,
    deadline: Instant,
) -> Answer {
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
        Endpoint::Engine => engine::answer(shared, call, deadline).await,
    }
}
