//! RPC endpoint of engines in other processes.

use crate::call::Call;
use crate::reply::{HandlerResult, Reply};
use crate::router::unknown_path;
use crate::state::ServerState;

/// `POST /engine/v1/{call}`: the engine decodes the call and encodes its
/// response. An error of the engine is a response too.
pub async fn handle(state: &ServerState, call: &Call<'_>) -> HandlerResult {
    let name = call.segments.get("call").unwrap_or_default();
    let answer = state.engine.answer(name, &call.body).await;
    answer.map(|json| Reply::text("application/json", json)).ok_or_else(unknown_path)
}
