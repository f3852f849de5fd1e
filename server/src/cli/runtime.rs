//! Runs a command's work: in a Tokio runtime, and on an open engine.

use std::future::Future;
use std::time::Duration;

use stockade::{AsyncEngine, Migrate};

use crate::command_error::CommandError;
use crate::values::Values;

pub(super) fn in_runtime<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::system("failed to start the Tokio runtime", &error))?;
    let done = runtime.block_on(work);
    // Tasks that outlived the drain timeout are not waited for again.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

/// Forbids creating a store, so that a misspelt name is an error.
pub(super) fn forbid_store_creation(values: &mut Values) {
    let is_remote = values.config.names_a_running_engine();
    if !is_remote && values.config.migrate == Migrate::Auto {
        values.config.migrate = Migrate::Check;
    }
}

/// Opens an engine without a sweeper, runs one operation on it, and closes it.
pub(super) async fn with_engine<T>(
    mut values: Values,
    work: impl AsyncFnOnce(&AsyncEngine) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    values.config.set("sweeper", "false")?;
    let engine = AsyncEngine::with_config(values.config).await?;
    let done = work(&engine).await;
    engine.close().await;
    done
}
