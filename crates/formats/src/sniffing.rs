//! Which format a report is in, by its content alone.

use crate::Format;
use crate::junit::decoded_head;

/// Bytes from which the format is found.
const HEAD: usize = 64 * 1024;

/// What a report looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// A format that can be read.
    Known(Format),
    /// Something else that is known; a sentence says what it is and what to do.
    Unsupported(&'static str),
}

/// Finds the format of a report by its content; the first 64 KiB are enough. None if it looks like nothing known.
///
/// It looks for what the formats have to have, so a report that is cut or broken later on is still recognised.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<Sniffed> {
    let head = decoded_head(bytes.get(..bytes.len().min(HEAD)).unwrap_or_default());
    let text = head.trim_start_matches(|c: char| c == '\u{FEFF}' || c.is_whitespace());
    match text.as_bytes().first()? {
        b'<' => markup(text),
        b'{' => object(text),
        b'[' => array(text),
        _ => plain(text),
    }
}

const TRX: &str = "this is a TRX report of .NET: run `dotnet test --logger junit` (JunitXml.TestLogger), or convert it with trx2junit";
const NUNIT3: &str =
    "this is an NUnit 3 report: write JUnit XML instead (`dotnet test --logger junit`, or nunit3-junit.xslt)";
const NUNIT2: &str = "this is an NUnit 2 report: convert it to JUnit XML (nunit-to-junit.xsl)";
const XUNIT: &str =
    "this is an xUnit.net report: run its runner with `-junit FILE`, or `dotnet test --logger junit`";
const ROBOT: &str =
    "this is Robot Framework's own output: run `rebot --xunit FILE output.xml` and send that file";
const CTEST: &str = "this is a CTest dashboard report: run `ctest --output-junit FILE`";
const TESTNG: &str = "this is TestNG's own report: send the files of the folder `junitreports`";
const CHECKSTYLE: &str = "this is a coverage or lint report, which holds no test results";
const HTML: &str = "this is an HTML page: send the report in JUnit XML";
const TAP: &str =
    "this is TAP: convert it to JUnit XML (tap-xunit, or `prove --formatter TAP::Formatter::JUnit`)";

/// What an XML document is, by its first element.
pub(crate) fn of_root(root: &str) -> Option<Sniffed> {
    Some(match root.rsplit(':').next().unwrap_or(root) {
        "testsuites" | "testsuite" => Sniffed::Known(Format::Junit),
        "TestRun" => Sniffed::Unsupported(TRX),
        "test-run" => Sniffed::Unsupported(NUNIT3),
        "test-results" => Sniffed::Unsupported(NUNIT2),
        "assemblies" | "assembly" => Sniffed::Unsupported(XUNIT),
        "robot" => Sniffed::Unsupported(ROBOT),
        "Site" => Sniffed::Unsupported(CTEST),
        "testng-results" => Sniffed::Unsupported(TESTNG),
        "coverage" | "checkstyle" | "report" => Sniffed::Unsupported(CHECKSTYLE),
        root if root.eq_ignore_ascii_case("html") => Sniffed::Unsupported(HTML),
        _ => return None,
    })
}

/// Passes over declarations and comments to the first element.
fn markup(text: &str) -> Option<Sniffed> {
    let mut rest = text;
    loop {
        rest = rest[rest.find('<')?..].strip_prefix('<')?;
        rest = if let Some(comment) = rest.strip_prefix("!--") {
            comment.split_once("-->")?.1
        } else if let Some(instruction) = rest.strip_prefix('?') {
            instruction.split_once("?>")?.1
        } else if let Some(declaration) = rest.strip_prefix('!') {
            if declaration
                .get(7..)
                .is_some_and(|name| name.trim_start().to_ascii_lowercase().starts_with("html"))
            {
                return Some(Sniffed::Unsupported(HTML));
            }
            past_declaration(declaration)?
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(rest.len());
            return of_root(&rest[..end]);
        };
    }
}

/// What comes after a document type definition, which may hold declarations of its own.
fn past_declaration(text: &str) -> Option<&str> {
    let end = text.find(['[', '>'])?;
    match text[end..].strip_prefix('[') {
        Some(inner) => inner.split_once(']')?.1.split_once('>').map(|(_, rest)| rest),
        None => Some(&text[end + 1..]),
    }
}

/// Whether the text has a member of this name anywhere.
fn has(text: &str, name: &str) -> bool {
    let quoted = format!("\"{name}\"");
    text.match_indices(&quoted).any(|(at, _)| text[at + quoted.len()..].trim_start().starts_with(':'))
}

fn object(text: &str) -> Option<Sniffed> {
    let first_line = text.lines().next().unwrap_or_default();
    let format = if has(first_line, "Action") && (has(first_line, "Time") || has(first_line, "Package")) {
        Format::GoJsonl
    } else if has(text, "job_id") && has(text, "debuglog") {
        Format::AvocadoJson
    } else if has(text, "testResults") || (has(text, "numTotalTests") && has(text, "numPassedTests")) {
        Format::JestJson
    } else if has(text, "examples") || has(text, "rspec_version") {
        Format::RspecJson
    } else if has(text, "suites") || (has(text, "config") && has(text, "rootDir")) {
        Format::PlaywrightJson
    } else {
        return None;
    };
    Some(Sniffed::Known(format))
}

fn array(text: &str) -> Option<Sniffed> {
    if has(text, "elements") || (has(text, "uri") && has(text, "keyword")) {
        return Some(Sniffed::Known(Format::CucumberJson));
    }
    let results = has(text, "history") || (has(text, "name") && (has(text, "result") || has(text, "scope")));
    let empty = text[1..].trim_start().starts_with(']');
    (results || empty).then_some(Sniffed::Known(Format::Json))
}

/// Text that is neither XML nor JSON. `go test` writes what does not compile before its events.
fn plain(text: &str) -> Option<Sniffed> {
    let mut lines = text.lines().map(str::trim);
    let first = lines.clone().next().unwrap_or_default();
    let numbered = |line: &str| {
        let rest = line.strip_prefix("not ok ").or_else(|| line.strip_prefix("ok "));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if first.starts_with("TAP version ") || first.starts_with("1..") || numbered(first) {
        return Some(Sniffed::Unsupported(TAP));
    }
    lines
        .find(|line| line.starts_with("{\""))
        .and_then(object)
        .filter(|found| *found == Sniffed::Known(Format::GoJsonl))
}
