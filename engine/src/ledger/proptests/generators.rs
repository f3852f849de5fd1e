//! Generators of random histories. Steps refer to rows by position instead of id,
//! so that a history stays valid while it is shrunk.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use crate::ledger::NewStock;
use crate::model::Outcome;

/// The policy and initial stock of a history. All times are small numbers of
/// microseconds, so that random times coincide.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub stocks: Vec<u64>,
    pub hold_ttl_max: u64,
    pub payment_ttl: Option<u64>,
    pub payment_ttl_max: u64,
    pub failed_payment_grace: u64,
    pub re_reserve: bool,
    pub require_hold_token: bool,
    pub max_per_customer: Option<u32>,
    pub customer_window: Option<u64>,
    pub early_payment_ttl: u64,
    /// Whether the store takes a full page of due entries as a sign of more.
    pub assumes_more: bool,
}

/// Time passes, and then a batch arrives.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub wait: Wait,
    pub batch: Vec<Action>,
    pub due_limit: usize,
    pub reads: Reads,
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

/// Which products a transaction loads beyond those that its commands name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// None.
    Named,
    /// Those of the holds and orders that its commands name, as a process that knows them.
    Owned,
    /// These, and those of the due orders, as the only writer of a store.
    All,
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
    /// The token of the hold's cart.
    Cart,
}

/// A command before its ids are allocated. Positions of holds and orders count
/// from the newest, modulo their number; at [`ABSENT`] there is none.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Hold {
        line: (usize, u32),
        at_most: bool,
        ttl: u64,
        customer: Option<u8>,
        key: Option<Key>,
    },
    Cart {
        lines: [u32; 4],
        at_most: bool,
        ttl: u64,
        customer: Option<u8>,
        key: Option<Key>,
    },
    Release {
        hold: usize,
        token: Target,
    },
    Extend {
        hold: usize,
        ttl: u64,
        token: Target,
    },
    Order {
        holds: Vec<usize>,
        product: Target,
        token: Target,
        terms: Terms,
        key: Option<Key>,
    },
    Payment {
        order: usize,
        secret: Target,
        outcome: Outcome,
        money: Money,
        key: Option<Key>,
    },
    Adjust {
        product: usize,
        stock: NewStock,
    },
    Write {
        product: usize,
        more: u32,
    },
    Reclaim {
        product: usize,
    },
    ExtendOrder {
        order: usize,
        ttl: Option<u64>,
    },
    CancelOrder {
        order: usize,
    },
    Refund {
        order: usize,
        lines: Vec<(u32, u32)>,
        amount: Option<&'static str>,
        how: Refunding,
        key: Option<Key>,
    },
    Restock {
        order: usize,
        lines: Vec<(u32, u32)>,
        key: Option<Key>,
    },
    SetPaymentReference {
        order: usize,
        name: u8,
    },
    ChangeQuantity {
        hold: usize,
        quantity: u32,
        token: Target,
        key: Option<Key>,
    },
    ReleaseCart {
        cart: usize,
        token: Target,
    },
    ExtendCart {
        cart: usize,
        ttl: u64,
        token: Target,
    },
}

/// What an order's request says beyond its holds; the names are of few.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub amount: Option<&'static str>,
    pub currency: Option<&'static str>,
    pub reference: Option<u8>,
    pub payment_ttl: Option<u64>,
}

/// What a payment event says of its money.
#[derive(Debug, Clone, Copy)]
pub(super) struct Money {
    /// The order's amount, another one, or none.
    pub amount: Target,
    /// The order's currency, another one, or none.
    pub currency: Target,
    /// One of few names of payments.
    pub reference: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refunding {
    Restocked,
    Returned,
    Owed,
    /// As a provider reports it: of one of few payments or of one it does not name, and
    /// whether it says that it is a full one.
    Reported(Option<u8>, Option<bool>),
}

/// The weights of a run of histories.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    /// Weights of [`Action`]s, in their order.
    pub actions: [u32; 17],
    /// The percentage of requests with an idempotency key.
    pub keyed: u32,
    /// The percentage of batches before which time passes.
    pub waits: u32,
}

/// The position of a product, hold or order that does not exist.
pub(super) const ABSENT: usize = 99;

