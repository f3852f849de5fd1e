//! Hands the producer's frames to the viewers, in bounded memory.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::body;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use stockade::Config;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::frame::{Frame, Hello, Sample, event};
use crate::limits::Permit;

/// The most frames that wait for a viewer: 8 seconds. One that falls further behind is
/// dropped, and connects again.
const BEHIND_MAX: usize = 16;

/// The most samples that a new viewer is given: two minutes.
const HISTORY_MAX: usize = 240;

/// The most events that a new viewer is given.
pub const RECENT_MAX: usize = 100;

/// The frames on their way to the viewers.
#[derive(Default)]
pub struct Feed {
    /// None without a viewer. A plain mutex: critical sections never await. It makes the
    /// start of a viewer and the publication of a frame one after the other, so that no
    /// viewer misses a frame or sees it twice.
    running: Mutex<Option<Running>>,
}

struct Running {
    frames: broadcast::Sender<Bytes>,
    producer: JoinHandle<()>,
    history: VecDeque<Sample>,
    recent: VecDeque<Box<RawValue>>,
}

impl Feed {
    /// Adds a viewer, and starts the producer for the first one.
    pub fn subscribe(
        &self,
        config: &Config,
        permit: Permit,
        start: impl FnOnce() -> JoinHandle<()>,
    ) -> Viewer {
        let mut running = self.running.lock();
        // One that has ended by a fault is replaced.
        let running = match running.take().filter(|one| !one.producer.is_finished()) {
            Some(one) => running.insert(one),
            None => running.insert(Running {
                frames: broadcast::Sender::new(BEHIND_MAX),
                producer: start(),
                history: VecDeque::new(),
                recent: VecDeque::new(),
            }),
        };
        let hello = Hello::new(config, &running.history, &running.recent);
        Viewer {
            first: Some(event("hello", &hello)),
            frames: running.frames.subscribe(),
            _permit: permit,
        }
    }

    /// Sends a frame to all viewers. Returns whether there are any; without one, the
    /// producer must end.
    pub fn publish(&self, frame: &Frame) -> bool {
        let mut slot = self.running.lock();
        let Some(running) = slot.as_mut().filter(|one| one.frames.receiver_count() > 0) else {
            *slot = None;
            return false;
        };
        running.history.extend(frame.sample);
        running.recent.extend(frame.events.iter().cloned());
        keep_newest(&mut running.history, HISTORY_MAX);
        keep_newest(&mut running.recent, RECENT_MAX);
        // A viewer that leaves now is no error.
        let _ = running.frames.send(event("frame", frame));
        true
    }

    /// Ends all streams.
    pub fn close(&self) {
        *self.running.lock() = None;
    }
}

fn keep_newest<T>(of: &mut VecDeque<T>, max: usize) {
    of.drain(..of.len().saturating_sub(max));
}

/// One viewer's stream.
pub struct Viewer {
    first: Option<Bytes>,
    frames: broadcast::Receiver<Bytes>,
    _permit: Permit,
}

impl Viewer {
    /// Returns the frames of the response's body. It ends with the server, and when the
    /// viewer is too slow.
    pub fn frames(self) -> impl Stream<Item = io::Result<body::Frame<Bytes>>> + Send + 'static {
        stream::unfold(self, |mut viewer| async move {
            let bytes = viewer.next().await?;
            Some((Ok(body::Frame::data(bytes)), viewer))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        // An error says that the server closed the channel, or that this viewer lagged.
        self.frames.recv().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limit;

    fn idle() -> JoinHandle<()> {
        tokio::spawn(std::future::pending())
    }

    #[tokio::test]
    async fn a_viewer_sees_what_was_before_it_and_every_frame_after() {
        let (feed, limit, config) = (Feed::default(), Limit::new(2), Config::default());
        assert!(!feed.publish(&Frame::numbered(0)), "there is no viewer");
        let mut first = feed.subscribe(&config, limit.enter().unwrap(), idle);
        assert!(feed.publish(&Frame::numbered(1)));
        let never = || panic!("the producer runs");
        let mut second = feed.subscribe(&config, limit.enter().unwrap(), never);
        assert!(feed.publish(&Frame::numbered(2)));
        let mut seen = Vec::new();
        for (viewer, frames) in [(&mut first, 3), (&mut second, 2)] {
            for _ in 0..frames {
                seen.push(String::from_utf8(viewer.next().await.unwrap().to_vec()).unwrap());
            }
        }
        assert!(seen[0].starts_with("event: hello\n") && seen[0].contains(r#""history":[]"#));
        assert!(seen[1].starts_with("event: frame\n") && seen[1].contains(r#""queue":1"#));
        assert_eq!(seen[2], seen[4]);
        assert!(seen[3].contains(r#""queue":1"#) && !seen[3].contains(r#""queue":2"#));
        drop((first, second));
        assert!(!feed.publish(&Frame::numbered(3)), "both are gone");
        assert_eq!(limit.count(), 0);
    }

    #[tokio::test]
    async fn a_slow_viewer_is_dropped_and_the_others_go_on() {
        let (feed, limit, config) = (Feed::default(), Limit::new(2), Config::default());
        let mut slow = feed.subscribe(&config, limit.enter().unwrap(), idle);
        let mut quick = feed.subscribe(&config, limit.enter().unwrap(), idle);
        assert!(quick.next().await.is_some());
        for number in 0..=BEHIND_MAX {
            assert!(feed.publish(&Frame::numbered(number as u64)));
            assert!(quick.next().await.is_some());
        }
        assert!(slow.next().await.is_some(), "its first frame is its own");
        assert_eq!(slow.next().await, None);
    }

    #[tokio::test]
    async fn a_producer_that_has_ended_is_replaced() {
        let (feed, limit, config) = (Feed::default(), Limit::new(2), Config::default());
        let ended = tokio::spawn(async {});
        while !ended.is_finished() {
            tokio::task::yield_now().await;
        }
        let mut first = feed.subscribe(&config, limit.enter().unwrap(), || ended);
        assert!(first.next().await.is_some());
        let _second = feed.subscribe(&config, limit.enter().unwrap(), idle);
        assert_eq!(first.next().await, None, "its stream has no producer");
        feed.close();
    }
}
