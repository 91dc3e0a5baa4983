//! Tests: identity, spellings and attributes.
//!
//! Identity is (suite, canonical class name, name), nothing else (`docs/schema.md`). Files, tags, ordinals and templates
//! never enter it.

use crate::id::TestId;
use crate::key::{Key, key_of};
use crate::run::Protocol;
use std::borrow::Cow;

/// What makes two results belong to the same test of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Canonical class name; may be empty.
    pub class_name: String,
    /// Name, parameters included.
    pub name: String,
}

impl Identity {
    /// The key under which the identity is stored: names may be longer than any index allows.
    #[must_use]
    pub fn key(&self) -> Key {
        key_of(&[&self.class_name, &self.name])
    }
}

/// A test as one protocol wrote it, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spelling<'a> {
    /// Whose spelling it is.
    pub protocol: Protocol,
    /// The protocol's group.
    pub scope: Cow<'a, str>,
    /// The protocol's name.
    pub name: Cow<'a, str>,
}

impl Spelling<'_> {
    /// The key under which the spelling is stored.
    #[must_use]
    pub fn key(&self) -> Key {
        key_of(&[self.protocol.as_str(), &self.scope, &self.name])
    }
}

/// The canonical class name of a Buildkite scope: a pytest node path (`src/test_a.py::TestB`) becomes what pytest's JUnit
/// writer says (`src.test_a.TestB`), anything else stays as it is (`aviator.md` 6.1).
#[must_use]
pub fn canonical_class_name(scope: &str) -> Cow<'_, str> {
    let (path, classes) = match scope.split_once("::") {
        Some((path, classes)) => (path, Some(classes)),
        None => (scope, None),
    };
    let Some(module) = path.strip_suffix(".py").filter(|module| !module.is_empty()) else {
        return Cow::Borrowed(scope);
    };
    let mut name = module.replace('/', ".");
    if let Some(classes) = classes {
        name.push('.');
        name.push_str(&classes.replace("::", "."));
    }
    Cow::Owned(name)
}

/// A test as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its number in the suite.
    pub id: TestId,
    /// Its identity.
    pub identity: Identity,
    /// What its latest result said about its place.
    pub attributes: TestAttributes,
}

/// What the latest result of a test said about it; leaving something out clears it (`buildkite.md` 4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TestAttributes {
    /// `file`, `file:line` or `file:line:column`.
    pub location: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The suites of its report that it is in, the outermost first, with ` > ` between them; what changes from run to run
    /// is left out.
    pub suite_path: Option<String>,
}

impl TestAttributes {
    /// A hash that differs when the attributes do.
    #[must_use]
    pub fn hash(&self) -> u64 {
        use std::hash::{Hash, Hasher as _};
        let mut hasher = siphasher::sip::SipHasher13::new();
        Hash::hash(self, &mut hasher);
        hasher.finish()
    }
}

/// The hash of a reporter's id under which a repetition is recognised: ids are compared without regard to case.
#[must_use]
pub fn external_hash(uuid: u128) -> i64 {
    use std::hash::Hasher as _;
    let mut hasher = siphasher::sip::SipHasher24::new();
    hasher.write_u128(uuid);
    hasher.finish().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pytest_node_paths_become_junit_class_names() {
        for (scope, class_name) in [
            ("src/test_sample.py::TestSample", "src.test_sample.TestSample"),
            ("tests/test_x.py", "tests.test_x"),
            ("test_x.py::A::B", "test_x.A.B"),
            ("Cart totals", "Cart totals"),
            (" chromium cart.spec.ts", " chromium cart.spec.ts"),
            (".py", ".py"),
            ("", ""),
            ("a::b", "a::b"),
        ] {
            assert_eq!(canonical_class_name(scope), class_name);
        }
    }

    #[test]
    fn parts_are_not_joined() {
        let key = |class_name: &str, name: &str| {
            Identity { class_name: class_name.into(), name: name.into() }.key()
        };
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(key("", "a"), key("a", ""));
    }
}
