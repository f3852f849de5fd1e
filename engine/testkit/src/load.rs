//! Runs workers on threads of their own for as long as a script runs.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::wait_until;

/// How long a script waits for requests to be served.
const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// The state that a script and its workers share.
#[derive(Debug, Default)]
pub struct Load {
    served: AtomicU64,
    is_stopped: AtomicBool,
}

impl Load {
    /// Waits until this many more requests were served.
    ///
    /// # Panics
    /// When they are not within a minute.
    pub fn wait_for(&self, more: u64) {
        let goal = self.served.load(Ordering::Relaxed) + more;
        wait_until("requests are served", SERVED_WITHIN, || {
            self.served.load(Ordering::Relaxed) >= goal
        });
    }

    /// Returns whether the script has ended. A worker then stops.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Stops the workers.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Counts a served request.
    pub fn count_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stops the workers also when the script panics.
struct StopOnDrop<'a>(&'a Load);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs each worker on its own thread while `script` runs. Returns the workers'
/// results in order.
///
/// # Panics
/// With the panic of the script or of a worker.
pub fn under_load<W: FnOnce(&Load) -> R + Send, R: Send>(
    workers: impl IntoIterator<Item = W>,
    script: impl FnOnce(&Load),
) -> Vec<R> {
    let load = Load::default();
    thread::scope(|scope| {
        let stop = StopOnDrop(&load);
        let load = &load;
        let start = |worker: W| scope.spawn(move || worker(load));
        let workers: Vec<_> = workers.into_iter().map(start).collect();
        script(load);
        drop(stop);
        let joined = workers.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|result| result.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_load_runs_workers_until_the_script_ends() {
        let worker = |number: u64| {
            move |load: &Load| {
                while !load.is_stopped() {
                    load.count_served();
                }
                number
            }
        };
        assert_eq!(under_load([worker(1), worker(2)], |load| load.wait_for(100)), [1, 2]);
    }
}
