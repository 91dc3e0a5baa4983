//! Organizations and suites: who owns tests, and the stream of runs of one set of tests.

use crate::id::{OrganizationId, SuiteId};
use crate::time::Timestamp;
use crate::{closed_set, key};
use std::borrow::Cow;

/// The name of an organization or suite in addresses: 1 to 100 letters, digits, `.`, `_` or `-`, beginning with a letter
/// or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug(String);

/// The text cannot be a slug.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} cannot name an organization or suite: use 1 to 100 letters, digits, '.', '_' or '-', beginning with a letter or digit"
)]
pub struct InvalidSlug {
    text: String,
}

impl Slug {
    /// Checks `text`.
    ///
    /// # Errors
    /// It is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidSlug> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.len() <= 100
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(allowed)
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSlug { text: text.chars().take(120).collect() })
        }
    }

    /// A slug made from a display name: lower case, runs of other characters become one dash.
    ///
    /// # Errors
    /// The name has no letter or digit that a slug may hold.
    pub fn from_name(name: &str) -> Result<Self, InvalidSlug> {
        let mut slug = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.truncate(100);
        Self::parse(slug.trim_end_matches('-'))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A suite as people write it: `organization/suite`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SuiteName {
    /// The organization's slug.
    pub organization: Slug,
    /// The suite's slug.
    pub suite: Slug,
}

/// The text is no suite name.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSuiteName {
    /// There is not exactly one slash.
    #[error("{0:?} is no suite name: write ORGANIZATION/SUITE")]
    Shape(String),
    /// One half is no slug.
    #[error(transparent)]
    Slug(#[from] InvalidSlug),
}

impl SuiteName {
    /// Checks `organization/suite`.
    ///
    /// # Errors
    /// There is not exactly one slash, or a half is no slug.
    pub fn parse(text: &str) -> Result<Self, InvalidSuiteName> {
        let Some((organization, suite)) = text.split_once('/') else {
            return Err(InvalidSuiteName::Shape(text.chars().take(220).collect()));
        };
        Ok(Self { organization: Slug::parse(organization)?, suite: Slug::parse(suite)? })
    }
}

impl std::fmt::Display for SuiteName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.organization, self.suite)
    }
}

/// A repository as hosting services write it: `owner/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryName(String);

/// The text is no repository name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no repository: write OWNER/NAME")]
pub struct InvalidRepositoryName(String);

impl RepositoryName {
    /// Checks `owner/name`.
    ///
    /// # Errors
    /// There is no slash, an empty part, a blank or a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidRepositoryName> {
        let parts: Vec<&str> = text.split('/').collect();
        let clean =
            |part: &&str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
        if parts.len() >= 2 && parts.iter().all(clean) && text.len() <= 300 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRepositoryName(text.chars().take(300).collect()))
        }
    }

    /// The repository that `text` names in any form CI systems use: `owner/name`, `https://host/owner/name.git`,
    /// `git@host:owner/name.git`, `ssh://git@host:22/owner/name`. Credentials and the host are left out.
    ///
    /// # Errors
    /// It names none.
    pub fn from_address(text: &str) -> Result<Self, InvalidRepositoryName> {
        let text = text.trim();
        let path = if let Some((_, rest)) = text.split_once("://") {
            rest.split_once('/').map_or("", |(_, path)| path)
        } else if let Some((host, path)) = text.split_once(':')
            && !host.contains('/')
        {
            path
        } else {
            text
        };
        let path = path.split(['?', '#']).next().unwrap_or("").trim_matches('/');
        Self::parse(path.strip_suffix(".git").unwrap_or(path))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its owner.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

/// Longest name of a check, in bytes.
pub const LONGEST_CHECK: usize = 300;

/// The name under which a check is kept: longer ones lose their end, and keep what tells them apart.
#[must_use]
pub fn check_name(text: &str) -> String {
    let text = text.trim();
    if text.len() <= LONGEST_CHECK {
        return text.to_owned();
    }
    let head = &text[..text.floor_char_boundary(LONGEST_CHECK - 20)];
    let digest = key::hex(&key::digest(text.as_bytes()));
    format!("{head}...{}", digest.get(..16).unwrap_or(&digest))
}

/// What the names of CircleCI's checks begin with.
const CIRCLE: &str = "ci/circleci:";

/// The name of a check as its provider writes it (`aviator.md` 2.2).
#[must_use]
pub fn canonical_check(check: &str) -> Cow<'_, str> {
    match check.strip_prefix(CIRCLE) {
        Some(job) if !job.starts_with(' ') => Cow::Owned(format!("{CIRCLE} {}", job.trim_start())),
        _ => Cow::Borrowed(check),
    }
}

/// Whether two names are one check: CircleCI and its clients disagree about a blank after the colon (`aviator.md` 4.3).
#[must_use]
pub fn same_check(one: &str, other: &str) -> bool {
    one == other
        || matches!(
            (one.strip_prefix(CIRCLE), other.strip_prefix(CIRCLE)),
            (Some(one), Some(other)) if one.trim_start() == other.trim_start()
        )
}

