//! How CI providers call themselves and their checks (`aviator.md` 3.3).

/// A check as a provider names it on commits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CheckName {
    /// Its name.
    pub(crate) name: String,
    /// Another name under which it is asked for.
    pub(crate) alias: Option<String>,
}

/// The check that a job reports to. A job without a name reports to a check of the provider's own.
pub(crate) fn check(provider: &str, job: Option<&str>, workflow: Option<&str>) -> CheckName {
    let plain = |name: String| CheckName { name, alias: None };
    match (provider, job, workflow) {
        ("circleci", Some(job), _) => plain(format!("ci/circleci: {job}")),
        ("buildkite", _, Some(workflow)) => plain(format!("buildkite/{workflow}")),
        ("github_action", Some(job), workflow) => {
            let alias = workflow.map(|workflow| format!("{workflow} / {job}"));
            CheckName { name: job.to_owned(), alias }
        }
        (provider, None, _) => plain(provider.to_owned()),
        (other, Some(job), _) => plain(format!("{other}/{job}")),
    }
}

/// The provider as people write it; `stored` may be any word a client sent.
pub(crate) fn provider(stored: &str) -> &str {
    match stored {
        "circleci" => "CircleCI",
        "buildkite" => "Buildkite",
        "github_action" | "github_actions" => "GitHub Actions",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_called_as_on_commits() {
        let name = |provider, job, workflow| check(provider, job, workflow).name;
        assert_eq!(name("circleci", Some("unit"), None), "ci/circleci: unit");
        assert_eq!(name("buildkite", Some(":go: test"), Some("pipe")), "buildkite/pipe");
        assert_eq!(name("jenkins", Some("nightly"), Some("x")), "jenkins/nightly");
        let github = check("github_action", Some("build"), Some("CI"));
        assert_eq!((github.name.as_str(), github.alias.as_deref()), ("build", Some("CI / build")));
        for provider in ["circleci", "github_action", "buildkite", "x"] {
            assert_eq!(name(provider, None, None), provider);
        }
    }
}
