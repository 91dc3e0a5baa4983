//! Variants: the environment in which a test ran, as far as chosen tags describe it.

use crate::tags::Tags;
use sha2::{Digest as _, Sha256};

/// Tag keys that make a variant unless a suite chooses others.
pub const DEFAULT_KEYS: &[&str] = &["os", "host.arch", "language.version", "build.step_id"];

/// The part of an execution's tags that tells environments apart. Empty when nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant(Tags);

impl Variant {
    /// Picks the variant's tags out of `upload` and `own`; the execution's own win.
    #[must_use]
    pub fn of(upload: &Tags, own: &Tags, keys: &[&str]) -> Self {
        let chosen =
            keys.iter().filter_map(|key| own.get(key).or_else(|| upload.get(key)).map(|value| (*key, value)));
        Self(chosen.collect())
    }

    /// The tags, sorted by key.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        &self.0
    }

    /// First 16 bytes of SHA-256 over the sorted tags.
    #[must_use]
    pub fn hash(&self) -> [u8; 16] {
        let mut hasher = Sha256::new();
        for (key, value) in self.0.iter() {
            for text in [key, value] {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text);
            }
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize()[..16]);
        hash
    }
}
