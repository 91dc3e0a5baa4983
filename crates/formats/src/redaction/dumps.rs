//! Properties and environments that were printed whole, one `name=value` a line.

use super::{Found, REDACTED, Rule, assignments, run, shapes};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// Fewest lines that are a dump.
const LEAST_LINES: usize = 3;

/// System properties of a Java machine that tell nothing but what machine it is; what begins with these.
const HARMLESS: &[&str] = &[
    "apple.awt.",
    "awt.",
    "file.encoding",
    "file.separator",
    "java.awt.",
    "java.class.version",
    "java.home",
    "java.io.tmpdir",
    "java.runtime.",
    "java.specification.",
    "java.vendor",
    "java.version",
    "java.vm.",
    "jdk.",
    "line.separator",
    "native.encoding",
    "os.",
    "path.separator",
    "stderr.encoding",
    "stdout.encoding",
    "sun.arch.",
    "sun.boot.",
    "sun.cpu.",
    "sun.io.",
    "sun.java.launcher",
    "sun.jnu.",
    "sun.management.",
    "sun.os.",
    "user.country",
    "user.language",
    "user.timezone",
];

/// What a dump cannot be without.
static MARKS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["java.vm.", "java.home=", "java.version=", "PATH="].map(Finder::new));

/// `text` with the dumps in it redacted; none if there is nothing to redact.
pub(super) fn redact(text: &str, found: &mut Found) -> Option<String> {
    let bytes = text.as_bytes();
    memchr::memchr(b'\n', bytes)?;
    if !MARKS.iter().any(|mark| mark.find(bytes).is_some()) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let mut block = vec![line];
        while property(line).is_some()
            && let Some(next) = lines.next_if(|next| property(next).is_some())
        {
            block.push(next);
        }
        changed |= redact_block(&block, &mut out, found);
    }
    changed.then_some(out)
}

/// Adds the lines of a block to `out`; says whether any of them was changed.
fn redact_block(block: &[&str], out: &mut String, found: &mut Found) -> bool {
    let names = || block.iter().filter_map(|line| property(line));
    let dump = block.len() >= LEAST_LINES;
    let java = dump && names().any(|property| property.name.starts_with("java."));
    let mut changed = false;
    for line in block {
        let rule =
            property(line).filter(|_| dump).and_then(|property| property.rule(java).zip(Some(property)));
        match rule {
            Some((rule, property)) => {
                found.add(rule);
                out.push_str(property.before);
                out.push_str(REDACTED);
                out.push_str(property.after);
                changed = true;
            }
            None => out.push_str(line),
        }
    }
    changed
}

/// A line that says `name=value` or `-Dname=value`.
struct Property<'a> {
    name: &'a str,
    value: &'a str,
    before: &'a str,
    after: &'a str,
}

impl Property<'_> {
    /// Why its value should not be kept, if it should not.
    fn rule(&self, java: bool) -> Option<Rule> {
        if self.value.is_empty() || self.value == REDACTED {
            return None;
        }
        if java && !HARMLESS.iter().any(|harmless| self.name.starts_with(harmless)) {
            return Some(Rule::JavaProperties);
        }
        if assignments::is_secret(self.name, self.value) {
            return Some(Rule::NamedSecret);
        }
        shapes::is_random(self.value).then_some(Rule::RandomValue)
    }
}

fn property(line: &str) -> Option<Property<'_>> {
    let trimmed = line.trim();
    let rest = trimmed.strip_prefix("-D").unwrap_or(trimmed);
    let name = &rest[..run(rest, |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))];
    let value = rest[name.len()..].strip_prefix('=').filter(|_| !name.is_empty())?;
    let end = line.trim_end().len();
    Some(Property { name, value, before: &line[..end - value.len()], after: &line[end..] })
}
