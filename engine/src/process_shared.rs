//! What the engines of one process share when they use the same store.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, TryLockError, Weak};
use std::time::{Duration, Instant};

use crate::lock::local::LocalLock;
use crate::sold_out::SoldOut;

/// Held for a look-up, which never waits.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
/// A look-up is not under way for so long.
const LOOK_UP_MAX: Duration = Duration::from_secs(1);

/// The siblings of one process, by store.
#[derive(Default)]
struct Known {
    process: u32,
    stores: HashMap<String, Weak<ProcessShared>>,
}

impl Known {
    fn of(&mut self, store_url: &str, process: u32) -> Arc<ProcessShared> {
        if self.process != process {
            // The child of a fork: what the parent's threads have locked here
            // is given back there only.
            self.stores.clear();
            self.process = process;
        }
        if let Some(known) = self.stores.get(store_url).and_then(Weak::upgrade) {
            return known;
        }
        self.stores.retain(|_, process_shared| process_shared.strong_count() > 0);
        let process_shared = Arc::default();
        self.stores.insert(store_url.to_owned(), Arc::downgrade(&process_shared));
        process_shared
    }
}

#[derive(Default)]
pub(crate) struct ProcessShared {
    pub lock: Arc<LocalLock>,
    pub sold_out: SoldOut,
}

impl ProcessShared {
    /// Those on the store of this [identity](crate::store::identity). A store
    /// without one belongs to one engine alone.
    pub fn of(store: Option<String>) -> Arc<Self> {
        let Some(store) = store else { return Arc::default() };
        match locked_within(&KNOWN, LOOK_UP_MAX) {
            Some(mut known) => known.of(&store, std::process::id()),
            // Sharing is for speed.
            None => Arc::default(),
        }
    }
}

/// The lock, unless a thread of the parent had it at a fork: in the child it is
/// never given back.
pub(crate) fn locked_within<T>(mutex: &Mutex<T>, patience: Duration) -> Option<MutexGuard<'_, T>> {
    let since = Instant::now();
    loop {
        match mutex.try_lock() {
            Ok(locked) => return Some(locked),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if since.elapsed() > patience => return None,
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Arc<ProcessShared> {
        ProcessShared::of(crate::store::identity(url))
    }

    #[test]
    fn engines_on_the_same_store_share_and_others_do_not() {
        let one = of("sqlite:a-shop.db");
        assert!(Arc::ptr_eq(&one, &of("sqlite:a-shop.db")));
        assert!(Arc::ptr_eq(&one, &of("sqlite://a-shop.db?mode=rwc")), "the same file");
        assert!(!Arc::ptr_eq(&one, &of("sqlite:b-shop.db")));
        for memory in ["sqlite::memory:", "sqlite:a-shop.db?mode=memory"] {
            assert!(!Arc::ptr_eq(&of(memory), &of(memory)), "{memory}");
        }
        let server = of("mysql://root@localhost/a_shop");
        assert!(Arc::ptr_eq(&server, &of("mysql://root@localhost/a_shop")));
    }

    #[test]
    fn stores_that_no_engine_uses_are_forgotten() {
        drop(of("sqlite:gone.db"));
        let _next = of("sqlite:c-shop.db");
        let known = locked_within(&KNOWN, LOOK_UP_MAX).expect("no fork");
        assert!(!known.stores.keys().any(|store| store.ends_with("gone.db")));
    }

    #[test]
    fn the_child_of_a_fork_shares_nothing_with_the_engines_of_its_parent() {
        let mut known = Known::default();
        let parents = known.of("sqlite:a-shop.db", 1);
        assert!(Arc::ptr_eq(&parents, &known.of("sqlite:a-shop.db", 1)));
        assert!(!Arc::ptr_eq(&parents, &known.of("sqlite:a-shop.db", 2)));
    }

    #[test]
    fn a_lock_that_never_comes_back_is_not_waited_for_for_ever() {
        let mutex = Mutex::new(7);
        let orphaned = mutex.lock().expect("not poisoned");
        assert!(locked_within(&mutex, Duration::ZERO).is_none());
        drop(orphaned);
        assert_eq!(locked_within(&mutex, Duration::ZERO).map(|locked| *locked), Some(7));
    }
}
