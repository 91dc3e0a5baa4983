//! What format a report has, by how it begins.

use casebook_formats::Format;

/// What a report looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// A format that can be read.
    Known(Format),
    /// Something else that is known; a sentence says what it is and what to do.
    Unsupported(&'static str),
}

/// What `bytes`, the beginning of a report or all of it, look like. None if they look like nothing known.
pub(crate) fn sniff(bytes: &[u8]) -> Option<Sniffed> {
    let text = text(bytes);
    let text = text.trim_start();
    let is_page = text.get(..9).is_some_and(|head| head.to_ascii_lowercase().starts_with("<!doctype"))
        || text.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("<html"));
    if is_page && text.to_ascii_lowercase().contains("<html") {
        return Some(Sniffed::Unsupported("this is an HTML page: send the report in JUnit XML"));
    }
    format(text).map(Sniffed::Known)
}

fn format(text: &str) -> Option<Format> {
    match text.as_bytes().first()? {
        b'<' => is_junit(text).then_some(Format::Junit),
        b'[' => {
            let names = names(text, 2);
            let has = |name: &str| names.iter().any(|known| known == name);
            if has("elements") || (has("keyword") && has("uri")) {
                Some(Format::CucumberJson)
            } else {
                (names.is_empty() || has("name")).then_some(Format::Json)
            }
        }
        _ if is_go(text) => Some(Format::GoJsonl),
        b'{' => {
            let names = names(text, 1);
            let has = |name: &str| names.iter().any(|known| known == name);
            if has("testResults") || has("numTotalTests") {
                Some(Format::JestJson)
            } else if has("examples") && (has("summary") || has("version") || has("summary_line")) {
                Some(Format::RspecJson)
            } else if has("suites") || (has("config") && text.contains("\"rootDir\"")) {
                Some(Format::PlaywrightJson)
            } else {
                None
            }
        }
        _ => None,
    }
}

fn text(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Whether the root element is one of JUnit's.
fn is_junit(mut text: &str) -> bool {
    loop {
        text = text.trim_start();
        let end = if text.starts_with("<?") {
            "?>"
        } else if text.starts_with("<!--") {
            "-->"
        } else if text.starts_with("<!") {
            ">"
        } else {
            break;
        };
        match text.split_once(end) {
            Some((_, rest)) => text = rest,
            None => return false,
        }
    }
    let Some(tag) = text.strip_prefix('<') else { return false };
    let name = tag.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
    matches!(name.split_once(':').map_or(name, |(_, local)| local), "testsuites" | "testsuite")
}

/// Whether one of the first lines is an event of Go's test runner.
fn is_go(text: &str) -> bool {
    let is_event = |line: &str| {
        let event: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(line).ok();
        event.is_some_and(|event| {
            event.contains_key("Action")
                && (event.contains_key("Package") || event.contains_key("ImportPath"))
        })
    };
    text.lines().take(50).any(is_event)
}

/// Names of members at a depth, of the first object there.
fn names(text: &str, depth: usize) -> Vec<String> {
    let (mut names, mut open, mut at) = (Vec::new(), 0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => open += 1,
            b'}' | b']' if open == depth => break,
            b'}' | b']' => open -= 1,
            b'"' => {
                let start = at + 1;
                at = start;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let is_name = text.get(at + 1..).is_some_and(|rest| rest.trim_start().starts_with(':'));
                if is_name && open == depth {
                    names.extend(text.get(start..at).map(str::to_owned));
                }
            }
            _ => {}
        }
        at += 1;
    }
    names
}
