//! How CI providers call themselves and their checks (`aviator.md` 3.3).

/// A check as a provider names it on commits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CheckName {
    /// Its name.
    pub(crate) name: String,
    /// Another name under which it is asked for.
    pub(crate) alias: Option<String>,
}

/// The check that a job reports to; none if the provider's headers do not say.
pub(crate) fn check(provider: &str, job: Option<&str>, workflow: Option<&str>) -> Option<CheckName> {
    let plain = |name: String| Some(CheckName { name, alias: None });
    match provider {
        "circleci" => plain(format!("ci/circleci: {}", job?)),
        "buildkite" => plain(format!("buildkite/{}", workflow?)),
        "github_action" => {
            let job = job?;
            let alias = workflow.map(|workflow| format!("{workflow} / {job}"));
            Some(CheckName { name: job.to_owned(), alias })
        }
        other => plain(format!("{other}/{}", job?)),
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
        let name = |provider, job, workflow| check(provider, job, workflow).map(|check| check.name);
        assert_eq!(name("circleci", Some("unit"), None).unwrap(), "ci/circleci: unit");
        assert_eq!(name("buildkite", Some(":go: test"), Some("pipe")).unwrap(), "buildkite/pipe");
        assert_eq!(name("jenkins", Some("nightly"), Some("x")).unwrap(), "jenkins/nightly");
        let github = check("github_action", Some("build"), Some("CI")).unwrap();
        assert_eq!((github.name.as_str(), github.alias.as_deref()), ("build", Some("CI / build")));
        for (provider, job, workflow) in
            [("circleci", None, Some("w")), ("buildkite", Some("j"), None), ("x", None, None)]
        {
            assert_eq!(check(provider, job, workflow), None, "{provider}");
        }
    }
}
