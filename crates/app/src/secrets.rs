//! Random secrets, and the hash under which tokens are kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use casebook_storage::tokens::TokenHash;
use sha2::{Digest as _, Sha256};

/// Beginning of every token this server makes, so that scanners for leaked secrets can know them.
const TOKEN_PREFIX: &str = "cbk_";

/// `N` random bytes.
///
/// # Panics
/// The operating system gives no random bytes; nothing can be kept secret then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without random bytes no secret can be made")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new token of 256 random bits.
#[must_use]
pub fn new_token() -> String {
    format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

/// Whether a text looks like a token of a server like this one.
#[must_use]
pub fn looks_like_token(text: &str) -> bool {
    text.starts_with(TOKEN_PREFIX)
}

/// A new password for people to type once.
#[must_use]
pub fn new_password() -> String {
    URL_SAFE_NO_PAD.encode(random::<15>())
}

/// The hash under which a token is kept.
#[must_use]
pub fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}
