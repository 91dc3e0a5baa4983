//! Secrets in what tests say, replaced before anything is stored.
//!
//! Rules know shapes ([`Rule`]); `docs/formats.md` lists them. They look for what is surely a secret: a text about
//! tokens and passwords, or code that handles them, stays as it is. Scopes and names of tests are identity and are
//! never looked at. A text that was redacted is not changed by redacting it again.

mod assignments;
mod dumps;
mod shapes;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// What a secret was recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// `Authorization` and `Proxy-Authorization` headers, and `Bearer` with a token.
    Authorization,
    /// `Cookie` and `Set-Cookie` headers.
    Cookie,
    /// `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_`, `github_pat_`.
    GitHub,
    /// `glpat-`.
    GitLab,
    /// `xoxb-` and its kin.
    Slack,
    /// Access key ids: `AKIA`, `ASIA`.
    Aws,
    /// API keys: `AIza`.
    Google,
    /// `sk_live_`, `rk_live_`.
    Stripe,
    /// `npm_`.
    Npm,
    /// `pypi-`.
    PyPi,
    /// `bkua_`, `bkct_` and their kin.
    Buildkite,
    /// This server's own tokens: `cbk_`.
    Casebook,
    /// Secrets that sign webhooks: `whsec_`.
    Webhook,
    /// Three parts of base64, the first of which begins with `eyJ`.
    JsonWebToken,
    /// A block between `BEGIN ... PRIVATE KEY` and its end.
    PrivateKey,
    /// User and password in an address.
    UserInfo,
    /// The value of a name such as `DB_PASSWORD`.
    NamedSecret,
    /// System properties of a Java machine that are not known to be harmless.
    JavaProperties,
    /// A property whose value looks random.
    RandomValue,
}

impl Rule {
    /// Every rule.
    pub const ALL: &'static [Self] = &[
        Self::Authorization,
        Self::Cookie,
        Self::GitHub,
        Self::GitLab,
        Self::Slack,
        Self::Aws,
        Self::Google,
        Self::Stripe,
        Self::Npm,
        Self::PyPi,
        Self::Buildkite,
        Self::Casebook,
        Self::Webhook,
        Self::JsonWebToken,
        Self::PrivateKey,
        Self::UserInfo,
        Self::NamedSecret,
        Self::JavaProperties,
        Self::RandomValue,
    ];

    /// What was found, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::GitHub => "GitHub token",
            Self::GitLab => "GitLab token",
            Self::Slack => "Slack token",
            Self::Aws => "AWS access key",
            Self::Google => "Google API key",
            Self::Stripe => "Stripe key",
            Self::Npm => "npm token",
            Self::PyPi => "PyPI token",
            Self::Buildkite => "Buildkite token",
            Self::Casebook => "Casebook token",
            Self::Webhook => "webhook secret",
            Self::JsonWebToken => "JSON web token",
            Self::PrivateKey => "private key",
            Self::UserInfo => "credentials in an address",
            Self::NamedSecret => "value of a secret's name",
            Self::JavaProperties => "Java system properties",
            Self::RandomValue => "random value of a property",
        }
    }
}

/// The rules that found something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found(u32);

impl Found {
    /// Whether nothing was found.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rules, in the order of [`Rule::ALL`].
    pub fn rules(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.0 & (1 << *rule as u32) != 0)
    }

    fn add(&mut self, rule: Rule) {
        self.0 |= 1 << rule as u32;
    }
}

/// Rounds after which a text is redacted enough; one round nearly always is.
const MOST_ROUNDS: usize = 8;

/// `text` without the secrets in it, and which rules found them. Costs little where there are none.
pub fn redact<'a>(text: &'a str, found: &mut Found) -> Cow<'a, str> {
    let mut out = Cow::Borrowed(text);
    // What stood beside a secret may look like one as soon as that is gone.
    for _ in 0..MOST_ROUNDS {
        let dump = dumps::redact(&out, found);
        let shapes = redact_shapes(dump.as_deref().unwrap_or(&out), found);
        let Some(redacted) = shapes.or(dump) else { break };
        out = Cow::Owned(redacted);
    }
    out
}

