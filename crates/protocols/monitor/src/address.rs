//! Addresses: a path, taken apart before anything in it is decoded.
//!
//! Names may hold slashes: escaped ones stay within their segment, raw ones are put together again by what must follow a name.

use axum::http::Method;
use casebook_app::monitor::{End, Level, Selection};
use casebook_http::Needs;
use casebook_model::measurement::{MetricWord, Resource};

/// The 59 operations below the prefix and the two descriptions, as documented, and what each needs.
pub(crate) const TABLE: &[(Method, &str, Needs)] = &[
    (Method::GET, "/docs", Needs::Nothing),
    (Method::GET, "/swagger.json", Needs::Nothing),
    (Method::POST, "/metrics/", Needs::Upload),
    (Method::GET, "/metrics/", Needs::Read),
    (Method::GET, "/metrics/count", Needs::Read),
    (Method::POST, "/contexts/", Needs::Upload),
    (Method::POST, "/contexts/{prefix}", Needs::Upload),
    (Method::GET, "/contexts/", Needs::Read),
    (Method::GET, "/contexts/count", Needs::Read),
    (Method::GET, "/contexts/{prefix}", Needs::Any),
    (Method::GET, "/contexts/{context}/metrics", Needs::Read),
    (Method::GET, "/contexts/{context}/metrics/count", Needs::Read),
    (Method::POST, "/sessions/", Needs::Upload),
    (Method::POST, "/sessions/{prefix}", Needs::Upload),
    (Method::GET, "/sessions/", Needs::Read),
    (Method::GET, "/sessions/count", Needs::Read),
    (Method::GET, "/sessions/{prefix}", Needs::Any),
    (Method::GET, "/sessions/{session}/metrics", Needs::Read),
    (Method::GET, "/sessions/{session}/metrics/count", Needs::Read),
    (Method::GET, "/items/{item}/metrics", Needs::Read),
    (Method::GET, "/items/{item}/metrics/count", Needs::Read),
    (Method::GET, "/items/like/{item}/metrics", Needs::Read),
    (Method::GET, "/variants/{item}/metrics", Needs::Read),
    (Method::GET, "/variants/{item}/metrics/count", Needs::Read),
    (Method::GET, "/variants/like/{item}/metrics", Needs::Read),
    (Method::GET, "/filters/scope/{kind}/metrics", Needs::Read),
    (Method::GET, "/filters/scope/{kind}/metrics/count", Needs::Read),
    (Method::GET, "/filters/scm/{scm}/metrics", Needs::Read),
    (Method::GET, "/filters/scm/{scm}/metrics/count", Needs::Read),
    (Method::GET, "/filters/scm/{scm}/sessions", Needs::Read),
    (Method::GET, "/components/", Needs::Read),
    (Method::GET, "/components/count", Needs::Read),
    (Method::GET, "/components/{prefix}", Needs::Read),
    (Method::GET, "/components/metrics", Needs::Read),
    (Method::GET, "/components/{component}/metrics", Needs::Read),
    (Method::GET, "/components/items/{item}/metrics", Needs::Read),
    (Method::GET, "/components/{component}/items/{item}/metrics", Needs::Read),
    (Method::GET, "/components/variants/{item}/metrics", Needs::Read),
    (Method::GET, "/components/{component}/variants/{item}/metrics", Needs::Read),
    (Method::GET, "/components/{component}/pipelines", Needs::Read),
    (Method::GET, "/components/{component}/pipelines/{pipeline}/builds", Needs::Read),
    (Method::GET, "/components/{component}/pipelines/{pipeline}/builds/{build}/sessions", Needs::Read),
    (Method::GET, "/pipelines/", Needs::Read),
    (Method::GET, "/pipelines/{pipeline}/builds", Needs::Read),
    (Method::GET, "/pipelines/{pipeline}/builds/{build}/sessions", Needs::Read),
    (Method::GET, "/resources/{resource}/head/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/head/{number}/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/tail/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/tail/{number}/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/components/{component}/head/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/components/{component}/head/{number}/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/components/{component}/tail/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/components/{component}/tail/{number}/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/pipelines/{pipeline}/head/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/pipelines/{pipeline}/head/{number}/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/pipelines/{pipeline}/tail/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/pipelines/{pipeline}/tail/{number}/metrics", Needs::Read),
    (Method::GET, "/resources/{resource}/pipelines/{pipeline}/builds/{build}/head/metrics", Needs::Read),
    (
        Method::GET,
        "/resources/{resource}/pipelines/{pipeline}/builds/{build}/head/{number}/metrics",
        Needs::Read,
    ),
    (Method::GET, "/resources/{resource}/pipelines/{pipeline}/builds/{build}/tail/metrics", Needs::Read),
    (
        Method::GET,
        "/resources/{resource}/pipelines/{pipeline}/builds/{build}/tail/{number}/metrics",
        Needs::Read,
    ),
];

