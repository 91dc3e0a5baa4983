//! Branches, and the three classes of them that the detector tells apart.

use crate::closed_set;
use crate::name::Branch;

closed_set! {
    /// How much a result on a branch says about the product.
    BranchClass {
        /// The suite's default branch.
        Default = 1, "default";
        /// A merge queue: changes about to reach the default branch.
        MergeQueue = 2, "merge_queue";
        /// Anything else, and results whose branch is not known.
        PullRequest = 3, "pull_request";
    }
}

/// Beginnings of branch names that the known merge queues make.
const MERGE_QUEUES: &[&str] = &[
    "gh-readonly-queue/",
    "mergify/merge-queue/",
    "trunk-merge/",
    "graphite-merge-queue/",
    "mq-bot-",
    "merge-queue/",
];

/// A branch name as it is compared: without `refs/heads/`. What was sent is stored as sent.
#[must_use]
pub fn compared(branch: &str) -> &str {
    branch.strip_prefix("refs/heads/").unwrap_or(branch)
}

/// The class of `branch` in a suite with that default branch.
///
/// `allowed` is the token's `--branches` pattern: outside of it every branch counts as a pull request's.
#[must_use]
pub fn classify(branch: Option<&Branch>, default_branch: &str, allowed: Option<&str>) -> BranchClass {
    let Some(branch) = branch.map(|branch| compared(branch.as_str())) else {
        return BranchClass::PullRequest;
    };
    if allowed.is_some_and(|pattern| !matches_glob(pattern, branch)) {
        BranchClass::PullRequest
    } else if branch == compared(default_branch) {
        BranchClass::Default
    } else if MERGE_QUEUES.iter().any(|start| branch.starts_with(start)) {
        BranchClass::MergeQueue
    } else {
        BranchClass::PullRequest
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters, and a comma separates alternatives.
#[must_use]
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    pattern.split(',').any(|one| matches_one(one.trim(), text))
}

fn matches_one(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut middle: Vec<&str> = parts.collect();
    let Some(last) = middle.pop() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        use BranchClass::{Default, MergeQueue, PullRequest};
        for (branch, allowed, class) in [
            (Some("main"), None, Default),
            (Some("refs/heads/main"), None, Default),
            (Some("refs/heads/main"), Some("main,release/*"), Default),
            (Some("main"), Some("release/*"), PullRequest),
            (Some("gh-readonly-queue/main/pr-1"), None, MergeQueue),
            (Some("feature"), None, PullRequest),
            (Some("12/merge"), None, PullRequest),
            (None, None, PullRequest),
        ] {
            let named = branch.and_then(Branch::new);
            assert_eq!(classify(named.as_ref(), "main", allowed), class, "{branch:?} {allowed:?}");
        }
    }

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("main", "main", true),
            ("main", "mainline", false),
            ("release/*", "release/1.2", true),
            ("release/*", "releases", false),
            ("*-x-*", "a-x-b", true),
            ("a*a", "a", false),
            ("a*bc*c", "abcc", true),
            ("a, b", "b", true),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
