//! The road from a request to its answer.

use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use stockade::AsyncEngine;
use tokio::time::{Instant, timeout_at};

use crate::auth::ApiKeys;
use crate::body;
use crate::call::Call;
use crate::failure::Failure;
use crate::handlers;
use crate::limits::{Limit, Place};
use crate::listeners::Door;
use crate::local_guard::LocalGuard;
use crate::metrics::Watch;
use crate::problem::{Code, Refusal};
use crate::reply::Answer;
use crate::request_id::{self, RequestId, RequestIds};
use crate::response::Body;
use crate::router::{Endpoint, Path, Router, unknown_path};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::signature::Verifier;

/// The most bytes of an engine's call, of which the longest is a cart of many
/// lines.
const ENGINE_BODY_MAX: usize = 1 << 20;

/// Everything that requests share.
pub struct App {
    /// What the endpoints work with.
    pub shared: Shared,
    /// Ids for requests and for connections that never became one.
    pub ids: RequestIds,
    router: Router,
    api_keys: ApiKeys,
    local_guard: LocalGuard,
    in_flight: Limit,
    /// Bodies that are being read. As many as connections: one connection of
    /// HTTP/2 may send many at a time.
    arriving: Limit,
    body_max: usize,
    request_timeout: Duration,
}

impl App {
    /// An app on this engine.
    pub fn new(engine: AsyncEngine, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            shared: Shared::new(engine, Verifier::new(&settings.webhook_secret)),
            ids: RequestIds::new(),
            router: Router::new()
                .map_err(|error| Failure::Work(format!("the paths are at odds: {error}")))?,
            api_keys: ApiKeys::new(&settings.api_key),
            local_guard: LocalGuard::new(settings),
            in_flight: Limit::new(settings.in_flight_max),
            arriving: Limit::new(settings.client_connections_max),
            body_max: settings.body_max,
            request_timeout: settings.request_timeout,
        })
    }

    /// Whether all requests under way still send their bodies.
    #[cfg(feature = "fuzzing")]
    pub fn waits_for_clients(&self) -> bool {
        self.shared.metrics.in_flight() == self.arriving.count()
    }

    /// Answers a request. Nothing that a client sends makes this fail.
    pub async fn answer(&self, request: Request<Incoming>, door: Door) -> Response<Body> {
        let request_id = self.ids.of(request.headers());
        let (head, body) = request.into_parts();
        let found = self.router.find(head.uri.path());
        let route = found.as_ref().map_or("unmatched", |(path, _)| path.pattern);
        let mut watch = self.shared.metrics.watch(&head.method, route);
        let deadline = Instant::now() + self.request_timeout;
        // The body is read whatever becomes of the request: an answer that
        // overtakes it would cost the client its connection, or even the answer.
        let found = found
            .ok_or_else(unknown_path)
            .and_then(|(path, segments)| Ok((self.admit(path, &head, door)?, segments)));
        let body_max = match &found {
            Ok((Endpoint::Engine, _)) => ENGINE_BODY_MAX,
            _ => self.body_max,
        };
        let answer = match (self.body(&head, body, body_max, deadline).await, found) {
            (Err(refusal), _) | (Ok(_), Err(refusal)) => Err(refusal),
            (Ok(body), Ok((endpoint, segments))) => {
                let call = Call { segments, query: head.uri.query(), headers: &head.headers, body };
                self.work(endpoint, &call, deadline).await
            }
        };
        let mut response = match answer {
            Ok(reply) => {
                let response = reply.into_response();
                log(&watch, response.status(), &request_id, None);
                response
            }
            Err(refusal) => {
                self.shared.metrics.refused(refusal.code());
                log(&watch, refusal.code().status(), &request_id, Some(&refusal));
                refusal.into_response(head.uri.path(), request_id.as_str())
            }
        };
        response.headers_mut().insert(request_id::HEADER, request_id.header());
        watch.answered(response.status());
        response
    }

    /// The endpoint, for clients that are allowed to use it.
    fn admit(&self, path: &Path, head: &Parts, door: Door) -> Result<Endpoint, Refusal> {
        let endpoint = path.endpoint(&head.method)?;
        if endpoint.is_a_probe() {
            return Ok(endpoint);
        }
        if endpoint == Endpoint::Engine {
            self.api_keys.check_engine(door, head.version, &head.headers)?;
            return Ok(endpoint);
        }
        if door == Door::Unix {
            let why = "the engines' socket file serves no HTTP API; the listen and unix_http \
                       settings do";
            return Err(Refusal::Server(Code::NotFound, why.into()));
        }
        self.local_guard.check(head)?;
        if endpoint.is_for_operators() {
            self.api_keys.check(&head.headers)?;
        }
        Ok(endpoint)
    }

    async fn work(&self, endpoint: Endpoint, call: &Call<'_>, deadline: Instant) -> Answer {
        let _place = self.place_for(endpoint)?;
        handlers::run(&self.shared, endpoint, call, deadline).await
    }

    /// The request's place among those under way, of which probes take none. It
    /// is taken once the body is here: a client that sends slowly must not keep
    /// others out.
    fn place_for(&self, endpoint: Endpoint) -> Result<Option<Place>, Refusal> {
        if endpoint.is_a_probe() {
            return Ok(None);
        }
        let full = || Refusal::Server(Code::Contention, "too many requests are under way".into());
        self.in_flight.enter().map(Some).ok_or_else(full)
    }

    async fn body(
        &self,
        head: &Parts,
        body: Incoming,
        body_max: usize,
        deadline: Instant,
    ) -> Result<Bytes, Refusal> {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let full = || Refusal::Server(Code::Contention, "too many requests arrive at once".into());
        let _place = self.arriving.enter().ok_or_else(full)?;
        let late = || {
            let detail = "the body did not arrive in time";
            Refusal::Server(Code::RequestTimeout, detail.into())
        };
        timeout_at(deadline, body::read(&head.headers, body, body_max))
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}

/// One line for each request. Paths, bodies and keys are not in it: they may
/// carry what is none of the log's business.
fn log(watch: &Watch<'_>, status: StatusCode, request_id: &RequestId, refusal: Option<&Refusal>) {
    let (method, route, status) = (watch.method(), watch.route(), status.as_u16());
    let code = refusal.map(|refusal| refusal.code().as_str());
    let duration_ms = watch.started().elapsed().as_micros() as f64 / 1_000.0;
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
                code,
                $(cause = ?$cause,)?
                "{method} {route} {status}"
            )
        };
    }
    match refusal {
        Some(cause) if status == 500 => line!(error, cause),
        Some(cause) if status == 503 => line!(warn, cause),
        _ if matches!(route, "/healthz" | "/readyz" | "/metrics" | "/engine/v1") => {
            line!(debug);
        }
        _ => line!(info),
    }
}