/// What is at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Docs,
    Swagger,
    /// All metrics; also where they are sent to.
    Metrics,
    MetricsOf(Selection),
    CountOf(Selection),
    /// All machines, or those whose identifier begins so.
    Contexts(Option<String>),
    CountOfContexts,
    Sessions(Option<String>),
    CountOfSessions,
    SessionsOfScm(String),
    /// Names of components that begin so.
    Components(String),
    CountOfComponents,
    /// Pipelines, builds or sessions, of a component or of all.
    Pipelines(Option<String>, Level),
    Extremes {
        selection: Selection,
        resource: Resource,
        end: End,
        most: usize,
    },
}

impl Address {
    pub(crate) fn takes_posts(&self) -> bool {
        matches!(self, Self::Metrics | Self::Contexts(_) | Self::Sessions(_))
    }

    pub(crate) fn allow(&self) -> &'static str {
        if self.takes_posts() { "GET, HEAD, OPTIONS, POST" } else { "GET, HEAD, OPTIONS" }
    }

    /// What a credential must allow for a GET.
    pub(crate) fn needs_to_read(&self) -> Needs {
        match self {
            Self::Docs | Self::Swagger => Needs::Nothing,
            Self::Contexts(Some(_)) | Self::Sessions(Some(_)) => Needs::Any,
            _ => Needs::Read,
        }
    }
}

/// A path below `/api/v1`, cut at its raw slashes; empty pieces are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    segments: Vec<String>,
    final_slash: bool,
}

/// Whether paths of this protocol begin so, behind its prefix.
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    matches!(
        name,
        "metrics"
            | "contexts"
            | "sessions"
            | "items"
            | "variants"
            | "filters"
            | "components"
            | "pipelines"
            | "resources"
    )
}

impl Path {
    /// Cuts and decodes a raw path. The prefix may come twice, because a client puts it in front of our links again.
    pub(crate) fn parse(raw: &str) -> Self {
        let mut pieces: Vec<&str> = raw.split('/').filter(|piece| !piece.is_empty()).collect();
        while let ["api", "v1", ..] = pieces[..] {
            pieces.drain(..2);
        }
        let segments = pieces.into_iter().map(decode).collect();
        Self { segments, final_slash: raw.ends_with('/') }
    }

    /// The path as it is written in links.
    pub(crate) fn link(&self) -> String {
        let mut link = String::from("/api/v1");
        for segment in &self.segments {
            link.push('/');
            link.push_str(&encode(segment, b":", false));
        }
        if self.final_slash {
            link.push('/');
        }
        link
    }

    /// Whether the path is within one of this protocol's namespaces.
    pub(crate) fn is_ours(&self) -> bool {
        self.segments.first().is_some_and(|first| is_namespace(first))
    }

