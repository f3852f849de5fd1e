//! What callers asked and what they were answered, kept call by call so that
//! it is known of each whether it was answered, even when its process died.

use std::io::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockade::{
    CartRequest, Engine, Error, ErrorKind, HoldId, HoldRequest, HoldStatus, OrderId, OrderRequest,
    Outcome, PaymentAnswer, PaymentEvent, ProductId, Result, StockAdjustment,
};

/// Every hold lives so long and as many microseconds more as the number of the
/// intent behind it: so a hold that no one was answered tells who asked for it.
const LIFE: Duration = Duration::from_secs(3_600);
/// A brief one is dead by a clock that is ten minutes ahead. Far enough from
/// the other that no intent's number reaches from one to the other.
const BRIEF_LIFE: Duration = Duration::from_secs(200);
const BETWEEN_LIVES: Duration = Duration::from_secs(1_000);

fn life(intent: u64, brief: bool) -> Duration {
    (if brief { BRIEF_LIFE } else { LIFE }) + Duration::from_micros(intent)
}

/// The intent behind a hold that lives so long.
pub fn intent_of(life: Duration) -> u64 {
    let base = if life < BETWEEN_LIVES { BRIEF_LIFE } else { LIFE };
    u64::try_from(life.saturating_sub(base).as_micros()).unwrap_or_default()
}

/// What a caller wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    Hold { product: u64, qty: u32, keyed: bool, brief: bool },
    Cart { items: Vec<(u64, u32)>, keyed: bool },
    Release { hold: u64 },
    Order { hold: u64, product: u64, keyed: bool },
    Pay { order: u64, succeeds: bool },
    Adjust { product: u64, delta: i64 },
}

/// What the caller was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// The holds by product.
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

impl Said {
    fn of(error: &Error) -> Self {
        Self::Refused {
            code: error.code().to_owned(),
            available: error.available(),
            order: error.order_id().map(|id| id.0),
            replayed: error.replayed(),
        }
    }

    /// Whether this is a refusal of that kind.
    pub fn is(&self, kind: ErrorKind) -> bool {
        matches!(self, Self::Refused { code, .. } if code == kind.code())
    }

    /// Whether it is open if anything was done.
    pub fn is_unsure(&self) -> bool {
        self.is(ErrorKind::Unavailable)
    }

    /// Whether the caller is told to ask again.
    pub fn is_transient(&self) -> bool {
        self.is_unsure() || self.is(ErrorKind::Contention)
    }
}

/// Asks once.
pub fn ask_once(engine: &Engine, intent: u64, ask: &Ask) -> Said {
    answer(engine, intent, ask).unwrap_or_else(|error| Said::of(&error))
}

fn answer(engine: &Engine, intent: u64, ask: &Ask) -> Result<Said> {
    let key = format!("i{intent}");
    Ok(match ask {
        Ask::Hold { product, qty, keyed, brief } => {
            let life = life(intent, *brief);
            let request = HoldRequest::new(ProductId(*product), *qty).ttl(life);
            let hold = engine.hold(&if *keyed { request.key(key) } else { request })?;
            let made = vec![(hold.value.product_id.0, hold.value.id.0)];
            Said::Holds { made, replayed: hold.replayed }
        }
        Ask::Cart { items, keyed } => {
            let items = items.iter().map(|(product, qty)| (ProductId(*product), *qty));
            let request = CartRequest::new(items).ttl(life(intent, false));
            let holds = engine.hold_many(&if *keyed { request.key(key) } else { request })?;
            let made = holds.value.iter().map(|hold| (hold.product_id.0, hold.id.0)).collect();
            Said::Holds { made, replayed: holds.replayed }
        }
        Ask::Release { hold } => {
            let hold = engine.release(HoldId(*hold))?;
            Said::Released { expired: hold.status == HoldStatus::Expired }
        }
        Ask::Order { hold, product, keyed } => {
            let request = OrderRequest::new(HoldId(*hold), ProductId(*product));
            let order = engine.order(&if *keyed { request.key(key) } else { request })?;
            Said::Order { id: order.value.id.0, replayed: order.replayed }
        }
        Ask::Pay { order, succeeds } => {
            let outcome = if *succeeds { Outcome::Success } else { Outcome::Failure };
            let event = PaymentEvent::for_order(OrderId(*order), outcome);
            let answer = engine.payment(&event.key(format!("p{order}")))?;
            let waiting = answer.value == PaymentAnswer::Waiting;
            Said::Paid { waiting, replayed: answer.replayed }
        }
        Ask::Adjust { product, delta } => {
            engine.adjust_stock(&StockAdjustment::new(ProductId(*product), *delta, "more"))?;
            Said::Adjusted
        }
    })
}

/// One call. Calls with the same intent are one caller's tries at one thing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub intent: u64,
    pub ask: Ask,
    /// `None` when no answer came before the caller died.
    pub said: Option<Said>,
}

/// A line that a child process tells of a call: before it, and after it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    Asked { call: (u64, usize), intent: u64, ask: Ask },
    Said { call: (u64, usize), said: Said },
}

/// The calls of one caller, or of many.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    pub entries: Vec<Entry>,
    /// The caller's number, if each call is told to the parent process.
    tells: Option<u64>,
}

impl Journal {
    /// One that tells each call on the standard output as well.
    pub fn telling(caller: u64) -> Self {
        Self { entries: Vec::new(), tells: Some(caller) }
    }

    pub fn absorb(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Makes one call and keeps what was asked and answered.
    pub fn call(&mut self, engine: &Engine, intent: u64, ask: &Ask) -> Said {
        let at = self.entries.len();
        self.entries.push(Entry { intent, ask: ask.clone(), said: None });
        if let Some(caller) = self.tells {
            tell(&Told::Asked { call: (caller, at), intent, ask: ask.clone() });
        }
        let said = ask_once(engine, intent, ask);
        if let Some(caller) = self.tells {
            tell(&Told::Said { call: (caller, at), said: said.clone() });
        }
        self.entries[at].said = Some(said.clone());
        said
    }
}

fn tell(told: &Told) {
    say(&format!("told {}", serde_json::to_string(told).expect("JSON")));
}

/// Says a line to the parent process.
pub fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // One write, so that a process that dies leaves no half of a line.
    output.write_all(format!("{line}\n").as_bytes()).expect("the parent listens");
    output.flush().expect("the parent listens");
}
