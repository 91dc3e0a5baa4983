//! Dates of sessions, in the one form in which they are shown.

use jiff::civil::{Date, Time};

/// `YYYY-MM-DDTHH:MM:SS`, with six digits of the second if they are not zero, and the offset if one was given; none if the
/// text is no ISO 8601 date or date and time.
pub(crate) fn shown(text: &str) -> Option<String> {
    let text = text.trim();
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, "00:00:00"),
    };
    let date = with_signs(date, 8, '-', &[4, 6]);
    let [year, month, day] = parts::<3>(&date, '-', [4, 2, 2])?;
    // The clients' own dates begin with the year 1.
    if year == 0 {
        return None;
    }
    Date::new(year, month as i8, day as i8).ok()?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let clock = match clock.len() {
        2 => format!("{clock}:00:00"),
        4 => format!("{}:00", with_signs(clock, 4, ':', &[2])),
        5 => format!("{clock}:00"),
        _ => with_signs(clock, 6, ':', &[2, 4]),
    };
    let [hour, minute, second] = parts::<3>(&clock, ':', [2, 2, 2])?;
    Time::new(hour as i8, minute as i8, second as i8, 0).ok()?;
    let microseconds = format!("{fraction:0<6.6}");
    let fraction = if microseconds == "000000" { String::new() } else { format!(".{microseconds}") };
    let offset = offset.map_or(Some(String::new()), shown_offset)?;
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}"))
}

/// A text of so many digits with the signs that ISO 8601 lets people leave out; any other text as it is.
fn with_signs(text: &str, digits: usize, sign: char, places: &[usize]) -> String {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    let signed = text
        .char_indices()
        .flat_map(|(at, digit)| places.contains(&at).then_some(sign).into_iter().chain([digit]));
    signed.collect()
}

/// `+01:00` of that, `+0100`, `+01`, and `Z`.
fn shown_offset(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("z") {
        return Some("+00:00".to_owned());
    }
    let (sign, digits) = text.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    let digits = if digits.len() == 2 { format!("{digits}00") } else { digits };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let fits = hours.parse::<u8>().ok()? < 24 && minutes.parse::<u8>().ok()? < 60;
    fits.then(|| format!("{sign}{hours}:{minutes}"))
}

/// Numbers of exactly so many digits, with a sign between.
fn parts<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i16; N]> {
    let mut numbers = [0; N];
    let mut pieces = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let piece = pieces.next().filter(|piece| piece.len() == digits)?;
        *number =
            if piece.bytes().all(|byte| byte.is_ascii_digit()) { piece.parse().ok()? } else { return None };
    }
    pieces.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn dates_have_one_form() {
        for (text, expected) in [
            ("2026-11-20T11:44:17.238278", Some("2026-11-20T11:44:17.238278")),
            ("2026-11-20T11:44:58.5", Some("2026-11-20T11:44:58.500000")),
            ("2026-11-20T11:44:58.0", Some("2026-11-20T11:44:58")),
            ("2021-02-09", Some("2021-02-09T00:00:00")),
            ("2021-02-09 11:41", Some("2021-02-09T11:41:00")),
            ("2021-02-09T11:41:35Z", Some("2021-02-09T11:41:35+00:00")),
            ("2021-02-09T11:41:35.25-0530", Some("2021-02-09T11:41:35.250000-05:30")),
            ("2021-02-09T11:41:35+02", Some("2021-02-09T11:41:35+02:00")),
            ("20210209T114135.5Z", Some("2021-02-09T11:41:35.500000+00:00")),
            ("2021-02-09T1141", Some("2021-02-09T11:41:00")),
            ("2021-02-09T11+0100", Some("2021-02-09T11:00:00+01:00")),
            ("0000-01-01", None),
            ("1612870895", None),
            ("2021-02-09T114", None),
            ("2021-02-30", None),
            ("2021-02-09T25:00:00", None),
            ("2021-02-09T11:41:35+25:00", None),
            ("2021-2-9", None),
            ("yesterday", None),
            ("", None),
            ("2021-02-09T", None),
            ("2021-02-09T11:41:35+ä", None),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }
}
