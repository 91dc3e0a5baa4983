//! Secrets that sign deliveries, and the key file under which they are stored.

use crate::secrets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use casebook_model::id::WebhookId;
use casebook_storage::{StorageError, Store, installation};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// How secrets begin whose rest is the key in base64.
const PREFIX: &str = "whsec_";

/// Length of a given secret, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=500;

/// What signs deliveries. Never shown but to whoever makes the webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The text is no secret. Says why, without repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Too short, too long, or with blanks.
    #[error("a secret has 8 to 500 letters, digits and signs, without blanks")]
    Text,
    /// It looks like a key in base64 and is none.
    #[error("a secret that begins with whsec_ goes on with 24 to 64 bytes in base64")]
    Base64,
}

impl Secret {
    /// A new secret of 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{PREFIX}{}", STANDARD.encode(secrets::random::<32>())))
    }

    /// A secret that the receiver knows already.
    ///
    /// # Errors
    /// It is too short, too long, has blanks, or is no base64 after `whsec_`.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        if !LENGTHS.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidSecret::Text);
        }
        if let Some(rest) = text.strip_prefix(PREFIX)
            && !STANDARD.decode(rest).is_ok_and(|key| (24..=64).contains(&key.len()))
        {
            return Err(InvalidSecret::Base64);
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The key of Standard Webhooks: what the base64 stands for, else the bytes of the text.
    pub(crate) fn standard_key(&self) -> Vec<u8> {
        let decoded = self.0.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
        decoded.unwrap_or_else(|| self.0.clone().into_bytes())
    }
}

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// None was given, and there is no file beside which it could be.
    #[error(
        "webhook secrets need a key file: give --secret-key-file FILE, the same file to every server and command"
    )]
    NotNamed,
    /// It is not there, although secrets were stored under it.
    #[error("the key file {} is missing: put back the file under which the webhook secrets were stored", .0.display())]
    Missing(PathBuf),
    /// It is another one.
    #[error(
        "the key file {} is not the one under which the webhook secrets were stored: give that file, or put it back",
        .0.display()
    )]
    Wrong(PathBuf),
    /// It holds something else.
    #[error("the file {} holds no key: give the key file under which the webhook secrets were stored", .0.display())]
    NoKey(PathBuf),
    /// It cannot be read or made.
    #[error("the key file {} cannot be used", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// What is stored is not what this key has sealed.
    #[error("the stored secret is damaged: remove the webhook and make it again")]
    Damaged,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The key under which secrets are stored, read from its file when it is first needed.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: Option<PathBuf>,
    key: OnceLock<[u8; 32]>,
}

impl KeyFile {
    pub(crate) const fn new(path: Option<PathBuf>) -> Self {
        Self { path, key: OnceLock::new() }
    }

    /// What encrypts secrets. Makes the key file if no secret was ever stored.
    pub(crate) fn sealer(&self, store: &Store) -> Result<Sealer, KeyError> {
        self.key(store, true).map(Sealer)
    }

    /// Decrypts what [`Sealer::seal`] made for that webhook.
    pub(crate) fn open(&self, store: &Store, webhook: WebhookId, sealed: &[u8]) -> Result<Secret, KeyError> {
        let key = self.key(store, false)?;
        let (nonce, text) = sealed.split_first_chunk::<24>().ok_or(KeyError::Damaged)?;
        let payload = Payload { msg: text, aad: &bound_to(webhook) };
        let plain = cipher(&key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyError::Damaged)?;
        String::from_utf8(plain).map(Secret).map_err(|_| KeyError::Damaged)
    }

    /// Whether the secrets that are stored can be read.
    pub(crate) fn check(&self, store: &Store) -> Result<(), KeyError> {
        match store.read(installation::secret_key_mark)? {
            Some(_) => self.key(store, false).map(drop),
            None => Ok(()),
        }
    }

