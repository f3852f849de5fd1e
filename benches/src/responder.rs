//! The ceiling of HTTP: bare hyper in its own process, which sends the server's
//! responses without doing any work.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::child;
use crate::http::Reply;

/// The responses to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// For GET.
    pub get: Reply,
    /// For any other method.
    pub post: Reply,
}

struct Ready {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Ready {
    fn of(reply: &Reply) -> Self {
        let headers = reply.headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            (name, HeaderValue::from_str(value).expect("a header's value"))
        });
        Self {
            status: StatusCode::from_u16(reply.status).expect("a status"),
            headers: headers.collect(),
            body: Bytes::copy_from_slice(reply.body.as_bytes()),
        }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// Listens on a free port of the loopback interface.
///
/// # Panics
/// When there is none.
pub async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Responds to every connection.
pub async fn respond(listener: TcpListener, task: Task) {
    let ready = Arc::new((Ready::of(&task.get), Ready::of(&task.post)));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let ready = Arc::clone(&ready);
        let service = service_fn(move |request: hyper::Request<_>| {
            let ready = if *request.method() == Method::GET { &ready.0 } else { &ready.1 };
            let response = ready.response();
            async move { Ok::<_, Infallible>(response) }
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A client that disconnects is not an error.
        tokio::spawn(async move { drop(serving.await) });
    }
}

/// Runs a child until its parent closes the pipe; it answers its address.
pub fn serve(runtime: &Runtime, task: Task) {
    let (listener, address) = runtime.block_on(listener());
    runtime.spawn(respond(listener, task));
    child::answer(&address);
    child::orders::<()>().for_each(drop);
}
