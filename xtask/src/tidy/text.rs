//! Rules about single lines and single files.

use super::Violation;
use super::rust_source::RustSource;

/// The longest source file, in lines.
const MAX_LINES: usize = 600;

/// The longest file of tests or of generated code.
const MAX_LINES_OF_TESTS: usize = 1000;

/// Code that is not written here, and what to do instead.
const FORBIDDEN: [(&str, &str); 6] = [
    ("#[allow(", "write #[expect(.., reason = \"..\")], which tells when it is no longer needed"),
    ("#![allow(", "write #![expect(.., reason = \"..\")], which tells when it is no longer needed"),
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("thread::sleep", "wait for the event, or move the clock"),
    ("time::sleep", "wait for the event, or move the clock"),
];

/// Marks of unfinished work.
const UNFINISHED: [&str; 2] = ["TODO", "FIXME"];

pub(super) fn trailing_whitespace(path: &str, text: &str) -> Vec<Violation> {
    let lines = text.split('\n').enumerate().filter(|(_, line)| line.ends_with(char::is_whitespace));
    lines.map(|(index, _)| Violation::new(path, index + 1, "white space at the end of the line")).collect()
}

pub(super) fn file_name(path: &str) -> Option<Violation> {
    let is_mod = path.rsplit('/').next() == Some("mod.rs");
    is_mod.then(|| Violation::new(path, 1, "put this into a file named like the module, beside its folder"))
}

pub(super) fn length(path: &str, text: &str) -> Option<Violation> {
    let is_test = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    let is_generated = text.lines().take(5).any(|line| line.contains("@generated"));
    let limit = if is_test || is_generated { MAX_LINES_OF_TESTS } else { MAX_LINES };
    let lines = text.lines().count();
    let message = || format!("{lines} lines are more than {limit}: which second noun has moved in?");
    (lines > limit).then(|| Violation::new(path, limit + 1, message()))
}

pub(super) fn forbidden_code(path: &str, source: &RustSource) -> Vec<Violation> {
    let may_sleep = path.starts_with("xtask/");
    let patterns = FORBIDDEN.iter().filter(|(pattern, _)| !(may_sleep && pattern.ends_with("sleep")));
    let mut violations = Vec::new();
    for (pattern, advice) in patterns {
        let lines = lines_with(&source.code, pattern);
        violations.extend(lines.map(|line| Violation::new(path, line, format!("`{pattern}`: {advice}"))));
    }
    violations
}

pub(super) fn unfinished_comments(path: &str, source: &RustSource) -> Vec<Violation> {
    let mut violations = Vec::new();
    for mark in UNFINISHED {
        let message = || format!("{mark}: finish it, or write down elsewhere what is left to do");
        let lines = lines_with(&source.comments, mark).chain(lines_with(&source.code, mark));
        violations.extend(lines.map(|line| Violation::new(path, line, message())));
    }
    violations
}

/// The lines in which `word` occurs and is not part of a longer word.
fn lines_with<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        line.match_indices(word).any(|(start, _)| {
            let (before, after) = (&line[..start], &line[start + word.len()..]);
            let starts = !before.ends_with(is_word) || !word.starts_with(is_word);
            let ends = !after.starts_with(is_word) || !word.ends_with(is_word);
            starts && ends
        })
    });
    lines.map(|(index, _)| index + 1)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(path: &str, text: &str) -> Vec<usize> {
        forbidden_code(path, &RustSource::read(text)).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn white_space_at_line_ends() {
        let found = trailing_whitespace("a.md", "good\nbad \nbad\t\nwindows\r\n\nbad ");
        assert_eq!(found.iter().map(|violation| violation.line).collect::<Vec<_>>(), [2, 3, 4, 6]);
    }

    #[test]
    fn modules_are_named_files() {
        assert!(file_name("crates/app/src/webhooks/mod.rs").is_some());
        assert!(file_name("crates/app/src/webhooks.rs").is_none());
        assert!(file_name("crates/app/src/bad_mod.rs").is_none());
    }

    #[test]
    fn long_files() {
        let text = "//\n".repeat(601);
        assert_eq!(length("crates/app/src/a.rs", &text).unwrap().line, 601);
        assert_eq!(length("crates/app/src/a.rs", &"//\n".repeat(600)), None);
        assert_eq!(length("crates/app/tests/it/a.rs", &text), None);
        assert_eq!(length("crates/app/src/a/tests.rs", &text), None);
        assert_eq!(length("crates/app/src/a.rs", &format!("// @generated\n{text}")), None);
        assert!(length("crates/app/tests/it/a.rs", &"//\n".repeat(1001)).is_some());
    }

    #[test]
    fn forbidden_code_is_found_in_code_only() {
        let text = "#[allow(dead_code)]\nfn a() { todo!() }\n// todo!()\nlet b = \"unimplemented!()\";\n\
                    #![allow(unused)]\nfn unimplemented() {}\n";
        assert_eq!(forbidden("crates/app/src/a.rs", text), [1, 5, 2]);
    }

    #[test]
    fn only_xtask_sleeps() {
        let text = "std::thread::sleep(a);\ntokio::time::sleep(b);\ntokio::time::sleep_until(c);\n";
        assert_eq!(forbidden("crates/app/src/a.rs", text), [1, 2]);
        assert_eq!(forbidden("xtask/src/a.rs", text), [0; 0]);
    }

    #[test]
    fn unfinished_work() {
        let source = RustSource::read("// TODO later\nfn a() {} /* FIXME */\n// TODOS\nlet b = \"TODO\";\n");
        let found = unfinished_comments("a.rs", &source);
        assert_eq!(found.iter().map(|violation| violation.line).collect::<Vec<_>>(), [1, 2]);
    }
}
