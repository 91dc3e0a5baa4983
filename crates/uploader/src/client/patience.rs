//! How long to go on after something went wrong, and how long to wait before the next attempt.

use std::time::{Duration, Instant};
use ureq::http::HeaderMap;

/// Longest wait that nobody asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Time that is left for attempts that fail and for waiting, over all uploads of a run.
#[derive(Debug, Clone)]
pub struct Patience {
    left: Duration,
    first: Duration,
    next: Duration,
}

impl Patience {
    /// As much as `all`, with a first wait of about `first`, which doubles from attempt to attempt.
    #[must_use]
    pub fn new(all: Duration, first: Duration) -> Self {
        Self { left: all, first, next: first }
    }

    /// Something worked: the next wait is short again.
    pub(super) fn calm(&mut self) {
        self.next = self.first;
    }

    /// Waits after an attempt that took `spent`; false, at once, if the time is over or would be before the server wants to
    /// be asked again.
    pub(super) fn wait(&mut self, spent: Duration, asked: Option<Duration>) -> bool {
        self.left = self.left.saturating_sub(spent);
        let wait = jittered(self.next).max(asked.unwrap_or_default());
        self.next = (self.next * 2).min(LONGEST_WAIT);
        if wait > self.left || self.left.is_zero() {
            self.left = Duration::ZERO;
            return false;
        }
        self.left -= wait;
        // A thread may be woken early.
        let until = Instant::now() + wait;
        while let Some(rest) = until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
            std::thread::park_timeout(rest);
        }
        true
    }
}

/// Between half of `wait` and all of it, so that many jobs do not come back together.
fn jittered(wait: Duration) -> Duration {
    let mut random = [0; 4];
    // Without random bytes every job waits equally long, which is no reason to stop.
    let _ = getrandom::fill(&mut random);
    let share = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
    wait.mul_f64(0.5 + share / 2.0)
}

/// How long the server asks to wait: `Retry-After` in seconds or as a date, which counts from the answer's own, else
/// `RateLimit-Reset`.
pub(super) fn asked_delay(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |name: &str| text(name)?.parse().ok().map(Duration::from_secs);
    let date = |name: &str| httpdate::parse_http_date(text(name)?).ok();
    let until = || date("Retry-After")?.duration_since(date("Date")?).ok();
    seconds("Retry-After").or_else(until).or_else(|| seconds("RateLimit-Reset"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends() {
        let mut patience = Patience::new(Duration::from_millis(40), Duration::from_millis(1));
        let mut waits = 0;
        while patience.wait(Duration::from_millis(1), None) {
            waits += 1;
            assert!(waits < 100);
        }
        assert!(waits >= 3, "{waits}");
        assert!(!patience.wait(Duration::ZERO, None));
    }

    #[test]
    fn a_server_that_wants_too_much_time_is_given_up_at_once() {
        let began = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(100), Duration::from_millis(1));
        assert!(!patience.wait(Duration::ZERO, Some(Duration::from_secs(101))));
        assert!(began.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn waits_are_spread() {
        let wait = Duration::from_secs(10);
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| jittered(wait)).collect();
        assert!(waits.len() > 10);
        assert!(waits.iter().all(|jittered| *jittered >= wait / 2 && *jittered <= wait));
    }

    #[test]
    fn delays_are_read() {
        let delay = |headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (
                    ureq::http::HeaderName::from_static(name),
                    value.parse().unwrap_or_else(|_| panic!("{value}")),
                )
            });
            asked_delay(&headers.collect())
        };
        assert_eq!(delay(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(delay(&[("ratelimit-reset", "3")]), Some(Duration::from_secs(3)));
        let (now, then) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(delay(&[("retry-after", then), ("date", now)]), Some(Duration::from_secs(30)));
        assert_eq!(delay(&[("retry-after", now), ("date", then)]), None);
        assert_eq!(delay(&[("retry-after", "soon")]), None);
    }
}
