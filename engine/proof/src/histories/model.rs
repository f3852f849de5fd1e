//! Models one product sequentially: the specification for the linearizability
//! check, written independently of the engine's ledger.
//!
//! Each operation takes effect at one decision time between its invocation and
//! its response, and decision times never decrease. The decision time is unknown,
//! so the model takes the earliest one that fits the response: an earlier one
//! allows whatever a later one allows. Where decision times lead to different
//! states, the model tries each. A hold or order that is due at an operation's
//! decision time is expired for it, swept or not. A read takes the product at one
//! moment and the time at another, both within the call; so does a rejection from
//! the engine's sold-out cache.

mod state;
mod transitions;

use stockade::{HoldStatus, OrderStatus, PaymentDisposition};

use super::checker;
use super::plan::PRICE;
use super::record::{Answer, Held, Ordered};
pub use state::State;
use state::{HoldState, NEVER, OrderState, Payment, PaymentNotice};
use transitions::{
    adjust, cancel, expiry, extend, is_ended, is_refused, is_seen, is_short, refund, release,
    restock,
};

/// The engine's settings; times in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    pub hold_ttl_max: i64,
    pub payment_ttl: i64,
    /// The units of the product that one customer may hold.
    pub max_per_customer: u32,
    /// Whether the units of a customer's orders count as well: those that are not paid,
    /// and those paid within a window that is longer than any history.
    pub counts_orders: bool,
    pub re_reserve: bool,
    /// How far a hold's creation time may lie before the call.
    pub clock_lag: i64,
}

/// An idempotency key with the request's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keyed {
    pub key: String,
    pub request: String,
    /// Whether the response is marked as a replay.
    pub replayed: bool,
}

/// A command on one product; [`Act`] pairs it with the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Hold {
        quantity: u32,
        ttl: i64,
        customer: Option<u8>,
    },
    /// A line with sufficient stock in a cart that was rejected for another line.
    CartLineInStock {
        quantity: u32,
        customer: Option<u8>,
    },
    /// A line of a cart that was rejected for its customer's limit, on this
    /// product or another: the response does not say which.
    CartLineOverLimit,
    Release {
        hold: u64,
    },
    Extend {
        hold: u64,
        ttl: i64,
    },
    ChangeQuantity {
        hold: u64,
        quantity: u32,
    },
    Order {
        hold: u64,
    },
    Payment {
        order: u64,
        success: bool,
        amount: Option<i64>,
    },
    CancelOrder {
        order: u64,
    },
    Refund {
        order: u64,
        quantity: u32,
        restock: bool,
    },
    Restock {
        order: u64,
        quantity: u32,
    },
    Adjust {
        delta: i64,
    },
    Read,
    /// A read from a cache, which a writer updates before its response.
    ReadCached,
    ReadHold {
        hold: u64,
    },
    ReadOrder {
        order: u64,
    },
    /// The expiry of a hold, or of its order, whose creation was in doubt.
    UnobservedExpiry {
        hold: u64,
    },
}

/// An operation on one product with its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub command: Command,
    pub key: Option<Keyed>,
    /// `Answer::Unknown` marks an operation in doubt.
    pub answer: Answer,
    /// The engine's clock at the invocation and at the response.
    pub from: i64,
    pub to: i64,
}

impl checker::Model for Model {
    type State = State;
    type Act = Act;

    fn next(&self, state: &State, act: &Act) -> Vec<State> {
        if act.command.is_read() || act.is_cached_refusal() {
            let mut times = vec![act.from];
            times.extend(state.due_between(act.from, act.to));
            let is_seen = times.into_iter().any(|time| is_seen(state, act, time));
            return if is_seen { vec![state.clone()] } else { Vec::new() };
        }
        let mut found: Vec<State> = Vec::new();
        let variants = early_payment_orders(state, act);
        for time in self.decision_times(state, act) {
            for early_payments in &variants {
                let mut next = State { now: time, ..state.clone() };
                if self.apply(&mut next, act, early_payments) {
                    let is_known = |known: &State| State { now: time, ..known.clone() } == next;
                    if !found.iter().any(is_known) {
                        found.push(next);
                    }
                }
            }
        }
        found
    }

