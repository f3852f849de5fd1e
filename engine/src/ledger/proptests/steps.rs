//! What may happen in a shop: random steps, named by position rather than by
//! id, so that a history stays sensible however it is cut down.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use crate::model::Outcome;

/// How one shop is set up. All times are in microseconds, so that random
/// moments meet.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub stocks: Vec<u64>,
    pub hold_ttl_max: u64,
    pub payment_ttl: Option<u64>,
    pub re_reserve: bool,
    pub require_hold_token: bool,
    pub max_per_customer: Option<u32>,
    /// Whether the store takes a full load for a sign of more.
    pub cautious: bool,
}

/// Time passes, and then a batch arrives.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub wait: Wait,
    pub batch: Vec<Ask>,
    pub bound: usize,
    pub blind: bool,
    /// The first transaction is lost before it is written, and tried again
    /// after so long.
    pub lost: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    Micros(u64),
    /// Until exactly this one of the moments at which something falls due.
    Until(usize),
    /// Until one microsecond before it.
    JustBefore(usize),
}

/// An idempotency key, and which of few requests came with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub name: u8,
    pub print: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Right,
    Wrong,
    /// Nothing of the kind: no such product, or no secret.
    Nothing,
}

/// A command before its ids are drawn. Holds and orders are counted from the
/// newest, and round again; at [`NOWHERE`] there is none.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Hold { product: usize, qty: u32, ttl: u64, customer: Option<u8>, key: Option<Key> },
    Cart { lines: [u32; 4], ttl: u64, customer: Option<u8>, key: Option<Key> },
    Release { hold: usize, token: Aim },
    Extend { hold: usize, ttl: u64, token: Aim },
    Order { hold: usize, product: Aim, token: Aim, key: Option<Key> },
    Payment { order: usize, secret: Aim, outcome: Outcome, key: Option<Key> },
    Adjust { product: usize, delta: i64 },
    Reclaim { product: usize },
}

/// What a run of histories dwells on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Emphasis {
    /// Weights of [`Ask`]s, in their order.
    pub asks: [u32; 8],
    /// How often of 100 a request carries an idempotency key.
    pub keyed: u32,
    /// How often of 100 time passes before a batch.
    pub waits: u32,
}

/// The position of a product, hold or order that is not there.
pub(super) const NOWHERE: usize = 99;

pub(super) fn settings() -> impl Strategy<Value = Setting> {
    let stocks = vec(0..=8u64, 2..=3);
    let lives = (1..=20u64, weighted(0.7, 1..=12u64));
    (stocks, lives, any::<bool>(), any::<bool>(), (0..3u32, 0..8u32)).prop_map(
        |(stocks, (hold_ttl_max, payment_ttl), re_reserve, cautious, (secrecy, most))| Setting {
            stocks,
            hold_ttl_max,
            payment_ttl,
            re_reserve,
            require_hold_token: secrecy == 2,
            max_per_customer: most.checked_sub(3),
            cautious,
        },
    )
}

// Numbers are drawn and read as what they mean: choosing among strategies
// instead makes the same histories and takes four times as long.

pub(super) fn steps(emphasis: Emphasis) -> BoxedStrategy<Step> {
    let ask = asks(emphasis).boxed();
    let batch = prop_oneof![3 => vec(ask.clone(), 1..=3), 1 => vec(ask, 4..=8)];
    (batch, 0..100u32, (0..8u32, 0..8usize, 1..=4u64), 0..6usize, 0..4u32, 0..24u32)
        .prop_map(move |(batch, passes, (pass, nth, micros), bound, blind, lost)| Step {
            wait: match pass {
                _ if passes < 100 - emphasis.waits => Wait::Micros(0),
                0 | 1 => Wait::Micros(micros),
                2 | 3 => Wait::Until(nth.saturating_sub(4)),
                4 | 5 => Wait::JustBefore(nth.saturating_sub(4)),
                _ => Wait::Micros(8 * micros),
            },
            batch,
            bound: bound.saturating_sub(3) + 1,
            blind: blind == 3,
            lost: lost.checked_sub(22).map(u64::from),
        })
        .boxed()
}

fn asks(emphasis: Emphasis) -> impl Strategy<Value = Ask> {
    let kinds = 0..emphasis.asks.iter().sum::<u32>();
    (kinds, 0..42usize, 0..64u64, 0..40u64, 0..12u8, keys(emphasis.keyed)).prop_map(
        move |(kind, one, other, life, whose, key)| {
            // One life for half of all, so that much falls due at once.
            let ttl = life.checked_sub(20).unwrap_or(4);
            ask(kind_of(&emphasis, kind), one, other, ttl, whose, key)
        },
    )
}

fn keys(of_100: u32) -> impl Strategy<Value = Option<Key>> {
    (0..100u32, 0..15u8).prop_map(move |(keyed, which)| {
        let key = Key { name: which % 3, print: u8::from(which >= 12) };
        (keyed >= 100 - of_100).then_some(key)
    })
}

/// The position of the kind at which `drawn` falls by weight.
fn kind_of(emphasis: &Emphasis, mut drawn: u32) -> usize {
    let over = emphasis.asks.iter().position(|weight| match drawn.checked_sub(*weight) {
        Some(rest) => {
            drawn = rest;
            false
        }
        None => true,
    });
    over.unwrap_or_default()
}

/// Reads `one` of 42, `other` of 64 and `whose` of 12 as the command of this
/// kind.
fn ask(kind: usize, one: usize, other: u64, ttl: u64, whose: u8, key: Option<Key>) -> Ask {
    // The first in half of all cases, so that it runs short.
    let product = if one == 41 { NOWHERE } else { [0, 0, 0, 1, 1, 2][one % 6] };
    // The newest in half of all cases.
    let position = if one == 41 { NOWHERE } else { one.saturating_sub(20) % 8 };
    let small = |of: u64| u32::try_from(other / of % 4).unwrap_or(0);
    let token = match whose {
        0..7 => Aim::Right,
        7 => Aim::Wrong,
        _ => Aim::Nothing,
    };
    // Two customers, and in a third of all cases none.
    let customer = (whose < 8).then_some(whose / 6);
    match kind {
        0 => Ask::Hold { product, qty: small(1) % 3 + 1, ttl, customer, key },
        1 => {
            let nowhere = u32::from(one == 41);
            let lines = [small(1) % 3, small(4) % 3, small(16) % 3, nowhere];
            Ask::Cart { lines, ttl, customer, key }
        }
        2 => Ask::Release { hold: position, token },
        3 => Ask::Extend { hold: position, ttl, token },
        4 => {
            let product = match other % 14 {
                12 => Aim::Wrong,
                13 => Aim::Nothing,
                _ => Aim::Right,
            };
            Ask::Order { hold: position, product, token, key }
        }
        5 => {
            // One in four for an order that is still to come.
            let order = if one >= 32 { NOWHERE } else { one.saturating_sub(16) % 8 };
            let secret = [Aim::Nothing, Aim::Right, Aim::Nothing, Aim::Right, Aim::Wrong];
            let secret = secret[other as usize / 2 % 5];
            let outcome = if other.is_multiple_of(2) { Outcome::Success } else { Outcome::Failure };
            Ask::Payment { order, secret, outcome, key }
        }
        6 => {
            let delta = match other {
                0 => i64::MAX,
                1 => i64::MIN,
                _ => [1, 2, 3, -1, -2, -3][other as usize % 6],
            };
            Ask::Adjust { product, delta }
        }
        _ => Ask::Reclaim { product },
    }
}