    /// What is there, if anything is.
    pub(crate) fn address(&self) -> Option<Address> {
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        match segments[..] {
            ["docs"] => Some(Address::Docs),
            ["swagger.json"] => Some(Address::Swagger),
            ["metrics"] => Some(Address::Metrics),
            ["metrics", "count"] => Some(Address::CountOf(Selection::All)),
            ["contexts"] => Some(Address::Contexts(None)),
            ["contexts", "count"] => Some(Address::CountOfContexts),
            ["contexts", prefix] => Some(Address::Contexts(Some(prefix.to_owned()))),
            ["contexts", ref rest @ ..] => {
                metrics_of(rest, |name| Selection::Word(MetricWord::Context, name))
            }
            ["sessions"] => Some(Address::Sessions(None)),
            ["sessions", "count"] => Some(Address::CountOfSessions),
            ["sessions", prefix] => Some(Address::Sessions(Some(prefix.to_owned()))),
            ["sessions", ref rest @ ..] => {
                metrics_of(rest, |name| Selection::Word(MetricWord::Session, name))
            }
            ["items", ref rest @ ..] => named(rest, MetricWord::Item),
            ["variants", ref rest @ ..] => named(rest, MetricWord::Variant),
            ["filters", "scope", ref rest @ ..] => {
                metrics_of(rest, |name| Selection::Word(MetricWord::Kind, name))
            }
            ["filters", "scm", ref name @ .., "sessions"] if !name.is_empty() => {
                Some(Address::SessionsOfScm(name.join("/")))
            }
            ["filters", "scm", ref rest @ ..] => metrics_of(rest, Selection::Scm),
            ["components", ref rest @ ..] => components(rest),
            ["pipelines"] => Some(Address::Pipelines(None, Level::Pipelines)),
            ["pipelines", ref rest @ ..] => Some(Address::Pipelines(None, builds(rest)?)),
            ["resources", resource, ref scope @ .., "metrics"] => extremes(resource, scope),
            _ => None,
        }
    }
}

/// `NAME/metrics` and `NAME/metrics/count`.
fn metrics_of(rest: &[&str], selection: impl Fn(String) -> Selection) -> Option<Address> {
    match rest {
        [name @ .., "metrics"] if !name.is_empty() => Some(Address::MetricsOf(selection(name.join("/")))),
        [name @ .., "metrics", "count"] if !name.is_empty() => {
            Some(Address::CountOf(selection(name.join("/"))))
        }
        _ => None,
    }
}

/// Metrics of an item or variant by name or pattern. There is no count for patterns, and the final word may be left out.
fn named(rest: &[&str], word: MetricWord) -> Option<Address> {
    let like = |name: &[&str]| Some(Address::MetricsOf(Selection::Like(word, name.join("/"))));
    match rest {
        ["like", "metrics"] | ["like", "metrics", "count"] => {}
        ["like", name @ .., "metrics"] => return like(name),
        ["like", name @ ..] if !name.is_empty() && !name.ends_with(&["metrics", "count"]) => {
            return like(name);
        }
        _ => {}
    }
    metrics_of(rest, |name| Selection::Word(word, name))
}

fn components(rest: &[&str]) -> Option<Address> {
    match rest {
        [] => return Some(Address::Components(String::new())),
        ["count"] => return Some(Address::CountOfComponents),
        ["metrics"] => {
            return Some(Address::MetricsOf(Selection::Word(MetricWord::Component, String::new())));
        }
        [prefix] => return Some(Address::Components((*prefix).to_owned())),
        [component @ .., "pipelines"] => {
            return Some(Address::Pipelines(Some(component.join("/")), Level::Pipelines));
        }
        // Also of a component that is called as one of these words.
        [component, "items", item, "metrics"] => return Some(in_one(component, MetricWord::Item, item)),
        [component, "variants", item, "metrics"] => {
            return Some(in_one(component, MetricWord::Variant, item));
        }
        _ => {}
    }
    // With raw slashes in names: the first of these words that has a name behind it; the name before it may be left out with
    // items and variants.
    for (at, word) in rest.iter().enumerate() {
        let (component, behind) = (rest[..at].join("/"), &rest[at + 1..]);
        let selected = match *word {
            "items" => in_component(behind, &component, MetricWord::Item),
            "variants" => in_component(behind, &component, MetricWord::Variant),
            "pipelines" if at > 0 => builds(behind).map(|level| Address::Pipelines(Some(component), level)),
            _ => None,
        };
        if selected.is_some() {
            return selected;
        }
    }
    match rest {
        [component @ .., "metrics"] => {
            Some(Address::MetricsOf(Selection::Word(MetricWord::Component, component.join("/"))))
        }
        _ => None,
    }
}

