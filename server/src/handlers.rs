//! The endpoint handlers: each parses its arguments, makes one engine call and
//! renders the response.

mod admin;
mod carts;
mod engine;
mod hold_batch;
mod lists;
mod ops;
mod order_view;
mod orders;
mod products;
mod provider_webhook;
mod shop;
mod webhook;

pub use hold_batch::{CONTENT_TYPE as HOLD_BATCH_TYPE, HoldBatch};
pub use lists::WaitingView;
#[cfg(test)]
pub use ops::DOCUMENT;
pub use order_view::OrderView;
pub use products::ProductView;

use tokio::time::{Instant, timeout_at};

use crate::call::Call;
use crate::problem::{Code, Rejection};
use crate::reply::{HandlerResult, Reply};
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
        Endpoint::Product => products::product(state, call).await,
        Endpoint::Products => products::products(state, call).await,
        Endpoint::CreateHold => shop::create_hold(state, call).await,
        Endpoint::CreateHolds => carts::create_holds(state, call).await,
        // The app streams it.
        Endpoint::CreateHoldBatch => Err(Rejection::internal("a batch has no complete body")),
        Endpoint::Hold => shop::hold(state, call).await,
        Endpoint::ReleaseHold => shop::release_hold(state, call).await,
        Endpoint::ExtendHold => shop::extend_hold(state, call).await,
        Endpoint::ChangeQuantity => carts::change_quantity(state, call).await,
        Endpoint::Cart => carts::cart(state, call).await,
        Endpoint::ReleaseCart => carts::release_cart(state, call).await,
        Endpoint::ExtendCart => carts::extend_cart(state, call).await,
        Endpoint::CreateOrder => orders::create_order(state, call).await,
        Endpoint::CreateOrderOfHolds => orders::create_order_of_holds(state, call).await,
        Endpoint::Order => orders::order(state, call).await,
        Endpoint::ExtendOrder => orders::extend_order(state, call).await,
        Endpoint::CancelOrder => orders::cancel_order(state, call).await,
        Endpoint::RefundOrder => orders::refund_order(state, call).await,
        Endpoint::RestockOrder => orders::restock_order(state, call).await,
        Endpoint::SetPaymentReference => orders::set_payment_reference(state, call).await,
        Endpoint::Webhook => webhook::webhook(state, call).await,
        Endpoint::ProviderWebhook => provider_webhook::provider_webhook(state, call).await,
        Endpoint::CreateProduct => products::create_product(state, call).await,
        Endpoint::PutProduct => products::put_product(state, call).await,
        Endpoint::ChangeProduct => products::change_product(state, call).await,
        Endpoint::ArchiveProduct => products::archive_product(state, call).await,
        Endpoint::AdjustStock => products::adjust_stock(state, call).await,
        Endpoint::Holds => lists::holds(state, call).await,
        Endpoint::Orders => lists::orders(state, call).await,
        Endpoint::WaitingPayments => lists::waiting_payments(state, call).await,
        Endpoint::RemoveWaitingPayment => lists::remove_waiting_payment(state, call).await,
        Endpoint::EraseCustomer => admin::erase_customer(state, call).await,
        Endpoint::Sweep => admin::sweep(state).await,
        Endpoint::Audit => admin::audit(state).await,
        Endpoint::Events => admin::events(state, call).await,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(state).await,
        Endpoint::Metrics => ops::metrics(state),
        Endpoint::Document => ops::document(),
        Endpoint::Preflight => Ok(Reply::no_content()),
        Endpoint::Engine => engine::handle(state, call, deadline).await,
    }
}
