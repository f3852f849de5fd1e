//! Joins statements into texts below the server's `max_allowed_packet`, and
//! below the length at which a proxy has closed the connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For the packet's header, and for proxies that count more bytes.
const MARGIN: usize = 4 * 1024;
/// A text up to this length is not suspected of having lost a connection.
const SUSPECT_ABOVE: usize = 128 * 1024;
/// How long a limit that was learned from a lost connection holds: the connection
/// may have been lost for another reason.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

pub(super) const SEPARATOR: &str = "; ";

/// The longest text that the server and a proxy before it accept.
#[derive(Debug)]
pub(super) struct PacketLimit {
    server: AtomicUsize,
    /// The limit of a proxy, learned from lost connections. A plain mutex: each
    /// critical section copies the pair.
    learned: Mutex<Option<(usize, Instant)>>,
}

impl Default for PacketLimit {
    fn default() -> Self {
        Self { server: AtomicUsize::new(usize::MAX), learned: Mutex::new(None) }
    }
}

impl PacketLimit {
    pub fn set_server_limit(&self, max_allowed_packet: usize) {
        self.server.store(max_allowed_packet.saturating_sub(MARGIN), Ordering::Relaxed);
    }

    /// The longest text to be sent now.
    pub fn at(&self, now: Instant) -> usize {
        let server = self.server.load(Ordering::Relaxed);
        let learned = *self.learned.lock();
        match learned {
            Some((bound, since)) if now.duration_since(since) < REMEMBERED => server.min(bound),
            _ => server,
        }
    }

    /// Learns from a connection that was lost while a text of this length was
    /// sent: halves the limit.
    pub fn record_loss(&self, bytes: usize, now: Instant) {
        if bytes > SUSPECT_ABOVE {
            let bound = (bytes / 2).max(SUSPECT_ABOVE);
            *self.learned.lock() = Some((bound, now));
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
    fn limit_halves_for_a_while_after_a_connection_lost_on_a_long_text() {
        let bound = PacketLimit::default();
        let now = Instant::now();
        assert_eq!(bound.at(now), usize::MAX);
        bound.set_server_limit(1 << 20);
        let server = (1 << 20) - MARGIN;
        assert_eq!(bound.at(now), server);
        bound.record_loss(SUSPECT_ABOVE, now);
        assert_eq!(bound.at(now), server, "it was not for its length");
        bound.record_loss(600_000, now);
        assert_eq!(bound.at(now), 300_000);
        bound.record_loss(200_000, now);
        assert_eq!(bound.at(now), SUSPECT_ABOVE);
        assert_eq!(bound.at(now + REMEMBERED), server);
    }
}
