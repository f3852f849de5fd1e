//! The calls of engines in other processes.

use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::router::unknown_path;
use crate::shared::Shared;

/// `POST /engine/v1/{call}`: the engine reads the call and writes its answer.
/// A refusal of the engine's is an answer, too.
pub async fn answer(shared: &Shared, call: &Call<'_>) -> Answer {
    let name = call.segments.get("call").unwrap_or_default();
    let answer = shared.engine.answer(name, &call.body).await;
    answer.map(|json| Reply::text("application/json", json)).ok_or_else(unknown_path)
}
