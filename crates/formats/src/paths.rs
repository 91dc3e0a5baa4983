//! Paths of native reports, made equal to what the collector of the same runner sends.

use crate::Options;

/// A path as JavaScript collectors send it: relative to the working directory, then joined to the prefix.
pub(crate) fn like_javascript(path: &str, options: &Options) -> String {
    let relative = match options.working_directory.as_deref() {
        Some(directory) if !directory.is_empty() => relative_to(directory, path),
        _ => path.to_owned(),
    };
    match prefix(options) {
        Some(prefix) => join(prefix, &relative),
        None => relative,
    }
}

/// A path as Ruby collectors send it: as it is, behind the prefix.
pub(crate) fn like_ruby(path: &str, options: &Options) -> String {
    match prefix(options) {
        Some(prefix) => format!("{}/{}", prefix.trim_end_matches('/'), path.trim_start_matches('/')),
        None => path.to_owned(),
    }
}

/// `directory` and `path` in one, with `.` and `..` resolved.
pub(crate) fn join(directory: &str, path: &str) -> String {
    let absolute = directory.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}

fn prefix(options: &Options) -> Option<&str> {
    options.location_prefix.as_deref().filter(|prefix| !prefix.is_empty())
}

/// `path` as seen from `directory`; paths that are already relative stay as they are.
fn relative_to(directory: &str, path: &str) -> String {
    let separator = if directory.contains('\\') && !directory.contains('/') { '\\' } else { '/' };
    if !path.starts_with(separator) && path.chars().nth(1) != Some(':') {
        return path.to_owned();
    }
    let parts = |text: &'_ str| -> Vec<String> {
        text.split(separator).filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
    };
    let (from, to) = (parts(directory), parts(path));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    up.chain(to[common..].iter().cloned()).collect::<Vec<_>>().join(&separator.to_string())
}
