//! `POST /api/holds/batch`: requests as JSON Lines, answered line by line while
//! they arrive.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{FutureExt, Stream, stream};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use serde::{Deserialize, Serialize};
use stockade::{AsyncEngine, HoldRequest, Metadata, ProductId};
use tokio::time::timeout;

use super::shop::HoldView;
use crate::admission::Admitted;
use crate::app::App;
use crate::body;
use crate::caller::Caller;
use crate::limits::Permit;
use crate::problem::{Code, Rejection};
use crate::request_id::RequestId;

/// The content type of JSON Lines.
pub const CONTENT_TYPE: &str = "application/jsonl";

/// The longest line, in bytes: a request has two texts of at most 255 bytes.
const LINE_MAX: usize = 16 << 10;

/// The most lines in one call of the engine: the stream's memory is a small
/// multiple of it.
const LINES_MAX: usize = 2_048;

/// Frames that have arrived are gathered up to this many bytes, about
/// [`LINES_MAX`] lines.
const GATHER_MAX: usize = 128 << 10;

/// One request. The engine checks the values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    product_id: Option<ProductId>,
    sku: Option<String>,
    quantity: u32,
    /// In seconds.
    ttl: Option<u64>,
    customer: Option<String>,
    at_most: Option<bool>,
    metadata: Option<Metadata>,
    idempotency_key: Option<String>,
}

/// The answer to a line whose hold was made.
#[derive(Serialize)]
struct HoldLine<'a> {
    status: u16,
    success: bool,
    hold: HoldView<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
}

/// A stream of answers, which owns the request's body.
pub struct HoldBatch {
    app: Arc<App>,
    /// The engine, acting as the caller.
    engine: AsyncEngine,
    body: Incoming,
    /// The bytes of lines that are not answered yet.
    received: BytesMut,
    /// Whether the body has ended.
    is_ended: bool,
    /// Whether the rest of an overlong line is being skipped.
    is_skipping: bool,
    /// Bounds the time between two frames.
    idle_timeout: Duration,
    request_id: RequestId,
    /// Who sends the lines, each of which counts as a request.
    admitted: Admitted,
    /// Whether the next line was counted: the first one with the batch.
    is_counted: bool,
    _arriving: Permit,
}

impl HoldBatch {
    /// Creates the stream of a request.
    pub fn new(
        app: Arc<App>,
        engine: AsyncEngine,
        body: Incoming,
        idle_timeout: Duration,
        request_id: RequestId,
        admitted: Admitted,
        arriving: Permit,
    ) -> Self {
        let received = BytesMut::new();
        let (is_ended, is_skipping) = (false, false);
        Self {
            app,
            engine,
            body,
            received,
            is_ended,
            is_skipping,
            idle_timeout,
            request_id,
            admitted,
            is_counted: true,
            _arriving: arriving,
        }
    }

    /// Waits for the first piece of the body. Reading it makes hyper answer
    /// `Expect: 100-continue`, which the head of a response would end.
    pub async fn receive_first(&mut self) {
        // An error shows again when the answers are read.
        let _ = self.receive().await;
    }

