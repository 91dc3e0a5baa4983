//! Wrong passwords, counted by name and address: whoever tries too many has to wait.

use casebook_model::time::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How long wrong passwords are remembered, in microseconds.
const REMEMBERED_US: i64 = 15 * 60 * 1_000_000;

/// Wrong passwords for one name from one address.
const MOST_FOR_NAME: u32 = 10;

/// Wrong passwords from one address for any names.
const MOST_FROM_ADDRESS: u32 = 50;

/// Entries at most; past it those that are over are forgotten, and then all.
const MOST_ENTRIES: usize = 20_000;

/// Longest part of a name that is told apart; names come from outside.
const LONGEST_NAME: usize = 64;

/// Counts failures. An attacker elsewhere cannot lock a user out: only their own address has to wait.
#[derive(Default)]
pub(crate) struct Attempts {
    failed: Mutex<HashMap<Subject, Failures>>,
}

#[derive(PartialEq, Eq, Hash)]
enum Subject {
    Name(Option<IpAddr>, String),
    Address(IpAddr),
}

struct Failures {
    count: u32,
    first: Timestamp,
}

impl Attempts {
    /// Whether another attempt may be made.
    pub(crate) fn allow(&self, name: &str, address: Option<IpAddr>, now: Timestamp) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        subjects(name, address).all(|(subject, most)| {
            failed.get(&subject).is_none_or(|failures| failures.over(now) || failures.count < most)
        })
    }

    /// Notes a wrong password.
    pub(crate) fn failed(&self, name: &str, address: Option<IpAddr>, now: Timestamp) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MOST_ENTRIES {
            failed.retain(|_, failures| !failures.over(now));
            if failed.len() >= MOST_ENTRIES {
                failed.clear();
            }
        }
        for (subject, _) in subjects(name, address) {
            let failures = failed.entry(subject).or_insert(Failures { count: 0, first: now });
            if failures.over(now) {
                *failures = Failures { count: 0, first: now };
            }
            failures.count += 1;
        }
    }
}

impl Failures {
    fn over(&self, now: Timestamp) -> bool {
        now.as_microseconds() - self.first.as_microseconds() >= REMEMBERED_US
    }
}

fn subjects(name: &str, address: Option<IpAddr>) -> impl Iterator<Item = (Subject, u32)> {
    let name = name.chars().take(LONGEST_NAME).collect();
    let of_address = address.map(|address| (Subject::Address(address), MOST_FROM_ADDRESS));
    std::iter::once((Subject::Name(address, name), MOST_FOR_NAME)).chain(of_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_for_a_name_or_fifty_from_an_address_have_to_wait() {
        let attempts = Attempts::default();
        let (here, there) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        let now = Timestamp(1_000_000);
        for _ in 0..10 {
            assert!(attempts.allow("ada", here, now));
            attempts.failed("ada", here, now);
        }
        assert!(!attempts.allow("ada", here, now));
        assert!(attempts.allow("ada", there, now) && attempts.allow("bob", here, now));
        for number in 0..40 {
            attempts.failed(&format!("user {number}"), here, now);
        }
        assert!(!attempts.allow("bob", here, now) && attempts.allow("bob", there, now));
        assert!(attempts.allow("ada", here, now.plus(REMEMBERED_US)));
    }
}
