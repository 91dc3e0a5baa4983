//! Times of JUnit XML: seconds, written by hand-made number formats in many locales.

use casebook_model::execution::duration_from_seconds;

/// Seconds beyond this are taken for nanoseconds: no test runs for four months.
const LONGEST: f64 = 1e7;

/// What a time attribute says; nothing if it is missing, negative or no number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Time {
    pub(super) seconds: Option<Seconds>,
    /// The decimal mark it surely has.
    pub(super) mark: Option<Mark>,
}

/// Seconds as microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seconds {
    /// There is only one way to read it.
    Clear(i64),
    /// `1,234` is either a thousand seconds or one.
    Comma { thousands: i64, decimal: i64 },
}

/// How the decimals of a file's times are marked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    Point,
    Comma,
}

impl Time {
    pub(super) fn read(text: &str) -> Self {
        let trimmed = text.trim();
        if trimmed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Self { seconds: clear(trimmed), mark: trimmed.contains('.').then_some(Mark::Point) };
        }
        let digits: String = trimmed.chars().filter(|c| !c.is_whitespace()).collect();
        let (seconds, mark) = match (digits.rfind(','), digits.rfind('.')) {
            (None, _) => (clear(&digits), None),
            (Some(comma), Some(point)) if comma < point => {
                (clear(&digits.replace(',', "")), Some(Mark::Point))
            }
            (Some(_), Some(_)) => (clear(&digits.replace('.', "").replace(',', ".")), Some(Mark::Comma)),
            (Some(comma), None) if digits.find(',') == Some(comma) => lone_comma(&digits, comma),
            (Some(_), None) => (clear(&digits.replace(',', "")), None),
        };
        Self { seconds, mark }
    }

    /// The duration as it is usually meant: a lone comma groups thousands.
    pub(super) fn duration_us(self) -> Option<i64> {
        self.seconds.map(|(Seconds::Clear(duration) | Seconds::Comma { thousands: duration, .. })| duration)
    }
}

fn lone_comma(digits: &str, comma: usize) -> (Option<Seconds>, Option<Mark>) {
    let (whole, decimals) = (&digits[..comma], &digits[comma + 1..]);
    let decimal = clear(&digits.replace(',', "."));
    let grouped = decimals.len() == 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !grouped || whole.trim_start_matches('0').is_empty() {
        return (decimal, Some(Mark::Comma));
    }
    match (clear(&digits.replace(',', "")), decimal) {
        (Some(Seconds::Clear(thousands)), Some(Seconds::Clear(decimal))) => {
            (Some(Seconds::Comma { thousands, decimal }), None)
        }
        _ => (None, None),
    }
}

fn clear(digits: &str) -> Option<Seconds> {
    let seconds: f64 = digits.parse().ok()?;
    let seconds = if seconds > LONGEST { seconds / 1e9 } else { seconds };
    duration_from_seconds(seconds).map(Seconds::Clear)
}
