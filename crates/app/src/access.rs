//! Access: who sends a request, and what they may do. Protocols only put the answer into their own words.

use crate::setup::DEFAULT_SLUG;
use crate::{Anonymous, App, on_waiting_thread, secrets};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_model::id::{OrganizationId, SuiteId};
use casebook_model::suite::Suite;
use casebook_model::token::{Reach, Scope};
use casebook_storage::{Db, StorageError, suites, tokens, users};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// A credential as a request carries it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token.
    Token(String),
    /// HTTP Basic: a user and a password, which may be a token.
    Basic {
        /// The user.
        user: String,
        /// The password or token.
        password: String,
    },
}

/// Never shows the secret.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(..)")
    }
}

impl Credential {
    /// The credential among a request's headers: `Authorization` wins over `x-aviator-api-key`.
    ///
    /// # Errors
    /// There is one that cannot be read.
    pub fn from_headers(
        authorization: Option<&[u8]>,
        api_key: Option<&[u8]>,
    ) -> Result<Option<Self>, Denied> {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Denied::Unknown);
        if let Some(value) = authorization {
            let value = text(value)?;
            // Clients without a token send the scheme alone (`aviator.md` 1).
            let is_empty = value.trim().eq_ignore_ascii_case("bearer");
            if !is_empty || api_key.is_none() {
                return Self::from_authorization(&value).ok_or(Denied::Unknown).map(Some);
            }
        }
        Ok(api_key.map(text).transpose()?.map(Self::Token))
    }

    /// Reads the value of an `Authorization` header in any of the spellings that clients send.
    #[must_use]
    pub fn from_authorization(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
        let rest = rest.trim();
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => token(rest),
            "token" => token(unquoted(rest)),
            "basic" => {
                let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
                let (user, password) = text.split_once(':')?;
                Some(Self::Basic { user: user.to_owned(), password: password.to_owned() })
            }
            _ => None,
        }
    }
}

fn token(text: &str) -> Option<Credential> {
    (!text.is_empty()).then(|| Credential::Token(text.to_owned()))
}

/// `token="T"`, `token=T`, `T`, each with or without a final semicolon.
fn unquoted(text: &str) -> &str {
    let text = text.trim_end_matches(';').trim_end();
    let text = text.strip_prefix("token=").unwrap_or(text);
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// What a verified credential opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What it allows.
    pub scope: Scope,
    /// Where.
    pub extent: Extent,
    /// Branches outside of which results count as a pull request's.
    pub branches: Option<String>,
}

