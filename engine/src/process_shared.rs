//! State that the engines of one process share if they use the same store.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, TryLockError, Weak};
use std::time::{Duration, Instant};

use crate::cache::mirror::ProductMirror;
use crate::lock::local::LocalLock;
use crate::runtime;

/// Guards the registry. A plain mutex: each critical section is a few map
/// operations and never awaits.
static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
/// No critical section lasts for so long: the lock was held by a thread that a
/// fork left behind.
const REGISTRY_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Registry {
    process: u32,
    stores: HashMap<String, Weak<ProcessShared>>,
}

impl Registry {
    fn of(&mut self, store_url: &str, process: u32, products: u32) -> Arc<ProcessShared> {
        if self.process != process {
            // The child of a fork: locks that the parent's threads hold here are
            // released in the parent only.
            self.stores.clear();
            self.process = process;
        }
        if let Some(shared) = self.stores.get(store_url).and_then(Weak::upgrade) {
            return shared;
        }
        self.stores.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(ProcessShared::new(products));
        self.stores.insert(store_url.to_owned(), Arc::downgrade(&shared));
        shared
    }
}

pub(crate) struct ProcessShared {
    pub lock: Arc<LocalLock>,
    pub mirror: Arc<ProductMirror>,
}

impl ProcessShared {
    pub fn new(products: u32) -> Self {
        let mirror = ProductMirror::new(products, Arc::new(runtime::now));
        Self { lock: Arc::default(), mirror: Arc::new(mirror) }
    }

    /// Returns the state shared by the store's [identity](crate::store::identity).
    /// A store without one belongs to one engine alone. The first engine's
    /// setting decides how many `products` the mirror has.
    pub fn of(store: Option<String>, products: u32) -> Arc<Self> {
        let alone = || Arc::new(Self::new(products));
        let Some(store) = store else { return alone() };
        match try_lock_for(&REGISTRY, REGISTRY_LOCK_TIMEOUT) {
            Some(mut registry) => registry.of(&store, std::process::id(), products),
            // Sharing is an optimization: correctness needs none.
            None => alone(),
        }
    }
}

/// Locks `mutex`, or gives up after `timeout`. For a mutex that a thread of the
/// parent may have held at a fork: in the child it is never released.
pub(crate) fn try_lock_for<T>(mutex: &Mutex<T>, timeout: Duration) -> Option<MutexGuard<'_, T>> {
    let since = Instant::now();
    loop {
        match mutex.try_lock() {
            Ok(locked) => return Some(locked),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if since.elapsed() > timeout => return None,
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Arc<ProcessShared> {
        ProcessShared::of(crate::store::identity(url), 9)
    }

    #[test]
    fn engines_share_state_when_they_use_the_same_store() {
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
    fn unused_stores_leave_the_registry() {
        drop(of("sqlite:gone.db"));
        let _next = of("sqlite:c-shop.db");
        let registry = try_lock_for(&REGISTRY, REGISTRY_LOCK_TIMEOUT).expect("no fork");
        assert!(!registry.stores.keys().any(|store| store.ends_with("gone.db")));
    }

    #[test]
    fn a_forked_child_shares_nothing_with_its_parent() {
        let mut registry = Registry::default();
        let parents = registry.of("sqlite:a-shop.db", 1, 9);
        assert!(Arc::ptr_eq(&parents, &registry.of("sqlite:a-shop.db", 1, 9)));
        assert!(!Arc::ptr_eq(&parents, &registry.of("sqlite:a-shop.db", 2, 9)));
    }

    #[test]
    fn try_lock_for_gives_up_when_the_lock_is_never_released() {
        let mutex = Mutex::new(7);
        let orphaned = mutex.lock().expect("not poisoned");
        assert!(try_lock_for(&mutex, Duration::ZERO).is_none());
        drop(orphaned);
        assert_eq!(try_lock_for(&mutex, Duration::ZERO).map(|locked| *locked), Some(7));
    }
}
