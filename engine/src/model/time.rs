//! Timestamps of the store's clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::InvalidArgument;

/// A UTC timestamp with microseconds.
///
/// ```
/// use stockade::Timestamp;
/// let time = Timestamp::from_micros(1_735_732_800_000_000);
/// assert_eq!(time.to_seconds_text(), "2025-01-01T12:00:00Z");
/// assert_eq!(time.to_string(), "2025-01-01T12:00:00.000000Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Builds a timestamp from microseconds since 1970-01-01 in UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 in UTC.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Converts into chrono's type.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Formats as RFC 3339 to the second, rounded down so that a hold is never shown
    /// to live longer than it does.
    #[must_use]
    pub fn to_seconds_text(self) -> String {
        self.to_datetime().to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// Adds `duration`; saturates instead of overflowing.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Subtracts `duration`; saturates instead of overflowing.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The duration until `later`; zero if that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_micros(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// Formats as RFC 3339 with six decimal places.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_datetime().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidArgument;

    /// Parses a moment of RFC 3339 in the years 1970 to 9999, such as
    /// `2026-11-27T08:00:00Z` or `2026-11-27T09:00:00+01:00`. Fractions of a
    /// microsecond are dropped.
    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let parsed = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        let stored = parsed.filter(|time| (1970..=9999).contains(&time.year()));
        stored.map(Self::from).ok_or_else(|| {
            InvalidArgument::new(format!(
                "expected a moment such as 2026-11-27T08:00:00Z, in the years 1970 to 9999, got `{}`",
                text.chars().take(40).collect::<String>()
            ))
        })
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DateTime::<Utc>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_with_its_offset_and_to_the_microsecond() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2025-01-01T12:00:00Z", 1_735_732_800_000_000),
            ("2025-01-01T13:00:00.5+01:00", 1_735_732_800_500_000),
            ("2025-01-01T12:00:00.0000019Z", 1_735_732_800_000_001),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp(expected)), "{text}");
        }
        let last: Timestamp = "9999-12-31T23:59:59.999999Z".parse().expect("a moment");
        assert_eq!(last.to_string().parse(), Ok(last));
        for bad in [
            "",
            "soon",
            "2025-01-01",
            "2025-01-01T12:00:00",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "+10000-01-01T00:00:00Z",
            "2025-13-01T12:00:00Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad} was accepted");
        }
    }
}
