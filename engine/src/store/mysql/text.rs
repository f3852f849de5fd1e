//! How long a text may be: below the server's `max_allowed_packet`, and below
//! what has been seen to be hung up on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For the packet's own bytes, and for proxies that count more of them.
const MARGIN: usize = 4 * 1024;
/// A text up to this long is not the reason for which a connection is lost.
const SURELY_TAKEN: usize = 128 * 1024;
/// How long a text that was hung up on is remembered: the connection may have
/// been lost for another reason.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Stands between two statements of a text.
pub(super) const SEPARATOR: &str = "; ";

/// The longest text that the server takes, as far as is known.
#[derive(Debug)]
pub(super) struct TextBound {
    server: AtomicUsize,
    /// Guards what was learnt of a proxy, which says nothing of its own bound.
    learnt: Mutex<Option<(usize, Instant)>>,
}

impl Default for TextBound {
    fn default() -> Self {
        Self { server: AtomicUsize::new(usize::MAX), learnt: Mutex::new(None) }
    }
}

impl TextBound {
    /// Takes over what the server says.
    pub fn hear(&self, max_allowed_packet: usize) {
        self.server.store(max_allowed_packet.saturating_sub(MARGIN), Ordering::Relaxed);
    }

    /// The longest text to be sent now.
    pub fn at(&self, now: Instant) -> usize {
        let server = self.server.load(Ordering::Relaxed);
        let learnt = *self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        match learnt {
            Some((bound, since)) if now.duration_since(since) < REMEMBERED => server.min(bound),
            _ => server,
        }
    }

    /// A connection was lost as a text of so many bytes was sent. The next is
    /// half as long.
    pub fn hung_up(&self, bytes: usize, now: Instant) {
        if bytes > SURELY_TAKEN {
            let bound = (bytes / 2).max(SURELY_TAKEN);
            *self.learnt.lock().unwrap_or_else(PoisonError::into_inner) = Some((bound, now));
        }
    }
}

/// Joins statements into texts of at most `max` bytes, or returns the length of
/// a statement that alone is longer.
pub(super) fn join(statements: &[&str], max: usize) -> Result<Vec<String>, usize> {
    let all = statements.iter().map(|statement| statement.len() + SEPARATOR.len()).sum::<usize>();
    let mut texts: Vec<String> = Vec::new();
    for statement in statements {
        if statement.len() > max {
            return Err(statement.len());
        }
        match texts.last_mut() {
            Some(text) if text.len() + SEPARATOR.len() + statement.len() <= max => {
                text.push_str(SEPARATOR);
                text.push_str(statement);
            }
            _ => {
                let mut text = String::with_capacity(all.min(max));
                text.push_str(statement);
                texts.push(text);
            }
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_joined_up_to_the_packet_limit() {
        let short = ["AA", "BB", "CC"];
        assert_eq!(join(&short, 10), Ok(vec!["AA; BB; CC".to_owned()]));
        assert_eq!(join(&short, 9), Ok(vec!["AA; BB".to_owned(), "CC".to_owned()]));
        assert_eq!(join(&short, 5), Ok(short.map(str::to_owned).to_vec()));
        assert_eq!(join(&["AA", "BBBBBB", "CC"], 5), Err(6));
        assert_eq!(join(&[], 5), Ok(vec![]));
    }

    #[test]
    fn a_hang_up_on_a_long_text_shortens_the_next_ones_for_a_while() {
        let bound = TextBound::default();
        let now = Instant::now();
        assert_eq!(bound.at(now), usize::MAX);
        bound.hear(1 << 20);
        let server = (1 << 20) - MARGIN;
        assert_eq!(bound.at(now), server);
        bound.hung_up(SURELY_TAKEN, now);
        assert_eq!(bound.at(now), server, "it was not for its length");
        bound.hung_up(600_000, now);
        assert_eq!(bound.at(now), 300_000);
        bound.hung_up(200_000, now);
        assert_eq!(bound.at(now), SURELY_TAKEN);
        assert_eq!(bound.at(now + REMEMBERED), server);
    }
}
