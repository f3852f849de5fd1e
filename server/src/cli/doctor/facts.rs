//! How numbers of facts are written.

/// Bytes as people read them.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    // Far below 2^53, and rounded anyway.
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1_024.0 && unit + 1 < UNITS.len() {
        (size, unit) = (size / 1_024.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// A clock's difference as people read it.
pub(super) fn ahead(us: i64) -> String {
    let seconds = us.unsigned_abs() as f64 / 1e6;
    let way = if us < 0 { "behind" } else { "ahead of" };
    format!("{seconds:.3} s {way} this machine's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [0, 1_023, 1_024, 5 << 20, u64::MAX].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "5.0 MiB", "16777216.0 TiB"]
        );
        assert_eq!(ahead(-1_500_000), "1.500 s behind this machine's");
    }
}
