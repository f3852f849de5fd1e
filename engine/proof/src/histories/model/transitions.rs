//! The transitions of the model that need no settings, and the checks that
//! compare a response with the state.

use stockade::{HoldStatus, OrderStatus};

use super::state::{NEVER, State};
use super::{Act, Command};
use crate::histories::record::{Answer, Refused};

pub(super) fn release(state: &mut State, act: &Act, id: u64) -> bool {
    let now = state.now;
    let Some(hold) = state.holds.get_mut(&id) else { return false };
    let before = hold.status_at(now);
    if let Answer::Refused(refused) = &act.answer {
        return before == HoldStatus::Converted && is_ended(state, refused, id);
    }
    if before == HoldStatus::Active {
        hold.status = HoldStatus::Released;
        state.stock += i64::from(hold.quantity);
    }
    let after = state.holds.get(&id).map(|hold| hold.status_at(now));
    match &act.answer {
        Answer::Unknown => true,
        Answer::Held(held) => {
            held.id == id && before != HoldStatus::Converted && after == Some(held.status)
        }
        _ => false,
    }
}

pub(super) fn extend(state: &mut State, act: &Act, id: u64, ttl: i64) -> bool {
    let now = state.now;
    let Some(hold) = state.holds.get_mut(&id) else { return false };
    if let Answer::Refused(refused) = &act.answer {
        return is_ended(state, refused, id);
    }
    let is_active = hold.status_at(now) == HoldStatus::Active;
    match &act.answer {
        Answer::Unknown => {
            if is_active {
                hold.expires_at = NEVER;
            }
            true
        }
        Answer::Held(held) => {
            hold.expires_at = hold.expires_at.max((now + ttl).min(hold.latest_end));
            is_active && (held.id, held.expires_at) == (id, hold.expires_at)
        }
        _ => false,
    }
}

/// Cancels an order for good.
pub(super) fn cancel(state: &mut State, act: &Act, id: u64) -> bool {
    state.settle(id);
    let now = state.now;
    let Some(order) = state.orders.get_mut(&id) else { return act.answer == Answer::Unknown };
    if order.was_paid() {
        return act.answer == Answer::Unknown || is_refused(&act.answer, "already_paid");
    }
    if order.status == OrderStatus::PendingPayment {
        order.cancel();
        order.is_closed = true;
        state.stock += i64::from(order.quantity);
    }
    is_changed(state, act, id, now)
}

/// Gives units of a paid order and their price back.
pub(super) fn refund(
    state: &mut State,
    act: &Act,
    id: u64,
    (quantity, restock): (u32, bool),
) -> bool {
    state.settle(id);
    let now = state.now;
    let Some(order) = state.orders.get_mut(&id) else { return act.answer == Answer::Unknown };
    if !order.was_paid() {
        return act.answer == Answer::Unknown || is_refused(&act.answer, "not_paid");
    }
    if order.quantity - order.refunded < quantity {
        return act.answer == Answer::Unknown || is_refused(&act.answer, "refund_too_large");
    }
    order.refunded += quantity;
    order.status = match order.quantity - order.refunded {
        0 => OrderStatus::Refunded,
        _ => OrderStatus::PartiallyRefunded,
    };
    state.sold -= u64::from(quantity);
    if restock {
        state.stock += i64::from(quantity);
    } else {
        order.returned += quantity;
        state.returned += u64::from(quantity);
    }
    is_changed(state, act, id, now)
}

/// Sells returned units again.
pub(super) fn restock(state: &mut State, act: &Act, id: u64, quantity: u32) -> bool {
    state.settle(id);
    let now = state.now;
    let Some(order) = state.orders.get_mut(&id) else { return act.answer == Answer::Unknown };
    if order.returned < quantity {
        return act.answer == Answer::Unknown || is_refused(&act.answer, "nothing_returned");
    }
    order.returned -= quantity;
    state.returned -= u64::from(quantity);
    state.stock += i64::from(quantity);
    is_changed(state, act, id, now)
}

/// Whether the response shows the order as it is after its change.
fn is_changed(state: &State, act: &Act, id: u64, now: i64) -> bool {
    match &act.answer {
        Answer::Unknown => true,
        Answer::Ordered(shown) => {
            shown.id == id && state.orders.get(&id).is_some_and(|order| order.is_shown(now, shown))
        }
        _ => false,
    }
}

pub(super) fn adjust(state: &mut State, act: &Act, delta: i64) -> bool {
    let available = state.available(state.now);
    let fits = available + delta >= 0;
    if let Answer::Refused(refused) = &act.answer {
        return !fits && is_short(refused, delta.unsigned_abs(), available);
    }
    if !fits {
        return act.answer == Answer::Unknown;
    }
    state.stock += delta;
    match &act.answer {
        Answer::Unknown => true,
        Answer::Units(units) => *units == state.units(state.now),
        _ => false,
    }
}

/// Expires a hold with an unknown expiry, or its order.
pub(super) fn expiry(state: &mut State, id: u64) -> bool {
    let Some(hold) = state.holds.get_mut(&id) else { return false };
    if hold.status == HoldStatus::Active && hold.expires_at == NEVER {
        hold.expires_at = state.now;
        return true;
    }
    let mut orders = state.orders.values_mut().filter(|order| order.hold == id);
    let order = orders.find(|order| order.due_at == NEVER);
    order.is_some_and(|order| {
        order.due_at = state.now;
        true
    })
}

/// Whether the state at this time matches the response of a read.
pub(super) fn is_seen(state: &State, act: &Act, time: i64) -> bool {
    match (&act.command, &act.answer) {
        (_, Answer::Unknown) => true,
        (Command::Hold { quantity, .. }, Answer::Refused(refused)) => {
            let available = state.available(time);
            available < i64::from(*quantity) && is_short(refused, u64::from(*quantity), available)
        }
        (Command::Read | Command::ReadCached, Answer::Units(units)) => *units == state.units(time),
        (Command::ReadHold { hold }, Answer::Held(held)) => {
            state.holds.get(hold).is_some_and(|known| {
                (known.quantity, known.status_at(time), known.expires_at)
                    == (held.quantity, held.status, held.expires_at)
            })
        }
        (Command::ReadOrder { order }, Answer::Ordered(response)) => {
            state.orders.get(order).is_some_and(|known| known.is_shown(time, response))
        }
        _ => false,
    }
}

pub(super) fn is_refused(answer: &Answer, code: &str) -> bool {
    matches!(answer, Answer::Refused(refused) if refused.code == code)
}

/// Whether the rejection reports exactly this available stock.
pub(super) fn is_short(refused: &Refused, asked: u64, available: i64) -> bool {
    refused.code == "insufficient_stock"
        && refused.short.iter().any(|(_, requested, response)| {
            *requested == asked && i64::try_from(*response) == Ok(available)
        })
}

/// Whether the rejection matches the hold's final status.
pub(super) fn is_ended(state: &State, refused: &Refused, id: u64) -> bool {
    let Some(hold) = state.holds.get(&id) else { return false };
    match (hold.status_at(state.now), refused.code.as_str()) {
        (HoldStatus::Expired | HoldStatus::Released, "hold_expired") => true,
        (HoldStatus::Converted, "hold_already_used") => {
            // The id of an order in doubt may be any.
            let is_its = |response: u64| match state.orders.get(&response) {
                Some(order) => order.hold == id,
                None => {
                    state.orders.values().any(|order| order.hold == id && order.due_at == NEVER)
                }
            };
            refused.order.is_some_and(is_its)
        }
        _ => false,
    }
}
