//! What callers asked for and were told, and the promises seen broken meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::database::Database;
use super::world::{Process, here};
use crate::error::{Error, ErrorKind};
use crate::model::{Hold, HoldId, Order, OrderId, Outcome, ProductId};
use crate::store::{Fault, StoreError};

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    Oversold,
    Leaked,
    Lost,
    Doubled,
    Unexplained,
}

pub(super) type Findings = Vec<(Violation, String)>;

/// What a caller was told of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Response {
    Done,
    /// The rules refuse it.
    Refused,
    /// Nothing changed.
    Contention,
    /// It may have been done; or nobody heard the answer.
    Unknown,
}

/// A request for holds, with everything that was told of it.
#[derive(Debug, Default)]
pub(super) struct HoldOp {
    pub lines: BTreeMap<ProductId, u32>,
    /// Whether a refusal is final. Without a key of its own it concerns the
    /// copy of the request that it answers.
    pub keeps_refusals: bool,
    pub responses: Vec<Response>,
    pub answers: Vec<Vec<Hold>>,
}

#[derive(Debug, Default)]
pub(super) struct OrderOp {
    pub responses: Vec<Response>,
    pub answers: Vec<Order>,
    /// Named to those who came second.
    pub named: Vec<OrderId>,
}

#[derive(Debug)]
pub(super) struct PaymentOp {
    pub order_id: OrderId,
    pub outcome: Outcome,
    pub responses: Vec<Response>,
}

#[derive(Default)]
pub(super) struct Records {
    operations: u64,
    /// By number, which is also in their holds' life.
    pub holds: BTreeMap<u64, HoldOp>,
    pub orders: BTreeMap<HoldId, OrderOp>,
    pub payments: BTreeMap<String, PaymentOp>,
    pub releases: Vec<(HoldId, Response)>,
    /// With the end that was promised.
    pub extensions: Vec<(HoldId, Hold)>,
    pub adjustments: Vec<(ProductId, i64, Response)>,
    /// Received at the beginning.
    pub received: BTreeMap<ProductId, u64>,
    pub known_holds: Vec<Hold>,
    pub known_orders: Vec<Order>,
    /// No process may show an older version to who asks from now on.
    pub floors: BTreeMap<(Process, ProductId), u64>,
    findings: Findings,
}

impl Records {
    /// From now on this process may show no version older than this one.
    pub fn raise(&mut self, process: Process, id: ProductId, version: u64) {
        let floor = self.floors.entry((process, id)).or_default();
        *floor = (*floor).max(version);
    }

    /// The holds of which it was asked that they be released.
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

    /// The number of the next operation.
    pub fn begin(&self) -> u64 {
        let mut records = self.records();
        records.operations += 1;
        records.operations
    }

    /// What an error tells of its request.
    pub fn classify(&self, error: &Error) -> Response {
        match error.kind() {
            ErrorKind::Contention => Response::Contention,
            ErrorKind::Unavailable => Response::Unknown,
            // Refused alone, so surely not done.
            ErrorKind::Internal if is_drawn(error) => Response::Contention,
            ErrorKind::Internal | ErrorKind::Misuse => {
                self.report(Violation::Unexplained, format!("a caller was told: {error:?}"));
                Response::Unknown
            }
            _ => Response::Refused,
        }
    }
}

/// Whether it is of a refusal that the weather drew.
fn is_drawn(error: &Error) -> bool {
    let fault = error.source().and_then(|source| source.downcast_ref::<StoreError>());
    fault.is_some_and(|error| error.fault == Fault::Fatal)
}

/// The life of an operation's holds, which shows whose they are.
pub(super) fn tagged_ttl(op: u64) -> Duration {
    Duration::from_secs(here().pick(&[1, 2, 5])) + Duration::from_micros(op)
}

/// The operation of a hold with this life.
pub(super) fn tagged_op(ttl: Duration) -> u64 {
    u64::from(ttl.subsec_micros())
}
