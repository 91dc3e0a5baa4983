//! Secrets that are known by what they look like.

use super::{REDACTED, Rule, Secret, begins_word, run};
use std::ops::Range;

/// A token with a prefix: what follows, and how much of it there must be.
struct Prefix {
    prefix: &'static str,
    rule: Rule,
    also: &'static [u8],
    least: usize,
    most: usize,
}

const fn prefix(prefix: &'static str, rule: Rule, also: &'static [u8], least: usize) -> Prefix {
    Prefix { prefix, rule, also, least, most: usize::MAX }
}

const PREFIXES: &[Prefix] = &[
    prefix("ghp_", Rule::GitHub, b"", 20),
    prefix("gho_", Rule::GitHub, b"", 20),
    prefix("ghu_", Rule::GitHub, b"", 20),
    prefix("ghs_", Rule::GitHub, b"", 20),
    prefix("ghr_", Rule::GitHub, b"", 20),
    prefix("github_pat_", Rule::GitHub, b"_", 20),
    prefix("glpat-", Rule::GitLab, b"_-.", 20),
    prefix("xox", Rule::Slack, b"-", 14),
    Prefix { prefix: "AKIA", rule: Rule::Aws, also: b"", least: 16, most: 16 },
    Prefix { prefix: "ASIA", rule: Rule::Aws, also: b"", least: 16, most: 16 },
    prefix("AIza", Rule::Google, b"_-", 30),
    prefix("sk_live_", Rule::Stripe, b"", 16),
    prefix("rk_live_", Rule::Stripe, b"", 16),
    prefix("npm_", Rule::Npm, b"", 30),
    prefix("pypi-", Rule::PyPi, b"_-", 50),
    prefix("bk", Rule::Buildkite, b"_", 23),
    prefix("cbk_", Rule::Casebook, b"_-", 20),
    prefix("whsec_", Rule::Webhook, b"+/=_-", 20),
];

/// A token that begins with its mark.
pub(super) fn prefixed(text: &str, mark: Range<usize>) -> Option<Secret> {
    let rest = &text[mark.start..];
    let kind = PREFIXES.iter().find(|kind| rest.starts_with(kind.prefix))?;
    let body = &rest[kind.prefix.len()..];
    let length = run(body, |byte| byte.is_ascii_alphanumeric() || kind.also.contains(&byte));
    let whole = mark.start..mark.start + kind.prefix.len() + length;
    let fits = (kind.least..=kind.most).contains(&length) && begins_word(text, mark.start);
    let capital = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let spelled = kind.rule != Rule::Aws || body[..length].bytes().all(capital);
    (fits && spelled).then_some((kind.rule, whole))
}

/// Three parts of base64 for addresses, joined by points.
pub(super) fn json_web_token(text: &str, mark: Range<usize>) -> Option<Secret> {
    let rest = &text[mark.start..];
    if !rest.starts_with("eyJ") || !begins_word(text, mark.start) {
        return None;
    }
    let part =
        |text: &str| run(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'='));
    let mut end = part(rest);
    let long = |length: usize| length >= 10;
    if !long(end) {
        return None;
    }
    for _ in 0..2 {
        let next = rest[end..].strip_prefix('.')?;
        let length = part(next);
        if !long(length) {
            return None;
        }
        end += 1 + length;
    }
    Some((Rule::JsonWebToken, mark.start..mark.start + end))
}

/// Longest private key that is looked for the end of.
const LONGEST_KEY: usize = 16 * 1024;

/// What is between the lines that begin and end a private key. One that was cut ends with its last line of base64.
pub(super) fn private_key(text: &str, mark: Range<usize>) -> Option<Secret> {
    let head = &text[mark.end..text.floor_char_boundary(mark.end + 60)];
    let label = head.find("-----").filter(|end| head[..*end].contains("PRIVATE KEY"))?;
    let start = mark.end + label + "-----".len();
    let body = &text[start..text.floor_char_boundary(start.saturating_add(LONGEST_KEY))];
    let length = body.find("-----END ").unwrap_or_else(|| {
        let key = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\n\r\\".contains(&byte);
        body[..run(body, key)].trim_end_matches('\\').len()
    });
    // In a JSON text a key does not go on after its string.
    let length = body[..length].find('"').unwrap_or(length);
    let secret = body[..length].trim_end_matches('\\');
    let known = secret.trim().is_empty() || secret.trim() == REDACTED || secret.len() < 16;
    (!known).then_some((Rule::PrivateKey, start..start + secret.len()))
}

/// User and password of an address; a user alone if it is as long as a token.
pub(super) fn user_info(text: &str, mark: Range<usize>) -> Option<Secret> {
    const LONGEST: usize = 512;
    let rest = &text[mark.end..text.floor_char_boundary(mark.end + LONGEST)];
    let authority = run(rest, |byte| byte > b' ' && !br#"/?#"'<>\`,(){}"#.contains(&byte));
    let at = rest[..authority].rfind('@')?;
    let user_info = &rest[..at];
    let telling = match user_info.split_once(':') {
        Some((_, password)) => !password.is_empty() && password != REDACTED,
        None => user_info.len() >= 16,
    };
    (telling && !begins_word(text, mark.start)).then_some((Rule::UserInfo, mark.end..mark.end + at))
}

/// Whether a value looks as if it were drawn at random: long, of all sorts of characters, hardly any of them often.
pub(super) fn is_random(value: &str) -> bool {
    const LEAST: usize = 24;
    /// Bits for each character; text and paths of this length have fewer than 4.
    const LEAST_ENTROPY: f64 = 4.2;
    if !(LEAST..=4096).contains(&value.len())
        || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
        || value.bytes().filter(|byte| *byte == b'/').count() > value.len() / 12
    {
        return false;
    }
    let some = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    if !(some(u8::is_ascii_digit) && some(u8::is_ascii_lowercase) && some(u8::is_ascii_uppercase)) {
        return false;
    }
    let mut counts = [0_u32; 128];
    for byte in value.bytes() {
        counts[usize::from(byte & 127)] += 1;
    }
    let length = value.len() as f64;
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum();
    entropy >= LEAST_ENTROPY
}