    fn changes(&self, act: &Act) -> bool {
        let is_refused = matches!(act.answer, Answer::Refused(_));
        !act.command.is_read()
            && !is_refused
            && !matches!(act.command, Command::CartLineInStock { .. })
    }

    fn may_lag(&self, act: &Act) -> bool {
        act.command == Command::ReadCached || act.is_cached_refusal()
    }
}

impl Act {
    /// Whether the rejection may come from the engine's sold-out cache.
    fn is_cached_refusal(&self) -> bool {
        let is_quick = self.key.is_none() && matches!(self.command, Command::Hold { .. });
        is_quick && is_refused(&self.answer, "insufficient_stock")
    }
}

impl Command {
    /// Whether the command is a read.
    pub fn is_read(&self) -> bool {
        use Command as C;
        matches!(self, C::Read | C::ReadCached | C::ReadHold { .. } | C::ReadOrder { .. })
    }
}

/// Returns the orders in which early payments may apply to the new order of
/// `act`: by arrival, except that payments with overlapping times may swap.
fn early_payment_orders(state: &State, act: &Act) -> Vec<Vec<Payment>> {
    let early_payments = match &act.answer {
        Answer::Ordered(order) => state.waiting.get(&order.id),
        _ => None,
    };
    let mut orders = vec![Vec::new()];
    permute(early_payments.map_or(&[], Vec::as_slice), &mut Vec::new(), &mut orders);
    if orders.len() > 1 {
        orders.remove(0);
    }
    orders.sort_unstable();
    orders.dedup();
    orders
}

fn permute(left: &[PaymentNotice], taken: &mut Vec<Payment>, found: &mut Vec<Vec<Payment>>) {
    if left.is_empty() && !taken.is_empty() {
        found.push(taken.clone());
    }
    for (at, notice) in left.iter().enumerate() {
        // A payment may only overtake others whose time ranges overlap its own.
        if left[..at].iter().all(|passed| passed.to >= notice.from) {
            taken.push(notice.payment);
            permute(&[&left[..at], &left[at + 1..]].concat(), taken, found);
            taken.pop();
        }
    }
}

impl Model {
    /// Returns the candidate decision times that can lead to different results,
    /// the earliest first.
    fn decision_times(&self, state: &State, act: &Act) -> Vec<i64> {
        let first = state.now.max(act.from);
        let mut decision_times = vec![first];
        decision_times.extend(state.due_between(first, act.to));
        match (&act.command, &act.answer) {
            // A hold's creation time is at or before its decision time.
            (Command::Hold { .. }, Answer::Held(held)) => decision_times.push(held.created_at),
            (Command::Order { .. }, Answer::Ordered(order)) => {
                decision_times.push(order.created_at)
            }
            (Command::Extend { ttl, .. }, Answer::Held(held)) => {
                decision_times.push(held.expires_at - ttl)
            }
            _ => {}
        }
        decision_times.retain(|moment| *moment >= first && *moment <= act.to);
        decision_times.sort_unstable();
        decision_times.dedup();
        decision_times
    }

    /// Applies the operation at `state.now`; returns whether the response is
    /// correct then.
    fn apply(&self, state: &mut State, act: &Act, early_payments: &[Payment]) -> bool {
        let Some(Keyed { key, request, replayed }) = &act.key else {
            return self.apply_once(state, act, early_payments);
        };
        if let Some((known, answer)) = state.keys.get(key) {
            return match &act.answer {
                Answer::Unknown => true,
                given if known == request => {
                    *replayed && (given == answer || *answer == Answer::Unknown)
                }
                given => !replayed && is_refused(given, "idempotency_mismatch"),
            };
        }
        if *replayed || !self.apply_once(state, act, early_payments) {
            return false;
        }
        state.keys.insert(key.clone(), (request.clone(), act.answer.clone()));
        true
    }

