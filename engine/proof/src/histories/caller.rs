//! Runs a caller: draws calls, sends them to the engine and records the
//! responses.

use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use stockade::{
    CancelRequest, CartRequest, ChangeQuantityRequest, Engine, ExtendRequest, Hold, HoldId,
    HoldRequest, LineUnits, Money, Order, OrderId, OrderRequest, Outcome, PaymentEvent,
    PaymentStatus, PaymentToken, Product, ProductId, RefundRequest, Replayable, RestockRequest,
    Result, StockAdjustment, Token,
};

use super::plan::{PRICE, Plan};
use super::record::{Answer, Call, Held, Moment, Ordered, Record, Units, Watch};

/// Ids of holds and orders shared by all callers, so that they contend.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub struct KnownIds {
    /// Hold id and product id.
    pub holds: Vec<(u64, u64)>,
    /// Order id and payment token.
    pub orders: Vec<(u64, PaymentToken)>,
}

/// Callers mostly pick one of this many newest ids.
const NEWEST: usize = 4;
/// One caller per process only reads cached products, [`READS`] times per step of
/// the others. Its number is this plus the process's.
const READER: u32 = 1_000;
const READS: u32 = 4;

/// The context shared by a process's callers.
pub struct CallerContext<'a> {
    pub engine: &'a Engine,
    pub watch: &'a Watch,
    /// The process's number.
    pub process: u32,
    pub plan: &'a Plan,
    pub products: &'a [u64],
}

/// Runs the plan's callers with these numbers concurrently, and returns their
/// records.
pub fn run(
    context: &CallerContext<'_>,
    known: &Mutex<KnownIds>,
    numbers: impl Iterator<Item = u32>,
) -> Vec<Record> {
    let numbers: Vec<u32> = numbers.collect();
    let start = Barrier::new(numbers.len() + 1);
    thread::scope(|scope| {
        let start = &start;
        let begin = |number: u32| {
            let mut caller = Caller::new(context, known, number);
            scope.spawn(move || {
                start.wait();
                (0..context.plan.steps).for_each(|_| caller.step());
                caller.records
            })
        };
        let mut reader = Caller::new(context, known, READER + context.process);
        let mut callers: Vec<_> = numbers.into_iter().map(begin).collect();
        callers.push(scope.spawn(move || {
            start.wait();
            for _ in 0..context.plan.steps * READS {
                let product = reader.product();
                reader.call(Call::ReadCached { product });
            }
            reader.records
        }));
        callers.into_iter().flat_map(|caller| caller.join().expect("no panic")).collect()
    })
}

/// The response to a call.
struct Response {
    answer: Answer,
    replayed: bool,
    version: Option<u64>,
    tokens: Vec<Token>,
}

impl Response {
    fn of(answer: Answer) -> Self {
        Self { answer, replayed: false, version: None, tokens: Vec::new() }
    }

    fn product(product: &Product) -> Self {
        Self { version: Some(product.version), ..Self::of(Answer::Units(product.into())) }
    }
}

struct Caller<'a> {
    engine: &'a Engine,
    watch: Watch,
    process: u32,
    plan: &'a Plan,
    products: &'a [u64],
    known: &'a Mutex<KnownIds>,
    number: u32,
    rng: StdRng,
    records: Vec<Record>,
}

impl<'a> Caller<'a> {
    fn new(context: &CallerContext<'a>, known: &'a Mutex<KnownIds>, number: u32) -> Self {
        let CallerContext { engine, process, plan, products, .. } = *context;
        let (watch, rng) = (context.watch.clone(), plan.rng(number));
        Self { engine, watch, process, plan, products, known, number, rng, records: Vec::new() }
    }

    fn step(&mut self) {
        if self.rng.random_bool(0.05) {
            let calls = self.choose_hold_batch();
            return self.call_batch(calls);
        }
        let call = match self.rng.random_range(0..100) {
            0..25 => Some(self.choose_hold()),
            25..31 => Some(self.choose_cart()),
            31..38 => self.hold().map(|(hold, _)| Call::Release { hold }),
            38..42 => self.hold().map(|(hold, _)| self.choose_extension(hold)),
            42..45 => self.hold().map(|(hold, _)| self.choose_quantity(hold)),
            45..60 => self.choose_order(),
            60..70 => self.choose_payment(),
            70..74 => self.choose_change(),
            74..78 => Some(Call::Adjust { product: self.product(), delta: self.delta() }),
            78..82 => Some(Call::ReadCached { product: self.product() }),
            82..86 => Some(Call::Read { product: self.product() }),
            86..89 => self.hold().map(|(hold, _)| Call::ReadHold { hold }),
            89..92 => self.order().map(|(order, _)| Call::ReadOrder { order }),
            92..94 => Some(Call::Sweep),
            _ => None,
        };
        match call {
            Some(call) => self.call(call),
            None => self.pass(),
        }
    }

