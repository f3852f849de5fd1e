//! RPC endpoint of engines in other processes.

use stockade::RemoteCall;
use tokio::time::{Instant, timeout_at};

use super::timed_out;
use crate::call::Call;
use crate::reply::{HandlerResult, Reply};

/// `POST /engine/v1`: passes the call to the engine. Its reply holds the result
/// or the error, so the HTTP status is 200 for both.
///
/// The client bounds an audit or a sweep; any other call ends at `deadline`.
pub async fn handle(call: &Call<'_>, deadline: Instant) -> HandlerResult {
    let remote = RemoteCall::parse(&call.body);
    let is_maintenance = remote.is_maintenance();
    let work = call.engine.serve_call(remote);
    let json = if is_maintenance {
        work.await
    } else {
        timeout_at(deadline, work).await.map_err(|_| timed_out())?
    };
    Ok(Reply::text("application/json", json))
}
