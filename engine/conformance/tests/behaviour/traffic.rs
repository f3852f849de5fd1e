//! Generates load: shoppers that hold, order, pay and release, and log every
//! response.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stockade::{
    Engine, Error, ErrorKind, EventKind, HoldId, HoldRequest, HoldStatus, OrderRequest, Outcome,
    PaymentEvent, ProductId,
};
use stockade_testkit::load::{self, Load};

use crate::crowd::{Dice, pick};
use crate::history::History;
use crate::world::numbers;

/// A hold whose creation got a response, and the events that it must have.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bought {
    pub hold: HoldId,
    pub events: Vec<EventKind>,
    /// Whether it has no other events: no later step failed.
    pub is_complete: bool,
}

/// The responses that shoppers got.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Log {
    pub bought: Vec<Bought>,
    /// The step that failed, and its error's code.
    pub errors: Vec<(String, String)>,
    /// Units paid for.
    pub paid: u64,
    pub longest: Duration,
}

impl Log {
    pub fn of(logs: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for log in logs {
            all.bought.extend(log.bought);
            all.errors.extend(log.errors);
            all.paid += log.paid;
            all.longest = all.longest.max(log.longest);
        }
        all
    }

    fn note(&mut self, step: &str, error: &Error) {
        self.errors.push((step.to_owned(), error.code().to_owned()));
    }

    /// Fails if a step failed with another code than these.
    pub fn assert_only(&self, codes: &[ErrorKind]) {
        let known = |code: &str| codes.iter().any(|kind| kind.code() == code);
        let other: Vec<_> = self.errors.iter().filter(|(_, code)| !known(code)).collect();
        assert!(
            other.is_empty(),
            "{} errors, such as {:?}",
            other.len(),
            &other[..other.len().min(5)]
        );
    }

    /// Fails unless the store has each logged event once, and no hold that nobody
    /// can have requested.
    pub fn assert_matches(&self, history: &History) {
        self.assert_contained_in(history);
        let unavailable = ErrorKind::Unavailable.code();
        let in_doubt = |(step, code): &&(String, String)| step == "hold" && code == unavailable;
        let in_doubt = self.errors.iter().filter(in_doubt).count();
        let created = history.count(EventKind::HoldCreated);
        let answered = self.bought.len();
        assert!(
            (answered..=answered + in_doubt).contains(&created),
            "{created} created, {answered} answered"
        );
    }

    /// Fails unless the store has each logged event, once.
    pub fn assert_contained_in(&self, history: &History) {
        let by_hold = history.by_hold();
        let mut seen: HashMap<HoldId, &Bought> = HashMap::new();
        for bought in &self.bought {
            let twice = seen.insert(bought.hold, bought);
            assert!(twice.is_none(), "one hold for two: {bought:?} and {twice:?}");
            let events = by_hold.get(&bought.hold).map_or(&[][..], Vec::as_slice);
            let agrees = if bought.is_complete {
                events == bought.events
            } else {
                events.starts_with(&bought.events)
            };
            assert!(agrees, "logged {bought:?}, and the store has {events:?}");
        }
    }
}

/// Holds one unit, then releases it, pays, or fails to pay.
pub fn buy_once(engine: &Engine, product: ProductId, dice: &mut Dice, log: &mut Log) {
    let hold = match timed(log, || engine.create_hold(HoldRequest::new(product, 1))) {
        Ok(hold) => hold.value,
        Err(error) => return log.note("hold", &error),
    };
    let events = vec![EventKind::HoldCreated];
    log.bought.push(Bought { hold: hold.id, events, is_complete: false });
    let ended = match dice.below(5) {
        0 => timed(log, || engine.release_hold(hold.id)).map(|hold| {
            // The release of an ended hold has no effect.
            let late = hold.status == HoldStatus::Expired;
            vec![if late { EventKind::HoldExpired } else { EventKind::HoldReleased }]
        }),
        dots => order_and_pay(engine, hold.id, product, dots == 1, log),
    };
    let Some(bought) = log.bought.last_mut() else { return };
    match ended {
        Ok(events) => {
            if events.contains(&EventKind::OrderPaid) {
                log.paid += 1;
            }
            bought.events.extend(events);
            bought.is_complete = true;
        }
        Err(error) => log.note("end", &error),
    }
}

fn order_and_pay(
    engine: &Engine,
    hold: HoldId,
    product: ProductId,
    fails: bool,
    log: &mut Log,
) -> stockade::Result<Vec<EventKind>> {
    let order = timed(log, || engine.create_order(OrderRequest::new(hold, product)))?.value;
    let (outcome, kind) = match fails {
        true => (Outcome::Failure, EventKind::OrderCancelled),
        false => (Outcome::Success, EventKind::OrderPaid),
    };
    let event = PaymentEvent::for_order(order.id, outcome).key(format!("pay-{}", order.id));
    timed(log, || engine.record_payment(&event))?;
    Ok(vec![EventKind::OrderCreated, kind])
}

fn timed<T>(log: &mut Log, call: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let answer = call();
    log.longest = log.longest.max(since.elapsed());
    answer
}

/// Buys until every unit is sold.
pub fn sell_out(engine: &Engine, product: ProductId, dice: &mut Dice) -> Log {
    let mut log = Log::default();
    loop {
        buy_once(engine, product, dice, &mut log);
        let sold_out = |(step, code): &(String, String)| {
            step == "hold" && code == ErrorKind::InsufficientStock.code()
        };
        if log.errors.pop_if(|error| sold_out(error)).is_some() {
            let [stock, held, pending, _] = numbers(engine, product);
            if stock + held + pending == 0 {
                return log;
            }
            // A hold may still be released.
            thread::sleep(Duration::from_millis(1));
        }
        assert!(log.errors.is_empty(), "{:?}", log.errors);
    }
}

/// Lets so many shoppers buy these products, each by one of the engines, while
/// `script` runs. Returns their responses.
pub fn under_load(
    engines: &[Engine],
    shoppers: usize,
    products: &[ProductId],
    script: impl FnOnce(&Load),
) -> Log {
    let shopper = |at| {
        move |load: &Load| {
            let mut dice = Dice::new(at);
            let mut log = Log::default();
            while !load.is_stopped() {
                let failed = log.errors.len();
                buy_once(pick(engines, at), dice.one_of(products), &mut dice, &mut log);
                if log.errors.len() == failed {
                    load.count_served();
                }
            }
            log
        }
    };
    Log::of(load::under_load((0..shoppers).map(shopper), script))
}