    /// Advances time.
    fn pass(&mut self) {
        let micros = self.rng.random_range(1..=self.plan.ttls.pass).unsigned_abs();
        match &self.watch {
            Watch::Stepped(clock) => _ = clock.advance(Duration::from_micros(micros)),
            Watch::Real => thread::sleep(Duration::from_micros(micros)),
        }
    }

    fn product(&mut self) -> u64 {
        self.products[self.rng.random_range(0..self.products.len())]
    }

    fn ttl(&mut self) -> i64 {
        let ttls = self.plan.ttls;
        self.rng.random_range(ttls.hold_ttl_shortest..=ttls.hold_ttl_longest)
    }

    fn delta(&mut self) -> i64 {
        if self.rng.random_bool(0.7) { self.rng.random_range(1..=3) } else { -1 }
    }

    /// Gives one call in four an idempotency key that other callers use as well.
    fn key(&mut self, what: &str) -> Option<String> {
        let number = self.rng.random_range(0..4);
        self.rng.random_bool(0.25).then(|| format!("{what} {number} of {}", self.plan.seed))
    }

    /// Gives half of the holds a customer, mostly the same one.
    fn customer(&mut self) -> Option<u8> {
        self.rng.random_bool(0.5).then(|| u8::from(self.rng.random_bool(0.2)))
    }

    fn choose_hold(&mut self) -> Call {
        let (product, quantity) = (self.product(), self.rng.random_range(1..=3));
        let key = self.key(&format!("hold {product}"));
        // Most requests under one key are equal, so that they replay.
        if key.is_some() && self.rng.random_bool(0.8) {
            let ttl = self.plan.ttls.hold_ttl_longest;
            return Call::Hold { product, quantity: 1, ttl, customer: None, key };
        }
        Call::Hold { product, quantity, ttl: self.ttl(), customer: self.customer(), key }
    }

    /// Chooses holds for one batch call. Most are of one product with one end, so
    /// that they share a row.
    fn choose_hold_batch(&mut self) -> Vec<Call> {
        let (product, ttl) = (self.product(), self.ttl());
        let count = self.rng.random_range(2..=4);
        let hold = |caller: &mut Self| {
            if caller.rng.random_bool(0.2) {
                return caller.choose_hold();
            }
            let customer = caller.customer();
            Call::Hold { product, quantity: 1, ttl, customer, key: None }
        };
        (0..count).map(|_| hold(self)).collect()
    }

    fn choose_cart(&mut self) -> Call {
        let key = self.key("cart");
        let mut lines = Vec::with_capacity(self.products.len() + 1);
        for product in self.products {
            lines.push((*product, self.rng.random_range(1..=2)));
        }
        if self.rng.random_bool(0.3) {
            lines.push((self.product(), 1));
        }
        Call::Cart { lines, ttl: self.ttl(), customer: self.customer(), key }
    }

    /// Half of the extensions ask for the maximum TTL, which the hold's latest
    /// expiry caps.
    fn choose_extension(&mut self, hold: u64) -> Call {
        let is_longest = self.rng.random_bool(0.5);
        let ttl = if is_longest { self.plan.ttls.hold_ttl_max } else { self.ttl() };
        Call::Extend { hold, ttl }
    }

    fn choose_order(&mut self) -> Option<Call> {
        let (hold, product) = self.hold()?;
        if self.rng.random_bool(0.04) {
            return Some(Call::Order { hold, product: self.product(), key: None });
        }
        let key = self.key(&format!("order {hold}"));
        Some(Call::Order { hold, product, key })
    }

    fn choose_quantity(&mut self, hold: u64) -> Call {
        let quantity = self.rng.random_range(1..=4);
        let key = self.key(&format!("quantity of {hold}"));
        Call::ChangeQuantity { hold, quantity, key }
    }

    fn choose_payment(&mut self) -> Option<Call> {
        let (order, token) = self.order()?;
        let is_early = self.rng.random_bool(0.1);
        let order = if is_early { order + self.rng.random_range(1..=2) } else { order };
        let by_token = !is_early && token.is_some() && self.rng.random_bool(0.2);
        let success = self.rng.random_bool(0.6);
        let number = self.rng.random_range(0..3);
        let key = self.rng.random_bool(0.7).then(|| format!("event {number} of {order}"));
        // The right amount of an order of one unit, or of none.
        let amount = self.rng.random_bool(0.3).then(|| [1, PRICE][self.rng.random_range(0..2)]);
        Some(Call::Payment { order, by_token, success, key, amount })
    }

