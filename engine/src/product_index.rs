//! Which product a hold or an order belongs to, which never changes, as long as
//! the store is not put back to an earlier state: so it is remembered for a time.
//!
//! Requests that name only a hold or an order must find their product's lane.
//! What this process made lately is remembered; the rest is looked up, and
//! those who ask while a look-up is under way share the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{HoldId, OrderId, ProductId};
use crate::runtime::{self, Runtime};
use crate::store::{Owned, Store};

/// Rows remembered of each kind, twice: the newer half and the older one.
const REMEMBERED: usize = 1 << 16;
/// How long a half is filled: what is remembered is forgotten within twice that.
const TURN: Duration = Duration::from_secs(60);
/// Ids looked up by one statement.
const LOOKED_UP_AT_ONCE: usize = 512;

/// The way from holds and orders to their products.
pub(crate) struct ProductIndex {
    holds: Table,
    orders: Table,
}

struct Table {
    kind: Owned,
    store: Arc<dyn Store>,
    runtime: Runtime,
    /// Held for a look-up, which never waits.
    state: Mutex<State>,
}

struct State {
    /// Since when the newer half is filled.
    since: Instant,
    newer: HashMap<u64, ProductId>,
    older: HashMap<u64, ProductId>,
    /// Who waits for the next look-up.
    asking: Vec<(u64, oneshot::Sender<Found>)>,
    is_looking: bool,
}

type Found = Result<Option<ProductId>>;

impl ProductIndex {
    /// Look-ups run on `runtime`.
    pub fn new(store: &Arc<dyn Store>, runtime: &Runtime) -> Arc<Self> {
        let table = |kind| Table {
            kind,
            store: Arc::clone(store),
            runtime: runtime.clone(),
            state: Mutex::new(State::new()),
        };
        Arc::new(Self { holds: table(Owned::Hold), orders: table(Owned::Order) })
    }

    pub fn remember_holds(&self, made: impl ExactSizeIterator<Item = (HoldId, ProductId)>) {
        self.holds.remember(made.map(|(id, product)| (id.0, product)));
    }

    pub fn remember_orders(&self, made: impl ExactSizeIterator<Item = (OrderId, ProductId)>) {
        self.orders.remember(made.map(|(id, product)| (id.0, product)));
    }

    /// # Errors
    /// `unavailable` when the store cannot be asked.
    pub async fn of_hold(self: &Arc<Self>, id: HoldId) -> Found {
        self.find(id.0, |product_index| &product_index.holds).await
    }

    /// # Errors
    /// `unavailable` when the store cannot be asked.
    pub async fn of_order(self: &Arc<Self>, id: OrderId) -> Found {
        self.find(id.0, |product_index| &product_index.orders).await
    }

    async fn find(self: &Arc<Self>, id: u64, table: fn(&Self) -> &Table) -> Found {
        let found = {
            let mut state = table(self).state();
            if let Some(product) = state.get(id) {
                return Ok(Some(product));
            }
            let (answer, found) = oneshot::channel();
            state.asking.push((id, answer));
            if !state.is_looking {
                state.is_looking = true;
                let product_index = Arc::clone(self);
                drop(
                    table(self).runtime.spawn(async move { table(&product_index).look_up().await }),
                );
            }
            found
        };
        found.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "the engine's runtime is gone"))
        })
    }
}

impl Table {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, made: impl ExactSizeIterator<Item = (u64, ProductId)>) {
        if made.len() > 0 {
            self.state().remember(made);
        }
    }

    /// Looks up whatever is asked for, until nothing is.
    async fn look_up(&self) {
        loop {
            let asking = {
                let mut state = self.state();
                let count = state.asking.len().min(LOOKED_UP_AT_ONCE);
                state.is_looking = count > 0;
                state.asking.drain(..count).collect::<Vec<_>>()
            };
            if asking.is_empty() {
                return;
            }
            let ids: Vec<u64> = asking.iter().map(|(id, _)| *id).collect();
            let found = self.store.owners(self.kind, &ids).await.map_err(Error::from);
            if let Ok(found) = &found {
                self.state().remember(found.iter().map(|(id, product)| (*id, *product)));
            }
            for (id, answer) in asking {
                let product = found.as_ref().map(|found| found.get(&id).copied());
                let _ = answer.send(product.map_err(Clone::clone));
            }
        }
    }
}

impl State {
    fn new() -> Self {
        Self {
            since: runtime::now(),
            newer: HashMap::new(),
            older: HashMap::new(),
            asking: Vec::new(),
            is_looking: false,
        }
    }

    /// Forgets what is too old.
    fn turn(&mut self) {
        let age = runtime::elapsed(self.since);
        if age >= TURN {
            let newer = std::mem::take(&mut self.newer);
            self.older = if age < 2 * TURN { newer } else { HashMap::new() };
            self.since = runtime::now();
        }
    }

    fn get(&mut self, id: u64) -> Option<ProductId> {
        self.turn();
        self.newer.get(&id).or_else(|| self.older.get(&id)).copied()
    }

    fn remember(&mut self, made: impl Iterator<Item = (u64, ProductId)>) {
        self.turn();
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
            self.since = runtime::now();
        }
        self.newer.extend(made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_forgotten_within_two_turns() {
        let mut state = State::new();
        let ago = |time| Instant::now().checked_sub(time).expect("uptime");
        state.remember([(1, ProductId(7))].into_iter());
        state.since = ago(TURN);
        state.remember([(2, ProductId(8))].into_iter());
        assert_eq!((state.get(1), state.get(2)), (Some(ProductId(7)), Some(ProductId(8))));
        state.since = ago(TURN);
        assert_eq!((state.get(1), state.get(2)), (None, Some(ProductId(8))));
        state.since = ago(2 * TURN);
        assert_eq!(state.get(2), None);
    }
}
