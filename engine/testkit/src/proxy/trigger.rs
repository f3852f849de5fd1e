//! Finds the bytes that trigger a cut.

/// The moment at which [`Proxy::cut_after_client_sends`] cuts.
///
/// [`Proxy::cut_after_client_sends`]: crate::Proxy::cut_after_client_sends
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutWhen {
    /// The server never gets the chunk; both sides are reset. The server rolls
    /// the transaction back.
    BeforeForward,
    /// The server gets the chunk and may finish; the client is reset at once, so
    /// it may reconnect while the server still executes.
    AfterForward,
    /// The server gets the chunk and responds; the client is reset instead of
    /// getting the response, so the request has taken effect.
    AfterReply,
}

/// An armed trigger.
#[derive(Debug)]
pub(super) struct Trigger {
    pub(super) needle: Vec<u8>,
    pub(super) when: CutWhen,
    // Distinguishes this trigger from earlier ones.
    pub(super) number: u64,
}

/// A match of the needle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) when: CutWhen,
    // Where in the chunk the needle ends.
    pub(super) end: usize,
}

/// Searches one connection's stream for the armed needle.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    // The last bytes seen since trigger `number` was armed, one byte shorter than
    // its needle.
    tail: Vec<u8>,
    number: u64,
}

impl Scanner {
    /// Fires the trigger if its needle ends in `chunk`.
    pub(super) fn scan(&mut self, armed: &mut Option<Trigger>, chunk: &[u8]) -> Option<Match> {
        let trigger = armed.as_ref()?;
        if trigger.number != self.number {
            self.number = trigger.number;
            self.tail.clear();
        }
        let (length, seen) = (trigger.needle.len(), self.tail.len());
        self.tail.extend_from_slice(chunk);
        if let Some(at) = self.tail.windows(length).position(|window| window == trigger.needle) {
            let end = at + length - seen;
            return armed.take().map(|trigger| Match { when: trigger.when, end });
        }
        let surplus = self.tail.len().saturating_sub(length - 1);
        self.tail.drain(..surplus);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{CutWhen, Scanner, Trigger};

    fn armed(needle: &[u8], number: u64) -> Option<Trigger> {
        Some(Trigger { needle: needle.to_vec(), when: CutWhen::AfterReply, number })
    }

    #[test]
    fn needle_is_found_across_chunk_boundaries() {
        let stream = b"INSERT; COMMIT; x";
        for split in 0..=stream.len() {
            let mut armed = armed(b"COMMIT", 1);
            let mut scanner = Scanner::default();
            let (first, second) = stream.split_at(split);
            let hits = [scanner.scan(&mut armed, first), scanner.scan(&mut armed, second)];
            let ends_in_first = split >= 14;
            assert_eq!(hits[0].is_some(), ends_in_first, "split at {split}");
            assert_eq!(hits[1].is_some(), !ends_in_first, "split at {split}");
            let end = if ends_in_first { 14 } else { 14 - split };
            assert!(hits.into_iter().flatten().all(|hit| hit.end == end), "split at {split}");
            assert!(armed.is_none());
        }
    }

    #[test]
    fn needle_is_found_byte_by_byte_and_only_once() {
        let mut armed = armed(b"aab", 1);
        let mut scanner = Scanner::default();
        let hits = b"aaabaab".iter().map(|byte| scanner.scan(&mut armed, &[*byte]));
        let hits: Vec<_> = hits.map(|hit| hit.is_some()).collect();
        assert_eq!(hits, [false, false, false, true, false, false, false]);
    }

    #[test]
    fn bytes_before_arming_do_not_match() {
        let mut scanner = Scanner::default();
        let mut first = armed(b"abcd", 1);
        assert_eq!(scanner.scan(&mut first, b"abc"), None);
        let mut second = armed(b"abcd", 2);
        assert_eq!(scanner.scan(&mut second, b"d"), None);
        assert!(second.is_some());
    }
}
