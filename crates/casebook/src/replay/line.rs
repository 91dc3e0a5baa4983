//! One line of a replay stream.

use casebook_model::time::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;

/// An execution, or with `mark` a decision of a person. Unknown members are ignored.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) at: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) run: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) branch: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) branch_class: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) commit: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) position: Option<i64>,
    #[serde(borrow, default)]
    pub(super) job: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) class_name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) outcome: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) variant: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) signature: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) upload: Option<i64>,
    #[serde(borrow, default)]
    pub(super) upload_at: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) run_id: Option<i64>,
    #[serde(borrow, default)]
    pub(super) mark: Option<Cow<'a, str>>,
}

/// Reads RFC 3339; the plain form `2026-01-02T03:04:05Z` without a detour.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    if let Some(time) = plain(text.as_bytes()) {
        return Ok(time);
    }
    Timestamp::parse_rfc3339(text).map_err(|error| error.to_string())
}

fn plain(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; 20] = text.try_into().ok()?;
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0i64, |value, digit| {
            digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_plain = (1970..=9998).contains(&year)
        && (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    // Days from civil, counting years from March; later days of a month take the careful way.
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    is_plain.then(|| Timestamp((days * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_leads_to_the_same_time() {
        for year in [1970, 1999, 2000, 2024, 2026, 2100] {
            for month in 1..=12 {
                for day in [1, 2, 27, 28, 29] {
                    let text = format!("{year}-{month:02}-{day:02}T23:04:59Z");
                    let Ok(careful) = Timestamp::parse_rfc3339(&text) else { continue };
                    assert_eq!(time(&text).unwrap(), careful, "{text}");
                }
            }
        }
        for bad in ["2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-0xT00:00:00Z", "now"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
