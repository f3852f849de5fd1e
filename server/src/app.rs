//! Request handling: routing, admission, limits, the handler, the response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use stockade::{AsyncEngine, Hold, HoldRequest, Replayable};
use tokio::time::{Instant, timeout, timeout_at};

use crate::admission::{Admission, Admitted};
use crate::api_keys::ApiKeys;
use crate::body;
use crate::call::Call;
use crate::caller::Caller;
use crate::command_error::CommandError;
use crate::control_room::ControlRoom;
use crate::handlers::{self, HoldBatch};
use crate::limits::{Limit, Permit};
use crate::listeners::Peer;
use crate::metrics::RequestTimer;
use crate::problem::{Code, Rejection};
use crate::providers::Providers;
use crate::reply::{HandlerResult, Reply};
use crate::request_id::{self, RequestId, RequestIds};
use crate::response::{self, Body};
use crate::router::{Endpoint, Router};
use crate::settings::Settings;
use crate::signature::Verifier;
use crate::state::ServerState;

/// The largest body of an engine call; the longest is a cart with many lines.
const ENGINE_BODY_MAX: usize = 1 << 20;

/// The server's state and the limits that all requests share.
pub struct App {
    /// The state that handlers use.
    pub state: ServerState,
    /// Issues ids for requests, and for connections that were rejected before a
    /// request.
    pub ids: RequestIds,
    /// The page for operators.
    pub control_room: ControlRoom,
    router: Router,
    admission: Admission,
    in_flight: Limit,
    /// Bounds the bodies being read. As many as connections, because one HTTP/2
    /// connection may send many at a time.
    arriving: Limit,
    body_max: usize,
    request_timeout: Duration,
}

impl App {
    /// Creates the app for an open engine.
    pub fn new(
        engine: AsyncEngine,
        settings: &Settings,
        keys: ApiKeys,
    ) -> Result<Self, CommandError> {
        let require_hold_token = engine.config().require_hold_token;
        Ok(Self {
            state: ServerState::new(
                engine,
                Verifier::new(&settings.webhook_secret),
                Providers::new(settings),
            ),
            ids: RequestIds::new(),
            control_room: ControlRoom::new(),
            router: Router::new().map_err(|error| {
                CommandError::Runtime(format!("cannot build the route table: {error}"))
            })?,
            admission: Admission::new(settings, keys, require_hold_token),
            in_flight: Limit::new(settings.in_flight_max),
            arriving: Limit::new(settings.client_connections_max),
            body_max: settings.body_max,
            request_timeout: settings.request_timeout,
        })
    }

    /// Returns whether every request in flight is still receiving its body.
    #[cfg(feature = "fuzzing")]
    pub fn waits_for_clients(&self) -> bool {
        // A batch, which is streamed, counts as arriving alone.
        self.state.metrics.in_flight() <= self.arriving.count()
    }

