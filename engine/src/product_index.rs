//! The product index maps holds and orders to their products, and carts to their holds,
//! so that a request which names only a hold, an order or a cart finds its lanes.
//!
//! Entries are inserted as this process creates holds and orders; any other is
//! looked up in the store, and callers that arrive during a lookup share the
//! next one. An entry is immutable unless the store is restored from a backup,
//! which is why entries expire. One entry has consecutive ids of the
//! same products.

mod carts;
mod generations;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::oneshot;

pub(crate) use self::carts::Carts;
use self::generations::Generations;
use crate::error::{Error, ErrorKind, Result};
use crate::model::ProductId;
use crate::runtime::Runtime;
use crate::store::{Owned, Store};

/// Ids looked up by one statement.
const LOOKUP_MAX: usize = 512;

pub(crate) struct ProductIndex {
    pub holds: Arc<Table>,
    pub orders: Arc<Table>,
    pub carts: Carts,
}

/// The products of holds, or of orders, by their ids.
pub(crate) struct Table {
    kind: Owned,
    store: Arc<dyn Store>,
    runtime: Runtime,
    /// A plain mutex: each critical section is a few map operations and never
    /// awaits.
    state: Mutex<State>,
}

struct State {
    entries: Generations<Ranges>,
    /// The callers that wait for the next lookup.
    waiting: Vec<(u64, oneshot::Sender<LookupResult>)>,
    is_looking_up: bool,
}

/// The products of a hold or an order; only those of an order of several are allocated.
pub(crate) type Products = SmallVec<[ProductId; 1]>;

/// Consecutive ids by the first of them, with the id after the last.
type Ranges = BTreeMap<u64, (u64, Products)>;

type LookupResult = Result<Option<Products>>;

impl ProductIndex {
    /// Lookups run on `runtime`.
    pub fn new(store: &Arc<dyn Store>, runtime: &Runtime) -> Self {
        let table = |kind| Table {
            kind,
            store: Arc::clone(store),
            runtime: runtime.clone(),
            state: Mutex::new(State::new()),
        };
        Self {
            holds: Arc::new(table(Owned::Hold)),
            orders: Arc::new(table(Owned::Order)),
            carts: Carts::new(),
        }
    }
}

impl Table {
    pub fn remember(&self, created: impl ExactSizeIterator<Item = (u64, Products)>) {
        if created.len() > 0 {
            self.state.lock().insert(created);
        }
    }

    /// # Errors
    /// `unavailable` when the store cannot be queried.
    pub async fn find(self: &Arc<Self>, id: u64) -> LookupResult {
        let looked_up = {
            let mut state = self.state.lock();
            if let Some(products) = state.get(id) {
                return Ok(Some(products));
            }
            let (result, looked_up) = oneshot::channel();
            state.waiting.push((id, result));
            if !state.is_looking_up {
                state.is_looking_up = true;
                let table = Arc::clone(self);
                drop(self.runtime.spawn(async move { table.look_up().await }));
            }
            looked_up
        };
        looked_up.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "the engine's runtime has shut down"))
        })
    }

    /// Looks up what callers wait for, batch by batch, until none waits.
    async fn look_up(&self) {
        loop {
            let batch = {
                let mut state = self.state.lock();
                let count = state.waiting.len().min(LOOKUP_MAX);
                state.is_looking_up = count > 0;
                state.waiting.drain(..count).collect::<Vec<_>>()
            };
            if batch.is_empty() {
                return;
            }
            let ids: Vec<u64> = batch.iter().map(|(id, _)| *id).collect();
            let owners = self.store.owners(self.kind, &ids).await.map_err(Error::from);
            if let Ok(owners) = &owners {
                let mut found: Vec<(u64, Products)> =
                    owners.iter().map(|(id, products)| (*id, products.clone())).collect();
                // By their ids, so that consecutive ones share an entry and a simulated
                // history replays.
                found.sort_unstable_by_key(|(id, _)| *id);
                self.state.lock().insert(found.into_iter());
            }
            for (id, result) in batch {
                let products = owners.as_ref().map(|owners| owners.get(&id).cloned());
                let _ = result.send(products.map_err(Clone::clone));
            }
        }
    }
}

impl State {
    fn new() -> Self {
        Self { entries: Generations::new(), waiting: Vec::new(), is_looking_up: false }
    }

    fn get(&mut self, id: u64) -> Option<Products> {
        self.entries.rotate();
        let find = |ranges: &Ranges| {
            let (_, (end, products)) = ranges.range(..=id).next_back()?;
            (id < *end).then(|| products.clone())
        };
        find(&self.entries.current).or_else(|| find(&self.entries.previous))
    }

    fn insert(&mut self, created: impl Iterator<Item = (u64, Products)>) {
        self.entries.make_room(BTreeMap::len);
        let current = &mut self.entries.current;
        let mut last: Option<(u64, u64, Products)> = None;
        for (id, products) in created {
            last = match last {
                Some((first, end, of)) if end == id && of == products => Some((first, id + 1, of)),
                Some((first, end, of)) => {
                    current.insert(first, (end, of));
                    Some((id, id + 1, products))
                }
                None => Some((id, id + 1, products)),
            };
        }
        current.extend(last.map(|(first, end, products)| (first, (end, products))));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use smallvec::smallvec;

    use super::generations::TTL;
    use super::*;

    #[test]
    fn an_entry_expires_within_two_generations() {
        let mut state = State::new();
        let ago = |time| Instant::now().checked_sub(time).expect("uptime");
        state.insert([(1, smallvec![ProductId(7)])].into_iter());
        state.entries.since = ago(TTL);
        state.insert([(2, smallvec![ProductId(8), ProductId(9)])].into_iter());
        let two: Products = smallvec![ProductId(8), ProductId(9)];
        assert_eq!(state.get(1), Some(smallvec![ProductId(7)]));
        assert_eq!(state.get(2), Some(two.clone()));
        state.entries.since = ago(TTL);
        assert_eq!((state.get(1), state.get(2)), (None, Some(two)));
        state.entries.since = ago(2 * TTL);
        assert_eq!(state.get(2), None);
    }

    #[test]
    fn consecutive_ids_of_one_product_share_an_entry() {
        let mut state = State::new();
        let of = |ids: std::ops::Range<u64>, product| {
            ids.map(move |id| (id, smallvec![ProductId(product)]))
        };
        state.insert(of(3..6, 7).chain(of(6..8, 9)).chain(of(10..11, 9)));
        assert_eq!(state.entries.current.len(), 3);
        let found: Vec<_> =
            (2..12).map(|id| state.get(id).map_or(0, |products| products[0].0)).collect();
        assert_eq!(found, [0, 7, 7, 7, 9, 9, 0, 0, 9, 0]);
    }
}
