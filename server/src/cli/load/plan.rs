//! The plan of a sale: when each buyer comes, what it wants and what it does then. The
//! same seed makes the same plan.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp};

/// Of a hundred buyers, how many end so. The rest pays once.
const ABANDON: u32 = 10;
const RELEASE: u32 = 10;
const NEVER_PAY: u32 = 5;
const FAIL: u32 = 5;
const PAY_TWICE: u32 = 10;
const PAY_LATE: u32 = 5;

/// Of a hundred buyers, how many send each request twice, as a double click does.
const REPEAT: u32 = 10;

/// Of a hundred buyers, how many fill a cart where there are several products.
const CART: u32 = 25;

/// How long a buyer thinks before its next step, in milliseconds.
const THINK_MS: std::ops::Range<u64> = 50..500;

/// The schedule of arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Independent of each other: the gaps are exponentially distributed.
    Exponential,
    /// All gaps are equal.
    Fixed,
}

/// How a buyer ends that has got its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Lets the hold expire.
    Abandon,
    Release,
    /// Orders, and lets the order expire.
    NeverPay,
    /// Orders, and the payment is cancelled.
    Fail,
    Pay,
    /// The payment provider sends the event twice.
    PayTwice,
    /// Pays when the order has expired.
    PayLate,
}

impl Ending {
    fn draw(random: &mut StdRng) -> Self {
        let mut left = random.random_range(0..100);
        for (share, ending) in [
            (ABANDON, Self::Abandon),
            (RELEASE, Self::Release),
            (NEVER_PAY, Self::NeverPay),
            (FAIL, Self::Fail),
            (PAY_TWICE, Self::PayTwice),
            (PAY_LATE, Self::PayLate),
        ] {
            if left < share {
                return ending;
            }
            left -= share;
        }
        Self::Pay
    }

    /// Whether the buyer orders.
    pub fn orders(self) -> bool {
        !matches!(self, Self::Abandon | Self::Release)
    }
}

/// One buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    /// Its number, from 0.
    pub number: u64,
    /// When it comes, from the start of the sale.
    pub at: Duration,
    /// The products that it wants, by their place in the sale, each once, and how many
    /// units of each.
    pub lines: Vec<(usize, u32)>,
    pub ending: Ending,
    /// Whether it sends each request twice at once.
    pub repeats: bool,
    /// How long it thinks before it orders, and before it pays.
    pub thinks: [Duration; 2],
}

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub buyers: u64,
    /// Buyers a second.
    pub rate: f64,
    pub arrivals: Arrivals,
    pub seed: u64,
    /// How many products are sold.
    pub products: usize,
}

impl Terms {
    /// Returns the buyers in the order of their arrival.
    pub fn plan(self) -> Plan {
        Plan {
            random: StdRng::seed_from_u64(self.seed),
            // A positive rate has one.
            gap: Exp::new(self.rate).ok(),
            at: 0.0,
            next: 0,
            terms: self,
        }
    }

    /// Returns the units that the buyers want of each product.
    pub fn demand(self) -> Vec<u64> {
        let mut demand = vec![0; self.products];
        for (product, quantity) in self.plan().flat_map(|buyer| buyer.lines) {
            demand[product] += u64::from(quantity);
        }
        demand
    }
}

/// The buyers of a plan.
#[derive(Debug)]
pub struct Plan {
    terms: Terms,
    random: StdRng,
    gap: Option<Exp<f64>>,
    at: f64,
    next: u64,
}

impl Iterator for Plan {
    type Item = Buyer;

    fn next(&mut self) -> Option<Buyer> {
        if self.next == self.terms.buyers {
            return None;
        }
        let (number, random) = (self.next, &mut self.random);
        self.next += 1;
        self.at += match (self.terms.arrivals, &self.gap) {
            (Arrivals::Exponential, Some(gap)) => gap.sample(random),
            _ => 1.0 / self.terms.rate,
        };
        let products = self.terms.products;
        let mut lines = vec![(random.random_range(0..products), random.random_range(1..=2))];
        if products > 1 && random.random_range(0..100) < CART {
            let other = (lines[0].0 + random.random_range(1..products)) % products;
            lines.push((other, random.random_range(1..=2)));
        }
        let think = |random: &mut StdRng| Duration::from_millis(random.random_range(THINK_MS));
        Some(Buyer {
            number,
            at: Duration::from_secs_f64(self.at),
            lines,
            ending: Ending::draw(random),
            repeats: random.random_range(0..100) < REPEAT,
            thinks: [think(random), think(random)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(seed: u64, arrivals: Arrivals) -> Terms {
        Terms { buyers: 2_000, rate: 100.0, arrivals, seed, products: 3 }
    }

    #[test]
    fn a_seed_makes_the_same_plan_and_another_makes_another() {
        let plan = |seed| terms(seed, Arrivals::Exponential).plan().collect::<Vec<_>>();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
        let demand = terms(7, Arrivals::Exponential).demand();
        let units: u64 =
            plan(7).iter().flat_map(|buyer| &buyer.lines).map(|line| u64::from(line.1)).sum();
        assert_eq!(demand.iter().sum::<u64>(), units);
    }

    #[test]
    fn arrivals_keep_the_rate() {
        let at = |arrivals| terms(7, arrivals).plan().map(|buyer| buyer.at).collect::<Vec<_>>();
        let fixed = at(Arrivals::Fixed);
        assert!(
            (fixed[1] - fixed[0]).abs_diff(Duration::from_millis(10)) < Duration::from_micros(1)
        );
        let exponential = at(Arrivals::Exponential);
        assert!(exponential.is_sorted());
        let last = exponential[1_999].as_secs_f64();
        assert!((17.0..23.0).contains(&last), "{last}");
    }

    #[test]
    fn every_ending_occurs_and_carts_have_each_product_once() {
        let buyers: Vec<_> = terms(7, Arrivals::Fixed).plan().collect();
        let share = |ending| buyers.iter().filter(|buyer| buyer.ending == ending).count() / 20;
        for (ending, percent) in [
            (Ending::Abandon, ABANDON),
            (Ending::Release, RELEASE),
            (Ending::NeverPay, NEVER_PAY),
            (Ending::Fail, FAIL),
            (Ending::PayTwice, PAY_TWICE),
            (Ending::PayLate, PAY_LATE),
            (Ending::Pay, 55),
        ] {
            assert!(share(ending).abs_diff(percent as usize) < 4, "{ending:?}");
        }
        assert!(
            buyers
                .iter()
                .all(|buyer| buyer.lines.len() < 2 || buyer.lines[0].0 != buyer.lines[1].0)
        );
        assert!(buyers.iter().any(|buyer| buyer.lines.len() == 2));
        let alone = Terms { products: 1, ..terms(7, Arrivals::Fixed) };
        assert!(alone.plan().all(|buyer| buyer.lines.len() == 1 && buyer.lines[0].0 == 0));
    }
}
