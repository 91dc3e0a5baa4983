//! Names of repositories and branches out of what CI systems and git say about them.

/// `owner/name` out of an address of a repository, or of what is that already; nothing if there is no such thing in it.
///
/// Groups within groups stay: `group/sub/name`. Credentials, the host, `.git` and the parts of paths that some hosts add
/// (`scm`, `_git`) go.
pub(super) fn owner_and_name(address: &str) -> Option<String> {
    let address = address.trim();
    let path = if let Some((_, rest)) = address.split_once("://") {
        rest.split_once('/')?.1
    } else if let Some((host, path)) = address.split_once(':').filter(|(host, _)| !host.contains('/')) {
        // The short form of SSH, `git@host:owner/name.git`; not a path of Windows.
        if host.len() == 1 {
            return None;
        }
        path
    } else if address.starts_with(['/', '.']) {
        return None;
    } else {
        address
    };
    let path = path.split(['?', '#']).next()?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let path = path.strip_prefix("scm/").unwrap_or(path);
    let path = path.strip_prefix("v3/").filter(|rest| rest.matches('/').count() == 2).unwrap_or(path);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != "_git").collect();
    let is_clean = parts.iter().all(|part| !part.contains(|c: char| c.is_whitespace() || c.is_control()));
    (parts.len() >= 2 && is_clean).then(|| parts.join("/"))
}

/// A branch without what git puts before its name.
pub(super) fn branch(name: &str) -> String {
    let name = name.strip_prefix("refs/remotes/").unwrap_or(name);
    name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()
}
