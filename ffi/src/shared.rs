//! Engines that a process keeps, for callers that cannot keep a handle.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stockade::Engine;

use crate::failure::Failure;
use crate::options::Settings;

/// A process hardly has more shops.
const ENGINES_MAX: usize = 16;

/// What came of opening an engine; those who ask meanwhile wait for it.
type Opening = OnceLock<Result<Engine, Failure>>;

/// The engines of one process, by their settings.
struct Kept {
    process: u32,
    /// Held for a look-up and never while an engine is opened, which may take
    /// as long as a store is silent.
    openings: Mutex<BTreeMap<BTreeMap<String, String>, Arc<Opening>>>,
}

/// Those of this process, or null or a forebear's until an engine is asked for.
static KEPT: AtomicPtr<Kept> = AtomicPtr::new(ptr::null_mut());

impl Kept {
    /// What this process keeps. The child of a fork begins anew and leaves what
    /// it has of the parent's as it is for ever: the threads behind it are not
    /// here, and one of them may have had it locked at the fork.
    fn of_this_process() -> &'static Self {
        let own = std::process::id();
        let mut known = KEPT.load(Ordering::Acquire);
        loop {
            // SAFETY: it is null or was made below, and is never freed.
            match unsafe { known.as_ref() } {
                Some(kept) if kept.process == own => return kept,
                _ => {}
            }
            let new = Box::into_raw(Box::new(Self { process: own, openings: Mutex::default() }));
            match KEPT.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: it was made above, and is never freed from now on.
                Ok(_) => return unsafe { &*new },
                Err(newer) => {
                    // SAFETY: it was made above, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    known = newer;
                }
            }
        }
    }

    fn openings(&self) -> MutexGuard<'_, BTreeMap<BTreeMap<String, String>, Arc<Opening>>> {
        self.openings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The opening of an engine with these settings, at whatever stage it is.
    fn opening(&self, given: &BTreeMap<String, String>) -> Result<Arc<Opening>, Failure> {
        let mut openings = self.openings();
        if let Some(opening) = openings.get(given) {
            return Ok(Arc::clone(opening));
        }
        if openings.len() >= ENGINES_MAX {
            let why =
                format!("this process shares {ENGINES_MAX} engines of other settings already");
            return Err(Failure::misuse(why));
        }
        let opening = Arc::default();
        openings.insert(given.clone(), Arc::clone(&opening));
        Ok(opening)
    }

    /// Lets the next who asks try again.
    fn forget(&self, given: &BTreeMap<String, String>, failed: &Arc<Opening>) {
        let mut openings = self.openings();
        if openings.get(given).is_some_and(|opening| Arc::ptr_eq(opening, failed)) {
            openings.remove(given);
        }
    }
}

/// This process's engine with these settings.
pub(crate) fn engine(settings: Settings) -> Result<Engine, Failure> {
    let Settings { given, config } = settings;
    let kept = Kept::of_this_process();
    let opening = kept.opening(&given)?;
    let opened = opening.get_or_init(|| Ok(Engine::builder().config(config).open()?));
    if opened.is_err() {
        kept.forget(&given, &opening);
    }
    opened.clone()
}
