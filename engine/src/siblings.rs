//! What the engines of one process share when they use the same store.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use crate::lock::local::LocalLock;
use crate::sold_out::SoldOut;

/// By store. Held for a look-up, which never waits.
static SIBLINGS: LazyLock<Mutex<HashMap<String, Weak<Siblings>>>> = LazyLock::new(Mutex::default);

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
        let mut stores = SIBLINGS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = stores.get(store_url).and_then(Weak::upgrade) {
            return known;
        }
        stores.retain(|_, siblings| siblings.strong_count() > 0);
        let siblings = Arc::default();
        stores.insert(store_url.to_owned(), Arc::downgrade(&siblings));
        siblings
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
        let stores = SIBLINGS.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!stores.contains_key("sqlite:gone.db"));
    }
}
