//! What a CI system says about the run: variables in, run environment out.
//!
//! One table ([`PROVIDERS`]) names the variables of each provider; this module reads it. Pure but for two questions that
//! [`Surroundings`] answers: what is in a file, and what git says.

mod providers;
mod repository;

pub use providers::{PROVIDERS, Provider, Sign};

use crate::address::without_credentials;
use std::collections::BTreeMap;

/// What a provider is asked about, and what else can be asked.
pub struct Surroundings<'a> {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The text of a file, if it can be read.
    pub read: &'a dyn Fn(&str) -> Option<String>,
    /// What `git` prints for these arguments, if it can be run and succeeds in time.
    pub git: &'a dyn Fn(&[&str]) -> Option<String>,
    /// A key that no other run has.
    pub unique_key: &'a dyn Fn() -> String,
}

/// What is known of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunEnvironment {
    /// The provider's word; absent outside of CI.
    pub provider: Option<String>,
    /// Groups uploads into one run.
    pub key: String,
    /// Number of the build, for people.
    pub number: Option<String>,
    /// The job within the build.
    pub job_id: Option<String>,
    /// The branch, without `refs/heads/`.
    pub branch: Option<String>,
    /// The commit under test.
    pub commit: Option<String>,
    /// Message of the commit.
    pub message: Option<String>,
    /// Address of the build or job, without credentials.
    pub url: Option<String>,
    /// The repository as `owner/name`.
    pub repo: Option<String>,
    /// Name of the check.
    pub check: Option<String>,
    /// Which of several parallel parts of one job.
    pub shard: Option<String>,
}

/// What people say instead of what was found; each field wins alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Key of the run.
    pub key: Option<String>,
    /// The job.
    pub job_id: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// The message.
    pub message: Option<String>,
    /// Address of the build.
    pub url: Option<String>,
    /// The repository.
    pub repo: Option<String>,
    /// The check.
    pub check: Option<String>,
    /// The shard.
    pub shard: Option<String>,
}

impl RunEnvironment {
    /// What the first provider that is recognised says, else git; with the overrides.
    #[must_use]
    pub fn detect(surroundings: &Surroundings<'_>, overrides: &Overrides) -> Self {
        let variables = Variables::new(surroundings);
        let provider = PROVIDERS.iter().find(|provider| variables.show(provider));
        let mut found = provider.map(|provider| variables.ask(provider)).unwrap_or_default();
        if provider.is_none() && variables.get("CI").is_some() {
            found.provider = Some("generic".to_owned());
        }
        found.apply(overrides);
        found.ask_git(surroundings.git);
        if provider.is_none() {
            found.check.get_or_insert_with(|| "default".to_owned());
        }
        if found.key.is_empty() {
            found.key = (surroundings.unique_key)();
        }
        found
    }

    fn apply(&mut self, overrides: &Overrides) {
        let Overrides { key, job_id, branch, commit, message, url, repo, check, shard } = overrides;
        let fields = [
            (&mut self.job_id, job_id),
            (&mut self.branch, branch),
            (&mut self.commit, commit),
            (&mut self.message, message),
            (&mut self.url, url),
            (&mut self.repo, repo),
            (&mut self.check, check),
            (&mut self.shard, shard),
        ];
        for (field, said) in fields {
            if let Some(said) = said.as_ref().filter(|said| !said.is_empty()) {
                *field = Some(said.clone());
            }
        }
        if let Some(key) = key.as_ref().filter(|key| !key.is_empty()) {
            self.key.clone_from(key);
        }
        self.url = self.url.as_deref().map(|url| without_credentials(url).replace(' ', "%20"));
        self.repo = self.repo.as_deref().and_then(repository::owner_and_name);
    }

