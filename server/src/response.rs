//! The headers that all responses share.

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// The body of every response: complete, or a stream.
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// Builds a response with the common headers.
pub fn response(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    replayed: bool,
) -> Response<Body> {
    let mut response = with_headers(status, content_type, Either::Left(Full::new(body)));
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// Builds a response that is sent while it is made. An error aborts it.
pub fn streamed(
    content_type: &'static str,
    frames: impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static,
) -> Response<Body> {
    let body = Either::Right(StreamBody::new(frames).boxed_unsync());
    with_headers(StatusCode::OK, content_type, body)
}

fn with_headers(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    // Stock changes by the millisecond: no proxy may cache a response.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
