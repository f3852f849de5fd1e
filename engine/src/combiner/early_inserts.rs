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
use crate::ledger::{Changes, Command, Policy};
use crate::model::{Hold, ProductId, Timestamp};
use crate::store::ReadSet;

/// How far the decision may come from the moment at which a hold was written.
/// A wait for the lock lies between them, and the clocks of two machines.
const APART_MAX: Duration = Duration::from_millis(100);

/// The holds of these commands that will surely be made, complete; their
/// commands are told so.
pub(super) fn choose(parts: &Parts, commands: &mut [Command], now: Timestamp) -> Vec<Hold> {
    if parts.store.single_writer() {
        return Vec::new();
    }
    choose_by(&parts.policy, |id| parts.cache.last_stock(id, now), commands, now)
}

/// `last_stock` is what was left of a product, if that is known.
fn choose_by(
    policy: &Policy,
    last_stock: impl Fn(ProductId) -> Option<u64>,
    commands: &mut [Command],
    now: Timestamp,
) -> Vec<Hold> {
    let mut wanted: HashMap<ProductId, u64> = HashMap::new();
    for line in commands.iter().flat_map(Command::new_holds) {
        *wanted.entry(line.product_id).or_default() += u64::from(line.qty);
    }
    let is_plenty = |(id, wanted): (ProductId, u64)| (wanted <= last_stock(id)?).then_some(id);
    let plenty: HashSet<ProductId> = wanted.into_iter().filter_map(is_plenty).collect();
    let mut early_inserts = Vec::new();
    for command in commands {
        let may_be_known = command.key().is_some_and(|keyed| !keyed.is_fresh);
        if may_be_known || policy.counts(command) {
            continue;
        }
        let (Command::Hold { ttl, .. } | Command::Cart { ttl, .. }) = command else {
            continue;
        };
        let (ttl, lines) = (*ttl, command.new_holds_mut());
        if lines.iter().all(|line| plenty.contains(&line.product_id)) {
            for line in lines {
                line.at = Some(now);
                early_inserts.push(line.made(now, ttl));
            }
        }
    }
    early_inserts
}

/// Lets the commands be decided in the plain order.
pub(super) fn forget(commands: &mut [Command], read_set: &mut ReadSet) {
    read_set.early_inserts.clear();
    commands.iter_mut().flat_map(Command::new_holds_mut).for_each(|hold| hold.at = None);
}

