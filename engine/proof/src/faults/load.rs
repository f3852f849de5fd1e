//! Generates load: shoppers that hold, order, pay and release scarce products,
//! and retry transient errors.

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use stockade::{Engine, ErrorKind, NewProduct};
use stockade_testkit::load::{self, Load};
use stockade_testkit::wait_until;

use super::journal::{Journal, Request, Response};

/// Attempts per request, and the pause between them.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);
const SERVED_WITHIN: Duration = Duration::from_secs(60);
/// Intent numbers reserved for each caller.
const INTENTS_EACH: u64 = 20_000;

/// Returns the random generator of a seed's caller.
pub fn rng(seed: u64, caller: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(caller))
}

/// Returns the number of a caller's intent.
pub fn intent(caller: u64, number: u64) -> u64 {
    caller * INTENTS_EACH + number
}

/// Creates the products: one always scarce, the others less so.
pub fn stock_up(engine: &Engine) -> Vec<u64> {
    let make = |stock| {
        let price = "19.99".parse().expect("a price");
        engine.create_product(NewProduct::new("Lamp", price, stock)).expect("made").value.id.0
    };
    [20, 60, 2_000].map(make).to_vec()
}

/// One caller.
pub struct Shopper<'a> {
    pub engine: &'a Engine,
    pub products: &'a [u64],
    pub rng: StdRng,
    pub journal: Journal,
    /// The next intent's number.
    pub next: u64,
    /// Whether some holds have the short TTL.
    pub short_lived_holds: bool,
    pub load: &'a Load,
}

impl<'a> Shopper<'a> {
    pub fn new(
        engine: &'a Engine,
        products: &'a [u64],
        (seed, caller): (u64, u64),
        load: &'a Load,
    ) -> Self {
        let next = intent(caller, 0);
        let (rng, journal) = (rng(seed, caller), Journal::default());
        Self { engine, products, rng, journal, next, short_lived_holds: false, load }
    }

    /// Retries a request until its response is definite.
    fn pursue(&mut self, request: &Request) -> Response {
        let intent = self.next;
        self.next += 1;
        // An adjustment has no idempotency key: a retry could execute it twice.
        let tries = if matches!(request, Request::Adjust { .. }) { 1 } else { TRIES };
        // So could a hold without a key.
        let is_bare = matches!(
            request,
            Request::Hold { keyed: false, .. } | Request::Cart { keyed: false, .. }
        );
        let mut response = self.journal.call(self.engine, intent, request);
        for _ in 1..tries {
            let again = response.is_transient() && !(is_bare && response.is_in_doubt());
            if !again || self.load.is_stopped() {
                break;
            }
            thread::sleep(PAUSE);
            response = self.journal.call(self.engine, intent, request);
        }
        response
    }

    /// Runs one purchase; returns whether there was a definite response.
    pub fn buy(&mut self) -> bool {
        let product = *self.products.choose(&mut self.rng).expect("products");
        let keyed = self.rng.random_bool(0.5);
        let quantity = self.rng.random_range(1..=3);
        let request = if self.rng.random_bool(0.15) {
            let mut items: Vec<(u64, u32)> = self.products.iter().map(|id| (*id, 1)).collect();
            items.truncate(2);
            Request::Cart { items, keyed }
        } else {
            let short_lived = self.short_lived_holds && self.rng.random_bool(0.3);
            Request::Hold { product, quantity, keyed, short_lived }
        };
        let made = match self.pursue(&request) {
            Response::Holds { made, .. } => made,
            response => {
                if response.is(ErrorKind::InsufficientStock) && self.rng.random_bool(0.2) {
                    self.pursue(&Request::Adjust { product, delta: 2 });
                }
                return !response.is_transient();
            }
        };
        for (product, hold) in made {
            self.end(product, hold);
        }
        true
    }

    fn end(&mut self, product: u64, hold: u64) {
        match self.rng.random_range(0..10) {
            // Abandoned: stays active.
            0 => {}
            1..=4 => {
                self.pursue(&Request::Release { hold });
            }
            sort => {
                let keyed = self.rng.random_bool(0.5);
                let order = match self.pursue(&Request::Order { hold, product, keyed }) {
                    Response::Order { id, .. } => id,
                    // An earlier attempt created it and its response was lost.
                    Response::Refused { order: Some(id), .. } => id,
                    _ => return,
                };
                let pay = Request::Pay { order, succeeds: sort > 6 };
                for _ in 0..self.rng.random_range(1..=2) {
                    self.pursue(&pay);
                }
            }
        }
    }
}

/// A group of shoppers.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    pub seed: u64,
    /// The first caller's number; numbers are unique within a case.
    pub first: u64,
    pub shoppers: u64,
    /// Whether some holds have the short TTL.
    pub short_lived_holds: bool,
}

impl Crowd {
    pub fn new(seed: u64, shoppers: u64) -> Self {
        Self { seed, first: 0, shoppers, short_lived_holds: false }
    }
}

/// Runs the shoppers, each on one of the engines, while `script` runs.
pub fn under_load(
    engines: &[Engine],
    products: &[u64],
    crowd: Crowd,
    script: impl FnOnce(&Load),
) -> Journal {
    let shopper = |caller: u64| {
        let at = usize::try_from(caller).expect("an index") % engines.len();
        let engine = &engines[at];
        move |load: &Load| {
            let who = (crowd.seed, crowd.first + caller);
            let mut shopper = Shopper::new(engine, products, who, load);
            shopper.short_lived_holds = crowd.short_lived_holds;
            while !load.is_stopped() {
                if shopper.buy() {
                    load.count_served();
                }
            }
            shopper.journal
        }
    };
    let mut journal = Journal::default();
    for observed in load::under_load((0..crowd.shoppers).map(shopper), script) {
        journal.absorb(observed);
    }
    journal
}

/// Retries a hold of each product in parallel until each has a definite response;
/// returns the time from `since` to the slowest one.
pub fn first_answers(
    engine: &Engine,
    products: &[u64],
    (since, caller): (Instant, u64),
) -> (Duration, Journal) {
    thread::scope(|scope| {
        let probe = |(number, product): (u64, &u64)| {
            let request =
                Request::Hold { product: *product, quantity: 1, keyed: true, short_lived: false };
            scope.spawn(move || {
                let mut journal = Journal::default();
                wait_until("a hold is answered", SERVED_WITHIN, || {
                    !journal.call(engine, intent(caller, number), &request).is_transient()
                });
                (since.elapsed(), journal)
            })
        };
        let pending: Vec<_> = (0..).zip(products).map(probe).collect();
        let (mut longest, mut journal) = (Duration::ZERO, Journal::default());
        for pending in pending {
            let (took, observed) = pending.join().unwrap_or_else(|panic| resume_unwind(panic));
            longest = longest.max(took);
            journal.absorb(observed);
        }
        (longest, journal)
    })
}
