//! Writing holds ahead of their decision.
//!
//! Under the product's row lock every statement makes all others wait. New
//! holds are most of what a crowd writes, and where stock is plenty it is known
//! beforehand which they will be. So their rows go in before the lock is asked
//! for, in the same transaction. If the decision turns out otherwise, all of it
//! is rolled back and done again in the plain order. So it is if a hold comes
//! under a fresh key that turns out to be taken: the key is written in the same
//! transaction and cannot be written twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::Parts;
use crate::ledger::{Changes, Command};
use crate::model::{Hold, ProductId, Timestamp};
use crate::store::Needs;

/// How far the decision may come from the moment at which a hold was written.
/// A wait for the lock lies between them, and the clocks of two machines.
const APART_MAX: Duration = Duration::from_millis(100);

/// The holds of these commands that will surely be made, complete; their
/// commands are told so.
pub(super) fn choose(parts: &Parts, commands: &mut [Command]) -> Vec<Hold> {
    if parts.store.single_writer() {
        return Vec::new();
    }
    let now = parts.store.now();
    let mut wanted: HashMap<ProductId, u64> = HashMap::new();
    for line in commands.iter().flat_map(Command::new_holds) {
        *wanted.entry(line.product_id).or_default() += u64::from(line.qty);
    }
    let is_plenty = |(id, wanted): (ProductId, u64)| {
        let left = parts.cache.last_stock(id, now)?;
        (wanted <= left).then_some(id)
    };
    let plenty: HashSet<ProductId> = wanted.into_iter().filter_map(is_plenty).collect();
    let mut ahead = Vec::new();
    for command in commands {
        let may_be_known = command.key().is_some_and(|keyed| !keyed.is_fresh);
        if may_be_known || parts.policy.counts(command) {
            continue;
        }
        let (Command::Hold { ttl, .. } | Command::Cart { ttl, .. }) = command else {
            continue;
        };
        let (ttl, lines) = (*ttl, command.new_holds_mut());
        if lines.iter().all(|line| plenty.contains(&line.product_id)) {
            for line in lines {
                line.at = Some(now);
                ahead.push(line.made(now, ttl));
            }
        }
    }
    ahead
}

/// Lets the commands be decided in the plain order.
pub(super) fn forget(commands: &mut [Command], needs: &mut Needs) {
    needs.ahead.clear();
    commands.iter_mut().flat_map(Command::new_holds_mut).for_each(|hold| hold.at = None);
}

/// Whether the decision at `now` makes just the holds that were written, and
/// none of them is dead by then: others in the batch would be told of its units
/// as held.
pub(super) fn is_as_foreseen(ahead: &[Hold], changes: &Changes, now: Timestamp) -> bool {
    let Some(first) = ahead.first() else { return true };
    let apart = first.created_at.until(now).max(now.until(first.created_at));
    // Both ascend by id.
    let mut made = changes.new_holds.iter();
    apart <= APART_MAX
        && ahead.iter().all(|written| written.expires_at > now && made.any(|hold| hold == written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::NewHold;
    use crate::model::{HoldId, Token};

    const NOW: Timestamp = Timestamp::from_micros(5_000_000);

    fn hold(id: u64) -> Hold {
        let new = NewHold {
            id: HoldId(id),
            token: Token(1),
            product_id: ProductId(1),
            qty: 1,
            at: Some(NOW),
        };
        new.made(NOW, Duration::from_secs(1))
    }

    fn changes(ids: &[u64]) -> Changes {
        let new_holds = ids.iter().copied().map(hold).collect();
        Changes { new_holds, ..Changes::default() }
    }

    #[test]
    fn a_decision_is_as_foreseen_if_it_makes_all_that_was_written_and_soon() {
        let ahead = [hold(2), hold(5)];
        assert!(is_as_foreseen(&ahead, &changes(&[2, 5]), NOW));
        assert!(is_as_foreseen(&ahead, &changes(&[1, 2, 4, 5, 9]), NOW));
        assert!(!is_as_foreseen(&ahead, &changes(&[2]), NOW), "one was refused");
        assert!(!is_as_foreseen(&ahead, &changes(&[]), NOW));
        let mut other = changes(&[2, 5]);
        other.new_holds[1].qty = 3;
        assert!(!is_as_foreseen(&ahead, &other, NOW));
        for (moment, foreseen) in [
            (NOW.after(APART_MAX), true),
            (NOW.after(APART_MAX * 2), false),
            (Timestamp::from_micros(0), false),
        ] {
            assert_eq!(is_as_foreseen(&ahead, &changes(&[2, 5]), moment), foreseen);
        }
        assert!(is_as_foreseen(&[], &changes(&[]), Timestamp::from_micros(0)));
    }

    #[test]
    fn a_hold_that_is_dead_when_it_is_decided_was_not_foreseen() {
        let mut short = hold(2);
        short.expires_at = NOW.after(Duration::from_millis(10));
        let changes = Changes { new_holds: vec![short.clone()], ..Changes::default() };
        let is_foreseen = |millis| {
            let now = NOW.after(Duration::from_millis(millis));
            is_as_foreseen(std::slice::from_ref(&short), &changes, now)
        };
        assert!(is_foreseen(9));
        assert!(!is_foreseen(10));
    }
}
