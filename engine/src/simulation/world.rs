//! Schedules tasks and simulates time on one thread with one seeded random
//! generator.
//!
//! Each step polls one runnable task, drawn at random, to its next await. When
//! none is runnable, time jumps to the next timer. Tasks belong to processes,
//! which can be paused and killed as a whole.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::oneshot;

thread_local! {
    static CURRENT: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// Returns this thread's simulation, if one runs.
pub(crate) fn current() -> Option<Arc<World>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Returns this thread's simulation.
pub(super) fn here() -> Arc<World> {
    current().expect("only called inside a simulation")
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type TaskId = u64;

/// Bounds the steps of one history; no correct history comes close.
const STEPS_MAX: u64 = 3_000_000;

/// A group of tasks that is paused and killed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Process(pub u64);

impl Process {
    /// The callers and the test driver.
    pub const OUTSIDE: Self = Self(0);
    /// The database, Redis and the network.
    pub const SERVERS: Self = Self(1);

    pub fn spawn<T: Send + 'static>(
        self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, waits) = oneshot::channel();
        here().spawn(self, async move {
            // The receiver may be dropped.
            let _ = done.send(work.await);
        });
        waits
    }
}

pub(crate) struct World {
    start: Instant,
    state: Mutex<State>,
    ready: Arc<Mutex<Vec<TaskId>>>,
}

struct State {
    now: Duration,
    rng: StdRng,
    /// Hashes every step and every [`World::note`].
    trace: DefaultHasher,
    steps: u64,
    next_task: TaskId,
    next_timer: u64,
    timers: BTreeMap<(Duration, u64), Waker>,
    spawned: Vec<(TaskId, Process, Task)>,
    paused: BTreeMap<Process, Duration>,
    dead: BTreeSet<Process>,
    /// Dead processes whose tasks are not dropped yet.
    dying: BTreeSet<Process>,
}

/// How a history ended.
pub(super) struct Ended<T> {
    /// `None` when it exceeded its step or time limit.
    pub outcome: Option<T>,
    /// A hash of every step: equal traces mean equal histories.
    pub trace: u64,
    pub steps: u64,
    pub took: Duration,
}

struct TaskWaker {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<TaskId>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
        }
    }
}

struct LiveTask {
    process: Process,
    task: Task,
    waker: Arc<TaskWaker>,
}

/// Clears the thread's simulation on drop, also during a panic.
struct CurrentGuard;

impl Drop for CurrentGuard {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(Option::take);
    }
}