fn in_component(behind: &[&str], component: &str, word: MetricWord) -> Option<Address> {
    match behind {
        [name @ .., "metrics"] if !name.is_empty() => Some(in_one(component, word, &name.join("/"))),
        _ => None,
    }
}

fn in_one(component: &str, word: MetricWord, name: &str) -> Address {
    Address::MetricsOf(Selection::InComponent(component.to_owned(), word, name.to_owned()))
}

/// `PIPELINE/builds` and `PIPELINE/builds/BUILD/sessions`.
fn builds(rest: &[&str]) -> Option<Level> {
    match rest {
        [pipeline @ .., "builds"] if !pipeline.is_empty() => Some(Level::Builds(pipeline.join("/"))),
        [within @ .., "sessions"] => {
            let (pipeline, build) = pipeline_and_build(within)?;
            Some(Level::Sessions(pipeline, build))
        }
        _ => None,
    }
}

/// `PIPELINE/builds/BUILD`.
fn pipeline_and_build(within: &[&str]) -> Option<(String, String)> {
    let at = (1..within.len().checked_sub(1)?).rfind(|at| within[*at] == "builds")?;
    Some((within[..at].join("/"), within[at + 1..].join("/")))
}

/// Rows of a head or tail when none are named, and at most.
const FEW: usize = 10;
const MOST: usize = 500;

fn extremes(resource: &str, scope: &[&str]) -> Option<Address> {
    let resource = match resource {
        "memory" => Resource::Memory,
        "cpu" => Resource::Cpu,
        "kernel_time" => Resource::KernelTime,
        "user_time" => Resource::UserTime,
        "total_time" => Resource::TotalTime,
        _ => return None,
    };
    let end = |word: &str| match word {
        "head" => Some(End::Head),
        "tail" => Some(End::Tail),
        _ => None,
    };
    let (last, before) = scope.split_last()?;
    let (end, most, scope) = match end(last) {
        Some(end) => (end, FEW, before),
        None => {
            let (word, before) = before.split_last()?;
            (end(word)?, number(last)?, before)
        }
    };
    let selection = match scope {
        [] => Selection::All,
        ["components", component @ ..] if !component.is_empty() => {
            Selection::Word(MetricWord::Component, component.join("/"))
        }
        ["pipelines", within @ ..] if !within.is_empty() => match pipeline_and_build(within) {
            Some((pipeline, build)) => Selection::Build(pipeline, build),
            None => Selection::Pipeline(within.join("/")),
        },
        _ => return None,
    };
    Some(Address::Extremes { selection, resource, end, most })
}

/// Decimal digits, cut at the most that are answered.
fn number(text: &str) -> Option<usize> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(MOST).min(MOST))
}

/// Undoes percent-encoding; a plus sign stays one.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = match (first, behind) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low) as u8)
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A text of a form as it was before it was encoded.
pub(crate) fn decode_form(text: &str) -> String {
    decode(&text.replace('+', " "))
}

/// Percent-encodes everything but unreserved characters and `kept`; a blank becomes a plus sign in forms.
pub(crate) fn encode(text: &str, kept: &[u8], form: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else if form && byte == b' ' {
            encoded.push('+');
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
