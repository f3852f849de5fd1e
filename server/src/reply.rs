//! A success on its way out.

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::problem::Refusal;
use crate::response::{Body, response};

/// What an endpoint ends with.
pub type Answer = Result<Reply, Refusal>;

/// A success.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    replayed: bool,
}

impl Reply {
    /// 200 with `value` as JSON.
    pub fn json(value: &impl Serialize) -> Answer {
        // Most answers fit, so that most are written without a second thought.
        let mut body = Vec::with_capacity(256);
        match serde_json::to_writer(&mut body, value) {
            Ok(()) => Ok(Self::text("application/json", body)),
            Err(error) => Err(Refusal::internal(format!("an answer was not written: {error}"))),
        }
    }

    /// 200 with a text that is ready.
    pub fn text(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into(), replayed: false }
    }

    /// The same with another status.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Says that this repeats the answer to an earlier request with the same key.
    pub fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }

    /// The response.
    pub fn into_response(self) -> Response<Body> {
        response(self.status, self.content_type, self.body, self.replayed)
    }
}