/// The `value` of a property called `name` (a tag) without the secrets in it, and which rules found them.
pub fn redact_value<'a>(name: &str, value: &'a str, found: &mut Found) -> Cow<'a, str> {
    if assignments::is_secret(name, value) {
        found.add(Rule::NamedSecret);
        return Cow::Owned(REDACTED.to_owned());
    }
    if shapes::is_random(value) {
        found.add(Rule::RandomValue);
        return Cow::Owned(REDACTED.to_owned());
    }
    redact(value, found)
}

/// A secret: what it is, where it stands.
type Secret = (Rule, Range<usize>);

/// What a rule looks at, given a text and where its mark stands in it.
type Look = fn(&str, Range<usize>) -> Option<Secret>;

/// The marks that a secret cannot be without, in lower case, and who looks at what is around them.
const MARKS: &[(&str, Look)] = &[
    ("authorization", assignments::authorization),
    ("bearer ", assignments::bearer),
    ("cookie", assignments::cookie),
    ("password", assignments::named),
    ("passwd", assignments::named),
    ("secret", assignments::named),
    ("token", assignments::named),
    ("api_key", assignments::named),
    ("api-key", assignments::named),
    ("apikey", assignments::named),
    ("private_key", assignments::named),
    ("access_key", assignments::named),
    ("credential", assignments::named),
    ("ghp_", shapes::prefixed),
    ("gho_", shapes::prefixed),
    ("ghu_", shapes::prefixed),
    ("ghs_", shapes::prefixed),
    ("ghr_", shapes::prefixed),
    ("github_pat_", shapes::prefixed),
    ("glpat-", shapes::prefixed),
    ("xoxa-", shapes::prefixed),
    ("xoxb-", shapes::prefixed),
    ("xoxe-", shapes::prefixed),
    ("xoxo-", shapes::prefixed),
    ("xoxp-", shapes::prefixed),
    ("xoxr-", shapes::prefixed),
    ("xoxs-", shapes::prefixed),
    ("akia", shapes::prefixed),
    ("asia", shapes::prefixed),
    ("aiza", shapes::prefixed),
    ("sk_live_", shapes::prefixed),
    ("rk_live_", shapes::prefixed),
    ("npm_", shapes::prefixed),
    ("pypi-", shapes::prefixed),
    ("bkua_", shapes::prefixed),
    ("bkct_", shapes::prefixed),
    ("bkat_", shapes::prefixed),
    ("bkaj_", shapes::prefixed),
    ("bkpt_", shapes::prefixed),
    ("cbk_", shapes::prefixed),
    ("whsec_", shapes::prefixed),
    ("eyj", shapes::json_web_token),
    ("-----begin ", shapes::private_key),
    ("://", shapes::user_info),
];

static SEARCH: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostFirst)
        .kind(Some(AhoCorasickKind::DFA))
        .build(MARKS.iter().map(|(mark, _)| mark));
    #[expect(clippy::expect_used, reason = "the marks are constants, every test builds this")]
    built.expect("the marks can be searched for")
});

/// `text` without the secrets around marks; none if there are none.
fn redact_shapes(text: &str, found: &mut Found) -> Option<String> {
    let mut out: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    while let Some(mark) = SEARCH.find(Input::new(text).range(at..)) {
        let look = MARKS[mark.pattern().as_usize()].1;
        let Some((rule, secret)) = look(text, mark.range()).filter(|(_, secret)| secret.start >= copied)
        else {
            at = mark.start() + 1;
            continue;
        };
        found.add(rule);
        let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
        out.push_str(&text[copied..secret.start]);
        out.push_str(REDACTED);
        copied = secret.end;
        at = secret.end;
    }
    let mut out = out?;
    out.push_str(&text[copied..]);
    Some(out)
}

/// How many bytes of `text` go on with characters that `belongs` accepts.
fn run(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len())
}

/// Whether a word ends before `at`.
fn begins_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}
