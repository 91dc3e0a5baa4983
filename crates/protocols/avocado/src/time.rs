//! Time stamps (`avocado.md` 1.9): local time of a zone that is configured, unless they say otherwise; UTC on the way out.

use casebook_model::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use std::str::FromStr;

/// What a wrong time stamp is answered with.
pub(crate) const WRONG: &str = "Datetime has wrong format. Use one of these formats instead: \
     YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]";

/// The time zone of time stamps that name none.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

/// There is no such zone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("there is no time zone {0}: use a name such as America/Chicago, Europe/Berlin or UTC")]
pub struct UnknownZone(String);

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name).map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }
}

impl Zone {
    /// Name of the zone of Avocado Server itself.
    pub const DEFAULT: &str = "America/Chicago";

    /// Reads a time stamp. A local time that a change of clocks passes over or repeats is read as if the clocks had not
    /// been changed yet.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        let (local, offset) = take_apart(text)?;
        let timestamp = match offset {
            Some(offset) => offset.to_timestamp(local).ok()?,
            None => self.0.to_ambiguous_timestamp(local).compatible().ok()?,
        };
        Some(Timestamp(timestamp.as_microsecond()))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::get(Self::DEFAULT).unwrap_or(TimeZone::UTC))
    }
}

/// UTC; the fraction has six digits and is left out when it is zero.
pub(crate) fn write(time: Timestamp) -> String {
    let text = time.to_rfc3339_micros();
    match text.strip_suffix(".000000Z") {
        Some(whole) => format!("{whole}Z"),
        None => text,
    }
}

fn take_apart(text: &str) -> Option<(DateTime, Option<Offset>)> {
    let mut rest = Rest(text);
    let year = rest.number(4, 4).filter(|year| *year > 0)?;
    rest.skip("-")?;
    let month = rest.number(1, 2)?;
    rest.skip("-")?;
    let day = rest.number(1, 2)?;
    rest.skip("T").or_else(|| rest.skip(" "))?;
    let hour = rest.number(1, 2)?;
    rest.skip(":")?;
    let minute = rest.number(1, 2)?;
    let (mut second, mut microsecond) = (0, 0);
    if rest.skip(":").is_some() {
        second = rest.number(1, 2)?;
        if rest.skip(".").is_some() {
            microsecond = rest.fraction()?;
        }
    }
    let offset = rest.offset()?;
    let small = |number: i32| i8::try_from(number).ok();
    let local = DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        microsecond * 1000,
    );
    Some((local.ok()?, offset))
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn digits(&self) -> usize {
        self.0.bytes().take_while(u8::is_ascii_digit).count()
    }

    fn number(&mut self, least: usize, most: usize) -> Option<i32> {
        let digits = self.digits().min(most);
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        number.parse().ok().filter(|_| digits >= least)
    }

    /// Up to twelve digits, of which six count.
    fn fraction(&mut self) -> Option<i32> {
        let digits = self.digits();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        let six: String = number.chars().chain(std::iter::repeat('0')).take(6).collect();
        six.parse().ok().filter(|_| (1..=12).contains(&digits))
    }

    /// `Z`, `+01`, `+0100`, `+01:00`, or nothing; nothing may follow.
    fn offset(&mut self) -> Option<Option<Offset>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let sign = match self.0.as_bytes()[0] {
            b'Z' if self.0.len() == 1 => return Some(Some(Offset::UTC)),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.number(2, 2)?;
        let mut minutes = 0;
        if !self.0.is_empty() {
            let _ = self.skip(":");
            minutes = self.number(2, 2)?;
        }
        let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
        (self.0.is_empty() && minutes < 60).then_some(Some(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Zone::default().read(text).map(write)
    }

    #[test]
    fn every_documented_form_is_read() {
        for (text, expected) in [
            ("2013-05-02 00:00:01", "2013-05-02T05:00:01Z"),
            ("2013-05-02T00:00:01.123456", "2013-05-02T05:00:01.123456Z"),
            ("2013-05-02 00:01", "2013-05-02T05:01:00Z"),
            ("2013-05-02T00:01:01+02:00", "2013-05-01T22:01:01Z"),
            ("2013-05-02 00:01:01-0500", "2013-05-02T05:01:01Z"),
            ("2013-05-02 00:01:01-05", "2013-05-02T05:01:01Z"),
            ("2013-05-02T00:01:01Z", "2013-05-02T00:01:01Z"),
            ("2013-01-02 00:00:00.5", "2013-01-02T06:00:00.500000Z"),
            ("2013-1-2 0:0:0.123456789", "2013-01-02T06:00:00.123456Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for text in [
            "",
            "x",
            "2013-05-02",
            "2013-05-02 00",
            "2013-13-02 00:00",
            "2013-02-30 00:00",
            "2013-05-02 24:00",
            "2013-05-02 00:60",
            "2013-05-02 00:00:01 ",
            "2013-05-02 00:00:01.",
            "2013-05-02 00:00:01+99:99",
            "2013-05-02 00:00:01+1",
            "2013-05-02 00:00:01ZZ",
            "13-05-02 00:00",
            "0000-05-02 00:00",
            "2013-05-02\u{e4}00:00",
            "2013-05-02 00:00:01+\u{e4}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn zones_are_found_without_the_system() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        assert_eq!(berlin.read("2026-07-01 12:00").map(write).as_deref(), Some("2026-07-01T10:00:00Z"));
        assert!("Europe/Nowhere".parse::<Zone>().is_err());
    }

    #[test]
    fn changes_of_clocks_have_an_answer() {
        assert_eq!(read("2026-03-08 02:30").as_deref(), Some("2026-03-08T08:30:00Z"));
        assert_eq!(read("2026-11-01 01:30").as_deref(), Some("2026-11-01T06:30:00Z"));
    }
}
