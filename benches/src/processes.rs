//! Several processes on one product, each with its own engine and callers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stockade::Mechanism;
use tokio::runtime::Runtime;
use tokio::task::block_in_place;

use crate::bench::{Bench, Lengths};
use crate::child::{self, Child};
use crate::closed::ClosedPlan;
use crate::contenders::{Products, Stockade, engine_without};
use crate::erased::{ErasedContender, erase};
use crate::open::OpenPlan;
use crate::run::Run;
use crate::setup::Shop;

/// What a child opens.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    url: String,
    redis: Option<(String, String)>,
    without: Vec<Mechanism>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Order {
    Closed(ClosedPlan),
    Open(OpenPlan),
    Each { callers: usize, times: u64 },
}

/// The durations that give each of eight processes many turns.
#[must_use]
pub fn lengths(bench: &Bench) -> Lengths {
    let measured = Duration::from_millis(if bench.is_quick() { 1_200 } else { 2000 });
    Lengths { warm_up: measured / 3, measured, ..bench.lengths() }
}

/// Processes that hold units of product 1 of one shop. They start and stop
/// together; callers are per process.
pub struct Processes {
    name: &'static str,
    count: usize,
    children: Mutex<Vec<Child>>,
    _shop: Shop,
}

impl Processes {
    /// Starts them and waits until all have opened the shop.
    #[must_use]
    pub fn open(name: &'static str, shop: Shop, count: usize) -> Self {
        Self::open_without(name, shop, count, &[])
    }

    /// The same, with engines that lack these mechanisms.
    #[must_use]
    pub fn open_without(
        name: &'static str,
        shop: Shop,
        count: usize,
        without: &[Mechanism],
    ) -> Self {
        let (url, redis) = (shop.url.clone(), shop.redis.clone());
        let task = Task { url, redis, without: without.to_vec() };
        let mut children: Vec<Child> = (0..count).map(|_| Child::start(&task)).collect();
        for child in &mut children {
            let () = child.answer();
        }
        Self { name, count, children: Mutex::new(children), _shop: shop }
    }

    /// Sends all the same order and waits for all answers.
    fn ask<A: DeserializeOwned>(&self, order: Order) -> Vec<A> {
        block_in_place(|| {
            let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
            children.iter_mut().for_each(|child| child.order(&order));
            children.iter_mut().map(Child::answer).collect()
        })
    }
}

impl ErasedContender for Processes {
    fn name(&self) -> &str {
        self.name
    }

    fn has_callers(&self) -> bool {
        true
    }

    fn units_of(&self, callers: usize) -> u64 {
        (callers * self.count) as u64
    }

    fn closed(&self, plan: ClosedPlan) -> BoxFuture<'_, Run> {
        Box::pin(async move { Run::together(self.ask(Order::Closed(plan))) })
    }

    fn open(&self, plan: OpenPlan) -> BoxFuture<'_, Run> {
        // The rate is the total of all processes.
        let rate = plan.rate / self.count as f64;
        Box::pin(async move { Run::together(self.ask(Order::Open(OpenPlan { rate, ..plan }))) })
    }

    fn each(&self, callers: usize, times: u64) -> BoxFuture<'_, Duration> {
        Box::pin(async move {
            let taken = self.ask(Order::Each { callers, times });
            taken.into_iter().max().unwrap_or_default()
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
            block_in_place(|| children.clear());
        })
    }
}

/// Runs a child until its parent closes the pipe.
pub fn serve(runtime: &Runtime, task: Task) {
    let shop = Shop::at(task.url, task.redis);
    let builder = engine_without(&shop, &task.without);
    let stockade = runtime.block_on(Stockade::open_with(builder, shop, Products::One));
    let stockade = erase(stockade);
    child::answer(&());
    for order in child::orders() {
        match order {
            Order::Closed(plan) => child::answer(&runtime.block_on(stockade.closed(plan))),
            Order::Open(plan) => child::answer(&runtime.block_on(stockade.open(plan))),
            Order::Each { callers, times } => {
                child::answer(&runtime.block_on(stockade.each(callers, times)));
            }
        }
    }
    runtime.block_on(stockade.close());
}
