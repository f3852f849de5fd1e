//! Generates load on clusters and records the responses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use stockade::{
    Engine, ErrorKind, Hold, HoldRequest, NewProduct, Order, OrderRequest, Outcome, PaymentEvent,
    ProductId,
};

const PRODUCTS: usize = 4;
/// Low, so that most holds are rejected towards the end.
const STOCK: u64 = 60;
const BUYERS_AT_AN_ENGINE: usize = 5;
/// How long a buyer retries with the same idempotency key.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// The responses that buyers received.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub operations: u64,
    pub holds: Vec<Hold>,
    pub orders: Vec<Order>,
    /// Orders with an acknowledged payment, and whether it was a success event.
    pub paid: Vec<(u64, bool)>,
    /// In-doubt holds without a key: at most this many holds may exist without an
    /// acknowledgement.
    pub in_doubt: u64,
    /// Unexpected errors, such as an unknown hold.
    pub unexpected: Vec<String>,
    /// The longest time without a completed request.
    pub gap: Duration,
}

/// Creates the products.
pub(super) fn stock_up(engine: &Engine) -> Vec<ProductId> {
    let price = "19.99".parse().expect("a price");
    let product = |n| NewProduct::new(format!("Product {n}"), price, STOCK);
    (0..PRODUCTS).map(|n| engine.create_product(product(n)).expect("a product").value.id).collect()
}

struct Load<'a> {
    products: &'a [ProductId],
    is_over: AtomicBool,
    last_done: Mutex<(Instant, Duration)>,
}

/// Runs buyers at all engines until `meanwhile` returns.
pub(super) fn buy_while(
    engines: &[Engine],
    products: &[ProductId],
    seed: u64,
    meanwhile: impl FnOnce(),
) -> Journal {
    let load = Load {
        products,
        is_over: AtomicBool::new(false),
        last_done: Mutex::new((Instant::now(), Duration::ZERO)),
    };
    let journals: Vec<Journal> = thread::scope(|scope| {
        let load = &load;
        let buyers = (0..engines.len() * BUYERS_AT_AN_ENGINE).map(|n| {
            let engine = &engines[n % engines.len()];
            let name = format!("{seed}-{n}");
            let random = SmallRng::seed_from_u64(seed * 1_000 + n as u64);
            scope.spawn(move || Buyer { load, engine, name, random, calls: 0 }.buy())
        });
        let buyers: Vec<_> = buyers.collect();
        meanwhile();
        load.is_over.store(true, Ordering::Relaxed);
        buyers.into_iter().map(|buyer| buyer.join().expect("a buyer")).collect()
    });
    let mut all = Journal { gap: load.done().1, ..Journal::default() };
    for journal in journals {
        all.operations += journal.operations;
        all.holds.extend(journal.holds);
        all.orders.extend(journal.orders);
        all.paid.extend(journal.paid);
        all.in_doubt += journal.in_doubt;
        all.unexpected.extend(journal.unexpected);
    }
    all
}

impl Load<'_> {
    fn done(&self) -> (Instant, Duration) {
        let mut last = self.last_done.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (Instant::now(), last.1.max(last.0.elapsed()));
        *last
    }
}

struct Buyer<'a> {
    load: &'a Load<'a>,
    engine: &'a Engine,
    name: String,
    random: SmallRng,
    calls: u64,
}

impl Buyer<'_> {
    fn buy(mut self) -> Journal {
        let mut journal = Journal::default();
        while !self.load.is_over.load(Ordering::Relaxed) {
            let Some(hold) = self.hold(&mut journal) else { continue };
            journal.holds.push(hold.clone());
            match self.random.random_range(0..10) {
                0 => {}
                1..4 => {
                    self.ask(&mut journal, |engine, _| engine.release_hold(hold.id));
                }
                _ => self.order_and_pay(&mut journal, &hold),
            }
        }
        journal
    }

    fn hold(&mut self, journal: &mut Journal) -> Option<Hold> {
        let product = self.load.products[self.random.random_range(0..self.load.products.len())];
        let request = HoldRequest::new(product, self.random.random_range(1..=2));
        if self.random.random_bool(0.5) {
            let make = |engine: &Engine, key: String| engine.create_hold(request.clone().key(key));
            return self.ask(journal, make).map(|hold| hold.value);
        }
        journal.operations += 1;
        match self.engine.create_hold(&request) {
            Ok(hold) => {
                self.load.done();
                Some(hold.value)
            }
            // In doubt; `contention` is a definite rollback.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                journal.in_doubt += 1;
                thread::sleep(Duration::from_millis(20));
                None
            }
            Err(error) => {
                self.refused(journal, &error);
                None
            }
        }
    }

    fn order_and_pay(&mut self, journal: &mut Journal, hold: &Hold) {
        let request = OrderRequest::new(hold.id, hold.product_id);
        let make = |engine: &Engine, key: String| engine.create_order(request.clone().key(key));
        let Some(order) = self.ask(journal, make) else { return };
        journal.orders.push(order.value.clone());
        let is_success = self.random.random_bool(0.3);
        let outcome = if is_success { Outcome::Success } else { Outcome::Failure };
        let pay = |engine: &Engine, key: String| {
            engine.record_payment(PaymentEvent::for_order(order.value.id, outcome).key(key))
        };
        if self.ask(journal, pay).is_some() {
            journal.paid.push((order.value.id.0, is_success));
        }
    }

    /// Sends a request and retries with the same idempotency key until the
    /// response is definite.
    fn ask<T>(
        &mut self,
        journal: &mut Journal,
        call: impl Fn(&Engine, String) -> stockade::Result<T>,
    ) -> Option<T> {
        self.calls += 1;
        let key = format!("{}-{}", self.name, self.calls);
        let since = Instant::now();
        journal.operations += 1;
        loop {
            match call(self.engine, key.clone()) {
                Ok(answer) => {
                    self.load.done();
                    return Some(answer);
                }
                Err(error) if error.retry_after().is_some() && since.elapsed() < RETRY_FOR => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(error) => {
                    if error.retry_after().is_some() {
                        journal.in_doubt += 1;
                    }
                    self.refused(journal, &error);
                    return None;
                }
            }
        }
    }

    fn refused(&self, journal: &mut Journal, error: &stockade::Error) {
        match error.kind() {
            ErrorKind::InsufficientStock => {
                self.load.done();
                thread::sleep(Duration::from_millis(2));
            }
            ErrorKind::Contention | ErrorKind::Unavailable => {}
            _ => journal.unexpected.push(format!("{}: {}", error.code(), error.message())),
        }
    }
}