/// Where an access is valid, and which suite takes records that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One suite.
    Suite(SuiteId),
    /// Every suite of an organization; its suite `default` takes records.
    Organization(OrganizationId),
    /// Every suite: users. Their home takes records.
    Everything(SuiteId),
    /// Without a credential: suite `default/default` alone.
    Anonymous,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no credential, or it is not valid.
    #[error("the credential is missing or not valid")]
    Unknown,
    /// Too many passwords are being verified.
    #[error("too many passwords are being checked: try again in a moment, or use a token")]
    Busy,
    /// Too many wrong passwords came from this address.
    #[error("too many wrong passwords came from this address: wait a quarter of an hour, or use a token")]
    TooOften,
    /// The credential is valid, but allows less.
    #[error("this credential does not allow that: it has scope {0}")]
    Scope(Scope),
    /// The credential is a suite's, and what is asked for concerns the organization.
    #[error("this credential is valid for one suite: use a token of the organization")]
    OneSuite,
    /// What is asked for does not exist, or is none of this credential's business: both look the same.
    #[error("there is no such suite")]
    NotFound,
    /// The organization of the token has no suite `default`.
    #[error("the organization of this token has no suite named default: use a suite's token")]
    NoDefaultSuite,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl App {
    /// Who `credential`, sent from `address`, belongs to; without one, what `--anonymous` allows.
    ///
    /// # Errors
    /// There is none and one is needed, it is not valid, or too many wrong passwords came from there.
    pub async fn authenticate(
        self: &Arc<Self>,
        credential: Option<Credential>,
        address: Option<IpAddr>,
    ) -> Result<Access, Denied> {
        let Some(credential) = credential else {
            let scope = match self.options.anonymous {
                Anonymous::None => return Err(Denied::Unknown),
                Anonymous::Read => Scope::Read,
                // Uploading and reading, and nothing that needs a name.
                Anonymous::Write => Scope::Upload,
            };
            return Ok(Access { scope, extent: Extent::Anonymous, branches: None });
        };
        let (text, user) = match credential {
            Credential::Token(text) => (text, None),
            Credential::Basic { user, password } => (password, Some(user)),
        };
        let (hash, name) = (secrets::token_hash(&text), user.clone());
        let found = self.look_up(move |db| {
            let token = tokens::find(db, &hash)?.filter(|(_, stored)| bool::from(stored.ct_eq(&hash)));
            let user = match (&token, &name) {
                (None, Some(name)) => users::find(db, name)?,
                _ => None,
            };
            Ok((token, user))
        });
        match found.await? {
            (Some((token, _)), _) => {
                let extent = match token.reach {
                    Reach::Suite(suite) => Extent::Suite(suite),
                    Reach::Organization(organization) => Extent::Organization(organization),
                };
                Ok(Access { scope: token.scope, extent, branches: token.branches })
            }
            (None, Some((user, stored))) => {
                let app = Arc::clone(self);
                let name = user.name.as_str().to_owned();
                on_waiting_thread(move || app.verify_password(&name, &text, &stored, address)).await?;
                Ok(Access { scope: user.role.into(), extent: Extent::Everything(user.home), branches: None })
            }
            (None, None) => {
                // A name that is not there counts like one that is, and says as little.
                if let Some(name) = user {
                    let now = self.now();
                    if !self.attempts.allow(&name, address, now) {
                        return Err(Denied::TooOften);
                    }
                    self.attempts.failed(&name, address, now);
                }
                Err(Denied::Unknown)
            }
        }
    }

    fn verify_password(
        &self,
        name: &str,
        password: &str,
        stored: &str,
        address: Option<IpAddr>,
    ) -> Result<(), Denied> {
        let now = self.now();
        if !self.attempts.allow(name, address, now) {
            return Err(Denied::TooOften);
        }
        match self.passwords.verify(password, stored, now) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.attempts.failed(name, address, now);
                Err(Denied::Unknown)
            }
            Err(_) => Err(Denied::Busy),
        }
    }

    /// The suite that takes a record which names none.
    ///
    /// # Errors
    /// The access does not allow uploads, or its organization has no suite `default`.
    pub async fn suite_for_records(&self, access: &Access) -> Result<Suite, Denied> {
        access.check_upload()?;
        self.home_suite(access).await
    }

    /// The suite that is read by whoever names none: the one that takes its records.
    ///
    /// # Errors
    /// The access does not allow reading, or its organization has no suite `default`.
    pub async fn suite_for_reading(&self, access: &Access) -> Result<Suite, Denied> {
        access.check_read(self.options.anonymous)?;
        self.home_suite(access).await
    }

    /// The suite where an access is at home.
    ///
    /// # Errors
    /// Its organization has no suite `default`.
    pub async fn home_suite(&self, access: &Access) -> Result<Suite, Denied> {
        let extent = access.extent;
        self.look_up(move |db| home(db, extent)).await?.ok_or(Denied::NoDefaultSuite)
    }

    /// [`Self::authenticate`] and [`Self::home_suite`], for which an organization without a suite `default` is no error yet.
    ///
    /// # Errors
    /// Those of the first.
    pub async fn authenticate_at_home(
        self: &Arc<Self>,
        credential: Credential,
        address: Option<IpAddr>,
    ) -> Result<(Access, Option<Suite>), Denied> {
        let access = self.authenticate(Some(credential), address).await?;
        let extent = access.extent;
        let suite = self.look_up(move |db| home(db, extent)).await?;
        Ok((access, suite))
    }

    /// Whether this access may read where it is at home.
    ///
    /// # Errors
    /// It may only upload.
    pub fn check_reading(&self, access: &Access) -> Result<(), Denied> {
        access.check_read(self.options.anonymous)
    }

    /// The suites of an organization that this access may read, by slug; none looks like an organization that is not there.
    ///
    /// # Errors
    /// The access may only upload, or the database fails.
    pub async fn readable_suites(&self, access: &Access, organization: &str) -> Result<Vec<Suite>, Denied> {
        access.check_read(self.options.anonymous)?;
        let all = self.read(suites::list).await?.into_iter();
        Ok(all
            .filter(|suite| suite.organization.slug.as_str() == organization && access.reaches(suite))
            .collect())
    }

    /// The suite `organization/suite`, if this access may decide about its tests.
    ///
    /// # Errors
    /// It may not, or there is none.
    pub async fn writable_suite(
        &self,
        access: &Access,
        organization: &str,
        suite: &str,
    ) -> Result<Suite, Denied> {
        let found = self.readable_suite(access, organization, suite).await?;
        access.check_write()?;
        Ok(found)
    }

    /// The suite `organization/suite`, if this access may read it.
    ///
    /// # Errors
    /// It may not, or there is none.
    pub async fn readable_suite(
        &self,
        access: &Access,
        organization: &str,
        suite: &str,
    ) -> Result<Suite, Denied> {
        let found = self.reached_suite(access, organization, suite).await?;
        access.check_read(self.options.anonymous)?;
        Ok(found)
    }

    /// The suite with that number, if this access may read it.
    ///
    /// # Errors
    /// It may not, or there is none.
    pub async fn readable_suite_by_id(&self, access: &Access, suite: SuiteId) -> Result<Suite, Denied> {
        let found = self.look_up(move |db| suites::find_by_id(db, suite)).await?;
        let found = found.filter(|suite| access.reaches(suite)).ok_or(Denied::NotFound)?;
        access.check_read(self.options.anonymous)?;
        Ok(found)
    }

    /// The suite `organization/suite`, if this access is valid there at all.
    ///
    /// # Errors
    /// It is not, or there is none.
    pub(crate) async fn reached_suite(
        &self,
        access: &Access,
        organization: &str,
        suite: &str,
    ) -> Result<Suite, Denied> {
        let (organization, suite) = (organization.to_owned(), suite.to_owned());
        let found = self.look_up(move |db| suites::find(db, &organization, &suite)).await?;
        found.filter(|suite| access.reaches(suite)).ok_or(Denied::NotFound)
    }
}