    fn apply_once(&self, state: &mut State, act: &Act, early_payments: &[Payment]) -> bool {
        match act.command {
            Command::Hold { quantity, ttl, customer } => {
                self.hold(state, act, (quantity, customer), ttl)
            }
            Command::CartLineInStock { quantity, customer } => {
                state.available(state.now) >= i64::from(quantity)
                    && !self.is_over_limit(state, quantity, customer)
            }
            Command::CartLineOverLimit => true,
            Command::Release { hold } => release(state, act, hold),
            Command::Extend { hold, ttl } => extend(state, act, hold, ttl),
            Command::ChangeQuantity { hold, quantity } => {
                self.change_quantity(state, act, hold, quantity)
            }
            Command::Order { hold } => self.order(state, act, hold, early_payments),
            Command::Payment { order, success, amount } => {
                self.payment(state, act, order, (success, amount))
            }
            Command::CancelOrder { order } => cancel(state, act, order),
            Command::Refund { order, quantity, restock } => {
                refund(state, act, order, (quantity, restock))
            }
            Command::Restock { order, quantity } => restock(state, act, order, quantity),
            Command::Adjust { delta } => adjust(state, act, delta),
            Command::UnobservedExpiry { hold } => expiry(state, hold),
            _ => false,
        }
    }

    /// Whether `quantity` more units exceed the customer's limit.
    fn is_over_limit(&self, state: &State, quantity: u32, customer: Option<u8>) -> bool {
        customer.is_some_and(|customer| {
            let mut units = state.held_by(customer, state.now) + u64::from(quantity);
            if self.counts_orders {
                units += state.ordered_by(customer, state.now);
            }
            units > u64::from(self.max_per_customer)
        })
    }

    fn hold(
        &self,
        state: &mut State,
        act: &Act,
        (quantity, customer): (u32, Option<u8>),
        ttl: i64,
    ) -> bool {
        let available = state.available(state.now);
        let is_there = available >= i64::from(quantity);
        let is_over_limit = self.is_over_limit(state, quantity, customer);
        let (id, made) = match &act.answer {
            Answer::Held(held) => {
                let &Held { id, created_at, expires_at, .. } = held;
                let is_right = held.quantity == quantity
                    && held.status == HoldStatus::Active
                    && expires_at == created_at + ttl
                    && created_at >= act.from - self.clock_lag
                    && created_at <= state.now;
                if !is_right || state.holds.contains_key(&id) {
                    return false;
                }
                (id, (expires_at, created_at + self.hold_ttl_max))
            }
            // In doubt: its id and expiry are unknown.
            Answer::Unknown => (unknown_id(act), (NEVER, NEVER)),
            answer if is_refused(answer, "quantity_limit") => return is_over_limit,
            Answer::Refused(refused) => {
                let is_all_right = is_there || is_over_limit;
                return !is_all_right && is_short(refused, u64::from(quantity), available);
            }
            _ => return false,
        };
        if !is_there || is_over_limit {
            return act.answer == Answer::Unknown;
        }
        state.stock -= i64::from(quantity);
        let (expires_at, latest_end) = made;
        let status = HoldStatus::Active;
        let hold = HoldState { quantity, customer, status, expires_at, latest_end };
        state.holds.insert(id, hold);
        true
    }

    fn change_quantity(&self, state: &mut State, act: &Act, id: u64, quantity: u32) -> bool {
        let now = state.now;
        let Some(hold) = state.holds.get(&id) else { return false };
        let (before, customer, expires_at) = (hold.quantity, hold.customer, hold.expires_at);
        if hold.status_at(now) != HoldStatus::Active {
            return match &act.answer {
                Answer::Unknown => true,
                Answer::Refused(refused) => is_ended(state, refused, id),
                _ => false,
            };
        }
        let added = quantity.saturating_sub(before);
        let available = state.available(now);
        let is_over_limit = added > 0 && self.is_over_limit(state, added, customer);
        let is_there = added == 0 || available >= i64::from(added);
        match &act.answer {
            answer if is_refused(answer, "quantity_limit") => return is_over_limit,
            Answer::Refused(refused) => {
                return !is_there && !is_over_limit && is_short(refused, added.into(), available);
            }
            answer if is_over_limit || !is_there => return *answer == Answer::Unknown,
            Answer::Held(held) => {
                let is_right = (held.id, held.quantity) == (id, quantity)
                    && held.status == HoldStatus::Active
                    && (expires_at == NEVER || held.expires_at == expires_at);
                if !is_right {
                    return false;
                }
            }
            Answer::Unknown => {}
            _ => return false,
        }
        state.stock += i64::from(before) - i64::from(quantity);
        if let Some(hold) = state.holds.get_mut(&id) {
            hold.quantity = quantity;
        }
        true
    }

