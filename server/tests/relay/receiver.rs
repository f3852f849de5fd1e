//! A webhook endpoint: a small HTTP server that verifies every message and answers as a
//! test says.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use standardwebhooks::Webhook;
use stockade_testkit::wait_until;
use tokio::runtime::Runtime;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// How long a relay may take for what is not immediate.
pub const SOON: Duration = Duration::from_secs(50);

#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub cursor: u64,
    pub product: u64,
    pub body: Value,
}

#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    Redirect(String),
    Slow(Duration),
    Hang,
}

/// Says how a message is answered, of which so many were received before.
type Rule = Box<dyn Fn(&Message, usize) -> Answer + Send>;

struct State {
    rule: Rule,
    received: Vec<Message>,
    accepted: Vec<Message>,
}

pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    runtime: Option<Runtime>,
}

impl Receiver {
    /// An endpoint that accepts all.
    pub fn accepting() -> Self {
        Self::with(|_, _| Answer::Status(204))
    }

    pub fn with(rule: impl Fn(&Message, usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { rule: Box::new(rule), received: vec![], accepted: vec![] };
        let mut receiver = Self { address, state: Arc::new(Mutex::new(state)), runtime: None };
        receiver.listen(listener);
        receiver
    }

    /// Goes away: connections are closed, further ones refused.
    pub fn stop(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }

    /// Comes back at the same address.
    pub fn start(&mut self) {
        let address = self.address;
        let socket = || TcpListener::bind(address);
        let mut bound = None;
        wait_until("the port is free", SOON, || {
            bound = socket().ok();
            bound.is_some()
        });
        self.listen(bound.unwrap());
    }

    fn listen(&mut self, listener: TcpListener) {
        let runtime = Runtime::new().unwrap();
        listener.set_nonblocking(true).unwrap();
        let state = Arc::clone(&self.state);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        self.runtime = Some(runtime);
    }

    pub fn answer_by(&self, rule: impl Fn(&Message, usize) -> Answer + Send + 'static) {
        self.state.lock().unwrap().rule = Box::new(rule);
    }

    /// All messages that came, and those that were accepted.
    pub fn received(&self) -> Vec<Message> {
        self.state.lock().unwrap().received.clone()
    }

    pub fn accepted(&self) -> Vec<Message> {
        self.state.lock().unwrap().accepted.clone()
    }

    pub fn accepted_cursors(&self) -> BTreeSet<u64> {
        self.state.lock().unwrap().accepted.iter().map(|one| one.cursor).collect()
    }

    /// Waits until all of these events are accepted.
    #[track_caller]
    pub fn wait_for(&self, cursors: impl IntoIterator<Item = u64>) {
        let wanted: BTreeSet<u64> = cursors.into_iter().collect();
        wait_until("all events are accepted", SOON, || wanted.is_subset(&self.accepted_cursors()));
    }

    /// Fails unless the first arrivals of each product's events are in order.
    #[track_caller]
    pub fn assert_order(&self) {
        let (mut last, mut seen) = (HashMap::new(), BTreeSet::new());
        for message in self.accepted() {
            if seen.insert(message.cursor) {
                let before = last.insert(message.product, message.cursor).unwrap_or(0);
                assert!(before < message.cursor, "{before} came before {message:?}");
            }
        }
    }

    /// The relay's file for this endpoint.
    pub fn plan(&self, name: &str, more: &str) -> String {
        format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"http://{}/hooks\"\nsecrets = [\"{SECRET}\"]\n\
             allow = [\"127.0.0.0/8\"]\n{more}\n",
            self.address
        )
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(Response::builder().status(400).body(Empty::new()).unwrap());
    };
    let bytes = body.to_bytes();
    Webhook::new(SECRET).unwrap().verify(&bytes, &head.headers).expect("a good signature");
    assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/hooks"));
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(body["type"], body["data"]["type"]);
    let message = Message {
        id: head.headers["webhook-id"].to_str().unwrap().to_owned(),
        cursor: body["data"]["cursor"].as_u64().unwrap(),
        product: body["data"]["product_id"].as_u64().unwrap_or(0),
        body,
    };
    let answer = {
        let mut state = state.lock().unwrap();
        let before = state.received.iter().filter(|one| one.cursor == message.cursor).count();
        state.received.push(message.clone());
        (state.rule)(&message, before)
    };
    let status = match answer {
        Answer::Status(status) => status,
        Answer::Redirect(to) => {
            let response = Response::builder().status(307).header("location", to);
            return Ok(response.body(Empty::new()).unwrap());
        }
        Answer::Slow(pause) => {
            tokio::time::sleep(pause).await;
            200
        }
        Answer::Hang => std::future::pending().await,
    };
    if (200..300).contains(&status) {
        state.lock().unwrap().accepted.push(message);
    }
    Ok(Response::builder().status(status).body(Empty::new()).unwrap())
}
