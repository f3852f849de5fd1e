//! The sources of nondeterminism: tasks, time and randomness.
//!
//! In production these are Tokio's tasks and timers, the monotonic clock and the
//! thread's random generator, called directly. A request's path uses them through
//! this module alone, so that the simulation can replace all of them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rand::distr::{Distribution, StandardUniform};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

#[cfg(test)]
use crate::simulation::world;

pub(crate) fn now() -> Instant {
    #[cfg(test)]
    if let Some(world) = world::current() {
        return world.now();
    }
    Instant::now()
}

/// The time since `since`; zero if that lies ahead.
pub(crate) fn elapsed(since: Instant) -> Duration {
    now().saturating_duration_since(since)
}

pub(crate) async fn sleep(time: Duration) {
    #[cfg(test)]
    if let Some(world) = world::current() {
        return world.sleep(time).await;
    }
    tokio::time::sleep(time).await;
}

/// Waits for `work` for at most `bound`; `None` on a timeout.
pub(crate) async fn timeout<T>(bound: Duration, work: impl Future<Output = T>) -> Option<T> {
    #[cfg(test)]
    if let Some(world) = world::current() {
        return world.timeout(bound, work).await;
    }
    tokio::time::timeout(bound, work).await.ok()
}

/// Draws from the thread's cryptographic generator.
///
/// The generator is reseeded in each process: forked children have copies of
/// their parent's, and would all draw the same.
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
    // It does not fail where the generator could be seeded before.
    if SEEDED_IN.get() != process && rand::rng().reseed().is_ok() {
        SEEDED_IN.set(process);
    }
    rand::random()
}

/// The simulation's seed for jitter; `None` in production.
pub(crate) fn jitter_seed() -> Option<u64> {
    #[cfg(test)]
    return world::current().map(|world| world.random());
    #[cfg(not(test))]
    None
}

#[derive(Clone)]
pub(crate) enum Runtime {
    Tokio(Handle),
    #[cfg(test)]
    Simulated(world::Process),
}

impl Runtime {
    /// Spawns a task, which completes whether or not its result is awaited. The
    /// result is `None` if the runtime has shut down or the task panicked.
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