    /// Chooses to cancel an order, or to refund or restock units of it.
    fn choose_change(&mut self) -> Option<Call> {
        let (order, _) = self.order()?;
        let quantity = self.rng.random_range(1..=2);
        Some(match self.rng.random_range(0..8) {
            0..2 => Call::CancelOrder { order },
            2..6 => {
                let (restock, key) =
                    (self.rng.random_bool(0.4), self.key(&format!("refund {order}")));
                Call::Refund { order, quantity, restock, key }
            }
            _ => {
                let key = self.key(&format!("restock {order}"));
                Call::Restock { order, quantity, key }
            }
        })
    }

    fn hold(&mut self) -> Option<(u64, u64)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        one_of(&known.holds, &mut self.rng)
    }

    fn order(&mut self) -> Option<(u64, Option<PaymentToken>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        one_of(&known.orders, &mut self.rng).map(|(order, token)| (order, Some(token)))
    }

    fn token(&self, order: u64) -> Option<PaymentToken> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.orders.iter().find(|(id, _)| *id == order).map(|(_, token)| *token)
    }

    fn call(&mut self, call: Call) {
        let token = match &call {
            Call::Payment { order, by_token: true, .. } => self.token(*order),
            _ => None,
        };
        let invoked = self.watch.moment();
        let response = self.perform(&call, token);
        let answered = self.watch.moment();
        self.record(call, response, (invoked, answered));
    }

    /// Sends holds by one batch call, and records each as a call of its own: a batch
    /// promises no more than that.
    fn call_batch(&mut self, calls: Vec<Call>) {
        let requests = calls.iter().filter_map(request).collect();
        let invoked = self.watch.moment();
        let results = self.engine.create_hold_batch(requests);
        let answered = self.watch.moment();
        let results = match results {
            Ok(results) => results,
            Err(error) => calls.iter().map(|_| Err(error.clone())).collect(),
        };
        for (call, result) in calls.into_iter().zip(results) {
            let response = result.map(|hold| self.held(&hold));
            self.record(call, response, (invoked, answered));
        }
    }

    fn record(&mut self, call: Call, response: Result<Response>, during: (Moment, Moment)) {
        let (invoked, answered) = during;
        let Response { answer, replayed, version, tokens } = response.unwrap_or_else(|error| {
            Response { replayed: error.replayed(), ..Response::of(Answer::from(&error)) }
        });
        let (caller, process) = (self.number, self.process);
        self.records.push(Record {
            caller,
            process,
            call,
            answer,
            replayed,
            version,
            tokens,
            invoked,
            answered,
        });
    }

    fn held(&self, hold: &Replayable<Hold>) -> Response {
        let held = Held::from(&hold.value);
        self.remember(&[held], None);
        let tokens = hold.value.token.into_iter().collect();
        Response { replayed: hold.replayed, tokens, ..Response::of(Answer::Held(held)) }
    }

    fn perform(&self, call: &Call, token: Option<PaymentToken>) -> Result<Response> {
        let engine = self.engine;
        Ok(match call {
            Call::Hold { product, quantity, ttl, customer, key } => {
                let request = hold_request(*product, *quantity, *ttl, *customer, key.as_ref());
                self.held(&engine.create_hold(&request)?)
            }
            Call::Cart { lines, ttl, customer, key } => {
                let mut request = CartRequest::new(lines.iter().copied()).ttl(micros(*ttl));
                request.customer = name(*customer);
                request.key.clone_from(key);
                let Replayable { value, replayed, .. } = engine.create_holds(&request)?;
                let holds: Vec<Held> = value.holds.iter().map(Held::from).collect();
                self.remember(&holds, None);
                let tokens = value.holds.iter().filter_map(|hold| hold.token).collect();
                Response { replayed, tokens, ..Response::of(Answer::Cart(holds)) }
            }
            Call::Release { hold } => {
                Response::of(Answer::Held((&engine.release_hold(HoldId(*hold))?).into()))
            }
            Call::Extend { hold, ttl } => {
                let mut request = ExtendRequest::new(*hold);
                request.ttl = Some(micros(*ttl));
                Response::of(Answer::Held((&engine.extend_hold(&request)?).into()))
            }
            Call::ChangeQuantity { hold, quantity, key } => {
                let mut request = ChangeQuantityRequest::new(*hold, *quantity);
                request.key.clone_from(key);
                let Replayable { value, replayed, .. } = engine.change_quantity(&request)?;
                Response { replayed, ..Response::of(Answer::Held((&value).into())) }
            }
            Call::Order { hold, product, key } => {
                let mut request = OrderRequest::new(*hold, *product);
                request.key.clone_from(key);
                let Replayable { value, replayed, .. } = engine.create_order(&request)?;
                let token = value.payment_token;
                self.remember(&[], token.map(|token| (value.id.0, token)));
                Response { replayed, ..Response::of(Answer::Ordered(Ordered::from(&value))) }
            }
            Call::CancelOrder { order } => {
                let cancelled = engine.cancel_order(CancelRequest::new(*order))?;
                Response::of(Answer::Ordered((&cancelled).into()))
            }
            Call::Refund { order, quantity, restock, key } => {
                let mut request = RefundRequest::new(*order).lines([LineUnits::new(1, *quantity)]);
                request.restock = *restock;
                request.key.clone_from(key);
                ordered(&engine.refund_order(&request)?)
            }
            Call::Restock { order, quantity, key } => {
                let mut request = RestockRequest::new(*order).lines([LineUnits::new(1, *quantity)]);
                request.key.clone_from(key);
                ordered(&engine.restock_order(&request)?)
            }
            Call::Payment { order, success, key, amount, .. } => {
                let outcome = if *success { Outcome::Success } else { Outcome::Failure };
                let mut event = match token {
                    Some(token) => PaymentEvent::for_token(token, outcome),
                    None => PaymentEvent::for_order(*order, outcome),
                };
                event.key.clone_from(key);
                if let Some(minor) = amount {
                    event = event.amount(Money::from_minor(*minor)?);
                }
                let Replayable { value, replayed, .. } = engine.record_payment(&event)?;
                let is_waiting = value.status == PaymentStatus::Waiting;
                Response { replayed, ..Response::of(Answer::Payment { is_waiting }) }
            }
            Call::Adjust { product, delta } => {
                let count = StockAdjustment::new(*product, *delta, "a count");
                Response::product(&engine.adjust_stock(&count)?.value)
            }
            Call::ReadCached { product } => {
                Response::product(&engine.product(ProductId(*product))?)
            }
            Call::Read { product } => Response::of(Answer::Units(stored(engine, *product)?)),
            Call::ReadHold { hold } => {
                Response::of(Answer::Held((&engine.hold(HoldId(*hold))?).into()))
            }
            Call::ReadOrder { order } => {
                Response::of(Answer::Ordered((&engine.order(OrderId(*order))?).into()))
            }
            Call::Sweep => {
                engine.sweep()?;
                Response::of(Answer::Swept)
            }
        })
    }

    fn remember(&self, holds: &[Held], order: Option<(u64, PaymentToken)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.holds.extend(holds.iter().map(|held| (held.id, held.product)));
        known.orders.extend(order);
    }
}

