//! Passwords: argon2id, one verification at a time, remembered for a minute.
//!
//! One verification costs 25 ms and 19 MiB by design, so a client that sends HTTP Basic with every request must not pay it
//! each time, and many at once must not take the memory.

use crate::secrets;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use casebook_model::time::Timestamp;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::collections::HashMap;
use std::hash::Hasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How long a verified password is remembered.
const REMEMBERED_US: i64 = 60 * 1_000_000;

/// Remembered verifications at most; past it all are forgotten.
const MOST_REMEMBERED: usize = 10_000;

/// Verifies passwords and remembers, under a key of its own, which were right.
pub(crate) struct Passwords {
    key: [u8; 16],
    verified: Mutex<HashMap<u128, Timestamp>>,
    one_at_a_time: Mutex<()>,
    waiting: AtomicUsize,
}

/// Verifications that may wait for their turn; more are refused, so that wrong passwords cannot hold every thread.
const MOST_WAITING: usize = 8;

/// Too many verifications wait already.
pub(crate) struct TooMany;

impl Default for Passwords {
    fn default() -> Self {
        Self {
            key: secrets::random(),
            verified: Mutex::default(),
            one_at_a_time: Mutex::new(()),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Passwords {
    /// Whether `password` belongs to `stored`. Blocks for the time of one verification, and for those before it.
    ///
    /// The stored hash is part of what is remembered, so a changed password is forgotten at once.
    pub(crate) fn verify(&self, password: &str, stored: &str, now: Timestamp) -> Result<bool, TooMany> {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_usize(stored.len());
        hasher.write(stored.as_bytes());
        hasher.write(password.as_bytes());
        let memory = hasher.finish128().as_u128();
        if self.remembers(memory, now) {
            return Ok(true);
        }
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= MOST_WAITING {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(TooMany);
        }
        let turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let right = self.remembers(memory, now) || matches(password, stored);
        drop(turn);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if right {
            let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            if verified.len() >= MOST_REMEMBERED {
                verified.clear();
            }
            verified.insert(memory, now);
        }
        Ok(right)
    }

    fn remembers(&self, memory: u128, now: Timestamp) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(&memory).is_some_and(|at| now.as_microseconds() - at.as_microseconds() < REMEMBERED_US)
    }
}

fn matches(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
}

/// A password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("this password cannot be used: {0}")]
pub struct UnusablePassword(String);

/// The hash under which `password` is kept.
///
/// # Errors
/// It is empty or longer than 1,000 bytes.
pub fn hash(password: &str) -> Result<String, UnusablePassword> {
    if password.is_empty() || password.len() > 1000 {
        return Err(UnusablePassword("it must have 1 to 1,000 bytes".to_owned()));
    }
    let salt: [u8; 16] = secrets::random();
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| UnusablePassword(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_password_is_remembered_for_a_minute_and_a_wrong_one_never() {
        let stored = hash("correct horse").unwrap();
        let passwords = Passwords::default();
        let now = Timestamp(1_000_000);
        let verify = |password: &str, stored: &str, now| {
            passwords.verify(password, stored, now).is_ok_and(|right| right)
        };
        assert!(!verify("wrong", &stored, now));
        assert!(verify("correct horse", &stored, now));
        assert_eq!(passwords.verified.lock().unwrap().len(), 1);
        assert!(verify("correct horse", &stored, now.plus(REMEMBERED_US)));
        let changed = hash("another").unwrap();
        assert!(!verify("correct horse", &changed, now));
        assert!(hash("").is_err());
    }
}
