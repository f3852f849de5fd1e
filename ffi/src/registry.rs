//! The registry of shared engines, for callers that cannot keep a handle.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stockade::Engine;

use crate::ffi_error::FfiError;
use crate::options::Settings;

/// The most shared engines of a process; a guard against a leak, since few
/// programs have more than a handful of stores.
const ENGINES_MAX: usize = 16;

/// An engine being opened, or the result; concurrent callers wait
/// (single-flight).
type EngineCell = OnceLock<Result<Engine, FfiError>>;

/// The shared engines of one process, by their settings.
struct EngineRegistry {
    process: u32,
    /// Guards the map. A plain mutex: held for one lookup and never while an
    /// engine is opened, which takes as long as the store does not respond.
    cells: Mutex<BTreeMap<BTreeMap<String, String>, Arc<EngineCell>>>,
}

/// This process's registry; null, or a parent process's, until first use.
static REGISTRY: AtomicPtr<EngineRegistry> = AtomicPtr::new(ptr::null_mut());

impl EngineRegistry {
    /// Returns this process's registry. The child of a fork creates its own and
    /// leaks the parent's: its threads do not exist here, and its mutex may
    /// have been locked at the fork.
    fn of_this_process() -> &'static Self {
        let own = std::process::id();
        let mut known = REGISTRY.load(Ordering::Acquire);
        loop {
            // SAFETY: null, or created below and never freed.
            match unsafe { known.as_ref() } {
                Some(kept) if kept.process == own => return kept,
                _ => {}
            }
            let new = Box::into_raw(Box::new(Self { process: own, cells: Mutex::default() }));
            match REGISTRY.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: created above, and never freed from now on.
                Ok(_) => return unsafe { &*new },
                Err(newer) => {
                    // SAFETY: created above, and not shared with any other
                    // thread.
                    drop(unsafe { Box::from_raw(new) });
                    known = newer;
                }
            }
        }
    }

    fn cells(&self) -> MutexGuard<'_, BTreeMap<BTreeMap<String, String>, Arc<EngineCell>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cell of an engine with these settings, opened or not.
    fn cell(&self, given: &BTreeMap<String, String>) -> Result<Arc<EngineCell>, FfiError> {
        let mut cells = self.cells();
        if let Some(opening) = cells.get(given) {
            return Ok(Arc::clone(opening));
        }
        if cells.len() >= ENGINES_MAX {
            let why = format!(
                "this process already shares {ENGINES_MAX} engines with other settings; reuse one of them"
            );
            return Err(FfiError::misuse(why));
        }
        let opening = Arc::default();
        cells.insert(given.clone(), Arc::clone(&opening));
        Ok(opening)
    }

    /// Removes a failed cell, so that the next caller tries again.
    fn forget(&self, given: &BTreeMap<String, String>, failed: &Arc<EngineCell>) {
        let mut cells = self.cells();
        if cells.get(given).is_some_and(|opening| Arc::ptr_eq(opening, failed)) {
            cells.remove(given);
        }
    }
}

/// Returns this process's engine with these settings.
pub(crate) fn engine(settings: Settings) -> Result<Engine, FfiError> {
    let Settings { given, config } = settings;
    let kept = EngineRegistry::of_this_process();
    let opening = kept.cell(&given)?;
    let opened = opening.get_or_init(|| Ok(Engine::builder().config(config).open()?));
    if opened.is_err() {
        kept.forget(&given, &opening);
    }
    opened.clone()
}
