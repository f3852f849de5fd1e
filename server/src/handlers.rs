//! The endpoints: each reads its arguments, makes one call of the engine and
//! writes the answer.

mod admin;
mod ops;
mod shop;
mod webhook;

use crate::app::App;
use crate::call::Call;
use crate::reply::Answer;
use crate::router::Endpoint;

/// Runs an endpoint.
pub async fn run(app: &App, endpoint: Endpoint, call: &Call<'_>) -> Answer {
    match endpoint {
        Endpoint::Product => shop::product(app, call).await,
        Endpoint::Products => shop::products(app, call).await,
        Endpoint::Hold => shop::hold(app, call).await,
        Endpoint::Cart => shop::cart(app, call).await,
        Endpoint::GetHold => shop::get_hold(app, call).await,
        Endpoint::Release => shop::release(app, call).await,
        Endpoint::Extend => shop::extend(app, call).await,
        Endpoint::Order => shop::order(app, call).await,
        Endpoint::GetOrder => shop::get_order(app, call).await,
        Endpoint::Webhook => webhook::webhook(app, call).await,
        Endpoint::CreateProduct => admin::create_product(app, call).await,
        Endpoint::Adjust => admin::adjust(app, call).await,
        Endpoint::Sweep => admin::sweep(app).await,
        Endpoint::Audit => admin::audit(app).await,
        Endpoint::Events => admin::events(app, call).await,
        Endpoint::Health => ops::health(),
        Endpoint::Ready => ops::ready(app).await,
        Endpoint::Metrics => ops::metrics(app),
    }
}
