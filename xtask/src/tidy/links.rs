//! Relative links in Markdown files lead to files that exist.

use std::path::Path;

use super::Violation;

pub(super) fn check(root: &Path, path: &str, text: &str) -> Vec<Violation> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let links = relative_links(text).into_iter();
    let broken = links.filter(|(_, target)| match target.strip_prefix('/') {
        Some(from_root) => !root.join(from_root).exists(),
        None => !root.join(folder).join(target).exists(),
    });
    broken
        .map(|(line, target)| Violation::new(path, line, format!("the link leads nowhere: {target}")))
        .collect()
}

/// Line and target of each link that names a file, without its `#fragment`.
fn relative_links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut fence = None;
    for (index, line) in text.lines().enumerate() {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let found = targets(&without_code(line)).into_iter().filter_map(|target| file_part(&target));
                links.extend(found.map(|target| (index + 1, target)));
            }
        }
    }
    links
}

/// Leaves out `code`, which shows links rather than making them.
fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let is_text = |index: usize| index.is_multiple_of(2) || index + 1 == parts.len();
    parts.iter().enumerate().map(|(index, part)| if is_text(index) { part } else { "-" }).collect()
}

/// The targets of `[text](target)` and `[label]: target`.
fn targets(line: &str) -> Vec<String> {
    let inline = line.match_indices("](").filter_map(|(start, mark)| {
        let rest = &line[start + mark.len()..];
        rest.split_once(')').map(|(target, _)| target)
    });
    let definition = line.trim_start().strip_prefix('[').and_then(|rest| Some(rest.split_once("]:")?.1));
    let without_title = |target: &str| {
        let target = target.trim();
        let bracketed = target.strip_prefix('<').and_then(|rest| Some(rest.split_once('>')?.0));
        bracketed.or_else(|| target.split_whitespace().next()).unwrap_or_default().to_owned()
    };
    inline.chain(definition).map(without_title).collect()
}

fn file_part(target: &str) -> Option<String> {
    let has_scheme = target
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)));
    let file = target.split(['#', '?']).next().unwrap_or_default();
    (!has_scheme && !target.starts_with("//") && !file.is_empty()).then(|| file.replace("%20", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(text: &str) -> Vec<String> {
        relative_links(text).into_iter().map(|(_, target)| target).collect()
    }

    #[test]
    fn links_to_files() {
        assert_eq!(
            links("See [a](docs/a.md#part) and ![b](b.png \"B\").\n\n[c]: ../c.md\n[d](<e f.md>)"),
            ["docs/a.md", "b.png", "../c.md", "e f.md"]
        );
    }

    #[test]
    fn other_links() {
        assert_eq!(links("[a](https://example.org/a) [b](#part) [c](mailto:c@example.org)"), [""; 0]);
    }

    #[test]
    fn code_holds_no_links() {
        assert_eq!(links("`[a](a.md)` but [`b`](b.md)\n```\n[c](c.md)\n```\n[d](d.md)"), ["b.md", "d.md"]);
    }

    #[test]
    fn broken_links_are_found_from_the_files_folder() {
        let root = crate::command::repository_root();
        let found = check(root, "xtask/README.md", "[a](src/main.rs)\n[b](/xtask/src)\n[c](main.rs)\n");
        assert_eq!(found, [Violation::new("xtask/README.md", 3, "the link leads nowhere: main.rs")]);
    }
}
