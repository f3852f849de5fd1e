//! An in-process server without sockets, for the fuzz targets in `server/fuzz`;
//! only with the feature `fuzzing`.

use std::sync::Arc;

use hyper_util::server::graceful::GracefulShutdown;
use stockade::AsyncEngine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api_keys::ApiKeys;
use crate::app::App;
use crate::command_error::CommandError;
use crate::connection::ConnectionServer;
use crate::control_room::ControlRoom;
use crate::listeners::Peer;
pub use crate::listeners::Transport;
use crate::providers::Providers;
use crate::settings::Settings;
use crate::signature::Verifier;

/// The clock for signature checks, in seconds since 1970. Fixed, so that a
/// signature in the corpus stays valid.
pub const NOW: i64 = 1_700_000_000;

/// The most bytes buffered in one direction.
const UNDER_WAY_MAX: usize = 64 << 10;

/// How often every task may run before the server counts as idle.
const TURNS: usize = 16;

/// A server whose clients are in the same process.
pub struct Server {
    app: Arc<App>,
    serving: ConnectionServer,
}

impl Server {
    /// Creates a server for an open engine.
    ///
    /// # Errors
    /// Why the server cannot start.
    pub fn new(engine: AsyncEngine, settings: &Settings) -> Result<Self, CommandError> {
        let mut app = App::new(engine, settings, ApiKeys::load(settings)?)?;
        app.state.verifier = Verifier::with_clock(&settings.webhook_secret, || NOW);
        app.state.providers = Providers::with_clock(settings, || NOW);
        app.control_room = ControlRoom::without_viewers();
        Ok(Self { app: Arc::new(app), serving: ConnectionServer::new(settings) })
    }

    /// Sends these bytes over a connection of this transport, waits until the
    /// server is idle, closes the sending half, and returns everything
    /// received.
    pub async fn exchange(&self, transport: Transport, sent: &[u8]) -> Vec<u8> {
        let (here, there) = tokio::io::duplex(UNDER_WAY_MAX);
        let graceful = GracefulShutdown::new();
        let peer = Peer::on(transport);
        let serving = self.serving.serve(Box::pin(here), peer, &self.app, graceful.watcher());
        let (mut back, mut to) = tokio::io::split(there);
        // A server that closed the connection reads no more; what it sent
        // counts.
        let sending = async {
            if to.write_all(sent).await.is_ok() {
                self.quiet().await;
                let _ = to.shutdown().await;
            }
        };
        let mut received = Vec::new();
        let receiving = back.read_to_end(&mut received);
        let _ = tokio::join!(serving, sending, receiving);
        received
    }

    /// Waits until every request in flight is still receiving its body.
    async fn quiet(&self) {
        loop {
            // Yields often enough for the sent bytes to be read and dispatched.
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            if self.app.waits_for_clients() {
                return;
            }
        }
    }
}
