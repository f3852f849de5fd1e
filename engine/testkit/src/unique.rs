//! Generates names that no other test on this machine uses.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a name made of lower-case letters, digits and underscores, at most
/// 45 characters. The process id tells running processes apart, the time tells
/// a process from an earlier one of the same id, the counter does the rest.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |elapsed| elapsed.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("t_{:x}_{nanos:x}_{count:x}", process::id())
}

#[cfg(test)]
mod tests {
    use super::unique_name;

    #[test]
    fn unique_names_differ_and_are_valid_database_names() {
        let names = [unique_name(), unique_name()];
        assert_ne!(names[0], names[1]);
        for name in names {
            assert!(name.len() <= 45);
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        }
    }
}
