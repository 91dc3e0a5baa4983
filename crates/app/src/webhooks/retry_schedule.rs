//! When a delivery that failed is tried again.

use std::time::Duration;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// The waits between the attempts of a delivery, each made a tenth shorter or longer by chance, so that receivers which come back
/// do not meet everything at once.
pub const WAITS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    minutes(2),
    minutes(10),
    minutes(60),
    minutes(3 * 60),
    minutes(8 * 60),
];

/// Attempts after which a delivery is given up.
pub const MOST_ATTEMPTS: i64 = WAITS.len() as i64 + 1;

/// How long a webhook may fail before nothing more is sent to it.
pub const PATIENCE: Duration = minutes(3 * 24 * 60);

/// The wait after one more failed attempt, of which `left` more are allowed; none if that was the last. `chance` is any number.
#[must_use]
pub fn wait(left: i64, chance: u8) -> Option<Duration> {
    let index = usize::try_from(MOST_ATTEMPTS - 1 - left).ok()?;
    let wait = WAITS.get(index)?;
    Some(wait.mul_f64(0.9 + 0.2 * f64::from(chance) / 255.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_attempts_within_half_a_day() {
        let seconds: Vec<u64> = WAITS.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [5, 30, 120, 600, 3_600, 10_800, 28_800]);
        assert_eq!(MOST_ATTEMPTS, 8);
        for (left, expected) in (0..MOST_ATTEMPTS).rev().zip(WAITS.iter().map(Some).chain([None])) {
            for chance in [0, 100, 255] {
                let share = wait(left, chance).zip(expected).map(|(w, e)| w.as_secs_f64() / e.as_secs_f64());
                assert_eq!(share.is_some(), expected.is_some(), "{left}");
                assert!(share.is_none_or(|share| (0.89..1.11).contains(&share)), "{left} {share:?}");
            }
        }
        // A test delivery has one attempt, and never a second.
        assert_eq!(wait(0, 7), None);
    }
}
