//! Checks linearizability: searches for an order of a history's operations that
//! explains all responses.
//!
//! The search is Wing and Gong's algorithm with Lowe's memoization: it appends
//! one operation at a time, never before one that had a response when it was
//! invoked, and skips a set of operations that led to the same state before. The
//! memo keeps a hash of the state; a collision could make a history seem
//! unexplained, never the reverse. Alternatives: `stateright`'s tester has no
//! memoization, and `todc-utils` supports no operation without a response; both
//! need deterministic models, and neither bounds its work.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A sequential specification.
pub trait Model {
    type State: Clone + Eq + Hash;
    type Act;

    /// Returns every state that the operation can lead to with its response; none
    /// if it cannot come next.
    fn next(&self, state: &Self::State, act: &Self::Act) -> Vec<Self::State>;

    /// Whether the operation can change the state.
    fn changes(&self, act: &Self::Act) -> bool;

    /// Whether the operation may be stale: it must follow every write that had a
    /// response before its invocation, but not every read or rejection.
    fn may_lag(&self, act: &Self::Act) -> bool;
}

/// One operation with its invocation and response times, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Operation<A> {
    pub act: A,
    pub called: u64,
    /// `None` for an operation in doubt, which the search may leave out.
    pub answered: Option<u64>,
    /// Its index in the records of the whole history.
    pub record: usize,
}

/// The result of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Explained,
    /// Not linearizable. `longest` has the indices of the longest order found,
    /// which no other operation can follow.
    Unexplained {
        longest: Vec<usize>,
    },
    /// The search reached its work bound, which counts as a failure.
    Undecided,
}

/// The work bound: states visited per search.
pub const WORK_MAX: usize = 300_000;

/// Searches for a linearization, in at most `work_max` states.
pub fn check<M: Model>(
    model: &M,
    initial: &M::State,
    operations: &[Operation<M::Act>],
    work_max: usize,
) -> Verdict {
    let mut search = Search::new(model, operations);
    let mut work = 0;
    let mut stack = vec![search.frame(initial.clone(), None)];
    while let Some(frame) = stack.last_mut() {
        if search.missing == 0 {
            return Verdict::Explained;
        }
        let Some((at, state)) = frame.candidates.pop() else {
            let done = frame.placed;
            stack.pop();
            search.take_back(done);
            continue;
        };
        work += 1;
        if work > work_max {
            return Verdict::Undecided;
        }
        search.place(at);
        if search.is_new(&state) {
            let frame = search.frame(state, Some(at));
            stack.push(frame);
        } else {
            search.take_back(Some(at));
        }
    }
    Verdict::Unexplained { longest: search.longest }
}

