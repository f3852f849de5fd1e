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

/// Cuts a text of several statements into texts of at most `max` bytes, or gives
/// the length of a statement that alone is longer. No value in a text has a
/// semicolon: they are numbers.
pub(super) fn cut(sql: String, max: usize) -> Result<Vec<String>, usize> {
    if sql.len() <= max {
        return Ok(vec![sql]);
    }
    let mut texts: Vec<String> = Vec::new();
    for statement in sql.split("; ") {
        if statement.len() > max {
            return Err(statement.len());
        }
        match texts.last_mut() {
            Some(text) if text.len() + 2 + statement.len() <= max => {
                text.push_str("; ");
                text.push_str(statement);
            }
            _ => texts.push(statement.to_owned()),
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_statements() {
        let cut = |sql: &str, max| cut(sql.to_owned(), max);
        assert_eq!(cut("AA; BB; CC", 10), Ok(vec!["AA; BB; CC".to_owned()]));
        assert_eq!(cut("AA; BB; CC", 9), Ok(vec!["AA; BB".to_owned(), "CC".to_owned()]));
        assert_eq!(cut("AA; BB; CC", 5), Ok(["AA", "BB", "CC"].map(str::to_owned).to_vec()));
        assert_eq!(cut("AA; BBBBBB; CC", 5), Err(6));
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