    fn order(
        &self,
        state: &mut State,
        act: &Act,
        hold_id: u64,
        early_payments: &[Payment],
    ) -> bool {
        let now = state.now;
        let Some(hold) = state.holds.get_mut(&hold_id) else { return false };
        let status = hold.status_at(now);
        let (id, due_at) = match &act.answer {
            Answer::Ordered(order) => (order.id, order.created_at + self.payment_ttl),
            Answer::Unknown if status != HoldStatus::Active => return true,
            Answer::Unknown => (unknown_id(act), NEVER),
            Answer::Refused(refused) => return is_ended(state, refused, hold_id),
            _ => return false,
        };
        if status != HoldStatus::Active || state.orders.contains_key(&id) {
            return false;
        }
        hold.status = HoldStatus::Converted;
        let quantity = hold.quantity;
        let (status, disposition) = (OrderStatus::PendingPayment, PaymentDisposition::None);
        state.orders.insert(
            id,
            OrderState {
                hold: hold_id,
                quantity,
                status,
                disposition,
                due_at,
                is_closed: false,
                refunded: 0,
                returned: 0,
            },
        );
        state.waiting.remove(&id);
        early_payments.iter().for_each(|payment| self.apply_payment(state, id, *payment));
        let Answer::Ordered(response) = &act.answer else { return true };
        let Some(made) = state.orders.get(&id) else { return false };
        let &Ordered { hold, quantity, status, disposition, created_at, .. } = response;
        (hold, quantity, created_at) == (hold_id, made.quantity, now)
            && (status, disposition) == (made.status, made.disposition)
    }

    fn payment(&self, state: &mut State, act: &Act, order: u64, payment: Payment) -> bool {
        let is_there = state.orders.contains_key(&order);
        match act.answer {
            Answer::Payment { is_waiting } if is_waiting == is_there => return false,
            Answer::Payment { .. } | Answer::Unknown => {}
            _ => return false,
        }
        if is_there {
            self.apply_payment(state, order, payment);
        } else {
            let notice = PaymentNotice { from: state.now, to: act.to, payment };
            state.waiting.entry(order).or_default().push(notice);
        }
        true
    }

    /// Applies a payment to an existing order.
    fn apply_payment(&self, state: &mut State, id: u64, (success, amount): Payment) {
        state.settle(id);
        let available = state.available(state.now);
        let Some(order) = state.orders.get_mut(&id) else { return };
        let quantity = i64::from(order.quantity);
        let is_right = amount.is_none_or(|amount| amount == PRICE * quantity);
        match (order.status, order.disposition) {
            (OrderStatus::PendingPayment, _) if !success => {
                order.cancel();
                state.stock += quantity;
            }
            (OrderStatus::PendingPayment, _) if is_right => {
                order.status = OrderStatus::Paid;
                order.disposition = PaymentDisposition::None;
                state.sold += u64::from(order.quantity);
            }
            (OrderStatus::PendingPayment, _) => {
                order.disposition = PaymentDisposition::AmountMismatch;
            }
            (OrderStatus::Cancelled, PaymentDisposition::None) if success => {
                let revives = self.re_reserve && is_right && !order.is_closed;
                if revives && available >= quantity {
                    order.status = OrderStatus::Paid;
                    order.disposition = PaymentDisposition::ReReserved;
                    state.sold += u64::from(order.quantity);
                    state.stock -= quantity;
                } else {
                    order.disposition = PaymentDisposition::NeedsRefund;
                }
            }
            _ => {}
        }
    }
}

/// Returns a synthetic id, which no hold or order has, for an operation in doubt.
fn unknown_id(act: &Act) -> u64 {
    u64::MAX - u64::try_from(act.from).unwrap_or(0)
}