pub(super) fn setups() -> impl Strategy<Value = Setup> {
    let stocks = vec(0..=8u64, 2..=3);
    let lives = (1..=20u64, weighted(0.7, 1..=12u64), 12..=24u64, 0..=6u64);
    let windows = (weighted(0.7, 1..=30u64), 1..=40u64);
    (stocks, lives, any::<bool>(), any::<bool>(), (0..3u32, 0..8u32), windows).prop_map(
        |(
            stocks,
            (hold_ttl_max, payment_ttl, payment_ttl_max, grace),
            re_reserve,
            assumes_more,
            (secrecy, most),
            (customer_window, early_payment_ttl),
        )| Setup {
            stocks,
            hold_ttl_max,
            payment_ttl,
            payment_ttl_max,
            failed_payment_grace: grace.saturating_sub(3),
            re_reserve,
            require_hold_token: secrecy == 2,
            max_per_customer: most.checked_sub(3),
            customer_window,
            early_payment_ttl,
            assumes_more,
        },
    )
}

// Draws numbers and maps them to their meaning: choosing among strategies
// instead generates the same histories and takes four times as long.

pub(super) fn steps(weights: Weights) -> BoxedStrategy<Step> {
    let action = actions(weights).boxed();
    let batch = prop_oneof![3 => vec(action.clone(), 1..=3), 1 => vec(action, 4..=8)];
    (batch, 0..100u32, (0..8u32, 0..8usize, 1..=4u64), 0..6usize, 0..4usize, 0..24u32)
        .prop_map(move |(batch, passes, (pass, nth, micros), due_limit, reads, lost)| Step {
            wait: match pass {
                _ if passes < 100 - weights.waits => Wait::Micros(0),
                0 | 1 => Wait::Micros(micros),
                2 | 3 => Wait::Until(nth.saturating_sub(4)),
                4 | 5 => Wait::JustBefore(nth.saturating_sub(4)),
                _ => Wait::Micros(8 * micros),
            },
            batch,
            due_limit: due_limit.saturating_sub(3) + 1,
            reads: [Reads::Owned, Reads::All, Reads::Owned, Reads::Named][reads],
            lost: lost.checked_sub(22).map(u64::from),
        })
        .boxed()
}

