//! Generators of random histories. Steps refer to rows by position instead of id,
//! so that a history stays valid while it is shrunk.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use crate::model::Outcome;

/// The policy and initial stock of a history. All times are small numbers of
/// microseconds, so that random times coincide.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub stocks: Vec<u64>,
    pub hold_ttl_max: u64,
    pub payment_ttl: Option<u64>,
    pub re_reserve: bool,
    pub require_hold_token: bool,
    pub max_per_customer: Option<u32>,
    /// Whether the store takes a full page of due entries as a sign of more.
    pub assumes_more: bool,
}

/// Time passes, and then a batch arrives.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub wait: Wait,
    pub batch: Vec<Action>,
    pub due_limit: usize,
    pub named_only: bool,
    /// Whether the first transaction is lost before its write, and the delay in
    /// microseconds until the retry.
    pub lost: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    Micros(u64),
    /// Until exactly this one of the due times ahead.
    Until(usize),
    /// Until one microsecond before it.
    JustBefore(usize),
}

/// An idempotency key and the fingerprint of its request, of few each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub name: u8,
    pub fingerprint: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Valid,
    Wrong,
    /// No such product, or no secret.
    Absent,
}

/// A command before its ids are allocated. Positions of holds and orders count
/// from the newest, modulo their number; at [`ABSENT`] there is none.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Hold { product: usize, quantity: u32, ttl: u64, customer: Option<u8>, key: Option<Key> },
    Cart { lines: [u32; 4], ttl: u64, customer: Option<u8>, key: Option<Key> },
    Release { hold: usize, token: Target },
    Extend { hold: usize, ttl: u64, token: Target },
    Order { hold: usize, product: Target, token: Target, key: Option<Key> },
    Payment { order: usize, secret: Target, outcome: Outcome, key: Option<Key> },
    Adjust { product: usize, delta: i64 },
    Reclaim { product: usize },
}

/// The weights of a run of histories.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    /// Weights of [`Action`]s, in their order.
    pub actions: [u32; 8],
    /// The percentage of requests with an idempotency key.
    pub keyed: u32,
    /// The percentage of batches before which time passes.
    pub waits: u32,
}

/// The position of a product, hold or order that does not exist.
pub(super) const ABSENT: usize = 99;

pub(super) fn setups() -> impl Strategy<Value = Setup> {
    let stocks = vec(0..=8u64, 2..=3);
    let lives = (1..=20u64, weighted(0.7, 1..=12u64));
    (stocks, lives, any::<bool>(), any::<bool>(), (0..3u32, 0..8u32)).prop_map(
        |(stocks, (hold_ttl_max, payment_ttl), re_reserve, assumes_more, (secrecy, most))| Setup {
            stocks,
            hold_ttl_max,
            payment_ttl,
            re_reserve,
            require_hold_token: secrecy == 2,
            max_per_customer: most.checked_sub(3),
            assumes_more,
        },
    )
}

// Draws numbers and maps them to their meaning: choosing among strategies
// instead generates the same histories and takes four times as long.

pub(super) fn steps(weights: Weights) -> BoxedStrategy<Step> {
    let action = actions(weights).boxed();
    let batch = prop_oneof![3 => vec(action.clone(), 1..=3), 1 => vec(action, 4..=8)];
    (batch, 0..100u32, (0..8u32, 0..8usize, 1..=4u64), 0..6usize, 0..4u32, 0..24u32)
        .prop_map(move |(batch, passes, (pass, nth, micros), due_limit, named_only, lost)| Step {
            wait: match pass {
                _ if passes < 100 - weights.waits => Wait::Micros(0),
                0 | 1 => Wait::Micros(micros),
                2 | 3 => Wait::Until(nth.saturating_sub(4)),
                4 | 5 => Wait::JustBefore(nth.saturating_sub(4)),
                _ => Wait::Micros(8 * micros),
            },
            batch,
            due_limit: due_limit.saturating_sub(3) + 1,
            named_only: named_only == 3,
            lost: lost.checked_sub(22).map(u64::from),
        })
        .boxed()
}

fn actions(weights: Weights) -> impl Strategy<Value = Action> {
    let kinds = 0..weights.actions.iter().sum::<u32>();
    (kinds, 0..42usize, 0..64u64, 0..40u64, 0..12u8, keys(weights.keyed)).prop_map(
        move |(kind, one, other, ttl, whose, key)| {
            // Half of all have the same TTL, so that many are due at once.
            let ttl = ttl.checked_sub(20).unwrap_or(4);
            action(kind_of(&weights, kind), one, other, ttl, whose, key)
        },
    )
}

fn keys(percent: u32) -> impl Strategy<Value = Option<Key>> {
    (0..100u32, 0..15u8).prop_map(move |(keyed, which)| {
        let key = Key { name: which % 3, fingerprint: u8::from(which >= 12) };
        (keyed >= 100 - percent).then_some(key)
    })
}

/// Maps `drawn` to a kind by weight.
fn kind_of(weights: &Weights, mut drawn: u32) -> usize {
    let over = weights.actions.iter().position(|weight| match drawn.checked_sub(*weight) {
        Some(rest) => {
            drawn = rest;
            false
        }
        None => true,
    });
    over.unwrap_or_default()
}

/// Maps `one` of 42, `other` of 64 and `whose` of 12 to an action of this kind.
fn action(kind: usize, one: usize, other: u64, ttl: u64, whose: u8, key: Option<Key>) -> Action {
    // The first product in half of all cases, so that it runs short.
    let product = if one == 41 { ABSENT } else { [0, 0, 0, 1, 1, 2][one % 6] };
    // The newest row in half of all cases.
    let position = if one == 41 { ABSENT } else { one.saturating_sub(20) % 8 };
    let small = |of: u64| u32::try_from(other / of % 4).unwrap_or(0);
    let token = match whose {
        0..7 => Target::Valid,
        7 => Target::Wrong,
        _ => Target::Absent,
    };
    // Two customers, and in a third of all cases none.
    let customer = (whose < 8).then_some(whose / 6);
    match kind {
        0 => Action::Hold { product, quantity: small(1) % 3 + 1, ttl, customer, key },
        1 => {
            let absent = u32::from(one == 41);
            let lines = [small(1) % 3, small(4) % 3, small(16) % 3, absent];
            Action::Cart { lines, ttl, customer, key }
        }
        2 => Action::Release { hold: position, token },
        3 => Action::Extend { hold: position, ttl, token },
        4 => {
            let product = match other % 14 {
                12 => Target::Wrong,
                13 => Target::Absent,
                _ => Target::Valid,
            };
            Action::Order { hold: position, product, token, key }
        }
        5 => {
            // One in four precedes its order.
            let order = if one >= 32 { ABSENT } else { one.saturating_sub(16) % 8 };
            let secret =
                [Target::Absent, Target::Valid, Target::Absent, Target::Valid, Target::Wrong];
            let secret = secret[other as usize / 2 % 5];
            let outcome = match other % 6 {
                1 | 3 => Outcome::Failure,
                5 if one.is_multiple_of(3) => Outcome::Neutral,
                5 => Outcome::Cancelled,
                _ => Outcome::Success,
            };
            Action::Payment { order, secret, outcome, key }
        }
        6 => {
            let delta = match other {
                0 => i64::MAX,
                1 => i64::MIN,
                _ => [1, 2, 3, -1, -2, -3][other as usize % 6],
            };
            Action::Adjust { product, delta }
        }
        _ => Action::Reclaim { product },
    }
}
