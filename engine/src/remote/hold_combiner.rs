//! Sends holds by batch calls: those of one caller in parts that fit a request, and
//! the holds of one product that wait at the same time by one batch call:
//! group commit on the client's side.
//!
//! There is no timer: a batch is what was requested while others of its product
//! were in flight, so a lone request is sent alone and at once. Requests for
//! different products are never in one call, since one of them may wait for a
//! lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::client::{Client, PendingCall};
use crate::call::{Request, Response};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Hold, HoldRequest, ProductRef, Replayable};

/// The most calls in flight for one product: one is decided while the other is on
/// its way.
const IN_FLIGHT_MAX: usize = 2;

/// The most requests of one call. With [`TEXT_BYTES_MAX`] they stay below the limit
/// of a request's bytes.
const REQUESTS_MAX: usize = 256;

/// The most bytes of texts in a request that shares a call. The engine's own limits
/// are about as low; what is longer is refused alone.
const TEXT_BYTES_MAX: usize = 512;

type HoldResult = Result<Replayable<Hold>>;

/// The most bytes of the requests in one part of a batch call: half the limit of a
/// request.
const PART_BYTES_MAX: usize = 512 << 10;

pub(super) const RUNTIME_ENDED: &str = "the engine's Tokio runtime has ended";

pub(super) struct HoldCombiner {
    client: Arc<Client>,
    /// Guards the queues by product. A plain mutex: critical sections never await.
    queues: Mutex<HashMap<ProductRef, Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(HoldRequest, oneshot::Sender<HoldResult>)>,
    in_flight: usize,
}

impl HoldCombiner {
    pub fn new(client: Arc<Client>) -> Arc<Self> {
        Arc::new(Self { client, queues: Mutex::default() })
    }

    /// Whether a request may share a call with others.
    pub fn takes(request: &HoldRequest) -> bool {
        text_bytes(request) <= TEXT_BYTES_MAX
    }

    /// Sends a request, with others of its product if they wait.
    ///
    /// # Cancel safety
    /// A dropped future leaves a request that is not sent, or executed whole.
    pub async fn create_hold(self: &Arc<Self>, request: HoldRequest) -> HoldResult {
        let product = request.product.clone();
        let (sender, receiver) = oneshot::channel();
        let starts = {
            let mut queues = self.queues.lock();
            let queue = queues.entry(product.clone()).or_default();
            queue.waiting.push_back((request, sender));
            let starts = queue.in_flight < IN_FLIGHT_MAX;
            queue.in_flight += usize::from(starts);
            starts
        };
        if starts {
            let combiner = Arc::clone(self);
            let sending = async move { combiner.send_waiting(&product).await };
            self.client.connector.tasks.handle.spawn(sending);
        }
        receiver.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unavailable, RUNTIME_ENDED)))
    }

    /// Sends the requests of a batch call in parts that fit a request. A part that
    /// fails is the error of each of its requests.
    ///
    /// # Errors
    /// `unavailable` when the runtime has ended.
    pub async fn create_hold_batch(
        self: &Arc<Self>,
        requests: Vec<HoldRequest>,
    ) -> Result<Vec<HoldResult>> {
        let combiner = Arc::clone(self);
        let sending = async move {
            let parts = split(requests).into_iter().map(|part| combiner.send(part));
            let results: Vec<_> = stream::iter(parts).buffered(IN_FLIGHT_MAX).collect().await;
            results.into_iter().flatten().collect()
        };
        // On the connection's runtime; a caller that drops its future cancels it.
        AbortOnDropHandle::new(self.client.connector.tasks.handle.spawn(sending))
            .await
            .map_err(|error| Error::caused(ErrorKind::Unavailable, RUNTIME_ENDED, error))
    }

    /// Sends what waits for a product, batch by batch, until nothing does.
    async fn send_waiting(&self, product: &ProductRef) {
        while let Some(batch) = self.next_batch(product) {
            let (requests, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let results = self.send(requests).await;
            for (sender, result) in senders.into_iter().zip(results) {
                // Fails only if the caller dropped its future.
                let _ = sender.send(result);
            }
        }
    }

    /// Takes the next batch, without the requests whose callers are gone; `None` ends
    /// the product's turn.
    fn next_batch(
        &self,
        product: &ProductRef,
    ) -> Option<Vec<(HoldRequest, oneshot::Sender<HoldResult>)>> {
        let mut queues = self.queues.lock();
        let queue = queues.get_mut(product)?;
        let mut batch = Vec::new();
        while batch.len() < REQUESTS_MAX
            && let Some((request, sender)) = queue.waiting.pop_front()
        {
            if !sender.is_closed() {
                batch.push((request, sender));
            }
        }
        if !batch.is_empty() {
            return Some(batch);
        }
        queue.in_flight -= 1;
        if queue.in_flight == 0 {
            queues.remove(product);
        }
        None
    }

    /// Sends requests by one call; an error of the call is that of each.
    async fn send(&self, requests: Vec<HoldRequest>) -> Vec<HoldResult> {
        let count = requests.len();
        let request = match <[HoldRequest; 1]>::try_from(requests) {
            Ok([request]) => Request::CreateHold(request),
            Err(requests) => Request::CreateHoldBatch { requests },
        };
        match self.exchange(request).await {
            Ok(Response::CreateHold(hold)) => vec![Ok(hold)],
            Ok(Response::CreateHoldBatch(results)) if results.len() == count => results,
            Ok(other) => fail_all(count, &other.mismatch("create_hold")),
            Err(error) => fail_all(count, &error),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Response> {
        let call = PendingCall::new(request)?.named("create_hold");
        Arc::clone(&self.client).exchange(call).await
    }
}

fn text_bytes(request: &HoldRequest) -> usize {
    let bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let sku = match &request.product {
        ProductRef::Id(_) => 0,
        ProductRef::Sku(sku) => sku.len(),
    };
    bytes(&request.key) + bytes(&request.customer) + sku
}

/// Splits requests into parts that fit a request each. One that does not fit is
/// alone, and refused as too long.
fn split(requests: Vec<HoldRequest>) -> Vec<Vec<HoldRequest>> {
    let mut parts: Vec<Vec<HoldRequest>> = Vec::new();
    let mut left = 0_usize;
    for request in requests {
        // Field names and numbers, and texts of which each byte may be escaped.
        let bytes = 160 + 6 * text_bytes(&request);
        match parts.last_mut() {
            Some(part) if bytes <= left => part.push(request),
            _ => {
                parts.push(vec![request]);
                left = PART_BYTES_MAX;
            }
        }
        left = left.saturating_sub(bytes);
    }
    parts
}

fn fail_all(count: usize, error: &Error) -> Vec<HoldResult> {
    (0..count).map(|_| Err(error.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_a_request_and_keep_the_order() {
        let request = |at: u64, text: usize| HoldRequest::new(at, 1).customer("\u{1}".repeat(text));
        let requests: Vec<_> = (0..9_000).map(|at| request(at, 20)).collect();
        let parts = split(requests.clone());
        assert!(parts.len() > 2, "{}", parts.len());
        for part in &parts {
            let request = Request::CreateHoldBatch { requests: part.clone() };
            assert!(PendingCall::new(request).is_ok());
        }
        assert_eq!(parts.concat(), requests);
        let long = request(1, 1 << 20);
        let parts = split(vec![request(0, 1), long, request(2, 1)]);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(!HoldCombiner::takes(&parts[1][0]) && HoldCombiner::takes(&parts[2][0]));
    }
}
