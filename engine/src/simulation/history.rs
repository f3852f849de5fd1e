//! Runs one history: callers, process faults, and the final checks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::callers;
use super::checks;
use super::fault_schedule::FaultKind;
use super::log::{Findings, Violation};
use super::probe::probe;
use super::shop::{RESPONSE_TIMEOUT, Shop};
use super::world::{Process, here};
use crate::backend::Backend;
use crate::runtime;

/// Time after the faults in which the sweepers return all expired stock.
const SETTLE_TIME: Duration = Duration::from_secs(60);
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// The result of one history.
pub(super) struct HistoryOutcome {
    pub operations: u64,
    pub struck: BTreeMap<FaultKind, u64>,
    pub findings: Findings,
}

/// Runs one history.
pub(super) async fn run() -> HistoryOutcome {
    let shop = Shop::drawn();
    let world = here();
    let engines = world.draw(1..4);
    let handles = (0..engines).map(|_| shop.open()).collect();
    *shop.handles() = handles;
    // Many callers with few requests each, or few callers with many.
    let (crowd, each) = world.pick(&[(8, 8), (16, 5), (24, 4), (90, 2)]);
    let calling: Vec<_> = (0..crowd)
        .map(|_| Process::OUTSIDE.spawn(callers::call(Arc::clone(&shop), each)))
        .collect();
    let stop = CancellationToken::new();
    let disturbing = Process::OUTSIDE.spawn(Arc::clone(&shop).inject_process_faults(stop.clone()));
    for caller in calling {
        let _ = caller.await;
    }
    stop.cancel();
    let _ = disturbing.await;
    shop.faults.clear();
    runtime::sleep(SETTLE_TIME).await;
    probe(&shop).await;
    let handles = shop.handles().clone();
    for handle in handles {
        if runtime::timeout(RESPONSE_TIMEOUT, handle.backend.close(CLOSE_WAIT)).await.is_none() {
            shop.log.report(Violation::Unexplained, "an engine did not close".to_owned());
        }
    }
    let findings = checks::compare(&shop);
    shop.database.read(|tables| {
        world.note(&format!("{:?}{:?}{:?}", tables.products, tables.holds, tables.orders));
    });
    HistoryOutcome { operations: shop.log.operations(), struck: shop.faults.count(), findings }
}