    /// Returns the answers as frames of a body. Dropping it leaves the lines that
    /// were not answered yet undone, or done whole.
    pub fn answers(self) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static {
        stream::unfold(Some(self), |batch| async move {
            let mut batch = batch?;
            match batch.next_answers().await {
                Ok(Some(answers)) => Some((Ok(Frame::data(answers)), Some(batch))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next_answers(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let requests = self.take_lines();
            if !requests.is_empty() {
                return Ok(Some(self.answer(requests).await));
            }
            if self.is_ended {
                return Ok(None);
            }
            self.receive().await?;
        }
    }

    /// Waits for a frame, then gathers those that have arrived with it.
    async fn receive(&mut self) -> io::Result<()> {
        let frame = timeout(self.idle_timeout, self.body.frame()).await.map_err(io::Error::from)?;
        self.add(frame)?;
        while self.received.len() < GATHER_MAX && !self.is_ended {
            let Some(frame) = self.body.frame().now_or_never() else { break };
            self.add(frame)?;
        }
        Ok(())
    }

    fn add(&mut self, frame: Option<hyper::Result<Frame<Bytes>>>) -> io::Result<()> {
        match frame {
            None => self.is_ended = true,
            Some(frame) => {
                if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                    self.received.extend_from_slice(&data);
                }
            }
        }
        Ok(())
    }

    /// Takes the complete lines, up to [`LINES_MAX`], and skips empty ones. Drops
    /// all but the error of a line that is too long.
    fn take_lines(&mut self) -> Vec<Result<HoldRequest, Rejection>> {
        let mut requests = Vec::new();
        while requests.len() < LINES_MAX && !self.received.is_empty() {
            let end = self.received.iter().position(|byte| *byte == b'\n');
            let (length, is_whole) = match end {
                Some(end) => (end, true),
                None if self.is_ended => (self.received.len(), true),
                None => (self.received.len(), false),
            };
            if length > LINE_MAX && !std::mem::replace(&mut self.is_skipping, true) {
                let why = format!("a line has at most {LINE_MAX} bytes");
                requests.push(Err(Rejection::Server(Code::PayloadTooLarge, why.into())));
            }
            if !is_whole {
                if self.is_skipping {
                    self.received.clear();
                }
                break;
            }
            let line = self.received.split_to(length);
            // The line feed, which the last line may lack.
            self.received.advance(self.received.len().min(1));
            if !std::mem::take(&mut self.is_skipping) && !line.trim_ascii().is_empty() {
                requests.push(self.count().and_then(|()| parse(&line, &self.admitted.caller)));
            }
        }
        requests
    }

    /// Counts a line as a request of its caller.
    fn count(&mut self) -> Result<(), Rejection> {
        if std::mem::take(&mut self.is_counted) {
            return Ok(());
        }
        self.app.count(&self.admitted)
    }

    async fn answer(&self, lines: Vec<Result<HoldRequest, Rejection>>) -> Bytes {
        let mut requests = Vec::with_capacity(lines.len());
        let places: Vec<Option<Rejection>> = lines
            .into_iter()
            .map(|line| line.map(|request| requests.push(request)).err())
            .collect();
        let mut results = self.app.create_hold_batch(&self.engine, requests).await.into_iter();
        let mut answers = Vec::with_capacity(places.len() * 256);
        for rejected in places {
            let result = match rejected {
                Some(rejection) => Err(rejection),
                None => results.next().unwrap_or_else(|| Err(Rejection::internal("no result"))),
            };
            match result {
                Ok(made) => {
                    let (replayed, hold) = (made.replayed, HoldView::made(&made.value));
                    let line = HoldLine { status: 200, success: true, hold, replayed };
                    // Texts and numbers only: it cannot fail.
                    let _ = serde_json::to_writer(&mut answers, &line);
                }
                Err(rejection) => {
                    self.app.state.metrics.rejected(rejection.code());
                    if rejection.code() == Code::Internal {
                        let request_id = self.request_id.as_str();
                        tracing::error!(cause = ?rejection, request_id, "a line of a batch failed");
                    }
                    rejection.write_line(&mut answers);
                }
            }
            answers.push(b'\n');
        }
        answers.into()
    }
}

fn parse(line: &[u8], caller: &Caller) -> Result<HoldRequest, Rejection> {
    let line: Line = match serde_json::from_slice(line) {
        // Serde also fills a struct from an array.
        Ok(line_read) if line.trim_ascii_start().starts_with(b"{") => line_read,
        // Read again for the error that names the field.
        _ => body::object(body::text(line)?)?,
    };
    let Line { product_id, sku, quantity, ttl, customer, at_most, .. } = line;
    let (metadata, idempotency_key) = (line.metadata, line.idempotency_key);
    let mut request = HoldRequest::new(body::product("", product_id, sku)?, quantity);
    request.ttl = ttl.map(Duration::from_secs);
    request.customer = customer;
    request.at_most = at_most.unwrap_or_default();
    request.metadata = metadata;
    request.key = idempotency_key.map(|key| caller.idempotency_key(&key)).transpose()?;
    Ok(request)
}
