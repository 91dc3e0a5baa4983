//! Users of the pages and of HTTP Basic.

use crate::closed_set;
use crate::id::{SuiteId, UserId};
use crate::time::Timestamp;

closed_set! {
    /// What a user may do, from least to most.
    Role {
        /// Read.
        Viewer = 1, "viewer";
        /// Read and write.
        Writer = 2, "writer";
        /// Everything.
        Admin = 3, "admin";
    }
}

/// A user name: 1 to 64 characters without blanks, colons and control characters (HTTP Basic ends the name at a colon).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserName(String);

/// The text cannot be a user name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} cannot be a user name: use 1 to 64 characters without blanks and colons")]
pub struct InvalidUserName(String);

impl UserName {
    /// Checks `text`.
    ///
    /// # Errors
    /// It is empty, too long, or has a blank, a colon or a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidUserName> {
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == ':';
        if text.is_empty() || text.chars().count() > 64 || text.contains(forbidden) {
            return Err(InvalidUserName(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user as kept, without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: UserId,
    /// The name.
    pub name: UserName,
    /// What the user may do.
    pub role: Role,
    /// The suite that records without a suite of their own go to.
    pub home: SuiteId,
    /// When the user was made.
    pub created_at: Timestamp,
}