fn ordered(order: &Replayable<Order>) -> Response {
    let answer = Answer::Ordered(Ordered::from(&order.value));
    Response { replayed: order.replayed, ..Response::of(answer) }
}

fn name(customer: Option<u8>) -> Option<String> {
    customer.map(|number| format!("customer {number}"))
}

fn micros(ttl: i64) -> Duration {
    Duration::from_micros(ttl.unsigned_abs())
}

fn hold_request(
    product: u64,
    quantity: u32,
    ttl: i64,
    customer: Option<u8>,
    key: Option<&String>,
) -> HoldRequest {
    let mut request = HoldRequest::new(product, quantity).ttl(micros(ttl));
    request.customer = name(customer);
    request.key = key.cloned();
    request
}

/// The request of a call for a hold.
fn request(call: &Call) -> Option<HoldRequest> {
    let Call::Hold { product, quantity, ttl, customer, key } = call else { return None };
    Some(hold_request(*product, *quantity, *ttl, *customer, key.as_ref()))
}

/// Reads the product's units from the store, bypassing the cache.
pub fn stored(engine: &Engine, product: u64) -> Result<Units> {
    let page = engine.products(Some(ProductId(product - 1)), 1)?;
    Ok(page.items.first().map(Units::from).expect("the product is there"))
}

fn one_of<T: Copy>(all: &[T], rng: &mut StdRng) -> Option<T> {
    let from = if rng.random_bool(0.7) { all.len().saturating_sub(NEWEST) } else { 0 };
    let range = from..all.len();
    (!range.is_empty()).then(|| all[rng.random_range(range)])
}

/// The number of the caller that reads everything at the end.
const FINAL_READER: u32 = u32::MAX;

/// Reads every product, hold and order back from the store.
pub fn read_back(context: &CallerContext<'_>, records: &[Record]) -> Vec<Record> {
    let known = Mutex::default();
    let mut last = Caller::new(context, &known, FINAL_READER);
    let mut calls: Vec<Call> =
        context.products.iter().map(|product| Call::Read { product: *product }).collect();
    for record in records.iter().filter(|record| !record.replayed) {
        match (&record.call, &record.answer) {
            (Call::Hold { .. }, Answer::Held(held)) => calls.push(Call::ReadHold { hold: held.id }),
            (Call::Cart { .. }, Answer::Cart(lines)) => {
                calls.extend(lines.iter().map(|held| Call::ReadHold { hold: held.id }));
            }
            (Call::Order { .. }, Answer::Ordered(order)) => {
                calls.push(Call::ReadOrder { order: order.id });
            }
            _ => {}
        }
    }
    calls.into_iter().for_each(|call| last.call(call));
    last.records
}