    /// Handles a request. No client input makes this fail.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let request_id = self.ids.of(request.headers());
        let (head, body) = request.into_parts();
        let found = self.router.find(head.uri.path());
        let path = found.as_ref().map(|(path, _)| *path);
        let route = path.map_or("unmatched", |path| path.pattern);
        let mut timer = self.state.metrics.timer(&head.method, route);
        let deadline = Instant::now() + self.request_timeout;
        let admitted = self.admission.admit(path, &head, peer);
        let caller = admitted.as_ref().ok().and_then(|one| one.caller.name().cloned());
        let segments = found.map_or_else(matchit::Params::new, |(_, segments)| segments);
        // Read the body even when the request is already rejected: a response
        // that overtakes the body costs the client its connection, or even the
        // response.
        let answer = match admitted {
            Ok(admitted) if admitted.endpoint == Endpoint::CreateHoldBatch => {
                self.hold_batch(&head, body, &request_id, admitted).await
            }
            Ok(Admitted { endpoint: Endpoint::ControlRoomFile, .. }) => {
                self.control_room.file(head.uri.path(), &head.headers)
            }
            Ok(Admitted { endpoint: Endpoint::ControlRoomStream, .. }) => {
                ControlRoom::stream(&self)
            }
            admitted => {
                let answer = self.answer(&head, body, admitted, segments, deadline).await;
                answer.map(Reply::into_response)
            }
        };
        let log =
            |status, rejection| log(&timer, status, &request_id, caller.as_deref(), rejection);
        let mut response = match answer {
            Ok(response) => {
                log(response.status(), None);
                response
            }
            Err(rejection) => {
                self.state.metrics.rejected(rejection.code());
                log(rejection.code().status(), Some(&rejection));
                rejection.into_response(head.uri.path(), request_id.as_str())
            }
        };
        self.admission.share(path, &head, &mut response);
        response.headers_mut().insert(request_id::HEADER, request_id.header());
        timer.answered(response.status());
        response
    }

    /// Reads the body, then runs the handler.
    async fn answer(
        &self,
        head: &Parts,
        body: Incoming,
        admitted: Result<Admitted, Rejection>,
        segments: matchit::Params<'_, '_>,
        deadline: Instant,
    ) -> HandlerResult {
        let body_max = match &admitted {
            Ok(Admitted { endpoint: Endpoint::Engine, .. }) => ENGINE_BODY_MAX,
            _ => self.body_max,
        };
        let body = self.body(head, body, body_max, deadline).await?;
        let Admitted { endpoint, caller, .. } = admitted?;
        let engine = self.engine_of(&caller)?;
        let (query, headers) = (head.uri.query(), &head.headers);
        let call = Call { segments, query, headers, body, caller, engine };
        self.work(endpoint, &call, deadline).await
    }

    /// Returns the engine for a caller: events and orders name the API key.
    fn engine_of(&self, caller: &Caller) -> Result<AsyncEngine, Rejection> {
        let engine = &self.state.engine;
        Ok(match caller.name() {
            Some(name) => engine.acting_as(name)?,
            None => engine.clone(),
        })
    }

    /// Starts the answer to a batch, whose body is read while it is answered.
    async fn hold_batch(
        self: &Arc<Self>,
        head: &Parts,
        body: Incoming,
        request_id: &RequestId,
        admitted: Admitted,
    ) -> Result<Response<Body>, Rejection> {
        if head.headers.contains_key("idempotency-key") {
            let why = "a batch takes no Idempotency-Key header: each line may have its own \
                       idempotency_key";
            return Err(Rejection::invalid(why));
        }
        let engine = self.engine_of(&admitted.caller)?;
        let arriving = self.arriving()?;
        let (app, request_id) = (Arc::clone(self), request_id.clone());
        let mut batch =
            HoldBatch::new(app, engine, body, self.request_timeout, request_id, admitted, arriving);
        if head.headers.contains_key(EXPECT) {
            batch.receive_first().await;
        }
        Ok(response::streamed(handlers::HOLD_BATCH_TYPE, batch.answers()))
    }

    /// Makes the holds of some lines of a batch. Each of them has the permit and the
    /// time of one request.
    pub async fn create_hold_batch(
        &self,
        engine: &AsyncEngine,
        requests: Vec<HoldRequest>,
    ) -> Vec<Result<Replayable<Hold>, Rejection>> {
        let lines = requests.len();
        let _permit = match self.permit_for(Endpoint::CreateHoldBatch) {
            Ok(permit) => permit,
            Err(_) => return (0..lines).map(|_| Err(too_many_in_flight())).collect(),
        };
        let work = engine.create_hold_batch(requests);
        match timeout(self.request_timeout, work).await {
            Ok(Ok(results)) => {
                results.into_iter().map(|result| result.map_err(Rejection::from)).collect()
            }
            Ok(Err(error)) => (0..lines).map(|_| Err(error.clone().into())).collect(),
            Err(_) => (0..lines).map(|_| Err(handlers::timed_out())).collect(),
        }
    }

    /// Counts one more request of a caller that was admitted.
    ///
    /// # Errors
    /// `rate_limited`
    pub fn count(&self, admitted: &Admitted) -> Result<(), Rejection> {
        self.admission.count(admitted)
    }

    async fn work(&self, endpoint: Endpoint, call: &Call<'_>, deadline: Instant) -> HandlerResult {
        let _permit = self.permit_for(endpoint)?;
        handlers::run(&self.state, endpoint, call, deadline).await
    }

    /// Takes a permit for the request; probes need none. Taken after the body
    /// was read, so that a slow sender does not occupy a permit.
    fn permit_for(&self, endpoint: Endpoint) -> Result<Option<Permit>, Rejection> {
        if endpoint.is_probe() {
            return Ok(None);
        }
        self.in_flight.enter().map(Some).ok_or_else(too_many_in_flight)
    }

    /// Takes a permit to read a body.
    fn arriving(&self) -> Result<Permit, Rejection> {
        let full =
            || Rejection::Server(Code::Contention, "too many request bodies in flight".into());
        self.arriving.enter().ok_or_else(full)
    }

    async fn body(
        &self,
        head: &Parts,
        body: Incoming,
        body_max: usize,
        deadline: Instant,
    ) -> Result<Bytes, Rejection> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let _arriving = self.arriving()?;
        let late = || {
            let detail = "timed out while reading the request body";
            Rejection::Server(Code::RequestTimeout, detail.into())
        };
        timeout_at(deadline, body::read(&head.headers, body, body_max))
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}

fn too_many_in_flight() -> Rejection {
    Rejection::Server(Code::Contention, "too many requests in flight".into())
}

/// Logs one line per request, with the name of its API key. Omits paths, bodies
/// and other keys, because they may contain secrets or personal data.
fn log(
    timer: &RequestTimer<'_>,
    status: StatusCode,
    request_id: &RequestId,
    caller: Option<&str>,
    rejection: Option<&Rejection>,
) {
    let (method, route, status) = (timer.method(), timer.route(), status.as_u16());
    let code = rejection.map(|rejection| rejection.code().as_str());
    let duration_ms = timer.started().elapsed().as_micros() as f64 / 1_000.0;
    let request_id = request_id.as_str();
    macro_rules! line {
        ($level:ident $(, $cause:ident)?) => {
            tracing::$level!(
                target: "stockade::request",
                method,
                route,
                status,
                duration_ms,
                request_id,
                caller,
                code,
                $(cause = ?$cause,)?
                "{method} {route} {status}"
            )
        };
    }
    match rejection {
        Some(cause) if status == 500 => line!(error, cause),
        Some(cause) if status == 503 => line!(warn, cause),
        _ if matches!(route, "/healthz" | "/readyz" | "/metrics" | "/engine/v1") => {
            line!(debug);
        }
        _ => line!(info),
    }
}
