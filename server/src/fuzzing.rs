//! A server without sockets, whose clients are the fuzz targets in
//! `server/fuzz`; built with the feature `fuzzing` only.

use std::sync::Arc;

use hyper_util::server::graceful::GracefulShutdown;
use stockade::AsyncEngine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::App;
use crate::connection::Serving;
use crate::failure::Failure;
pub use crate::listeners::Door;
use crate::settings::Settings;
use crate::signature::Verifier;

/// The moment by which the server judges signatures, in seconds since 1970: it
/// stands still, so that a signature that was valid once always is.
pub const NOW: i64 = 1_700_000_000;

/// The most bytes on their way in one direction.
const UNDER_WAY_MAX: usize = 64 << 10;

/// How often all tasks get their turn before it counts that nothing is done.
const TURNS: usize = 16;

/// A server whose clients are in the same process.
pub struct Server {
    app: Arc<App>,
    serving: Serving,
}

impl Server {
    /// A server on this engine.
    ///
    /// # Errors
    /// Says why the server cannot begin.
    pub fn new(engine: AsyncEngine, settings: &Settings) -> Result<Self, Failure> {
        let mut app = App::new(engine, settings)?;
        app.shared.verifier = Verifier::with_clock(&settings.webhook_secret, || NOW);
        Ok(Self { app: Arc::new(app), serving: Serving::new(settings) })
    }

    /// Everything that comes back on a connection on which a client sends these
    /// bytes, waits until all is done that can be, and then says that it has no
    /// more. It comes as if by this door.
    pub async fn exchange(&self, door: Door, sent: &[u8]) -> Vec<u8> {
        let (here, there) = tokio::io::duplex(UNDER_WAY_MAX);
        let graceful = GracefulShutdown::new();
        let serving = self.serving.serve(Box::pin(here), door, &self.app, graceful.watcher());
        let (mut back, mut to) = tokio::io::split(there);
        // A server that has closed takes and gives no more: what it gave counts.
        let sending = async {
            if to.write_all(sent).await.is_ok() {
                self.quiet().await;
                let _ = to.shutdown().await;
            }
        };
        let mut came = Vec::new();
        let receiving = back.read_to_end(&mut came);
        let _ = tokio::join!(serving, sending, receiving);
        came
    }

    /// Waits until no request is under way but those whose bodies still arrive.
    async fn quiet(&self) {
        loop {
            // Turns enough for what was sent to be read and taken up.
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            if self.app.waits_for_clients() {
                return;
            }
        }
    }
}
