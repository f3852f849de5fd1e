//! The way back to a caller: of one request, or of many that were submitted
//! together and whose caller is woken once.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::request::CommandResponse;
use crate::error::{Error, ErrorKind, Result};

type Response = Result<CommandResponse>;

/// Sends the response of one request. Its caller gets `internal` if it is dropped
/// unused.
#[derive(Debug)]
pub(super) enum Responder {
    Single(oneshot::Sender<Response>),
    Collected(CollectedResponder),
}

impl Responder {
    pub fn send(self, response: Response) {
        match self {
            // Sending fails only if the caller dropped its future.
            Self::Single(sender) => drop(sender.send(response)),
            Self::Collected(responder) => responder.send(response),
        }
    }

    /// Returns whether the caller dropped its future.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Single(sender) => sender.is_closed(),
            Self::Collected(responder) => responder.collector.strong_count() == 0,
        }
    }
}

impl From<oneshot::Sender<Response>> for Responder {
    fn from(sender: oneshot::Sender<Response>) -> Self {
        Self::Single(sender)
    }
}

/// The error of a request that was dropped without a response.
pub(super) fn dropped() -> Error {
    let why = "the engine dropped the request after an internal fault; \
               retry with the same idempotency key";
    Error::new(ErrorKind::Internal, why)
}

/// Collects the responses of requests that were submitted together.
#[derive(Debug)]
pub(super) struct Collector {
    /// A plain mutex: critical sections store one response.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    responses: Vec<Response>,
    missing: usize,
    /// Wakes the caller with the last response.
    done: Option<oneshot::Sender<()>>,
}

impl Collector {
    /// Creates the collector of so many responses, and a responder for each.
    pub fn new(requests: usize) -> (Arc<Self>, oneshot::Receiver<()>, Vec<Responder>) {
        let (done, receiver) = oneshot::channel();
        let dropped = dropped();
        let responses = (0..requests).map(|_| Err(dropped.clone())).collect();
        let state = State { responses, missing: requests, done: Some(done) };
        let collector = Arc::new(Self { state: Mutex::new(state) });
        let responder = |index| CollectedResponder { collector: Arc::downgrade(&collector), index };
        let responders = (0..requests).map(|index| Responder::Collected(responder(index)));
        let responders = responders.collect();
        (collector, receiver, responders)
    }

    /// Takes the responses, in the order of their requests.
    pub fn take(&self) -> Vec<Response> {
        std::mem::take(&mut self.state.lock().responses)
    }

    fn record(&self, index: usize, response: Option<Response>) {
        let mut state = self.state.lock();
        if let (Some(response), Some(place)) = (response, state.responses.get_mut(index)) {
            *place = response;
        }
        state.missing -= 1;
        if state.missing == 0
            && let Some(done) = state.done.take()
        {
            let _ = done.send(());
        }
    }
}

/// One place among the responses of a [`Collector`], which its caller owns.
#[derive(Debug)]
pub(super) struct CollectedResponder {
    collector: Weak<Collector>,
    index: usize,
}

impl CollectedResponder {
    fn send(mut self, response: Response) {
        if let Some(collector) = std::mem::take(&mut self.collector).upgrade() {
            collector.record(self.index, Some(response));
        }
    }
}

impl Drop for CollectedResponder {
    fn drop(&mut self) {
        // After `send` there is no collector left.
        if let Some(collector) = self.collector.upgrade() {
            collector.record(self.index, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Answer;

    fn response() -> Response {
        let answer = Answer::Payment(crate::model::PaymentStatus::Recorded);
        Ok(CommandResponse { answer, replayed: false })
    }

    #[test]
    fn collector_wakes_its_caller_with_the_last_response_in_the_order_of_requests() {
        let (collector, mut done, responders) = Collector::new(3);
        let mut responders = responders.into_iter();
        let (first, second, third) = (responders.next(), responders.next(), responders.next());
        third.expect("three").send(response());
        first.expect("three").send(Err(Error::invalid_argument("no")));
        assert!(done.try_recv().is_err());
        // Dropped, as by a worker that panics.
        drop(second);
        done.try_recv().expect("woken");
        let kinds: Vec<Option<ErrorKind>> =
            collector.take().iter().map(|r| r.as_ref().err().map(Error::kind)).collect();
        assert_eq!(kinds, [Some(ErrorKind::InvalidArgument), Some(ErrorKind::Internal), None]);
    }

    #[test]
    fn responder_is_closed_once_its_caller_is_gone() {
        let (collector, _done, mut responders) = Collector::new(1);
        let responder = responders.remove(0);
        assert!(!responder.is_closed());
        drop(collector);
        assert!(responder.is_closed());
        responder.send(response());
    }
}
