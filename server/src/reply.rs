//! Successful responses.

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::problem::Rejection;
use crate::response::{Body, response};

/// The result of a handler.
pub type HandlerResult = Result<Reply, Rejection>;

/// One page of a list. `next` is null on the last one.
#[derive(Debug, Serialize)]
pub struct Page<T, N> {
    pub items: Vec<T>,
    pub next: Option<N>,
}

/// A successful response.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    replayed: bool,
}

impl Reply {
    /// Responds 200 with `value` as JSON.
    pub fn json(value: &impl Serialize) -> HandlerResult {
        // Most responses fit without reallocation.
        let mut body = Vec::with_capacity(256);
        match serde_json::to_writer(&mut body, value) {
            Ok(()) => Ok(Self::text("application/json", body)),
            Err(error) => {
                Err(Rejection::internal(format!("cannot serialize the response: {error}")))
            }
        }
    }

    /// Responds 200 with a text.
    pub fn text(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into(), replayed: false }
    }

    /// Responds 204 without a body.
    pub fn no_content() -> Self {
        Self::text("", Bytes::new()).status(StatusCode::NO_CONTENT)
    }

    /// Replaces the status.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Marks the response as the replay of an earlier one with the same
    /// idempotency key.
    pub fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }

    /// Renders the response.
    pub fn into_response(self) -> Response<Body> {
        response(self.status, self.content_type, self.body, self.replayed)
    }
}
