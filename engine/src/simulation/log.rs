//! Logs requests, responses and the violations found while callers run.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::database::Database;
use super::world::{Process, here};
use crate::error::{Error, ErrorKind};
use crate::model::{Hold, HoldId, LineUnits, Money, Order, OrderId, Outcome, ProductId};
use crate::store::{Fault, StoreError};

/// Which invariant was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    Oversold,
    Leaked,
    Lost,
    Doubled,
    Unexplained,
}

pub(super) type Findings = Vec<(Violation, String)>;

/// How a request ended, as far as its response shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Response {
    Done,
    /// Rejected by a business rule.
    Refused,
    /// Certainly not executed.
    Contention,
    /// In doubt: it may have been executed, or the response was lost.
    Unknown,
}

/// A hold or cart request with every response to it.
#[derive(Debug, Default)]
pub(super) struct HoldOp {
    pub lines: BTreeMap<ProductId, u32>,
    /// The SKU that names the product of the one line, in place of its id.
    pub sku: Option<&'static str>,
    /// Whether a rejection is final. Without an idempotency key of the caller it
    /// applies only to the attempt that received it.
    pub keeps_refusals: bool,
    pub responses: Vec<Response>,
    pub answers: Vec<Vec<Hold>>,
}

/// An order request with every response to it.
#[derive(Debug, Default)]
pub(super) struct OrderOp {
    pub holds: Vec<HoldId>,
    pub reference: Option<String>,
    pub responses: Vec<Response>,
    pub answers: Vec<Order>,
    /// Order ids named in `hold_already_used` errors.
    pub named: Vec<OrderId>,
}

#[derive(Debug)]
pub(super) struct PaymentOp {
    pub order_id: OrderId,
    pub outcome: Outcome,
    pub amount: Option<Money>,
    /// The provider's name of the payment.
    pub reference: Option<String>,
    pub responses: Vec<Response>,
}

/// What a request wants of an order that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Extend(Duration),
    Cancel,
    RefundAll,
    /// Units of a line, with so much money.
    Refund {
        units: LineUnits,
        amount: Money,
        restock: bool,
    },
    /// Settles money that must be refunded.
    SettleOwed,
    Restock(LineUnits),
    /// Ties a provider's name of a payment to it.
    Name(String),
}

impl Change {
    /// Whether the request carries an idempotency key.
    pub fn is_keyed(&self) -> bool {
        match self {
            Self::RefundAll | Self::Refund { .. } | Self::SettleOwed | Self::Restock(_) => true,
            Self::Extend(_) | Self::Cancel | Self::Name(_) => false,
        }
    }
}

#[derive(Debug)]
pub(super) struct ChangeOp {
    pub order_id: OrderId,
    pub change: Change,
    pub responses: Vec<Response>,
    pub answers: Vec<Order>,
}

impl ChangeOp {
    pub fn is_done(&self) -> bool {
        self.responses.contains(&Response::Done)
    }

    /// Whether it was executed, as far as the responses show.
    pub fn may_be_done(&self) -> bool {
        self.is_done() || self.responses.contains(&Response::Unknown)
    }
}

#[derive(Default)]
pub(super) struct Records {
    operations: u64,
    /// By operation number, which each hold's TTL also encodes.
    pub holds: BTreeMap<u64, HoldOp>,
    pub orders: BTreeMap<u64, OrderOp>,
    pub changes: BTreeMap<u64, ChangeOp>,
    pub payments: BTreeMap<String, PaymentOp>,
    pub releases: Vec<(HoldId, Response)>,
    /// Each with the expiry that the response promised.
    pub extensions: Vec<(HoldId, Hold)>,
    pub adjustments: Vec<(ProductId, i64, Response)>,
    /// Units received before the first request.
    pub received: BTreeMap<ProductId, u64>,
    pub known_holds: Vec<Hold>,
    pub known_orders: Vec<Order>,
    /// The lowest version that each process may still serve of each product.
    pub floors: BTreeMap<(Process, ProductId), u64>,
    findings: Findings,
}

impl Records {
    /// Forbids this process to serve a version older than this one.
    pub fn raise(&mut self, process: Process, id: ProductId, version: u64) {
        let floor = self.floors.entry((process, id)).or_default();
        *floor = (*floor).max(version);
    }

    /// Holds with at least one release request.
    pub fn asked_to_release(&self) -> BTreeSet<HoldId> {
        self.releases.iter().map(|(id, _)| *id).collect()
    }
}

pub(super) struct Log(Mutex<Records>);

impl Log {
    pub fn of(database: &Database) -> Self {
        let received = database
            .read(|tables| tables.products.iter().map(|(id, row)| (*id, row.received)).collect());
        Self(Mutex::new(Records { received, ..Records::default() }))
    }

    pub fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn operations(&self) -> u64 {
        self.records().operations
    }

    pub fn report(&self, kind: Violation, what: String) {
        self.records().findings.push((kind, what));
    }

    pub fn findings(&self) -> Findings {
        self.records().findings.clone()
    }

    /// Returns the next operation number.
    pub fn begin(&self) -> u64 {
        let mut records = self.records();
        records.operations += 1;
        records.operations
    }

    /// Classifies an error by what it says about the request.
    pub fn classify(&self, error: &Error) -> Response {
        match error.kind() {
            ErrorKind::Contention => Response::Contention,
            ErrorKind::Unavailable => Response::Unknown,
            // An injected permanent error rolls back the statement's transaction.
            ErrorKind::Internal if is_drawn(error) => Response::Contention,
            ErrorKind::Internal | ErrorKind::Misuse => {
                self.report(Violation::Unexplained, format!("unexpected error: {error:?}"));
                Response::Unknown
            }
            _ => Response::Refused,
        }
    }
}

/// Whether the fault schedule injected this error.
fn is_drawn(error: &Error) -> bool {
    let fault = error.source().and_then(|source| source.downcast_ref::<StoreError>());
    fault.is_some_and(|error| error.fault == Fault::Fatal)
}

/// Returns a TTL whose microseconds encode the operation number.
pub(super) fn tagged_ttl(op: u64) -> Duration {
    Duration::from_secs(here().pick(&[1, 2, 5])) + Duration::from_micros(op)
}

/// Decodes the operation number from a hold's TTL.
pub(super) fn tagged_op(ttl: Duration) -> u64 {
    u64::from(ttl.subsec_micros())
}
