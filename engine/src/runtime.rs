//! What the engine takes from its surroundings: tasks, time and chance.
//!
//! In use these are tokio's tasks and timers, the machine's clock and the
//! thread's generator, called directly. They are asked for here and nowhere
//! else on the way of a request, so that the simulation
//! can stand in for all of them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rand::distr::{Distribution, StandardUniform};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

#[cfg(test)]
use crate::simulation::world;

/// The time now.
pub(crate) fn now() -> Instant {
    #[cfg(test)]
    if let Some(world) = world::current() {
        return world.now();
    }
    Instant::now()
}

/// The time that has passed since.
pub(crate) fn elapsed(since: Instant) -> Duration {
    now().saturating_duration_since(since)
}

/// Ends after `time`.
pub(crate) async fn sleep(time: Duration) {
    #[cfg(test)]
    if let Some(world) = world::current() {
        return world.sleep(time).await;
    }
    tokio::time::sleep(time).await;
}

/// Waits for `work`, for at most `bound`; `None` when that is over.
pub(crate) async fn timeout<T>(bound: Duration, work: impl Future<Output = T>) -> Option<T> {
    #[cfg(test)]
    if let Some(world) = world::current() {
        return world.timeout(bound, work).await;
    }
    tokio::time::timeout(bound, work).await.ok()
}

/// Draws from the thread's cryptographic generator.
///
/// A forked child has a copy of its parent's, and so has every other child:
/// all would draw the same, were it not seeded anew in each process.
pub(crate) fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    #[cfg(test)]
    if let Some(world) = world::current() {
        return world.random();
    }
    thread_local! {
        static SEEDED_IN: Cell<u32> = const { Cell::new(0) };
    }
    let process = std::process::id();
    // It fails nowhere where the generator could be seeded at all.
    if SEEDED_IN.get() != process && rand::rng().reseed().is_ok() {
        SEEDED_IN.set(process);
    }
    rand::random()
}

/// A seed for jitter; `None` for one of its own.
pub(crate) fn jitter_seed() -> Option<u64> {
    #[cfg(test)]
    return world::current().map(|world| world.random());
    #[cfg(not(test))]
    None
}

/// Where an engine's tasks run.
#[derive(Clone)]
pub(crate) enum Runtime {
    Tokio(Handle),
    #[cfg(test)]
    Simulated(world::Process),
}

impl Runtime {
    /// Spawns a task that ends with its work, whether or not it is waited for.
    /// `None` when the runtime is gone or the task panicked.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send + 'static {
        let task = match self {
            Self::Tokio(handle) => Spawned::Tokio(handle.spawn(work)),
            #[cfg(test)]
            Self::Simulated(process) => Spawned::Simulated(process.spawn(work)),
        };
        async move {
            match task {
                Spawned::Tokio(task) => task.await.ok(),
                #[cfg(test)]
                Spawned::Simulated(done) => done.await.ok(),
            }
        }
    }

    /// Spawns a task that `tracker` can wait for.
    pub fn spawn_tracked(
        &self,
        tracker: &TaskTracker,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        drop(self.spawn(tracker.track_future(work)));
    }
}

enum Spawned<T> {
    Tokio(tokio::task::JoinHandle<T>),
    #[cfg(test)]
    Simulated(tokio::sync::oneshot::Receiver<T>),
}