    fn key(&self, store: &Store, make: bool) -> Result<[u8; 32], KeyError> {
        if let Some(key) = self.key.get() {
            return Ok(*key);
        }
        let path = self.path.as_deref().ok_or(KeyError::NotNamed)?;
        let mark = store.read(installation::secret_key_mark)?;
        let key = match read(path)? {
            Some(key) => key,
            None if make && mark.is_none() => write(path)?,
            None => return Err(KeyError::Missing(path.to_owned())),
        };
        let own = mark_of(&key);
        let mark = match mark {
            Some(mark) => mark,
            None => store.write(|db| installation::keep_secret_key_mark(db, &own))?,
        };
        if mark != own {
            return Err(KeyError::Wrong(path.to_owned()));
        }
        Ok(*self.key.get_or_init(|| key))
    }
}

/// The key, ready to encrypt inside a transaction.
pub(crate) struct Sealer([u8; 32]);

impl Sealer {
    /// Encrypts a webhook's secret, bound to the webhook.
    pub(crate) fn seal(&self, webhook: WebhookId, secret: &Secret) -> Result<Vec<u8>, KeyError> {
        let nonce = secrets::random::<24>();
        let payload = Payload { msg: secret.text().as_bytes(), aad: &bound_to(webhook) };
        let sealed = cipher(&self.0).encrypt(&XNonce::from(nonce), payload).map_err(|_| KeyError::Damaged)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

/// A sealed secret is worth nothing in another webhook's row.
fn bound_to(webhook: WebhookId) -> Vec<u8> {
    format!("webhook {}", webhook.get()).into_bytes()
}

/// What tells keys apart without telling anything of them.
fn mark_of(key: &[u8; 32]) -> [u8; 16] {
    let digest = Sha256::new().chain_update("casebook key of secrets").chain_update(key).finalize();
    let mut mark = [0; 16];
    mark.copy_from_slice(&digest[..16]);
    mark
}

fn read(path: &Path) -> Result<Option<[u8; 32]>, KeyError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyError::Io(path.to_owned(), error)),
    };
    let key = STANDARD.decode(text.trim()).ok().and_then(|key| key.try_into().ok());
    key.map(Some).ok_or_else(|| KeyError::NoKey(path.to_owned()))
}

/// Makes the file, readable for its owner alone; if another process was faster, its key is the key.
fn write(path: &Path) -> Result<[u8; 32], KeyError> {
    let failed = |error| KeyError::Io(path.to_owned(), error);
    let key = secrets::random::<32>();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Temporary files have mode 0600; it gets its name when it is whole.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    writeln!(file, "{}", STANDARD.encode(key)).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(key),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| KeyError::Missing(path.to_owned()))
        }
        Err(error) => Err(failed(error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_random_or_given() {
        let made = Secret::random();
        assert_ne!(made, Secret::random());
        assert_eq!(Secret::parse(made.text()).as_ref(), Ok(&made));
        assert_eq!(made.standard_key().len(), 32);
        let given = Secret::parse("av_live_xxxyyyzzz").unwrap();
        assert_eq!(given.standard_key(), b"av_live_xxxyyyzzz");
        assert_eq!(format!("{given:?}"), "Secret(..)");
        for wrong in ["", "short", "with a blank", "with\nlines", &"x".repeat(501)] {
            assert_eq!(Secret::parse(wrong), Err(InvalidSecret::Text), "{wrong}");
        }
        for wrong in ["whsec_###########", "whsec_c2hvcnQ="] {
            assert_eq!(Secret::parse(wrong), Err(InvalidSecret::Base64), "{wrong}");
        }
    }

    #[test]
    fn a_sealed_secret_belongs_to_its_webhook() {
        let secret = Secret::random();
        let sealed = Sealer([7; 32]).seal(WebhookId(1), &secret).unwrap();
        assert_ne!(sealed, Sealer([7; 32]).seal(WebhookId(1), &secret).unwrap());
        let (nonce, text) = sealed.split_first_chunk::<24>().unwrap();
        let open = |key: u8, webhook: i64| {
            let payload = Payload { msg: text, aad: &bound_to(WebhookId(webhook)) };
            cipher(&[key; 32]).decrypt(&XNonce::from(*nonce), payload).ok()
        };
        assert_eq!(open(7, 1).as_deref(), Some(secret.text().as_bytes()));
        assert_eq!((open(7, 2), open(8, 1)), (None, None));
    }
}