closed_set! {
    /// How much evidence flags a test (`docs/schema.md`, evidence).
    Sensitivity {
        /// Two independent pieces of evidence.
        Robust = 1, "robust";
        /// The first piece of evidence of weight .5 or more.
        Prompt = 2, "prompt";
    }
}

closed_set! {
    /// When a flaky test counts as resolved.
    ResolveRule {
        /// 14 days without evidence.
        Quiet = 1, "quiet";
        /// 14 days without evidence and enough clean runs.
        Proven = 2, "proven";
    }
}

/// A tenant that owns suites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its number.
    pub id: OrganizationId,
    /// Its name in addresses.
    pub slug: Slug,
}

/// One stream of runs of one set of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its number.
    pub id: SuiteId,
    /// The organization that owns it.
    pub organization: Organization,
    /// Its name in addresses, unique within the organization.
    pub slug: Slug,
    /// What people see and what can be changed.
    pub attributes: SuiteAttributes,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when its default branch is what it is: results from before were classed by another.
    pub default_branch_since: Timestamp,
}

impl Suite {
    /// `organization/suite`.
    #[must_use]
    pub fn name(&self) -> SuiteName {
        SuiteName { organization: self.organization.slug.clone(), suite: self.slug.clone() }
    }
}

/// What can be changed about a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuiteAttributes {
    /// Display name.
    pub name: String,
    /// The branch whose results speak for the product.
    pub default_branch: String,
    /// The repository, if known.
    pub repository: Option<RepositoryName>,
    /// Name of the check on commits, if known.
    pub check: Option<String>,
    /// The CI provider as people write it, if known.
    pub provider: Option<String>,
    /// How much evidence flags a test.
    pub sensitivity: Sensitivity,
    /// When a flaky test counts as resolved.
    pub resolve_rule: ResolveRule,
    /// Whether clients run tests several times that the suite does not know.
    pub new_tests: bool,
    /// How lists and pages show it.
    pub appearance: Appearance,
    /// Who may bring an OIDC token instead of a suite token, as it was given: YAML or JSON. Kept for clients, not obeyed.
    pub oidc_policy: Option<String>,
}

/// How a suite is shown beside its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appearance {
    /// The application that the suite tests.
    pub application_name: Option<String>,
    /// A colour, as `#RRGGBB`.
    pub color: Option<String>,
    /// A pictogram.
    pub emoji: Option<String>,
}

impl SuiteAttributes {
    /// The attributes of a suite nobody has described yet.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            default_branch: "main".to_owned(),
            repository: None,
            check: None,
            provider: None,
            sensitivity: Sensitivity::Robust,
            resolve_rule: ResolveRule::Quiet,
            new_tests: false,
            appearance: Appearance::default(),
            oidc_policy: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["a", "my_suite", "Web.app-2", "0"] {
            assert_eq!(Slug::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a b", "a/b", "ü", &"x".repeat(101)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Slug::from_name("My suite: Größe 2!").unwrap().as_str(), "my-suite-gr-e-2");
        assert!(Slug::from_name("äöü").is_err());
    }

    #[test]
    fn repositories_in_every_form() {
        for address in [
            "acme/web",
            "https://github.com/acme/web",
            "https://user:secret@github.com/acme/web.git",
            "git@github.com:acme/web.git",
            "ssh://git@github.com:22/acme/web.git/",
            " acme/web/ ",
        ] {
            assert_eq!(RepositoryName::from_address(address).unwrap().as_str(), "acme/web", "{address}");
        }
        let nested = RepositoryName::from_address("https://gitlab.com/acme/team/web.git?x=1").unwrap();
        assert_eq!((nested.as_str(), nested.short()), ("acme/team/web", "web"));
        for bad in ["", "web", "https://github.com", "git@github.com:web.git", "a b/c"] {
            assert!(RepositoryName::from_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_blank_after_the_colon_makes_no_other_check() {
        assert!(same_check("ci/circleci: unit-tests", "ci/circleci:unit-tests"));
        assert!(same_check("build", "build"));
        for (check, written) in [
            ("ci/circleci:unit", "ci/circleci: unit"),
            ("ci/circleci: unit", "ci/circleci: unit"),
            ("buildkite/x", "buildkite/x"),
        ] {
            assert_eq!(canonical_check(check), written);
        }
        for (one, other) in
            [("ci/circleci: a", "ci/circleci: b"), ("buildkite: a", "buildkite:a"), ("a", "A")]
        {
            assert!(!same_check(one, other), "{one} {other}");
        }
    }

    #[test]
    fn long_checks_stay_different() {
        assert_eq!(check_name(" build "), "build");
        let [one, other] = ["a", "b"].map(|end| check_name(&format!("{}{end}", "ü".repeat(200))));
        assert!(one.len() <= LONGEST_CHECK && one != other, "{one} {other}");
        assert_eq!(check_name(&one), one);
    }

    #[test]
    fn suite_names_have_one_slash() {
        assert_eq!(SuiteName::parse("acme/web").unwrap().to_string(), "acme/web");
        for bad in ["acme", "acme/", "/web", "a/b/c"] {
            assert!(SuiteName::parse(bad).is_err(), "{bad}");
        }
    }
}
