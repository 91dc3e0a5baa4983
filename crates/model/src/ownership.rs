//! Ownership files (TESTOWNERS): which team owns a test, by where the test is (`buildkite.md` 13.6).

use std::collections::VecDeque;

/// Largest ownership file, in bytes.
pub const LARGEST_FILE: usize = 1 << 20;

/// The lines of an ownership file. The last line that matches wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ownership {
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    pattern: Pattern,
    teams: Vec<String>,
}

impl Ownership {
    /// Reads an ownership file: a pattern and its teams a line, `#` begins a comment. A pattern without a team is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let content = line.split_once('#').map_or(line, |(content, _)| content);
            let mut words = content.split_whitespace();
            let pattern = Pattern::parse(words.next()?)?;
            let teams: Vec<String> = words.map(str::to_owned).collect();
            (!teams.is_empty()).then_some(Line { pattern, teams })
        });
        Self { lines: lines.collect() }
    }

    /// The teams that own what is at `location` (`file`, `file:line` or `file:line:column`), the default owner first.
    #[must_use]
    pub fn teams(&self, location: &str) -> &[String] {
        let segments = segments(location);
        let line = self.lines.iter().rev().find(|line| line.pattern.matches(&segments));
        line.map_or(&[], |line| &line.teams)
    }

    /// Whether no line says anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// The folders and the file of a location.
fn segments(location: &str) -> Vec<&str> {
    let mut path = location;
    for _ in 0..2 {
        if let Some((rest, number)) = path.rsplit_once(':')
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            path = rest;
        }
    }
    path.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect()
}

/// A pattern as in `.gitignore` and CODEOWNERS.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    segments: Vec<String>,
    /// It begins at the root; else it may begin in any folder.
    rooted: bool,
    /// It means folders, and what is in them.
    folder: bool,
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let folder = text.ends_with('/');
        let inner = text.trim_end_matches('/');
        // A slash at the beginning or in the middle ties a pattern to the root.
        let rooted = inner.contains('/');
        let segments: Vec<String> =
            inner.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
        (!segments.is_empty()).then_some(Self { segments, rooted, folder })
    }

    fn matches(&self, path: &[&str]) -> bool {
        let starts = if self.rooted { 0..1 } else { 0..path.len() };
        starts.into_iter().any(|start| self.matches_from(path.get(start..).unwrap_or(&[])))
    }

    /// Whether the pattern matches `path`, or a folder that `path` is in.
    fn matches_from(&self, path: &[&str]) -> bool {
        // Folder by folder; each entry is a place in the pattern and how much of the path it has used.
        let mut open = VecDeque::from([(0, 0)]);
        let mut seen = std::collections::HashSet::new();
        while let Some((at, used)) = open.pop_front() {
            if !seen.insert((at, used)) {
                continue;
            }
            let Some(segment) = self.segments.get(at) else {
                if self.ends_well(path.len() - used) {
                    return true;
                }
                continue;
            };
            if segment == "**" {
                open.push_back((at + 1, used));
                if used < path.len() {
                    open.push_back((at, used + 1));
                }
            } else if path.get(used).is_some_and(|name| matches_name(segment, name)) {
                open.push_back((at + 1, used + 1));
            }
        }
        false
    }

    /// Whether a match that leaves `rest` segments of the path counts.
    fn ends_well(&self, rest: usize) -> bool {
        match self.segments.last().map(String::as_str) {
            Some("**") => true,
            // `spec/features/*` means the direct children alone.
            Some("*") if self.rooted && !self.folder => rest == 0,
            _ => rest > 0 || !self.folder,
        }
    }
}

/// Whether one name matches a pattern of `*` and `?`.
fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut used) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while used < name.len() {
        if at < pattern.len() && (pattern[at] == '?' || (pattern[at] == name[used] && pattern[at] != '*')) {
            (at, used) = (at + 1, used + 1);
        } else if at < pattern.len() && pattern[at] == '*' {
            star = Some((at, used));
            at += 1;
        } else if let Some((before, taken)) = star {
            star = Some((before, taken + 1));
            (at, used) = (before + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pattern: &str, location: &str) -> bool {
        !Ownership::parse(&format!("{pattern} team")).teams(location).is_empty()
    }

    #[test]
    fn patterns() {
        for (pattern, location, expected) in [
            ("*", "a/b/c.rb:3", true),
            ("*_spec.rb", "./spec/models/user_spec.rb:24", true),
            ("*_spec.rb", "spec/user_test.rb", false),
            ("/spec/packages/", "spec/packages/a/b_spec.rb:1:2", true),
            ("/spec/packages/", "other/spec/packages/b_spec.rb", false),
            ("/spec/packages/", "spec/packages", false),
            ("spec/features/*", "spec/features/a_spec.rb", true),
            ("spec/features/*", "spec/features/deep/a_spec.rb", false),
            ("pipelines/", "a/pipelines/b/c.rb", true),
            ("pipelines/", "pipelines", false),
            ("**/test-engine", "a/b/test-engine/c.rb", true),
            ("**/test-engine", "test-engine", true),
            ("spec/**/x_spec.rb", "spec/x_spec.rb", true),
            ("spec/**/x_spec.rb", "spec/a/b/x_spec.rb", true),
            ("spec/**", "spec/a", true),
            ("models", "spec/models/user_spec.rb", true),
            ("user?.rb", "user1.rb", true),
            ("user?.rb", "user.rb", false),
        ] {
            assert_eq!(owner(pattern, location), expected, "{pattern} {location}");
        }
    }

    #[test]
    fn the_last_line_wins_and_a_pattern_without_a_team_is_ignored() {
        let file = "# owners\n* core # everyone\n\n/spec/pay/ pay money\n/spec/pay/old_spec.rb\n";
        let ownership = Ownership::parse(file);
        assert_eq!(ownership.teams("spec/a_spec.rb"), ["core"]);
        assert_eq!(ownership.teams("spec/pay/old_spec.rb:3"), ["pay", "money"]);
        assert!(Ownership::parse("# nothing\n* \n").is_empty());
    }

    #[test]
    fn hostile_patterns_end() {
        let pattern = format!("{}x", "**/".repeat(500));
        assert!(!owner(&pattern, &"a/".repeat(500)));
        assert!(!owner(&format!("{}b", "*a".repeat(500)), &"a".repeat(2_000)));
    }
}
