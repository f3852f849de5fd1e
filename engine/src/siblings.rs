//! What the engines of one process share when they use the same store.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use crate::lock::local::LocalLock;
use crate::sold_out::SoldOut;

/// Held for a look-up, which never waits.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// The siblings of one process, by store.
#[derive(Default)]
struct Known {
    process: u32,
    stores: HashMap<String, Weak<Siblings>>,
}

impl Known {
    fn of(&mut self, store_url: &str, process: u32) -> Arc<Siblings> {
        if self.process != process {
            // The child of a fork: what the parent's threads have locked here
            // is given back there only.
            self.stores.clear();
            self.process = process;
        }
        if let Some(known) = self.stores.get(store_url).and_then(Weak::upgrade) {
            return known;
        }
        self.stores.retain(|_, siblings| siblings.strong_count() > 0);
        let siblings = Arc::default();
        self.stores.insert(store_url.to_owned(), Arc::downgrade(&siblings));
        siblings
    }
}

#[derive(Default)]
pub(crate) struct Siblings {
    pub lock: Arc<LocalLock>,
    pub sold_out: SoldOut,
}

impl Siblings {
    /// Those on this store. A store in memory belongs to one engine alone.
    pub fn of(store_url: &str) -> Arc<Self> {
        if store_url.contains(":memory:") {
            return Arc::default();
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.of(store_url, std::process::id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_on_the_same_store_share_and_others_do_not() {
        let one = Siblings::of("sqlite:a-shop.db");
        assert!(Arc::ptr_eq(&one, &Siblings::of("sqlite:a-shop.db")));
        assert!(!Arc::ptr_eq(&one, &Siblings::of("sqlite:b-shop.db")));
        let memory = Siblings::of("sqlite::memory:");
        assert!(!Arc::ptr_eq(&memory, &Siblings::of("sqlite::memory:")));
    }

    #[test]
    fn stores_that_no_engine_uses_are_forgotten() {
        drop(Siblings::of("sqlite:gone.db"));
        let _next = Siblings::of("sqlite:c-shop.db");
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!known.stores.contains_key("sqlite:gone.db"));
    }

    #[test]
    fn the_child_of_a_fork_shares_nothing_with_the_engines_of_its_parent() {
        let mut known = Known::default();
        let parents = known.of("sqlite:a-shop.db", 1);
        assert!(Arc::ptr_eq(&parents, &known.of("sqlite:a-shop.db", 1)));
        assert!(!Arc::ptr_eq(&parents, &known.of("sqlite:a-shop.db", 2)));
    }
}