fn actions(weights: Weights) -> impl Strategy<Value = Action> {
    let kinds = 0..weights.actions.iter().sum::<u32>();
    let numbers = (0..42usize, 0..64u64, 0..40u64, 0..12u8, 0..20_160u32);
    (kinds, numbers, keys(weights.keyed)).prop_map(
        move |(kind, (one, other, ttl, whose, more), key)| {
            // Half of all have the same TTL, so that many are due at once.
            let ttl = ttl.checked_sub(20).unwrap_or(4);
            let drawn = Drawn { one, other, ttl, whose, more: Digits(more), key };
            drawn.action(kind_of(&weights, kind))
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

/// The numbers from which an action is made.
struct Drawn {
    one: usize,
    other: u64,
    ttl: u64,
    whose: u8,
    more: Digits,
    key: Option<Key>,
}

/// A number that is taken apart into smaller ones.
pub(super) struct Digits(pub u32);

impl Digits {
    /// Takes a number below `of`.
    pub(super) fn take(&mut self, of: u32) -> u32 {
        let digit = self.0 % of;
        self.0 /= of;
        digit
    }
}

impl Drawn {
    /// An action of this kind.
    fn action(self, kind: usize) -> Action {
        let Self { one, other, ttl, whose, mut more, key } = self;
        // The first product in half of all cases, so that it runs short.
        let product = if one == 41 { ABSENT } else { [0, 0, 0, 1, 1, 2][one % 6] };
        // The newest row in half of all cases.
        let position = if one == 41 { ABSENT } else { one.saturating_sub(20) % 8 };
        let small = |of: u64| u32::try_from(other / of % 4).unwrap_or(0);
        let token = match whose {
            0..6 => Target::Valid,
            6 => Target::Cart,
            7 => Target::Wrong,
            _ => Target::Absent,
        };
        // Two customers, and in a third of all cases none.
        let customer = (whose < 8).then_some(whose / 6);
        match kind {
            0 => {
                let line = (product, small(1) % 3 + 1);
                Action::Hold { line, at_most: small(16) == 0, ttl, customer, key }
            }
            1 => {
                let absent = u32::from(one == 41);
                let lines = [small(1) % 3, small(4) % 3, small(16) % 3, absent];
                Action::Cart { lines, at_most: one % 3 == 0, ttl, customer, key }
            }
            2 => Action::Release { hold: position, token },
            3 => Action::Extend { hold: position, ttl, token },
            4 => {
                let product = match other % 14 {
                    12 => Target::Wrong,
                    13 => Target::Absent,
                    _ => Target::Valid,
                };
                let further = [0, 0, 0, 1, 1, 2][more.take(6) as usize];
                let mut holds = vec![position];
                holds.extend(
                    (1..=further).map(|at| if more.0 % 97 == 0 { ABSENT } else { position + at }),
                );
                Action::Order { holds, product, token, terms: terms(&mut more), key }
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
                    5 if one.is_multiple_of(5) => Outcome::Disputed,
                    5 => Outcome::Cancelled,
                    _ => Outcome::Success,
                };
                Action::Payment { order, secret, outcome, money: money(&mut more), key }
            }
            6 => {
                let delta = match other {
                    0 => i64::MAX,
                    1 => i64::MIN,
                    _ => [1, 2, 3, -1, -2, -3][other as usize % 6],
                };
                let stock = match more.take(4) {
                    0 => NewStock::To(other % 5),
                    _ => NewStock::By(delta),
                };
                Action::Adjust { product, stock }
            }
            7 => Action::Reclaim { product },
            8 => Action::ExtendOrder { order: position, ttl: (whose < 8).then_some(ttl) },
            9 => Action::CancelOrder { order: position },
            10 => {
                let how = match more.take(12) {
                    0..4 => Refunding::Returned,
                    4..7 => Refunding::Restocked,
                    7 => Refunding::Owed,
                    _ => {
                        let is_full = [None, Some(false), Some(true)][more.take(3) as usize];
                        Refunding::Reported((whose % 4 < 3).then_some(whose % 3), is_full)
                    }
                };
                let amount = [None, None, None, Some("1"), Some("0"), Some("0.5"), Some("0.001")];
                let amount = amount[more.take(7) as usize];
                Action::Refund { order: position, lines: lines(&mut more), amount, how, key }
            }
            11 => Action::Restock { order: position, lines: lines(&mut more), key },
            12 => Action::SetPaymentReference { order: position, name: whose % 3 },
            13 => Action::ChangeQuantity { hold: position, quantity: small(1) + 1, token, key },
            14 => Action::ReleaseCart { cart: position, token },
            15 => Action::ExtendCart { cart: position, ttl, token },
            _ => {
                let wide = u32::try_from(other * 42 + one as u64).unwrap_or(0);
                Action::Write { product, more: more.0.wrapping_mul(2_689).wrapping_add(wide) }
            }
        }
    }
}

fn terms(more: &mut Digits) -> Terms {
    Terms {
        amount: [None, None, None, None, Some("3"), Some("1.5"), Some("0")][more.take(7) as usize],
        currency: [None, None, None, None, None, Some("EUR"), Some("JPY")][more.take(7) as usize],
        reference: [None, None, None, Some(0), Some(1), Some(2)][more.take(6) as usize],
        payment_ttl: [None, None, None, Some(3)][more.take(4) as usize],
    }
}

fn money(more: &mut Digits) -> Money {
    let target = |drawn| match drawn {
        0..3 => Target::Absent,
        3..5 => Target::Valid,
        _ => Target::Wrong,
    };
    Money {
        amount: target(more.take(6)),
        currency: if more.take(8) == 7 { Target::Wrong } else { target(more.take(5)) },
        reference: [None, None, Some(0), Some(1)][more.take(4) as usize],
    }
}

/// Lines of a refund or a restock with their units; none in half of all cases.
fn lines(more: &mut Digits) -> Vec<(u32, u32)> {
    let first = [0, 0, 0, 1, 1, 2, 3][more.take(7) as usize];
    let second = [0, 0, 0, 1, 2][more.take(5) as usize];
    [(1, first), (2, second)].into_iter().filter(|(_, units)| *units > 0).collect()
}