/// Whether the decision at `now` makes just the holds that were written, and
/// none of them is dead by then: others in the batch would be told of its units
/// as held.
pub(super) fn matches_early_inserts(
    early_inserts: &[Hold],
    changes: &Changes,
    now: Timestamp,
) -> bool {
    let Some(first) = early_inserts.first() else { return true };
    let apart = first.created_at.until(now).max(now.until(first.created_at));
    // Both ascend by id.
    let mut made = changes.new_holds.iter();
    apart <= APART_MAX
        && early_inserts
            .iter()
            .all(|written| written.expires_at > now && made.any(|hold| hold == written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Keyed, NewHold};
    use crate::model::{HoldId, Token};

    const NOW: Timestamp = Timestamp::from_micros(5_000_000);

    const TTL: Duration = Duration::from_secs(1);
    const POLICY: Policy = Policy { max_per_customer: Some(9), ..Policy::PLAIN };

    fn new(id: u64, product: u64, qty: u32) -> NewHold {
        let (id, product_id) = (HoldId(id), ProductId(product));
        NewHold { id, token: Token(1), product_id, qty, at: None }
    }

    fn hold(id: u64) -> Hold {
        new(id, 1, 1).made(NOW, TTL)
    }

    fn command(hold: NewHold) -> Command {
        Command::Hold { hold, ttl: TTL, customer: None, key: None }
    }

    /// The holds that are chosen where product 1 has ten units left, product 2
    /// has three, and no other is known.
    fn chosen(commands: &mut [Command]) -> Vec<Hold> {
        let last_stock = |id: ProductId| [10, 3].get(usize::try_from(id.0).ok()? - 1).copied();
        choose_by(&POLICY, last_stock, commands, NOW)
    }

    #[test]
    fn holds_are_written_ahead_where_there_is_plenty_for_all_of_them() {
        let both = |qty| [command(new(1, 1, qty)), command(new(2, 1, 4))];
        let mut plenty = both(6);
        let wanted = [new(1, 1, 6).made(NOW, TTL), new(2, 1, 4).made(NOW, TTL)];
        assert_eq!(chosen(&mut plenty), wanted);
        let told = plenty.iter().flat_map(Command::new_holds).map(|hold| hold.at);
        assert!(told.eq([Some(NOW), Some(NOW)]), "they count from when they were written");
        let mut short = both(7);
        assert_eq!(chosen(&mut short), []);
        assert_eq!(short, both(7), "they count from the decision");
        assert_eq!(chosen(&mut [command(new(1, 3, 1))]), [], "its stock is not known");
    }

    #[test]
    fn a_cart_is_written_ahead_as_a_whole_or_not_at_all() {
        let cart =
            |lines: Vec<NewHold>| Command::Cart { lines, ttl: TTL, customer: None, key: None };
        let mut carts = [cart(vec![new(1, 1, 1), new(2, 2, 2)])];
        assert_eq!(chosen(&mut carts).len(), 2);
        let mut carts = [cart(vec![new(1, 1, 1), new(2, 2, 4)]), command(new(3, 1, 1))];
        assert_eq!(chosen(&mut carts), [hold(3)]);
    }

    #[test]
    fn what_may_be_known_or_must_be_counted_is_not_written_ahead() {
        let under = |is_fresh, customer: Option<&str>| {
            let (key, fingerprint) = ("k".to_owned(), [0; 32]);
            let key = Some(Keyed { key, fingerprint, keeps_refusals: false, is_fresh });
            let customer = customer.map(Into::into);
            chosen(&mut [Command::Hold { hold: new(1, 1, 1), ttl: TTL, customer, key }])
        };
        assert_eq!(under(true, None), [hold(1)]);
        assert_eq!(under(false, None), []);
        assert_eq!(under(true, Some("c")), []);
    }

    #[test]
    fn what_was_written_ahead_is_forgotten_for_the_plain_order() {
        let mut commands = [command(new(1, 1, 1))];
        let early_inserts = chosen(&mut commands);
        let mut read_set = ReadSet { early_inserts, ..ReadSet::default() };
        forget(&mut commands, &mut read_set);
        assert_eq!(commands, [command(new(1, 1, 1))]);
        assert!(read_set.early_inserts.is_empty());
    }

    fn changes(ids: &[u64]) -> Changes {
        let new_holds = ids.iter().copied().map(hold).collect();
        Changes { new_holds, ..Changes::default() }
    }

    #[test]
    fn a_decision_is_as_foreseen_if_it_makes_all_that_was_written_and_soon() {
        let early_inserts = [hold(2), hold(5)];
        assert!(matches_early_inserts(&early_inserts, &changes(&[2, 5]), NOW));
        assert!(matches_early_inserts(&early_inserts, &changes(&[1, 2, 4, 5, 9]), NOW));
        assert!(!matches_early_inserts(&early_inserts, &changes(&[2]), NOW), "one was refused");
        assert!(!matches_early_inserts(&early_inserts, &changes(&[]), NOW));
        let mut other = changes(&[2, 5]);
        other.new_holds[1].qty = 3;
        assert!(!matches_early_inserts(&early_inserts, &other, NOW));
        for (moment, speculative) in [
            (NOW.after(APART_MAX), true),
            (NOW.after(APART_MAX * 2), false),
            (Timestamp::from_micros(0), false),
        ] {
            assert_eq!(
                matches_early_inserts(&early_inserts, &changes(&[2, 5]), moment),
                speculative
            );
        }
        assert!(matches_early_inserts(&[], &changes(&[]), Timestamp::from_micros(0)));
    }

    #[test]
    fn a_hold_that_is_dead_when_it_is_decided_was_not_foreseen() {
        let mut short = hold(2);
        short.expires_at = NOW.after(Duration::from_millis(10));
        let changes = Changes { new_holds: vec![short.clone()], ..Changes::default() };
        let is_speculative = |millis| {
            let now = NOW.after(Duration::from_millis(millis));
            matches_early_inserts(std::slice::from_ref(&short), &changes, now)
        };
        assert!(is_speculative(9));
        assert!(!is_speculative(10));
    }
}
