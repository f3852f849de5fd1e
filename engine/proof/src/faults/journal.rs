//! Journals every request before it is sent and every response after it arrives,
//! so that each call is known as answered or in doubt even when its process dies.

use std::io::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockade::{
    CartRequest, Engine, Error, ErrorKind, HoldId, HoldRequest, HoldStatus, OrderId, OrderRequest,
    Outcome, PaymentEvent, PaymentStatus, ProductId, Result, StockAdjustment,
};

/// The TTL of every hold, plus the intent's number in microseconds: so an
/// unacknowledged hold identifies its intent.
const LONG_TTL: Duration = Duration::from_secs(3_600);
/// A short TTL expires by a clock that is ten minutes ahead. The gap to
/// [`LONG_TTL`] is larger than any intent's number.
const SHORT_TTL: Duration = Duration::from_secs(200);
const TTL_DIVIDER: Duration = Duration::from_secs(1_000);

fn ttl(intent: u64, short_lived: bool) -> Duration {
    (if short_lived { SHORT_TTL } else { LONG_TTL }) + Duration::from_micros(intent)
}

/// Decodes the intent from a hold's TTL.
pub fn intent_of(ttl: Duration) -> u64 {
    let base = if ttl < TTL_DIVIDER { SHORT_TTL } else { LONG_TTL };
    u64::try_from(ttl.saturating_sub(base).as_micros()).unwrap_or_default()
}

/// A caller's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    Hold { product: u64, quantity: u32, keyed: bool, short_lived: bool },
    Cart { items: Vec<(u64, u32)>, keyed: bool },
    Release { hold: u64 },
    Order { hold: u64, product: u64, keyed: bool },
    Pay { order: u64, succeeds: bool },
    Adjust { product: u64, delta: i64 },
}

/// The engine's response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Product ids with hold ids.
    Holds {
        made: Vec<(u64, u64)>,
        replayed: bool,
    },
    Released {
        expired: bool,
    },
    Order {
        id: u64,
        replayed: bool,
    },
    Paid {
        waiting: bool,
        replayed: bool,
    },
    Adjusted,
    Refused {
        code: String,
        available: Option<u64>,
        order: Option<u64>,
        replayed: bool,
    },
}

impl Response {
    fn of(error: &Error) -> Self {
        Self::Refused {
            code: error.code().to_owned(),
            available: error.available(),
            order: error.order_id().map(|id| id.0),
            replayed: error.replayed(),
        }
    }

    /// Whether this is a rejection of that kind.
    pub fn is(&self, kind: ErrorKind) -> bool {
        matches!(self, Self::Refused { code, .. } if code == kind.code())
    }

    /// Whether the request is in doubt.
    pub fn is_in_doubt(&self) -> bool {
        self.is(ErrorKind::Unavailable)
    }

    /// Whether the caller should retry.
    pub fn is_transient(&self) -> bool {
        self.is_in_doubt() || self.is(ErrorKind::Contention)
    }
}

/// Sends the request once.
pub fn call_once(engine: &Engine, intent: u64, request: &Request) -> Response {
    execute(engine, intent, request).unwrap_or_else(|error| Response::of(&error))
}

fn execute(engine: &Engine, intent: u64, request: &Request) -> Result<Response> {
    let key = format!("i{intent}");
    Ok(match request {
        Request::Hold { product, quantity, keyed, short_lived } => {
            let ttl = ttl(intent, *short_lived);
            let request = HoldRequest::new(ProductId(*product), *quantity).ttl(ttl);
            let hold = engine.create_hold(&if *keyed { request.key(key) } else { request })?;
            let made = vec![(hold.value.product_id.0, hold.value.id.0)];
            Response::Holds { made, replayed: hold.replayed }
        }
        Request::Cart { items, keyed } => {
            let items = items.iter().map(|(product, quantity)| (ProductId(*product), *quantity));
            let request = CartRequest::new(items).ttl(ttl(intent, false));
            let holds = engine.create_holds(&if *keyed { request.key(key) } else { request })?;
            let made =
                holds.value.holds.iter().map(|hold| (hold.product_id.0, hold.id.0)).collect();
            Response::Holds { made, replayed: holds.replayed }
        }
        Request::Release { hold } => {
            let hold = engine.release_hold(HoldId(*hold))?;
            Response::Released { expired: hold.status == HoldStatus::Expired }
        }
        Request::Order { hold, product, keyed } => {
            let request = OrderRequest::new(HoldId(*hold), ProductId(*product));
            let order = engine.create_order(&if *keyed { request.key(key) } else { request })?;
            Response::Order { id: order.value.id.0, replayed: order.replayed }
        }
        Request::Pay { order, succeeds } => {
            let outcome = if *succeeds { Outcome::Success } else { Outcome::Failure };
            let event = PaymentEvent::for_order(OrderId(*order), outcome);
            let execute = engine.record_payment(event.key(format!("p{order}")))?;
            let waiting = execute.value.status == PaymentStatus::Waiting;
            Response::Paid { waiting, replayed: execute.replayed }
        }
        Request::Adjust { product, delta } => {
            engine.adjust_stock(StockAdjustment::new(ProductId(*product), *delta, "more"))?;
            Response::Adjusted
        }
    })
}

/// One call. Calls with the same intent are one caller's attempts at one request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub intent: u64,
    pub request: Request,
    /// `None` when the caller died before a response.
    pub response: Option<Response>,
}

/// A line that a child process prints before and after a call.
#[derive(Debug, Serialize, Deserialize)]
pub enum JournalLine {
    Invoked { call: (u64, usize), intent: u64, request: Request },
    Returned { call: (u64, usize), response: Response },
}

/// The calls of one caller, or of many.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    pub entries: Vec<Entry>,
    /// The caller's number, if calls are reported to the parent process.
    reports_as: Option<u64>,
}

impl Journal {
    /// Creates a journal that also reports each call on the standard output.
    pub fn reporting(caller: u64) -> Self {
        Self { entries: Vec::new(), reports_as: Some(caller) }
    }

    pub fn absorb(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Makes one call and records its request and response.
    pub fn call(&mut self, engine: &Engine, intent: u64, request: &Request) -> Response {
        let at = self.entries.len();
        self.entries.push(Entry { intent, request: request.clone(), response: None });
        if let Some(caller) = self.reports_as {
            report(&JournalLine::Invoked { call: (caller, at), intent, request: request.clone() });
        }
        let response = call_once(engine, intent, request);
        if let Some(caller) = self.reports_as {
            report(&JournalLine::Returned { call: (caller, at), response: response.clone() });
        }
        self.entries[at].response = Some(response.clone());
        response
    }
}

fn report(observed: &JournalLine) {
    print_line(&format!("call {}", serde_json::to_string(observed).expect("JSON")));
}

/// Prints a line for the parent process.
pub fn print_line(line: &str) {
    let mut output = std::io::stdout().lock();
    // One write, so that a dying process leaves no partial line.
    output.write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
    output.flush().expect("the parent listens");
}