struct Frame<S> {
    /// The operation that led here.
    placed: Option<usize>,
    /// Candidates for the next operation; the last is tried first.
    candidates: Vec<(usize, S)>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: &'a [Operation<M::Act>],
    /// Sorted by response time: an earlier response most likely took effect
    /// earlier.
    by_answer: Vec<usize>,
    placed: Vec<u64>,
    order: Vec<usize>,
    /// Number of operations with a response that are not placed yet.
    missing: usize,
    seen: HashSet<(Box<[u64]>, u64)>,
    longest: Vec<usize>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, operations: &'a [Operation<M::Act>]) -> Self {
        let mut by_answer: Vec<usize> = (0..operations.len()).collect();
        by_answer.sort_by_key(|at| operations[*at].answered.unwrap_or(u64::MAX));
        Self {
            model,
            operations,
            by_answer,
            placed: vec![0; operations.len().div_ceil(64)],
            order: Vec::new(),
            missing: operations.iter().filter(|one| one.answered.is_some()).count(),
            seen: HashSet::new(),
            longest: Vec::new(),
        }
    }

    fn is_placed(&self, at: usize) -> bool {
        self.placed[at / 64] & (1 << (at % 64)) != 0
    }

    fn place(&mut self, at: usize) {
        self.placed[at / 64] |= 1 << (at % 64);
        self.missing -= usize::from(self.operations[at].answered.is_some());
        self.order.push(at);
        if self.order.len() > self.longest.len() {
            self.longest.clone_from(&self.order);
        }
    }

    fn take_back(&mut self, at: Option<usize>) {
        let Some(at) = at else { return };
        self.placed[at / 64] &= !(1 << (at % 64));
        self.missing += usize::from(self.operations[at].answered.is_some());
        self.order.pop();
    }

    fn is_new(&mut self, state: &M::State) -> bool {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        self.seen.insert((self.placed.clone().into_boxed_slice(), hasher.finish()))
    }

    /// Returns the candidates: every open operation invoked before the first
    /// response that is not placed yet.
    fn frame(&self, state: M::State, placed: Option<usize>) -> Frame<M::State> {
        let open = || self.by_answer.iter().copied().filter(|at| !self.is_placed(*at));
        let is_change = |at: &usize| self.model.changes(&self.operations[*at].act);
        let first = open().next().and_then(|at| self.operations[at].answered);
        let first_change = open().find(is_change).and_then(|at| self.operations[at].answered);
        let mut candidates = Vec::new();
        for at in open() {
            let Operation { act, called, .. } = &self.operations[at];
            let before = if self.model.may_lag(act) { first_change } else { first };
            if before.is_some_and(|before| *called > before) {
                continue;
            }
            let next = self.model.next(&state, act);
            // A read that fits here commutes, so no other position needs a try.
            if !self.model.changes(act) && next.contains(&state) {
                return Frame { placed, candidates: vec![(at, state)] };
            }
            candidates.extend(next.into_iter().map(|next| (at, next)));
        }
        candidates.reverse();
        Frame { placed, candidates }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register.
    struct Register;

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Write(u8),
        Read(u8),
        ReadLate(u8),
        Either(u8, u8),
    }
    use Act::{Either, Read, ReadLate, Write};

    impl Model for Register {
        type State = u8;
        type Act = Act;

        fn next(&self, state: &u8, act: &Act) -> Vec<u8> {
            match *act {
                Write(value) => vec![value],
                Read(value) | ReadLate(value) if value == *state => vec![value],
                Read(_) | ReadLate(_) => Vec::new(),
                Either(one, other) => vec![one, other],
            }
        }

        fn changes(&self, act: &Act) -> bool {
            matches!(act, Write(_) | Either(..))
        }

        fn may_lag(&self, act: &Act) -> bool {
            matches!(act, ReadLate(_))
        }
    }

    fn history(acts: &[(u64, u64, Act)]) -> Vec<Operation<Act>> {
        let operation = |(record, (called, answered, act)): (usize, &(u64, u64, Act))| Operation {
            act: *act,
            called: *called,
            // Time 0 means no response.
            answered: (*answered > 0).then_some(*answered),
            record,
        };
        acts.iter().enumerate().map(operation).collect()
    }

    fn verdict(acts: &[(u64, u64, Act)]) -> Verdict {
        check(&Register, &0, &history(acts), WORK_MAX)
    }

    fn is_explained(acts: &[(u64, u64, Act)]) -> bool {
        verdict(acts) == Verdict::Explained
    }

    #[test]
    fn concurrent_operations_may_take_any_order() {
        assert!(is_explained(&[(1, 9, Write(1)), (2, 8, Read(0)), (3, 7, Read(1))]));
        assert!(is_explained(&[(1, 9, Write(1)), (2, 9, Write(2)), (10, 11, Read(1))]));
    }

    #[test]
    fn stale_read_is_unexplained() {
        assert!(!is_explained(&[(1, 2, Write(1)), (3, 4, Read(0))]));
    }

    #[test]
    fn readers_must_agree_on_write_order() {
        let writes = [(1, 20, Write(1)), (1, 20, Write(2))];
        let one = [(2, 3, Read(1)), (4, 5, Read(2))];
        let other = [(2, 3, Read(2)), (4, 5, Read(1))];
        assert!(is_explained(&[&writes[..], &one].concat()));
        assert!(!is_explained(&[&writes[..], &one, &other].concat()));
    }

    #[test]
    fn open_operation_may_take_effect_later_or_never() {
        let unanswered = (1, 0, Write(1));
        assert!(is_explained(&[unanswered, (2, 3, Read(0))]));
        assert!(is_explained(&[unanswered, (2, 3, Read(0)), (4, 5, Read(1))]));
        assert!(!is_explained(&[unanswered, (2, 3, Read(1)), (4, 5, Read(0))]));
        assert!(!is_explained(&[(1, 2, Read(1)), (3, 0, Write(1))]), "done before it was asked");
    }

    #[test]
    fn stale_operation_may_miss_reads_but_not_answered_writes() {
        let seen = [(1, 9, Write(1)), (2, 3, Read(1))];
        assert!(!is_explained(&[&seen[..], &[(4, 5, Read(0))]].concat()));
        assert!(is_explained(&[&seen[..], &[(4, 5, ReadLate(0))]].concat()));
        assert!(!is_explained(&[(1, 2, Write(1)), (3, 4, ReadLate(0))]));
    }

    #[test]
    fn search_tries_every_successor_state() {
        assert!(is_explained(&[(1, 2, Either(1, 2)), (3, 4, Read(2))]));
        assert!(is_explained(&[(1, 2, Either(1, 2)), (3, 4, Read(1))]));
        assert!(!is_explained(&[(1, 2, Either(1, 2)), (3, 4, Read(3))]));
    }

    #[test]
    fn search_is_undecided_beyond_its_work_bound() {
        let acts: Vec<_> = (0..24).map(|value| (1, 100, Write(value))).collect();
        let acts = [&acts[..], &[(101, 102, Read(99))]].concat();
        assert_eq!(check(&Register, &0, &history(&acts), 1_000), Verdict::Undecided);
    }

    #[test]
    fn longest_order_ends_before_the_conflict() {
        let Verdict::Unexplained { longest } = verdict(&[(1, 2, Write(1)), (3, 4, Read(2))]) else {
            panic!("it was explained")
        };
        assert_eq!(longest, [0]);
    }

    /// Tries every permutation: slow, but simple enough to be the reference.
    fn by_trying_all(state: u8, left: &[Operation<Act>]) -> bool {
        let answers = || left.iter().filter_map(|one| one.answered);
        let Some(first) = answers().min() else { return true };
        left.iter().enumerate().any(|(at, one)| {
            let rest = [&left[..at], &left[at + 1..]].concat();
            one.called <= first
                && Register.next(&state, &one.act).iter().any(|next| by_trying_all(*next, &rest))
        })
    }

    #[test]
    fn checker_agrees_with_brute_force() {
        use rand::{RngExt, SeedableRng};
        let (mut explained, mut unexplained) = (0, 0);
        for seed in 0..3_000 {
            let mut dice = rand::rngs::StdRng::seed_from_u64(seed);
            let acts: Vec<_> = (0..6)
                .map(|_| {
                    let called = dice.random_range(1..12);
                    let answered = called + dice.random_range(0..6);
                    let lost = dice.random_range(0..8) == 0;
                    let value = dice.random_range(0..3);
                    let act = match dice.random_range(0..5) {
                        0 | 1 => Write(value),
                        2 => Either(value, 2 - value),
                        _ => Read(value),
                    };
                    (called, if lost { 0 } else { answered }, act)
                })
                .collect();
            let expected = by_trying_all(0, &history(&acts));
            assert_eq!(is_explained(&acts), expected, "seed {seed}: {acts:?}");
            if expected { explained += 1 } else { unexplained += 1 }
        }
        assert!(explained > 300 && unexplained > 300, "{explained} and {unexplained}");
    }
}
