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
        Endpoint::Product => products::product(call).await,
        Endpoint::Products => products::products(call).await,
        Endpoint::CreateHold => shop::create_hold(call).await,
        Endpoint::CreateHolds => carts::create_holds(call).await,
        // The app answers these itself.
        Endpoint::CreateHoldBatch | Endpoint::ControlRoomFile | Endpoint::ControlRoomStream => {
            Err(Rejection::internal("this endpoint has no reply of a handler"))
        }
        Endpoint::Hold => shop::hold(call).await,
        Endpoint::ReleaseHold => shop::release_hold(call).await,
        Endpoint::ExtendHold => shop::extend_hold(call).await,
        Endpoint::ChangeQuantity => carts::change_quantity(call).await,
        Endpoint::Cart => carts::cart(call).await,
        Endpoint::ReleaseCart => carts::release_cart(call).await,
        Endpoint::ExtendCart => carts::extend_cart(call).await,
        Endpoint::CreateOrder => orders::create_order(call).await,
        Endpoint::CreateOrderOfHolds => orders::create_order_of_holds(call).await,
        Endpoint::Order => orders::order(call).await,
        Endpoint::ExtendOrder => orders::extend_order(call).await,
        Endpoint::CancelOrder => orders::cancel_order(call).await,
        Endpoint::RefundOrder => orders::refund_order(call).await,
        Endpoint::RestockOrder => orders::restock_order(call).await,
        Endpoint::SetPaymentReference => orders::set_payment_reference(call).await,
        Endpoint::Webhook => webhook::webhook(state, call).await,
        Endpoint::ProviderWebhook => provider_webhook::provider_webhook(state, call).await,
        Endpoint::CreateProduct => products::create_product(call).await,
        Endpoint::PutProduct => products::put_product(call).await,
        Endpoint::ChangeProduct => products::change_product(call).await,
        Endpoint::ArchiveProduct => products::archive_product(call).await,
        Endpoint::AdjustStock => products::adjust_stock(call).await,
        Endpoint::Holds => lists::holds(call).await,
        Endpoint::Orders => lists::orders(call).await,
        Endpoint::WaitingPayments => lists::waiting_payments(call).await,
        Endpoint::RemoveWaitingPayment => lists::remove_waiting_payment(call).await,
        Endpoint::EraseCustomer => admin::erase_customer(call).await,
        Endpoint::Sweep => admin::sweep(call).await,
        Endpoint::Audit => admin::audit(call).await,
        Endpoint::Events => admin::events(call).await,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(state).await,
        Endpoint::Metrics => ops::metrics(state),
        Endpoint::Document => ops::document(),
        Endpoint::Preflight => Ok(Reply::no_content()),
        Endpoint::Engine => engine::handle(call, deadline).await,
    }
}
