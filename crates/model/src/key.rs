//! Keys: fixed-size stand-ins for texts that are too long or too many to be indexed themselves.

use sha2::{Digest as _, Sha256};

/// First 16 bytes of SHA-256 over the parts of a name.
pub type Key = [u8; 16];

/// The key of a name made of `parts`; parts are not joined, so `("ab", "c")` and `("a", "bc")` differ.
#[must_use]
pub fn key_of(parts: &[&str]) -> Key {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    first_half(&hasher.finalize())
}

/// The key of a body of bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> Key {
    first_half(&Sha256::digest(bytes))
}

/// A key in lower-case hexadecimal digits.
#[must_use]
pub fn hex(key: &Key) -> String {
    let digits = key.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// Makes the [`digest`] of bytes that come piece by piece.
#[derive(Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Takes the next piece in.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces together.
    #[must_use]
    pub fn finish(self) -> Key {
        first_half(&self.0.finalize())
    }
}

fn first_half(hash: &[u8]) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&hash[..16]);
    key
}
