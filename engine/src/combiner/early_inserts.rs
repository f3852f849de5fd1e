//! Early inserts: speculative execution that inserts new holds before the row
//! lock is requested.
//!
//! Every statement under a product's row lock makes all other transactions
//! wait. New holds are most of what a contended batch writes, and while stock is
//! plentiful it is predictable which of them will be granted. So their rows are
//! inserted before the lock is requested, in the same transaction. If the
//! decision then differs, the transaction is rolled back and the batch retried
//! in plain order. The same happens if a hold's fresh key turns out to be taken:
//! the key is inserted in the same transaction, under a unique index.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::ledger::{Changes, Command, Policy};
use crate::model::{Hold, ProductId, Timestamp};
use crate::services::Services;
use crate::store::ReadSet;

/// The most time between an early insert and its decision. It covers the wait
/// for the row lock and the skew between the clocks of two machines.
const DECISION_DELAY_MAX: Duration = Duration::from_millis(100);

/// Predicts the holds that the commands will create, ascending by id, and marks
/// their commands with the time of creation.
pub(super) fn choose(services: &Services, commands: &mut [Command], now: Timestamp) -> Vec<Hold> {
    if services.store.single_writer() {
        return Vec::new();
    }
    choose_with(&services.policy, |id| services.cache.last_stock(id, now), commands, now)
}

/// `last_stock` returns the last known stock of a product, if any.
fn choose_with(
    policy: &Policy,
    last_stock: impl Fn(ProductId) -> Option<u64>,
    commands: &mut [Command],
    now: Timestamp,
) -> Vec<Hold> {
    let mut wanted: HashMap<ProductId, u64> = HashMap::new();
    for line in commands.iter().flat_map(Command::new_holds) {
        *wanted.entry(line.product_id).or_default() += u64::from(line.quantity);
    }
    let has_stock = |(id, wanted): (ProductId, u64)| (wanted <= last_stock(id)?).then_some(id);
    let sufficient: HashSet<ProductId> = wanted.into_iter().filter_map(has_stock).collect();
    let mut early_inserts = Vec::new();
    for command in commands {
        let may_be_replay = command.key().is_some_and(|keyed| !keyed.is_fresh);
        if may_be_replay || policy.needs_customer_holds(command) {
            continue;
        }
        let (Command::Hold { ttl, .. } | Command::Cart { ttl, .. }) = command else {
            continue;
        };
        let (ttl, lines) = (*ttl, command.new_holds_mut());
        if lines.iter().all(|line| sufficient.contains(&line.product_id)) {
            for line in lines {
                line.created_at = Some(now);
                early_inserts.push(line.to_hold(now, ttl));
            }
        }
    }
    // Ids ascend by product, not by command.
    early_inserts.sort_unstable_by_key(|hold| hold.id);
    early_inserts
}

/// Removes the early inserts, for a retry in plain order.
pub(super) fn clear(commands: &mut [Command], read_set: &mut ReadSet) {
    read_set.early_inserts.clear();
    commands.iter_mut().flat_map(Command::new_holds_mut).for_each(|hold| hold.created_at = None);
}

