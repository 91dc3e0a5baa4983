//! Variants: the environment in which a test ran, as far as chosen tags describe it.

use crate::key::{Key, key_of};
use crate::tags::Tags;

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

    /// The key under which the variant is stored.
    #[must_use]
    pub fn key(&self) -> Key {
        let parts: Vec<&str> = self.0.iter().flat_map(|(key, value)| [key, value]).collect();
        key_of(&parts)
    }
}
