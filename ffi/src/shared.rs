//! Engines that a process keeps, for callers that cannot keep a handle.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use stockade::Engine;

use crate::error::Failure;
use crate::options::Settings;

/// A process hardly has more shops.
const ENGINES_MAX: usize = 16;

/// The engines of one process.
struct Kept {
    process: u32,
    engines: BTreeMap<BTreeMap<String, String>, Engine>,
}

/// Held while an engine is opened, so that one is opened for all who ask.
static KEPT: Mutex<Kept> = Mutex::new(Kept { process: 0, engines: BTreeMap::new() });

/// This process's engine with these settings.
pub(crate) fn engine(settings: Settings) -> Result<Engine, Failure> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let own = std::process::id();
    if kept.process != own {
        // After a fork: they are the parent's, and their threads are not here.
        kept.engines.clear();
        kept.process = own;
    }
    if let Some(engine) = kept.engines.get(&settings.given) {
        return Ok(engine.clone());
    }
    if kept.engines.len() >= ENGINES_MAX {
        let why = format!("this process shares {ENGINES_MAX} engines of other settings already");
        return Err(Failure::misuse(why));
    }
    let engine = Engine::builder().config(settings.config).open()?;
    kept.engines.insert(settings.given, engine.clone());
    Ok(engine)
}
