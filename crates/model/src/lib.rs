//! The nouns of Casebook and their rules: no I/O, no SQL, no HTTP, no clock, no randomness.
//!
//! One word stands for one thing here and in every column, JSON key and page. Values are checked where they enter
//! (`parse`, `new`), and every later layer trusts them.

pub mod id;
pub mod key;
pub mod name;
pub mod ownership;
pub mod public_id;
pub mod time;

pub mod suite;
pub mod token;
pub mod user;

pub mod branch;
pub mod run;
pub mod variant;

pub mod execution;
pub mod failure;
pub mod report;
pub mod resources;
pub mod rollup;
pub mod tags;
pub mod test;
pub mod verdict;

pub mod avocado;
pub mod disposition;
pub mod evidence;
pub mod health;
pub mod machine;
pub mod mark;
pub mod measurement;
pub mod policy;
pub mod webhook;

/// Defines an enum with a stable number (what the database holds) and a stable word (what people and programs read).
///
/// Both directions are generated from one table, so that a new member cannot be forgotten in one of them.
macro_rules! closed_set {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $member:ident = $code:literal, $word:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $member,)+ }

        impl $name {
            /// Every member, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// The number stored for this member.
            #[must_use]
            pub const fn code(self) -> i64 {
                match self { $(Self::$member => $code),+ }
            }

            /// The member stored as `code`, if there is one.
            #[must_use]
            pub const fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$member),)+ _ => None }
            }

            /// The word for this member.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $word),+ }
            }

            /// The member that `word` stands for, if there is one.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$member),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed_set;
