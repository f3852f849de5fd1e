//! Calls that engines in other processes send.

use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::shared::Shared;

/// `POST /engine/v1`: passes the call to the engine. Its reply holds the result
/// or the error, so the HTTP status is 200 for both.
pub async fn answer(shared: &Shared, call: &Call<'_>) -> Answer {
    Ok(Reply::text("application/json", shared.engine.serve_call(&call.body).await))
}