/// Returns whether the decision at `now` creates every hold that was inserted
/// early, unchanged, and none of them has expired by then: the units of an
/// expired one would count as held for other commands of the batch.
pub(super) fn match_decision(early_inserts: &[Hold], changes: &Changes, now: Timestamp) -> bool {
    let Some(first) = early_inserts.first() else { return true };
    let delay = first.created_at.until(now).max(now.until(first.created_at));
    // Both ascend by id.
    let mut created = changes.new_holds.iter();
    delay <= DECISION_DELAY_MAX
        && early_inserts
            .iter()
            .all(|early| early.expires_at > now && created.any(|hold| hold == early))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{IdempotencyKey, NewHold};
    use crate::model::{HoldId, Token};

    const NOW: Timestamp = Timestamp::from_micros(5_000_000);

    const TTL: Duration = Duration::from_secs(1);
    const POLICY: Policy = Policy { max_per_customer: Some(9), ..Policy::PLAIN };

    fn new(id: u64, product: u64, quantity: u32) -> NewHold {
        let (id, product_id) = (HoldId(id), ProductId(product));
        NewHold { id, token: Token(1), product_id, quantity, created_at: None }
    }

    fn hold(id: u64) -> Hold {
        new(id, 1, 1).to_hold(NOW, TTL)
    }

    fn command(hold: NewHold) -> Command {
        Command::Hold { hold, ttl: TTL, customer: None, key: None }
    }

    /// Chooses holds where product 1 has ten units left, product 2 has three, and
    /// no other is known.
    fn chosen(commands: &mut [Command]) -> Vec<Hold> {
        let last_stock = |id: ProductId| [10, 3].get(usize::try_from(id.0).ok()? - 1).copied();
        choose_with(&POLICY, last_stock, commands, NOW)
    }

    #[test]
    fn choose_returns_holds_when_stock_covers_all_of_them() {
        let both = |quantity| [command(new(1, 1, quantity)), command(new(2, 1, 4))];
        let mut plenty = both(6);
        let wanted = [new(1, 1, 6).to_hold(NOW, TTL), new(2, 1, 4).to_hold(NOW, TTL)];
        assert_eq!(chosen(&mut plenty), wanted);
        let times = plenty.iter().flat_map(Command::new_holds).map(|hold| hold.created_at);
        assert!(times.eq([Some(NOW), Some(NOW)]), "created when they were inserted");
        let mut short = both(7);
        assert_eq!(chosen(&mut short), []);
        assert_eq!(short, both(7), "created by the decision");
        assert_eq!(chosen(&mut [command(new(1, 3, 1))]), [], "its stock is unknown");
    }

    #[test]
    fn choose_takes_a_cart_whole_or_not_at_all() {
        let cart =
            |lines: Vec<NewHold>| Command::Cart { lines, ttl: TTL, customer: None, key: None };
        let mut carts = [cart(vec![new(1, 1, 1), new(2, 2, 2)])];
        assert_eq!(chosen(&mut carts).len(), 2);
        let mut carts = [cart(vec![new(1, 1, 1), new(2, 2, 4)]), command(new(3, 1, 1))];
        assert_eq!(chosen(&mut carts), [hold(3)]);
    }

    #[test]
    fn choose_skips_possible_replays_and_limited_customers() {
        let under = |is_fresh, customer: Option<&str>| {
            let (key, fingerprint) = ("k".to_owned(), [0; 32]);
            let key = Some(IdempotencyKey { key, fingerprint, keeps_refusals: false, is_fresh });
            let customer = customer.map(Into::into);
            chosen(&mut [Command::Hold { hold: new(1, 1, 1), ttl: TTL, customer, key }])
        };
        assert_eq!(under(true, None), [hold(1)]);
        assert_eq!(under(false, None), []);
        assert_eq!(under(true, Some("c")), []);
    }

    #[test]
    fn clear_removes_early_inserts_and_their_times() {
        let mut commands = [command(new(1, 1, 1))];
        let early_inserts = chosen(&mut commands);
        let mut read_set = ReadSet { early_inserts, ..ReadSet::default() };
        clear(&mut commands, &mut read_set);
        assert_eq!(commands, [command(new(1, 1, 1))]);
        assert!(read_set.early_inserts.is_empty());
    }

    fn changes(ids: &[u64]) -> Changes {
        let new_holds = ids.iter().copied().map(hold).collect();
        Changes { new_holds, ..Changes::default() }
    }

    #[test]
    fn match_decision_needs_all_early_inserts_within_the_delay() {
        let early_inserts = [hold(2), hold(5)];
        assert!(match_decision(&early_inserts, &changes(&[2, 5]), NOW));
        assert!(match_decision(&early_inserts, &changes(&[1, 2, 4, 5, 9]), NOW));
        assert!(!match_decision(&early_inserts, &changes(&[2]), NOW), "one was refused");
        assert!(!match_decision(&early_inserts, &changes(&[]), NOW));
        let mut other = changes(&[2, 5]);
        other.new_holds[1].quantity = 3;
        assert!(!match_decision(&early_inserts, &other, NOW));
        for (moment, expected) in [
            (NOW.after(DECISION_DELAY_MAX), true),
            (NOW.after(DECISION_DELAY_MAX * 2), false),
            (Timestamp::from_micros(0), false),
        ] {
            assert_eq!(match_decision(&early_inserts, &changes(&[2, 5]), moment), expected);
        }
        assert!(match_decision(&[], &changes(&[]), Timestamp::from_micros(0)));
    }

    #[test]
    fn match_decision_fails_when_an_early_insert_has_expired() {
        let mut short = hold(2);
        short.expires_at = NOW.after(Duration::from_millis(10));
        let changes = Changes { new_holds: vec![short.clone()], ..Changes::default() };
        let matches = |millis| {
            let now = NOW.after(Duration::from_millis(millis));
            match_decision(std::slice::from_ref(&short), &changes, now)
        };
        assert!(matches(9));
        assert!(!matches(10));
    }
}
