//! Calls that engines in other processes send.

use stockade::RemoteCall;
use tokio::time::{Instant, timeout_at};

use super::timed_out;
use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::shared::Shared;

/// `POST /engine/v1`: passes the call to the engine. Its reply holds the result
/// or the error, so the HTTP status is 200 for both.
///
/// The client bounds an audit or a sweep; any other call ends at `deadline`.
pub async fn answer(shared: &Shared, call: &Call<'_>, deadline: Instant) -> Answer {
    let call = RemoteCall::parse(&call.body);
    let is_maintenance = call.is_maintenance();
    let work = shared.engine.serve_call(call);
    let json = if is_maintenance {
        work.await
    } else {
        timeout_at(deadline, work).await.map_err(|_| timed_out())?
    };
    Ok(Reply::text("application/json", json))
}
