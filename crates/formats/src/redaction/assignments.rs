//! Secrets that are known by the name they are given to: headers, variables, members.

use super::{REDACTED, Rule, Secret, begins_word, run};
use std::ops::Range;

/// Longest name around a mark that is looked at, to either side of it.
const LONGEST_NAME: usize = 64;

/// Longest part of a line in which cookies are looked for.
const LONGEST_LOOK: usize = 512;

/// Shortest value that can be a secret.
const SHORTEST: usize = 8;

/// What says of a name that its value is secret.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "access_key",
    "credential",
];

/// Words that only begin like one of those.
const ALIKE: &[&str] = &["tokenis", "tokeniz", "tokens", "secretar", "passwordless"];

/// Last words of names that tell something about a secret instead of the secret.
const ABOUT_SECRETS: &[&str] = &[
    "count", "endpoint", "expires", "expiry", "file", "id", "index", "kind", "length", "limit", "name",
    "path", "policy", "position", "size", "ttl", "type", "uri", "url",
];

/// `Authorization` and `Proxy-Authorization` with a scheme, or with a value that can only be secret.
pub(super) fn authorization(text: &str, mark: Range<usize>) -> Option<Secret> {
    let value = Value::after(text, mark.end)?;
    let rest = &text[value.start..];
    let word = run(rest, |byte| byte.is_ascii_alphabetic());
    let scheme = matches!(
        rest[..word].to_ascii_lowercase().as_str(),
        "bearer" | "basic" | "token" | "digest" | "negotiate" | "apikey" | "aws"
    );
    let blanks = run(&rest[word..], |byte| byte == b' ');
    let start = if scheme && blanks > 0 { value.start + word + blanks } else { value.start };
    let end = match value.quote {
        Some(_) => value.end(text)?,
        None => start + run(&text[start..], |byte| byte >= b' ' && !br#""'`\<"#.contains(&byte)),
    };
    let secret = text[start..end].trim_end();
    // `Token token="..."` is a scheme with a parameter.
    if let Some(parameter) = secret.strip_suffix("token=") {
        let start = start + parameter.len() + "token=".len();
        let value = Value::after(text, start - 1)?;
        let end = value.end(text)?;
        return looks_secret(&text[value.start..end]).then_some((Rule::Authorization, value.start..end));
    }
    let first = secret.split(' ').next().unwrap_or_default();
    let encoded = scheme && first == secret && is_base64(first);
    (encoded || looks_secret(first)).then_some((Rule::Authorization, start..start + secret.len()))
}

/// `Bearer` and a token.
pub(super) fn bearer(text: &str, mark: Range<usize>) -> Option<Secret> {
    let rest = &text[mark.end..];
    let length = run(rest, |byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    let token = rest[..length].trim_end_matches('.');
    let telling = token.len() >= 16 && looks_secret(token) && begins_word(text, mark.start);
    telling.then_some((Rule::Authorization, mark.end..mark.end + token.len()))
}

/// `Cookie` and `Set-Cookie` headers.
pub(super) fn cookie(text: &str, mark: Range<usize>) -> Option<Secret> {
    let value = Value::after(text, mark.end).filter(|value| value.separator == ':')?;
    let rest = &text[value.start..text.floor_char_boundary(value.start.saturating_add(LONGEST_LOOK))];
    let cookies = rest.split_once('=').filter(|(name, value)| {
        let named = !name.is_empty() && run(name, is_name_byte) == name.len();
        named && run(value, |byte| byte > b' ' && !br#"=;"'"#.contains(&byte)) > 0
    });
    cookies?;
    let length = run(&text[value.start..], |byte| byte >= b' ' && !br#""'`\<"#.contains(&byte));
    begins_word(text, mark.start).then_some((Rule::Cookie, value.start..value.start + length))
}

/// A value with a name that says that it is secret.
pub(super) fn named(text: &str, mark: Range<usize>) -> Option<Secret> {
    let before = text.as_bytes()[mark.start.saturating_sub(LONGEST_NAME)..mark.start]
        .iter()
        .rev()
        .take_while(|byte| is_name_byte(**byte))
        .count();
    let after = text[mark.end..].bytes().take(LONGEST_NAME).take_while(|byte| is_name_byte(*byte)).count();
    let name = &text[mark.start - before..mark.end + after];
    let value = Value::after(text, mark.end + after)?;
    let end = value.end(text)?;
    // JSON stays JSON: in place of a number or a word there would be none.
    let usable = value.quote.is_some() || !value.name_is_quoted;
    let secret = &text[value.start..end];
    let told = if value.is_assigned() { is_secret(name, secret) } else { is_surely_secret(name, secret) };
    (usable && told).then_some((Rule::NamedSecret, value.start..end))
}

/// Whether `value` is the secret that `name` says it is.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    if !SECRET_WORDS.iter().any(|word| lower.contains(word)) || ALIKE.iter().any(|word| lower.contains(word))
    {
        return false;
    }
    let last = lower.rsplit(['_', '.']).next().unwrap_or_default();
    if ABOUT_SECRETS.contains(&last) || value.len() < SHORTEST || !can_be_secret(value) {
        return false;
    }
    let variable = name.len() > 5
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let word =
        matches!(value.to_ascii_lowercase().as_str(), "undefined" | "required" | "redacted" | "disabled");
    looks_secret(value) || (variable && !word && !value.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Likewise, where the value may be prose: `unexpected token: identifier`.
fn is_surely_secret(name: &str, value: &str) -> bool {
    let one_word = !name.contains(['_', '.', '-']) && name.eq_ignore_ascii_case("token");
    is_secret(name, value) && looks_secret(value) && (!one_word || value.len() >= 16)
}

/// Whether it is neither code nor a place nor a placeholder.
fn can_be_secret(value: &str) -> bool {
    let code = value.contains(['(', ')', '{', '}', '[', ']', '<', '>', ' ', '\t']) || value.contains("::");
    let place = value.starts_with(['/', '.', '~', '$', '%', '\\']) || value.contains("://");
    let first = value.bytes().next();
    let placeholder = value.bytes().all(|byte| Some(byte) == first) || value.contains("***");
    !(code || place || placeholder || value.contains(REDACTED))
}

/// Whether it is more than a word: letters with digits or marks, or long and of both cases.
fn looks_secret(value: &str) -> bool {
    let some = |is: fn(u8) -> bool| value.bytes().any(is);
    let letter = some(|byte| byte.is_ascii_alphabetic());
    let digit = some(|byte| byte.is_ascii_digit());
    let mark = some(|byte| b"!@#$%^&*+=~".contains(&byte));
    let both_cases = some(|byte| byte.is_ascii_lowercase()) && some(|byte| byte.is_ascii_uppercase());
    value.len() >= SHORTEST
        && can_be_secret(value)
        && letter
        && (digit || mark || (value.len() >= 20 && both_cases && !value.contains('.')))
}

/// Whether it is base64 rather than a word.
fn is_base64(value: &str) -> bool {
    let capital_inside = value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    let lower = value.bytes().any(|byte| byte.is_ascii_lowercase());
    let belongs = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
    value.len() >= SHORTEST && capital_inside && lower && value.bytes().all(belongs)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

/// Where the value of a name stands.
struct Value {
    start: usize,
    separator: char,
    /// The separator stands alone, as in `a: b` or `a = b`.
    spaced: bool,
    name_is_quoted: bool,
    /// What closes the value.
    quote: Option<&'static str>,
}

/// Quotes, those in JSON texts within JSON texts first.
const QUOTES: [&str; 4] = ["\\\"", "\"", "'", "`"];

impl Value {
    /// The value of the name that ends at `at`, if it is given one there.
    fn after(text: &str, at: usize) -> Option<Self> {
        let mut rest = &text[at..];
        let blanks = |text: &str| run(text, |byte| byte == b' ').min(8);
        let closing = QUOTES.iter().find(|quote| rest.starts_with(**quote));
        rest = &rest[closing.map_or(0, |quote| quote.len())..];
        let space_before = blanks(rest);
        rest = &rest[space_before..];
        let separator = rest.chars().next().filter(|separator| matches!(separator, '=' | ':'))?;
        rest = match rest.strip_prefix("=>") {
            Some(rest) => rest,
            None => &rest[1..],
        };
        if rest.starts_with(['=', ':', '~']) {
            return None;
        }
        let space = blanks(rest);
        rest = &rest[space..];
        let quote = QUOTES.into_iter().find(|quote| rest.starts_with(quote));
        Some(Self {
            start: text.len() - rest.len() + quote.map_or(0, str::len),
            separator,
            spaced: space_before > 0 || space > 0,
            name_is_quoted: closing.is_some(),
            quote,
        })
    }

    /// Whether it can hardly be prose: `A=b`, `"a": "b"`.
    fn is_assigned(&self) -> bool {
        (self.separator == '=' && !self.spaced) || (self.name_is_quoted && self.quote.is_some())
    }

    /// Where it ends.
    fn end(&self, text: &str) -> Option<usize> {
        let rest = &text[self.start..];
        let Some(quote) = self.quote else {
            let bare = |byte: u8| byte > b' ' && !br#",;()[]{}"'`&<>\"#.contains(&byte);
            return Some(self.start + run(rest, bare));
        };
        let mut bytes = rest.bytes().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\n' => return None,
                // A backslash and what it escapes belong together, unless they are the quote.
                b'\\' if !rest.as_bytes()[at..].starts_with(quote.as_bytes()) => {
                    bytes.next();
                }
                _ if rest.as_bytes()[at..].starts_with(quote.as_bytes()) => return Some(self.start + at),
                // A string within a string ends with that.
                b'"' if quote != "\"" => return None,
                _ => {}
            }
        }
        None
    }
}
