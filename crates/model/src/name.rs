//! Short texts from outside that name something of the CI system: never blank, never endless, otherwise as they were sent.

macro_rules! names {
    ($($(#[$meta:meta])* $name:ident, $longest:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Most bytes that are kept; the rest of a longer text is cut off.
            pub const LONGEST: usize = $longest;

            /// The name, unless `text` is blank.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                let kept = &text[..text.floor_char_boundary(Self::LONGEST)];
                (!kept.trim().is_empty()).then(|| Self(kept.to_owned()))
            }

            /// The text as it was sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// A commit, usually a hash in hexadecimal digits. Runs of one suite with equal commits ran the same code.
    Commit, 255;
    /// A branch, perhaps with `refs/heads/` in front ([`crate::branch`]).
    Branch, 1000;
    /// A job of a build.
    Job, 1000;
    /// A part of a job's tests that runs beside the other parts.
    Shard, 255;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_no_name_and_endless_is_cut() {
        assert_eq!(Commit::new(" "), None);
        assert_eq!(Branch::new("refs/heads/main").unwrap().as_str(), "refs/heads/main");
        let long = Shard::new(&"ü".repeat(300)).unwrap();
        assert_eq!(long.as_str(), "ü".repeat(127));
    }
}
