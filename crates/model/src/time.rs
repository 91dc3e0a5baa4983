//! Points in time, as whole microseconds since 1970 in UTC: the one form that is stored and computed with.

use jiff::tz::TimeZone;

/// Microseconds of one day.
pub const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// A point in time in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// The text is no date and time with a zone.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no time in RFC 3339 form, such as 2026-01-31T12:00:00Z")]
pub struct InvalidTimestamp {
    text: String,
}

impl Timestamp {
    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_microseconds(self) -> i64 {
        self.0
    }

    /// The UTC day, counted from 1970-01-01 as 0.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY_US)
    }

    /// This time moved by `microseconds`.
    #[must_use]
    pub const fn plus(self, microseconds: i64) -> Self {
        Self(self.0.saturating_add(microseconds))
    }

    /// Reads an RFC 3339 time; a blank may stand for the `T`.
    ///
    /// # Errors
    /// The text is no such time, or it has no zone.
    pub fn parse_rfc3339(text: &str) -> Result<Self, InvalidTimestamp> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_microsecond()))
            .map_err(|_| InvalidTimestamp { text: text.chars().take(64).collect() })
    }

    /// Reads the times that test reports have: RFC 3339, the same without a zone, which is taken for UTC, and RFC 1123.
    ///
    /// # Errors
    /// The text is none of them.
    pub fn parse_lenient(text: &str) -> Result<Self, InvalidTimestamp> {
        let text = text.trim();
        let zoneless = || {
            let time =
                text.parse::<jiff::civil::DateTime>().ok().filter(|_| text.len() > "2026-01-31".len())?;
            Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
        };
        let rfc1123 = || jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp());
        Self::parse_rfc3339(text)
            .or_else(|error| zoneless().or_else(rfc1123).map(|time| Self(time.as_microsecond())).ok_or(error))
    }

    /// `2026-01-31T12:00:00.250Z`: UTC with exactly three digits.
    #[must_use]
    pub fn to_rfc3339_millis(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S.%3fZ")
    }

    /// `2026-01-31T12:00:00.250001Z`: UTC with exactly six digits, all that is kept.
    #[must_use]
    pub fn to_rfc3339_micros(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S.%6fZ")
    }

    /// `2026-01-31 12:00 UTC`, for people.
    #[must_use]
    pub fn to_minutes(self) -> String {
        self.format("%Y-%m-%d %H:%M UTC")
    }

    fn format(self, form: &str) -> String {
        let time = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        time.to_zoned(TimeZone::UTC).strftime(form).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_in_and_out() {
        let time = Timestamp::parse_rfc3339("2026-01-31T13:00:00.25+01:00").unwrap();
        assert_eq!(time.to_rfc3339_millis(), "2026-01-31T12:00:00.250Z");
        assert_eq!(time.to_minutes(), "2026-01-31 12:00 UTC");
        assert!(Timestamp::parse_rfc3339("2026-01-31T13:00:00").is_err());
        assert!(Timestamp::parse_rfc3339("yesterday").is_err());
    }

    #[test]
    fn times_of_test_reports() {
        let read = |text: &str| Timestamp::parse_lenient(text).map(Timestamp::to_rfc3339_millis).ok();
        assert_eq!(read("2026-01-31T13:00:00.25+01:00").as_deref(), Some("2026-01-31T12:00:00.250Z"));
        assert_eq!(read(" 2026-01-31T13:00:00 ").as_deref(), Some("2026-01-31T13:00:00.000Z"));
        assert_eq!(read("2026-01-31 13:00:00.125").as_deref(), Some("2026-01-31T13:00:00.125Z"));
        assert_eq!(read("Sat, 03 Dec 2022 23:10:07 GMT").as_deref(), Some("2022-12-03T23:10:07.000Z"));
        for text in ["", "2026-01-31", "12:00:00", "31.01.2026 12:00", "now"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_utc_and_reach_before_1970() {
        assert_eq!(Timestamp(0).day(), 0);
        assert_eq!(Timestamp(-1).day(), -1);
        assert_eq!(Timestamp(DAY_US).day(), 1);
    }
}
