//! One history: callers, what befalls the processes, and what is so at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::callers;
use super::checks;
use super::log::{Findings, Wrong};
use super::probe::probe;
use super::shop::{PATIENCE, Shop};
use super::weather::Ill;
use super::world::{Process, here};
use crate::backend::Backend;
use crate::runtime;

/// After the faults: all that is due goes back within this.
const CALM: Duration = Duration::from_secs(60);
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// What came of a history.
pub(super) struct Told {
    pub operations: u64,
    pub struck: BTreeMap<Ill, u64>,
    pub findings: Findings,
}

/// Plays one history.
pub(super) async fn play() -> Told {
    let shop = Shop::drawn();
    let world = here();
    let engines = world.draw(1..4);
    let seats = (0..engines).map(|_| shop.open()).collect();
    *shop.seats() = seats;
    // A crowd on few products, or fewer who do more.
    let (crowd, each) = world.pick(&[(8, 8), (16, 5), (24, 4), (90, 2)]);
    let calling: Vec<_> = (0..crowd)
        .map(|_| Process::OUTSIDE.spawn(callers::call(Arc::clone(&shop), each)))
        .collect();
    let stop = CancellationToken::new();
    let disturbing = Process::OUTSIDE.spawn(Arc::clone(&shop).disturb(stop.clone()));
    for caller in calling {
        let _ = caller.await;
    }
    stop.cancel();
    let _ = disturbing.await;
    shop.weather.clear_up();
    runtime::sleep(CALM).await;
    probe(&shop).await;
    let seats = shop.seats().clone();
    for seat in seats {
        if runtime::timeout(PATIENCE, seat.core.close(CLOSE_WAIT)).await.is_none() {
            shop.log.wrong(Wrong::Unexplained, "an engine did not close".to_owned());
        }
    }
    let findings = checks::compare(&shop);
    shop.database.read(|tables| {
        world.note(&format!("{:?}{:?}{:?}", tables.products, tables.holds, tables.orders));
    });
    Told { operations: shop.log.operations(), struck: shop.weather.count(), findings }
}