impl World {
    /// Runs the future of `begin` to its end, for at most `limit` of simulated
    /// time.
    pub(super) fn run<T, F>(seed: u64, limit: Duration, begin: impl FnOnce() -> F) -> Ended<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let world = Arc::new(Self {
            start: Instant::now(),
            state: Mutex::new(State {
                now: Duration::ZERO,
                rng: StdRng::seed_from_u64(seed),
                trace: DefaultHasher::new(),
                steps: 0,
                next_task: 0,
                next_timer: 0,
                timers: BTreeMap::new(),
                spawned: Vec::new(),
                paused: BTreeMap::new(),
                dead: BTreeSet::new(),
                dying: BTreeSet::new(),
            }),
            ready: Arc::default(),
        });
        CURRENT.with_borrow_mut(|current| *current = Some(Arc::clone(&world)));
        let _guard = CurrentGuard;
        let mut end = Process::OUTSIDE.spawn(begin());
        let mut live = BTreeMap::new();
        let mut outcome = None;
        while outcome.is_none() && world.step(&mut live, limit) {
            outcome = end.try_recv().ok();
        }
        // Drop handlers of the remaining tasks must not change the trace.
        drop(live);
        world.state().spawned.clear();
        let state = world.state();
        Ended { outcome, trace: state.trace.finish(), steps: state.steps, took: state.now }
    }

    /// Polls one task, or advances time; returns whether the simulation can
    /// continue.
    fn step(&self, live: &mut BTreeMap<TaskId, LiveTask>, limit: Duration) -> bool {
        let (spawned, dying) = {
            let mut state = self.state();
            (std::mem::take(&mut state.spawned), std::mem::take(&mut state.dying))
        };
        for (id, process, task) in spawned {
            let ready = Arc::clone(&self.ready);
            let waker = Arc::new(TaskWaker { id, queued: AtomicBool::new(false), ready });
            Arc::clone(&waker).wake();
            live.insert(id, LiveTask { process, task, waker });
        }
        if !dying.is_empty() {
            let (last, rest) =
                std::mem::take(live).into_iter().partition(|(_, one)| dying.contains(&one.process));
            *live = rest;
            drop::<BTreeMap<TaskId, LiveTask>>(last);
            return true;
        }
        let Some(id) = self.draw_ready(live) else { return self.pass_time(limit) };
        let Some(mut one) = live.remove(&id) else { return true };
        one.waker.queued.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&one.waker));
        if one.task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            live.insert(id, one);
        }
        self.state().steps < STEPS_MAX
    }

    /// Draws one runnable task.
    fn draw_ready(&self, live: &BTreeMap<TaskId, LiveTask>) -> Option<TaskId> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|id| live.contains_key(id));
        let mut state = self.state();
        let now = state.now;
        state.paused.retain(|_, until| *until > now);
        let can_go_on =
            |id: &TaskId| live.get(id).is_some_and(|one| !state.paused.contains_key(&one.process));
        let able: Vec<usize> = (0..ready.len()).filter(|at| can_go_on(&ready[*at])).collect();
        if able.is_empty() {
            return None;
        }
        let at = able[state.rng.random_range(0..able.len())];
        let id = ready.swap_remove(at);
        state.steps += 1;
        (id, now).hash(&mut state.trace);
        Some(id)
    }

    /// Advances time to the next timer or the end of a pause.
    fn pass_time(&self, limit: Duration) -> bool {
        let due = {
            let mut state = self.state();
            let timer = state.timers.first_key_value().map(|((at, _), _)| *at);
            let pause = state.paused.values().min().copied();
            let Some(next) = timer.into_iter().chain(pause).min() else { return false };
            if next > limit {
                return false;
            }
            state.now = state.now.max(next);
            let later = state.timers.split_off(&(next, u64::MAX));
            std::mem::replace(&mut state.timers, later)
        };
        due.into_values().for_each(Waker::wake);
        true
    }

    fn spawn(&self, process: Process, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        if state.dead.contains(&process) {
            return;
        }
        state.next_task += 1;
        let id = state.next_task;
        state.spawned.push((id, process, Box::pin(task)));
    }

    /// Suspends the process's tasks for a time. Ignores a paused process:
    /// extending its pause again and again would starve it.
    pub fn pause(&self, process: Process, time: Duration) {
        let mut state = self.state();
        let until = state.now + time;
        state.paused.entry(process).or_insert(until);
    }

    /// Drops all tasks of the process at their current await.
    pub fn kill(&self, process: Process) {
        let mut state = self.state();
        state.dead.insert(process);
        state.dying.insert(process);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Instant {
        self.start + self.state().now
    }

    /// The simulated time since the start.
    pub fn time(&self) -> Duration {
        self.state().now
    }

    pub fn random<T>(&self) -> T
    where
        StandardUniform: Distribution<T>,
    {
        self.state().rng.random()
    }

    /// Draws a number from the range.
    pub fn draw(&self, range: Range<u64>) -> u64 {
        self.state().rng.random_range(range)
    }

    /// Draws true with probability `chance`.
    pub fn happens(&self, chance: f64) -> bool {
        chance > 0.0 && self.state().rng.random_bool(chance)
    }

    /// Draws a duration from the range, in whole microseconds.
    pub fn draw_time(&self, range: Range<Duration>) -> Duration {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.draw(micros(range.start)..micros(range.end)))
    }

    /// Draws one element.
    pub fn pick<T: Copy>(&self, among: &[T]) -> T {
        let at = self.draw(0..among.len() as u64);
        among[usize::try_from(at).unwrap_or(0)]
    }

    /// Adds a value to the trace hash.
    pub fn note(&self, what: &impl Hash) {
        what.hash(&mut self.state().trace);
    }

    pub async fn sleep(self: &Arc<Self>, time: Duration) {
        Sleep { world: Arc::clone(self), at: self.time() + time, id: None }.await;
    }

    pub async fn timeout<T>(
        self: &Arc<Self>,
        bound: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(bound) => None,
        }
    }
}

struct Sleep {
    world: Arc<World>,
    at: Duration,
    /// The timer's id once it is registered.
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let world = Arc::clone(&self.world);
        let mut state = world.state();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_timer += 1;
            state.next_timer
        });
        state.timers.insert((self.at, id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.world.state().timers.remove(&(self.at, id));
        }
    }
}
