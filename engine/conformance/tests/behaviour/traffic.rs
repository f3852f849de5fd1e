//! Shoppers who buy, give back and fail to pay, and who remember every answer
//! they were given.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stockade::{
    Engine, Error, ErrorKind, EventKind, HoldId, HoldRequest, HoldStatus, OrderRequest, Outcome,
    PaymentEvent, ProductId,
};
use stockade_testkit::wait_until;

use crate::crowd::{Dice, pick};
use crate::history::History;
use crate::world::numbers;

/// A hold that was answered, and what must have happened to it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Bought {
    pub hold: HoldId,
    pub told: Vec<EventKind>,
    /// Whether nothing else can have happened: no later step went wrong.
    pub sure: bool,
}

/// What shoppers were answered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Log {
    pub bought: Vec<Bought>,
    /// The step that went wrong, and its error's code.
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

    /// Fails if anything went wrong in another way than these.
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

    /// Fails unless the store knows of each answer, once, and of no hold that
    /// no one can have asked for.
    pub fn assert_told(&self, history: &History) {
        self.assert_answers_told(history);
        let gone = ErrorKind::Unavailable.code();
        let unsure = |(step, code): &&(String, String)| step == "hold" && code == gone;
        let unsure = self.errors.iter().filter(unsure).count();
        let made = history.count(EventKind::HoldCreated);
        let answered = self.bought.len();
        assert!((answered..=answered + unsure).contains(&made), "{made} made, {answered} answered");
    }

    /// Fails unless the store knows of each answer, once.
    pub fn assert_answers_told(&self, history: &History) {
        let told = history.by_hold();
        let mut seen: HashMap<HoldId, &Bought> = HashMap::new();
        for bought in &self.bought {
            let twice = seen.insert(bought.hold, bought);
            assert!(twice.is_none(), "answered to two: {bought:?} and {twice:?}");
            let told = told.get(&bought.hold).map_or(&[][..], Vec::as_slice);
            let agrees =
                if bought.sure { told == bought.told } else { told.starts_with(&bought.told) };
            assert!(agrees, "answered {bought:?}, and the store tells {told:?}");
        }
    }
}

/// Holds one unit, and then gives it back, pays, or fails to.
pub fn buy_once(engine: &Engine, product: ProductId, dice: &mut Dice, log: &mut Log) {
    let hold = match timed(log, || engine.create_hold(HoldRequest::new(product, 1))) {
        Ok(hold) => hold.value,
        Err(error) => return log.note("hold", &error),
    };
    log.bought.push(Bought { hold: hold.id, told: vec![EventKind::HoldCreated], sure: false });
    let ended = match dice.below(5) {
        0 => timed(log, || engine.release_hold(hold.id)).map(|hold| {
            // A hold that is over is left as it is.
            let late = hold.status == HoldStatus::Expired;
            vec![if late { EventKind::HoldExpired } else { EventKind::HoldReleased }]
        }),
        dots => order_and_pay(engine, hold.id, product, dots == 1, log),
    };
    let Some(bought) = log.bought.last_mut() else { return };
    match ended {
        Ok(told) => {
            if told.contains(&EventKind::OrderPaid) {
                log.paid += 1;
            }
            bought.told.extend(told);
            bought.sure = true;
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
            // Someone may still give a unit back.
            thread::sleep(Duration::from_millis(1));
        }
        assert!(log.errors.is_empty(), "{:?}", log.errors);
    }
}

/// The shoppers of [`under_load`], as a script sees them.
pub struct Load {
    done: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Waits until shoppers were served so many more times.
    pub fn wait_for(&self, more: u64) {
        let goal = self.done.load(Ordering::Relaxed) + more;
        wait_until("shoppers are served", Duration::from_secs(60), || {
            self.done.load(Ordering::Relaxed) >= goal
        });
    }
}

/// Stops the shoppers also when the script fails.
struct Stop<'a>(&'a Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Lets so many shoppers buy these products, by one of the engines each, while
/// `script` runs; answers what they were answered.
pub fn under_load(
    engines: &[Engine],
    shoppers: usize,
    products: &[ProductId],
    script: impl FnOnce(&Load),
) -> Log {
    let load = Load { done: AtomicU64::new(0), stop: AtomicBool::new(false) };
    thread::scope(|scope| {
        let stop = Stop(&load);
        let shop = |at| {
            let load = &load;
            scope.spawn(move || {
                let mut dice = Dice::new(at);
                let mut log = Log::default();
                while !load.stop.load(Ordering::Relaxed) {
                    let failed = log.errors.len();
                    buy_once(pick(engines, at), dice.one_of(products), &mut dice, &mut log);
                    if log.errors.len() == failed {
                        load.done.fetch_add(1, Ordering::Relaxed);
                    }
                }
                log
            })
        };
        let shoppers: Vec<_> = (0..shoppers).map(shop).collect();
        script(&load);
        drop(stop);
        let logs = shoppers.into_iter().map(|shopper| shopper.join());
        Log::of(logs.map(|log| log.unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    })
}