/// The suite where an access of that extent is at home.
fn home(db: &mut Db<'_>, extent: Extent) -> Result<Option<Suite>, StorageError> {
    match extent {
        Extent::Suite(id) | Extent::Everything(id) => suites::find_by_id(db, id),
        Extent::Organization(organization) => suites::find_default(db, organization, DEFAULT_SLUG),
        Extent::Anonymous => suites::find(db, DEFAULT_SLUG, DEFAULT_SLUG),
    }
}

impl Access {
    /// Whether this access is valid for `suite` at all.
    #[must_use]
    pub fn reaches(&self, suite: &Suite) -> bool {
        match self.extent {
            Extent::Suite(id) => id == suite.id,
            Extent::Organization(id) => id == suite.organization.id,
            Extent::Everything(_) => true,
            Extent::Anonymous => {
                suite.slug.as_str() == DEFAULT_SLUG && suite.organization.slug.as_str() == DEFAULT_SLUG
            }
        }
    }

    /// Whether this access may send results.
    ///
    /// # Errors
    /// It may not.
    pub fn check_upload(&self) -> Result<(), Denied> {
        if self.scope.may_upload() {
            return Ok(());
        }
        // Whoever has no credential is to bring one.
        Err(if self.extent == Extent::Anonymous { Denied::Unknown } else { Denied::Scope(self.scope) })
    }

    /// Whether this access may read; what is open to `--anonymous write` is open to read too.
    ///
    /// # Errors
    /// It may only upload.
    pub(crate) fn check_read(&self, anonymous: Anonymous) -> Result<(), Denied> {
        let open = self.extent == Extent::Anonymous && anonymous != Anonymous::None;
        if self.scope.may_read() || open { Ok(()) } else { Err(Denied::Scope(self.scope)) }
    }

    /// Whether this access may change what others see, which always needs a name.
    ///
    /// # Errors
    /// It may not.
    pub fn check_write(&self) -> Result<(), Denied> {
        match self.extent {
            Extent::Anonymous => Err(Denied::Unknown),
            _ if self.scope.may_write() => Ok(()),
            _ => Err(Denied::Scope(self.scope)),
        }
    }

    /// Whether this access may see what concerns every suite.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.scope == Scope::Admin && !matches!(self.extent, Extent::Suite(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_token() {
        let expected = Some(Credential::Token("T_1-x".to_owned()));
        for value in [
            "Token token=\"T_1-x\"",
            "Token token=T_1-x",
            "Token T_1-x",
            "Bearer T_1-x",
            "Token token=\"T_1-x\";",
            "token token=\"T_1-x\" ;",
            "bearer  T_1-x ",
        ] {
            assert_eq!(Credential::from_authorization(value), expected, "{value}");
        }
        let basic = Credential::Basic { user: "any".to_owned(), password: "T:1".to_owned() };
        assert_eq!(Credential::from_authorization("Basic YW55OlQ6MQ=="), Some(basic));
        for value in ["", "Bearer", "Bearer ", "Token ", "Digest x", "Basic !!!", "Basic YW55", "T"] {
            assert_eq!(Credential::from_authorization(value), None, "{value}");
        }
    }
}
