//! The control room at `/admin`: a page that shows operators the shop as it is now, and
//! has buttons for what they do.
//!
//! The page's files are part of the program and have no data of the shop. The page reads
//! and acts by the HTTP API, as any client does, and is told by a stream of server-sent
//! events when to read again. One producer makes the stream for all viewers, and runs
//! while there is one.

mod counters;
mod cursor;
mod feed;
mod files;
mod frame;
mod producer;

use std::sync::Arc;

use hyper::{HeaderMap, Response};

use crate::app::App;
use crate::limits::Limit;
use crate::problem::{Code, Rejection};
use crate::response::{self, Body};

use feed::Feed;
use files::Files;

/// The most viewers at a time: operators, not buyers.
const VIEWERS_MAX: usize = 32;

/// The page and its stream. One instance per server.
pub struct ControlRoom {
    files: Files,
    viewers: Limit,
    feed: Feed,
}

impl ControlRoom {
    /// Creates it, without a viewer.
    pub fn new() -> Self {
        Self { files: Files::new(), viewers: Limit::new(VIEWERS_MAX), feed: Feed::default() }
    }

    /// Creates one that refuses all viewers: a stream has no end that a fuzz target could
    /// wait for.
    #[cfg(feature = "fuzzing")]
    pub fn without_viewers() -> Self {
        Self { viewers: Limit::new(0), ..Self::new() }
    }

    /// Returns a file of the page.
    ///
    /// # Errors
    /// `not_found`
    pub fn file(&self, path: &str, headers: &HeaderMap) -> Result<Response<Body>, Rejection> {
        self.files.response(path, headers)
    }

    /// Starts the stream of a viewer.
    ///
    /// # Errors
    /// `contention` for too many viewers, `unavailable` while the server shuts down.
    pub fn stream(app: &Arc<App>) -> Result<Response<Body>, Rejection> {
        let room = &app.control_room;
        if app.state.is_draining() {
            return Err(Rejection::Server(Code::Unavailable, "the server is shutting down".into()));
        }
        let full = || {
            let why = format!("{VIEWERS_MAX} control rooms are open; close one of them");
            Rejection::Server(Code::Contention, why.into())
        };
        let permit = room.viewers.enter().ok_or_else(full)?;
        let viewer = room.feed.subscribe(app.state.engine.config(), permit, || {
            tokio::spawn(producer::run(Arc::clone(app)))
        });
        Ok(response::streamed("text/event-stream", viewer.frames()))
    }

    /// Returns what the producer publishes to.
    fn feed(&self) -> &Feed {
        &self.feed
    }
}
