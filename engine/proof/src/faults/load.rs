//! Shoppers: callers who hold, order, pay and give back, few goods among many
//! of them, and who try again when they are told to.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use stockade::{Engine, ErrorKind, NewProduct};
use stockade_testkit::wait_until;

use super::journal::{Ask, Journal, Said};

/// How often one thing is tried, and the pause between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);
const SERVED_WITHIN: Duration = Duration::from_secs(60);
/// Intents of one caller are numbered from its own number times this.
const INTENTS_EACH: u64 = 20_000;

/// The numbers that follow from this seed and a caller's number.
pub fn dice(seed: u64, caller: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(caller))
}

/// The number of one of a caller's intents.
pub fn intent(caller: u64, number: u64) -> u64 {
    caller * INTENTS_EACH + number
}

/// Makes the goods: one that is always scarce, and others less so.
pub fn stock_up(engine: &Engine) -> Vec<u64> {
    let make = |stock| {
        let price = "19.99".parse().expect("a price");
        engine.create_product(&NewProduct::new("Lamp", price, stock)).expect("made").id.0
    };
    [20, 60, 2_000].map(make).to_vec()
}

/// One caller.
pub struct Shopper<'a> {
    pub engine: &'a Engine,
    pub products: &'a [u64],
    pub dice: StdRng,
    pub journal: Journal,
    /// The number of the next intent.
    pub next: u64,
    /// Whether some of its holds are brief.
    pub briefs: bool,
    pub stop: &'a AtomicBool,
}

impl<'a> Shopper<'a> {
    pub fn new(
        engine: &'a Engine,
        products: &'a [u64],
        (seed, caller): (u64, u64),
        stop: &'a AtomicBool,
    ) -> Self {
        let next = intent(caller, 0);
        let (dice, journal) = (dice(seed, caller), Journal::default());
        Self { engine, products, dice, journal, next, briefs: false, stop }
    }

    /// Wants one thing until there is an answer that stays.
    fn want(&mut self, ask: &Ask) -> Said {
        let intent = self.next;
        self.next += 1;
        // An adjustment has no key: done again, it would be done twice.
        let tries = if matches!(ask, Ask::Adjust { .. }) { 1 } else { TRIES };
        // So would a hold without one.
        let is_bare =
            matches!(ask, Ask::Hold { keyed: false, .. } | Ask::Cart { keyed: false, .. });
        let mut said = self.journal.call(self.engine, intent, ask);
        for _ in 1..tries {
            let again = said.is_transient() && !(is_bare && said.is_unsure());
            if !again || self.stop.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(PAUSE);
            said = self.journal.call(self.engine, intent, ask);
        }
        said
    }

    /// Goes through the shop once; says whether anything was answered.
    pub fn buy(&mut self) -> bool {
        let product = *self.products.choose(&mut self.dice).expect("products");
        let keyed = self.dice.random_bool(0.5);
        let qty = self.dice.random_range(1..=3);
        let ask = if self.dice.random_bool(0.15) {
            let mut items: Vec<(u64, u32)> = self.products.iter().map(|id| (*id, 1)).collect();
            items.truncate(2);
            Ask::Cart { items, keyed }
        } else {
            let brief = self.briefs && self.dice.random_bool(0.3);
            Ask::Hold { product, qty, keyed, brief }
        };
        let made = match self.want(&ask) {
            Said::Holds { made, .. } => made,
            said => {
                if said.is(ErrorKind::InsufficientStock) && self.dice.random_bool(0.2) {
                    self.want(&Ask::Adjust { product, delta: 2 });
                }
                return !said.is_transient();
            }
        };
        for (product, hold) in made {
            self.end(product, hold);
        }
        true
    }

    fn end(&mut self, product: u64, hold: u64) {
        match self.dice.random_range(0..10) {
            // Left behind: it stays held.
            0 => {}
            1..=4 => {
                self.want(&Ask::Release { hold });
            }
            sort => {
                let keyed = self.dice.random_bool(0.5);
                let order = match self.want(&Ask::Order { hold, product, keyed }) {
                    Said::Order { id, .. } => id,
                    // It was done by a try before, whose answer was lost.
                    Said::Refused { order: Some(id), .. } => id,
                    _ => return,
                };
                let pay = Ask::Pay { order, succeeds: sort > 6 };
                for _ in 0..self.dice.random_range(1..=2) {
                    self.want(&pay);
                }
            }
        }
    }
}

/// What a script sees of the shoppers.
#[derive(Default)]
pub struct Load {
    done: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Waits until shoppers were served so many more times.
    pub fn wait_for(&self, more: u64) {
        let goal = self.done.load(Ordering::Relaxed) + more;
        wait_until("shoppers are served", SERVED_WITHIN, || {
            self.done.load(Ordering::Relaxed) >= goal
        });
    }
}

struct Stop<'a>(&'a Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Who shops.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    pub seed: u64,
    /// The number of the first caller; no two of one case have the same.
    pub first: u64,
    pub shoppers: u64,
    /// Whether some of their holds are brief.
    pub briefs: bool,
}

impl Crowd {
    pub fn new(seed: u64, shoppers: u64) -> Self {
        Self { seed, first: 0, shoppers, briefs: false }
    }
}

/// Lets a crowd buy, by one of the engines each, while `script` runs.
pub fn under_load(
    engines: &[Engine],
    products: &[u64],
    crowd: Crowd,
    script: impl FnOnce(&Load),
) -> Journal {
    let load = Load::default();
    thread::scope(|scope| {
        let stop = Stop(&load);
        let shop = |caller: u64| {
            let load = &load;
            let at = usize::try_from(caller).expect("an index") % engines.len();
            scope.spawn(move || {
                let who = (crowd.seed, crowd.first + caller);
                let mut shopper = Shopper::new(&engines[at], products, who, &load.stop);
                shopper.briefs = crowd.briefs;
                while !load.stop.load(Ordering::Relaxed) {
                    if shopper.buy() {
                        load.done.fetch_add(1, Ordering::Relaxed);
                    }
                }
                shopper.journal
            })
        };
        let shoppers: Vec<_> = (0..crowd.shoppers).map(shop).collect();
        script(&load);
        drop(stop);
        let mut journal = Journal::default();
        for shopper in shoppers {
            journal.absorb(shopper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        journal
    })
}

/// Asks until a hold of each product is answered, of all at once, and says how
/// long the slowest took from `since`.
pub fn first_answers(
    engine: &Engine,
    products: &[u64],
    (since, caller): (Instant, u64),
) -> (Duration, Journal) {
    thread::scope(|scope| {
        let ask = |(number, product): (u64, &u64)| {
            let ask = Ask::Hold { product: *product, qty: 1, keyed: true, brief: false };
            scope.spawn(move || {
                let mut journal = Journal::default();
                wait_until("a hold is answered", SERVED_WITHIN, || {
                    !journal.call(engine, intent(caller, number), &ask).is_transient()
                });
                (since.elapsed(), journal)
            })
        };
        let asked: Vec<_> = (0..).zip(products).map(ask).collect();
        let (mut longest, mut journal) = (Duration::ZERO, Journal::default());
        for asked in asked {
            let (took, told) = asked.join().unwrap_or_else(|panic| resume_unwind(panic));
            longest = longest.max(took);
            journal.absorb(told);
        }
        (longest, journal)
    })
}