    /// Asks git for what nobody said.
    fn ask_git(&mut self, git: &dyn Fn(&[&str]) -> Option<String>) {
        let ask = |arguments: &[&str]| {
            let line = git(arguments)?.trim().to_owned();
            (!line.is_empty()).then_some(line)
        };
        if self.commit.is_none() {
            self.commit = ask(&["rev-parse", "--verify", "--quiet", "HEAD"]);
        }
        if self.branch.is_none() {
            self.branch = ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]);
        }
        if self.repo.is_none() {
            let remote = ask(&["config", "--get", "remote.origin.url"]);
            self.repo = remote.as_deref().and_then(repository::owner_and_name);
        }
    }

    /// The entries of `run_env` that say this (Buildkite's contract, 2.6).
    #[must_use]
    pub fn entries(&self) -> Vec<(&'static str, &str)> {
        let Self { provider, key, number, job_id, branch, commit, message, url, repo, check, shard } = self;
        let entries = [
            ("CI", provider.as_deref()),
            ("key", Some(key.as_str())),
            ("number", number.as_deref()),
            ("job_id", job_id.as_deref()),
            ("branch", branch.as_deref()),
            ("commit_sha", commit.as_deref()),
            ("message", message.as_deref()),
            ("url", url.as_deref()),
            ("repo", repo.as_deref()),
            ("check", check.as_deref()),
            ("shard", shard.as_deref()),
        ];
        entries.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A random UUID (version 4), the key of a run that nobody has named.
///
/// # Panics
/// The operating system gives no random bytes; every run would be one run then.
#[must_use]
pub fn unique_key() -> String {
    let mut bytes = [0; 16];
    #[expect(clippy::expect_used, reason = "without random bytes no run can be told from another")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let key = crate::cutting::uuid(&bytes);
    // The version is the only difference to the ids made of content.
    format!("{}4{}", &key[..14], &key[15..])
}

/// The environment, with what can be derived from it.
struct Variables(BTreeMap<String, String>);

impl Variables {
    fn new(surroundings: &Surroundings<'_>) -> Self {
        let mut variables = Self(surroundings.variables.clone());
        variables.0.retain(|_, value| !value.trim().is_empty());
        variables.read_event(surroundings.read);
        // Jenkins names the remote before the branch.
        if let Some(branch) = variables.get("GIT_BRANCH") {
            let branch = branch.strip_prefix("refs/remotes/").unwrap_or(branch);
            let branch = branch.strip_prefix("origin/").unwrap_or(branch).to_owned();
            variables.0.insert("(git branch)".to_owned(), branch);
        }
        if let Some((project, _)) = variables.get("CODEBUILD_BUILD_ID").and_then(|id| id.split_once(':')) {
            let project = project.to_owned();
            variables.0.insert("(project)".to_owned(), project);
        }
        variables
    }

    /// The event that started a workflow of GitHub's kind: the commit that was pushed, not the merge that is tested.
    fn read_event(&mut self, read: &dyn Fn(&str) -> Option<String>) {
        if self.get("GITHUB_ACTIONS").or(self.get("GITEA_ACTIONS")).or(self.get("FORGEJO_ACTIONS")).is_none()
        {
            return;
        }
        let text = self.get("GITHUB_EVENT_PATH").and_then(read);
        let Some(event) = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok()) else {
            return;
        };
        let places = [
            ("(event commit)", "/pull_request/head/sha"),
            ("(event title)", "/pull_request/title"),
            ("(event message)", "/head_commit/message"),
        ];
        for (name, place) in places {
            if let Some(value) = event.pointer(place).and_then(serde_json::Value::as_str) {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn show(&self, provider: &Provider) -> bool {
        provider.recognised_by.iter().any(|sign| match sign {
            Sign::Set(name) => self.get(name).is_some(),
            Sign::Is(name, value) => self.get(name) == Some(value),
        })
    }

    fn ask(&self, provider: &Provider) -> RunEnvironment {
        let first = |templates: &[&str]| templates.iter().find_map(|template| self.fill(template));
        let key: Vec<String> = provider.key.iter().filter_map(|template| self.fill(template)).collect();
        RunEnvironment {
            provider: Some(provider.word.to_owned()),
            key: key.join("-"),
            number: first(provider.number),
            job_id: first(provider.job_id),
            branch: first(provider.branch).map(|name| repository::branch(&name)),
            commit: first(provider.commit),
            message: first(provider.message),
            url: first(provider.url),
            repo: first(provider.repo),
            check: first(provider.check),
            shard: first(provider.shard),
        }
    }

    /// A template with its variables, such as `$OWNER/$NAME`; nothing if one of them is not set.
    fn fill(&self, template: &str) -> Option<String> {
        let mut filled = String::new();
        let mut pieces = template.split('$');
        filled.push_str(pieces.next()?);
        for piece in pieces {
            let end = match piece.strip_prefix('(') {
                Some(_) => piece.find(')').map(|end| end + 1),
                None => piece.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')),
            };
            let (name, rest) = piece.split_at(end.unwrap_or(piece.len()));
            filled.push_str(self.get(name)?);
            filled.push_str(rest);
        }
        Some(filled)
    }
}
