//! Tokens and what they allow.

use crate::id::{OrganizationId, SuiteId, TokenId};
use crate::time::Timestamp;
use crate::{closed_set, user::Role};

closed_set! {
    /// What the holder of a credential may do.
    Scope {
        /// Send results and records, and read what a client asks for on the way.
        Upload = 1, "upload";
        /// Read everything of the suite or organization.
        Read = 2, "read";
        /// Both, plus dispositions, labels, states, policies, webhooks.
        Write = 3, "write";
        /// Everything.
        Admin = 4, "admin";
    }
}

impl Scope {
    /// Whether this scope includes sending results.
    #[must_use]
    pub const fn may_upload(self) -> bool {
        !matches!(self, Self::Read)
    }

    /// Whether this scope includes dispositions, labels, states, policies and webhooks.
    #[must_use]
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Write | Self::Admin)
    }

    /// Whether this scope includes reading everything.
    #[must_use]
    pub const fn may_read(self) -> bool {
        !matches!(self, Self::Upload)
    }
}

impl From<Role> for Scope {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Read,
            Role::Writer => Self::Write,
            Role::Admin => Self::Admin,
        }
    }
}

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One suite.
    Suite(SuiteId),
    /// Every suite of an organization, and the right to name and create them.
    Organization(OrganizationId),
}

/// A token as it is kept: the text itself is stored only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// What it opens.
    pub reach: Reach,
    /// What it allows there.
    pub scope: Scope,
    /// Branches whose results count as more than a pull request's; all when absent. May hold `*`.
    pub branches: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}
