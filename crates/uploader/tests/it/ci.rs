//! What variables say about the run: a test for every provider.

use casebook_uploader::ci::{Overrides, PROVIDERS, RunEnvironment, Surroundings};
use std::collections::{BTreeMap, BTreeSet};

const EVENT: &str = r#"{"pull_request":{"head":{"sha":"head1"},"title":"Add carts"}}"#;

fn detect_with(
    variables: &[(&str, &str)],
    overrides: &Overrides,
    git: &dyn Fn(&[&str]) -> Option<String>,
) -> RunEnvironment {
    let surroundings = Surroundings {
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        read: &|path| (path == "/event.json").then(|| EVENT.to_owned()),
        git,
        unique_key: &|| "unique".to_owned(),
    };
    RunEnvironment::detect(&surroundings, overrides)
}

fn detect(variables: &[(&str, &str)]) -> RunEnvironment {
    detect_with(variables, &Overrides::default(), &|_| None)
}

/// Checks the entries of `run_env`, all of them.
#[track_caller]
fn check(variables: &[(&str, &str)], expected: &[(&str, &str)]) {
    let found = detect(variables);
    let found: BTreeMap<&str, &str> = found.entries().into_iter().collect();
    assert_eq!(found, expected.iter().copied().collect());
    // Empty variables are unset ones.
    let emptied: Vec<(&str, &str)> = variables.iter().map(|(name, _)| (*name, "")).collect();
    assert_eq!(detect(&emptied).key, "unique");
}

const GITHUB: &[(&str, &str)] = &[
    ("CI", "true"),
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_REPOSITORY", "acme/shop"),
    ("GITHUB_REF_NAME", "main"),
    ("GITHUB_SHA", "c1"),
    ("GITHUB_RUN_ID", "77"),
    ("GITHUB_RUN_NUMBER", "5"),
    ("GITHUB_RUN_ATTEMPT", "2"),
    ("GITHUB_JOB", "unit"),
    ("GITHUB_SERVER_URL", "https://github.com"),
];

#[test]
fn github_actions() {
    let expected = [
        ("CI", "github_actions"),
        ("key", "77-unit-2"),
        ("number", "5"),
        ("job_id", "unit"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("url", "https://github.com/acme/shop/actions/runs/77"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(GITHUB, &expected);
    // Of a pull request, the branch and commit that were pushed.
    let pull = [
        GITHUB,
        &[("GITHUB_HEAD_REF", "carts"), ("GITHUB_EVENT_PATH", "/event.json"), ("GITHUB_REF_NAME", "9/merge")],
    ];
    let pull = detect(&pull.concat());
    assert_eq!(pull.branch.as_deref(), Some("carts"));
    assert_eq!(pull.commit.as_deref(), Some("head1"));
    assert_eq!(pull.message.as_deref(), Some("Add carts"));
    let gone = detect(&[GITHUB, &[("GITHUB_EVENT_PATH", "/gone.json")]].concat());
    assert_eq!(gone.commit.as_deref(), Some("c1"));
}

#[test]
fn gitea_and_forgejo_actions() {
    for (sign, word) in [("GITEA_ACTIONS", "gitea_actions"), ("FORGEJO_ACTIONS", "forgejo_actions")] {
        let found = detect(&[GITHUB, &[(sign, "true")]].concat());
        assert_eq!(found.provider.as_deref(), Some(word));
        assert_eq!(found.key, "77-unit-2");
        assert_eq!(found.url.as_deref(), Some("https://github.com/acme/shop/actions/runs/5"));
    }
}

#[test]
fn gitlab() {
    let branch = [
        ("CI", "true"),
        ("GITLAB_CI", "true"),
        ("CI_PROJECT_PATH", "acme/web/shop"),
        ("CI_COMMIT_REF_NAME", "main"),
        ("CI_COMMIT_SHA", "c1"),
        ("CI_PIPELINE_ID", "100"),
        ("CI_PIPELINE_IID", "7"),
        ("CI_JOB_ID", "200"),
        ("CI_JOB_NAME", "unit 1/2"),
        ("CI_JOB_URL", "https://gitlab.com/acme/web/shop/-/jobs/200"),
        ("CI_NODE_INDEX", "1"),
        ("CI_COMMIT_MESSAGE", "Add carts\n"),
    ];
    let expected = [
        ("CI", "gitlab"),
        ("key", "100-200-1"),
        ("number", "7"),
        ("job_id", "200"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts\n"),
        ("url", "https://gitlab.com/acme/web/shop/-/jobs/200"),
        ("repo", "acme/web/shop"),
        ("check", "unit 1/2"),
        ("shard", "1"),
    ];
    check(&branch, &expected);
    let merge =
        [("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "carts"), ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "c2")];
    let merge = detect(&[&branch[..], &merge].concat());
    assert_eq!((merge.branch.as_deref(), merge.commit.as_deref()), (Some("carts"), Some("c2")));
}

#[test]
fn circleci() {
    let variables = [
        ("CIRCLECI", "true"),
        ("CIRCLE_PROJECT_USERNAME", "acme"),
        ("CIRCLE_PROJECT_REPONAME", "shop"),
        ("CIRCLE_BRANCH", "main"),
        ("CIRCLE_SHA1", "c1"),
        ("CIRCLE_WORKFLOW_ID", "w"),
        ("CIRCLE_BUILD_NUM", "12"),
        ("CIRCLE_WORKFLOW_JOB_ID", "j"),
        ("CIRCLE_BUILD_URL", "https://circleci.com/gh/acme/shop/12"),
        ("CIRCLE_NODE_INDEX", "0"),
        ("CIRCLE_JOB", "unit"),
    ];
    let expected = [
        ("CI", "circleci"),
        ("key", "w-12"),
        ("number", "12"),
        ("job_id", "j"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("url", "https://circleci.com/gh/acme/shop/12"),
        ("repo", "acme/shop"),
        ("check", "ci/circleci: unit"),
        ("shard", "0"),
    ];
    check(&variables, &expected);
    let by_address = [("CIRCLECI", "true"), ("CIRCLE_REPOSITORY_URL", "git@github.com:acme/shop.git")];
    assert_eq!(detect(&by_address).repo.as_deref(), Some("acme/shop"));
}

#[test]
fn buildkite() {
    let variables = [
        ("BUILDKITE", "true"),
        ("BUILDKITE_REPO", "https://user:s3cret@github.com/acme/shop.git"),
        ("BUILDKITE_BRANCH", "main"),
        ("BUILDKITE_COMMIT", "c1"),
        ("BUILDKITE_BUILD_ID", "0199aaaa-9e0a-450f-bc64-9edb62d43fa9"),
        ("BUILDKITE_BUILD_NUMBER", "12"),
        ("BUILDKITE_JOB_ID", "j"),
        ("BUILDKITE_RETRY_COUNT", "1"),
        ("BUILDKITE_PARALLEL_JOB", "3"),
        ("BUILDKITE_BUILD_URL", "https://buildkite.com/acme/shop/builds/12"),
        ("BUILDKITE_MESSAGE", "Add carts"),
        ("BUILDKITE_PIPELINE_SLUG", "shop"),
    ];
    let expected = [
        ("CI", "buildkite"),
        // The collectors' key, so that their uploads and these make one run.
        ("key", "0199aaaa-9e0a-450f-bc64-9edb62d43fa9"),
        ("number", "12"),
        ("job_id", "j"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://buildkite.com/acme/shop/builds/12"),
        ("repo", "acme/shop"),
        ("check", "buildkite/shop"),
        ("shard", "3"),
    ];
    check(&variables, &expected);
}

#[test]
fn jenkins() {
    let variables = [
        ("JENKINS_URL", "https://ci.example/"),
        ("GIT_URL_1", "ssh://git@git.example:7999/scm/acme/shop.git"),
        ("GIT_BRANCH", "origin/release/2"),
        ("GIT_COMMIT", "c1"),
        ("BUILD_TAG", "jenkins-shop-12"),
        ("BUILD_NUMBER", "12"),
        ("BUILD_URL", "https://me:s3cret@ci.example/job/shop/12/"),
        ("JOB_NAME", "shop"),
    ];
    let expected = [
        ("CI", "jenkins"),
        ("key", "jenkins-shop-12"),
        ("number", "12"),
        ("job_id", "jenkins-shop-12"),
        ("branch", "release/2"),
        ("commit_sha", "c1"),
        ("url", "https://ci.example/job/shop/12/"),
        ("repo", "acme/shop"),
        ("check", "shop"),
    ];
    check(&variables, &expected);
    let pull = detect(&[&variables[..], &[("BRANCH_NAME", "PR-4"), ("CHANGE_BRANCH", "carts")]].concat());
    assert_eq!(pull.branch.as_deref(), Some("carts"));
}

#[test]
fn azure_pipelines() {
    let variables = [
        ("TF_BUILD", "True"),
        ("BUILD_REPOSITORY_URI", "https://acme@dev.azure.com/acme/web/_git/shop"),
        ("BUILD_SOURCEBRANCH", "refs/heads/main"),
        ("BUILD_SOURCEVERSION", "c1"),
        ("BUILD_SOURCEVERSIONMESSAGE", "Add carts"),
        ("BUILD_BUILDID", "99"),
        ("BUILD_BUILDNUMBER", "20261120.1"),
        ("SYSTEM_JOBID", "j"),
        ("SYSTEM_JOBATTEMPT", "1"),
        ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/acme/"),
        ("SYSTEM_TEAMPROJECT", "my web"),
        ("BUILD_DEFINITIONNAME", "shop"),
        ("SYSTEM_JOBDISPLAYNAME", "unit"),
    ];
    let expected = [
        ("CI", "azure_pipelines"),
        ("key", "99-j-1"),
        ("number", "20261120.1"),
        ("job_id", "j"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://dev.azure.com/acme/my%20web/_build/results?buildId=99"),
        ("repo", "acme/web/shop"),
        ("check", "shop unit"),
    ];
    check(&variables, &expected);
    let pull = [
        ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "refs/heads/carts"),
        ("SYSTEM_PULLREQUEST_SOURCECOMMITID", "c2"),
    ];
    let pull = detect(&[&variables[..], &pull].concat());
    assert_eq!((pull.branch.as_deref(), pull.commit.as_deref()), (Some("carts"), Some("c2")));
}

#[test]
fn bitbucket_pipelines() {
    let variables = [
        ("BITBUCKET_BUILD_NUMBER", "12"),
        ("BITBUCKET_REPO_FULL_NAME", "acme/shop"),
        ("BITBUCKET_BRANCH", "main"),
        ("BITBUCKET_COMMIT", "c1"),
        ("BITBUCKET_PIPELINE_UUID", "{p}"),
        ("BITBUCKET_STEP_UUID", "{s}"),
        ("BITBUCKET_GIT_HTTP_ORIGIN", "https://bitbucket.org/acme/shop"),
    ];
    let expected = [
        ("CI", "bitbucket"),
        ("key", "{p}-{s}"),
        ("number", "12"),
        ("job_id", "{s}"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("url", "https://bitbucket.org/acme/shop/pipelines/results/12"),
        ("repo", "acme/shop"),
        ("check", "acme/shop"),
    ];
    check(&variables, &expected);
    let apart =
        [("BITBUCKET_BUILD_NUMBER", "1"), ("BITBUCKET_WORKSPACE", "acme"), ("BITBUCKET_REPO_SLUG", "shop")];
    assert_eq!(detect(&apart).repo.as_deref(), Some("acme/shop"));
}

#[test]
fn travis() {
    let variables = [
        ("TRAVIS", "true"),
        ("TRAVIS_REPO_SLUG", "acme/shop"),
        ("TRAVIS_PULL_REQUEST_BRANCH", "carts"),
        ("TRAVIS_BRANCH", "main"),
        ("TRAVIS_PULL_REQUEST_SHA", "c2"),
        ("TRAVIS_COMMIT", "c1"),
        ("TRAVIS_COMMIT_MESSAGE", "Add carts"),
        ("TRAVIS_BUILD_ID", "100"),
        ("TRAVIS_BUILD_NUMBER", "12"),
        ("TRAVIS_JOB_ID", "101"),
        ("TRAVIS_JOB_WEB_URL", "https://travis-ci.com/acme/shop/jobs/101"),
        ("TRAVIS_JOB_NAME", "unit"),
    ];
    let expected = [
        ("CI", "travis"),
        ("key", "100-101"),
        ("number", "12"),
        ("job_id", "101"),
        ("branch", "carts"),
        ("commit_sha", "c2"),
        ("message", "Add carts"),
        ("url", "https://travis-ci.com/acme/shop/jobs/101"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
}

#[test]
fn appveyor() {
    let variables = [
        ("APPVEYOR", "True"),
        ("APPVEYOR_REPO_NAME", "acme/shop"),
        ("APPVEYOR_REPO_BRANCH", "main"),
        ("APPVEYOR_REPO_COMMIT", "c1"),
        ("APPVEYOR_REPO_COMMIT_MESSAGE", "Add carts"),
        ("APPVEYOR_BUILD_ID", "100"),
        ("APPVEYOR_BUILD_NUMBER", "12"),
        ("APPVEYOR_JOB_ID", "j"),
        ("APPVEYOR_JOB_NAME", "unit"),
        ("APPVEYOR_URL", "https://ci.appveyor.com"),
        ("APPVEYOR_ACCOUNT_NAME", "acme"),
        ("APPVEYOR_PROJECT_SLUG", "shop"),
    ];
    let expected = [
        ("CI", "appveyor"),
        ("key", "100-j"),
        ("number", "12"),
        ("job_id", "j"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://ci.appveyor.com/project/acme/shop/builds/100"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
    let pull =
        [("APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH", "carts"), ("APPVEYOR_PULL_REQUEST_HEAD_COMMIT", "c2")];
    let pull = detect(&[&variables[..], &pull].concat());
    assert_eq!((pull.branch.as_deref(), pull.commit.as_deref()), (Some("carts"), Some("c2")));
}

#[test]
fn teamcity_knows_little_and_git_the_rest() {
    let variables = [
        ("TEAMCITY_VERSION", "2024.1"),
        ("BUILD_VCS_NUMBER", "c1"),
        ("BUILD_NUMBER", "12"),
        ("BUILD_URL", "https://tc.example/build/12"),
        ("TEAMCITY_BUILDCONF_NAME", "unit"),
    ];
    let expected = [
        ("CI", "teamcity"),
        ("key", "unit-12"),
        ("number", "12"),
        ("commit_sha", "c1"),
        ("url", "https://tc.example/build/12"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
    let git = |arguments: &[&str]| match arguments[0] {
        "symbolic-ref" => Some("main\n".to_owned()),
        "config" => Some("https://x:s3cret@github.com/acme/shop.git\n".to_owned()),
        _ => Some("other commit\n".to_owned()),
    };
    let found = detect_with(&variables, &Overrides::default(), &git);
    assert_eq!((found.branch.as_deref(), found.commit.as_deref()), (Some("main"), Some("c1")));
    assert_eq!(found.repo.as_deref(), Some("acme/shop"));
}

#[test]
fn woodpecker() {
    let variables = [
        ("CI", "woodpecker"),
        ("CI_REPO", "acme/shop"),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_COMMIT_SHA", "c1"),
        ("CI_COMMIT_MESSAGE", "Add carts"),
        ("CI_PIPELINE_NUMBER", "12"),
        ("CI_WORKFLOW_NUMBER", "2"),
        ("CI_PIPELINE_URL", "https://ci.example/repos/1/pipeline/12"),
        ("CI_STEP_NAME", "unit"),
    ];
    let expected = [
        ("CI", "woodpecker"),
        ("key", "12-2-unit"),
        ("number", "12"),
        ("job_id", "unit"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://ci.example/repos/1/pipeline/12"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
    let pull = detect(&[&variables[..], &[("CI_COMMIT_SOURCE_BRANCH", "carts")]].concat());
    assert_eq!(pull.branch.as_deref(), Some("carts"));
}

#[test]
fn drone() {
    let variables = [
        ("DRONE", "true"),
        ("CI", "true"),
        ("DRONE_REPO", "acme/shop"),
        ("DRONE_SOURCE_BRANCH", "carts"),
        ("DRONE_BRANCH", "main"),
        ("DRONE_COMMIT_SHA", "c1"),
        ("DRONE_COMMIT_MESSAGE", "Add carts"),
        ("DRONE_BUILD_NUMBER", "12"),
        ("DRONE_STAGE_NUMBER", "1"),
        ("DRONE_STEP_NAME", "unit"),
        ("DRONE_BUILD_LINK", "https://drone.example/acme/shop/12"),
    ];
    let expected = [
        ("CI", "drone"),
        ("key", "12-1-unit"),
        ("number", "12"),
        ("job_id", "unit"),
        ("branch", "carts"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://drone.example/acme/shop/12"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
}

#[test]
fn codebuild() {
    let variables = [
        ("CODEBUILD_BUILD_ID", "shop:ed00ef43"),
        ("CODEBUILD_BUILD_NUMBER", "12"),
        ("CODEBUILD_SOURCE_REPO_URL", "https://github.com/acme/shop.git"),
        ("CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/main"),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION", "c1"),
        ("CODEBUILD_BUILD_URL", "https://console.aws.amazon.com/codebuild"),
    ];
    let expected = [
        ("CI", "codebuild"),
        ("key", "shop:ed00ef43"),
        ("number", "12"),
        ("job_id", "shop:ed00ef43"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("url", "https://console.aws.amazon.com/codebuild"),
        ("repo", "acme/shop"),
        ("check", "shop"),
    ];
    check(&variables, &expected);
}

#[test]
fn google_cloud_build_also_inside_of_jenkins() {
    let variables = [
        ("TRIGGER_NAME", "on-push"),
        ("REPO_FULL_NAME", "acme/shop"),
        ("_HEAD_BRANCH", "carts"),
        ("BRANCH_NAME", "main"),
        ("COMMIT_SHA", "c1"),
        ("BUILD_ID", "b"),
        ("PROJECT_ID", "p"),
    ];
    let expected = [
        ("CI", "google_cloud_build"),
        ("key", "b"),
        ("branch", "carts"),
        ("commit_sha", "c1"),
        ("url", "https://console.cloud.google.com/cloud-build/builds/b?project=p"),
        ("repo", "acme/shop"),
        ("check", "on-push"),
    ];
    check(&variables, &expected);
    let inside = [("JENKINS_URL", "https://ci.example"), ("BUILD_TAG", "t"), ("GIT_COMMIT", "c2")];
    let inside = detect(&[&variables[..], &inside].concat());
    assert_eq!(
        (inside.provider.as_deref(), inside.commit.as_deref()),
        (Some("google_cloud_build"), Some("c1"))
    );
}

#[test]
fn semaphore() {
    let variables = [
        ("SEMAPHORE", "true"),
        ("SEMAPHORE_GIT_REPO_SLUG", "acme/shop"),
        ("SEMAPHORE_GIT_WORKING_BRANCH", "main"),
        ("SEMAPHORE_GIT_SHA", "c1"),
        ("SEMAPHORE_WORKFLOW_ID", "w"),
        ("SEMAPHORE_WORKFLOW_NUMBER", "12"),
        ("SEMAPHORE_JOB_ID", "j"),
        ("SEMAPHORE_JOB_NAME", "unit"),
        ("SEMAPHORE_ORGANIZATION_URL", "https://acme.semaphoreci.com"),
    ];
    let expected = [
        ("CI", "semaphore"),
        ("key", "w-j"),
        ("number", "12"),
        ("job_id", "j"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("url", "https://acme.semaphoreci.com/jobs/j"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
    assert_eq!(
        detect(&[&variables[..], &[("SEMAPHORE_GIT_PR_BRANCH", "carts")]].concat()).branch.as_deref(),
        Some("carts")
    );
}

#[test]
fn bamboo() {
    let variables = [
        ("bamboo_buildNumber", "12"),
        ("bamboo_planRepository_repositoryUrl", "git@github.com:acme/shop.git"),
        ("bamboo_planRepository_branchName", "main"),
        ("bamboo_planRepository_revision", "c1"),
        ("bamboo_buildResultKey", "SHOP-UNIT-JOB1-12"),
        ("bamboo_resultsUrl", "https://bamboo.example/browse/SHOP-UNIT-JOB1-12"),
        ("bamboo_planName", "Shop"),
        ("bamboo_shortJobName", "unit"),
    ];
    let expected = [
        ("CI", "bamboo"),
        ("key", "SHOP-UNIT-JOB1-12"),
        ("number", "12"),
        ("job_id", "SHOP-UNIT-JOB1-12"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("url", "https://bamboo.example/browse/SHOP-UNIT-JOB1-12"),
        ("repo", "acme/shop"),
        ("check", "Shop unit"),
    ];
    check(&variables, &expected);
}

#[test]
fn codefresh() {
    let variables = [
        ("CF_BUILD_ID", "b"),
        ("CF_REPO_OWNER", "acme"),
        ("CF_REPO_NAME", "shop"),
        ("CF_BRANCH", "main"),
        ("CF_REVISION", "c1"),
        ("CF_COMMIT_MESSAGE", "Add carts"),
        ("CF_BUILD_URL", "https://g.codefresh.io/build/b"),
        ("CF_STEP_NAME", "unit"),
    ];
    let expected = [
        ("CI", "codefresh"),
        ("key", "b-unit"),
        ("job_id", "unit"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://g.codefresh.io/build/b"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
}

#[test]
fn bitrise() {
    let variables = [
        ("BITRISE_BUILD_SLUG", "b"),
        ("BITRISE_BUILD_NUMBER", "12"),
        ("GIT_REPOSITORY_URL", "git@github.com:acme/shop.git"),
        ("BITRISE_GIT_BRANCH", "main"),
        ("GIT_CLONE_COMMIT_HASH", "c1"),
        ("BITRISE_GIT_MESSAGE", "Add carts"),
        ("BITRISE_BUILD_URL", "https://app.bitrise.io/build/b"),
        ("BITRISE_TRIGGERED_WORKFLOW_ID", "unit"),
    ];
    let expected = [
        ("CI", "bitrise"),
        ("key", "b"),
        ("number", "12"),
        ("job_id", "b"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://app.bitrise.io/build/b"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
}

#[test]
fn buddy() {
    let variables = [
        ("BUDDY", "true"),
        ("BUDDY_SCM_URL", "https://github.com/acme/shop"),
        ("BUDDY_EXECUTION_BRANCH", "main"),
        ("BUDDY_EXECUTION_REVISION", "c1"),
        ("BUDDY_EXECUTION_REVISION_MESSAGE", "Add carts"),
        ("BUDDY_PIPELINE_ID", "3"),
        ("BUDDY_EXECUTION_ID", "12"),
        ("BUDDY_EXECUTION_URL", "https://app.buddy.works/12"),
        ("BUDDY_PIPELINE_NAME", "unit"),
    ];
    let expected = [
        ("CI", "buddy"),
        ("key", "3-12"),
        ("number", "12"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("url", "https://app.buddy.works/12"),
        ("repo", "acme/shop"),
        ("check", "unit"),
    ];
    check(&variables, &expected);
}

#[test]
fn codeship() {
    let variables = [
        ("CI", "true"),
        ("CI_NAME", "codeship"),
        ("CI_REPO_NAME", "acme/shop"),
        ("CI_BRANCH", "main"),
        ("CI_COMMIT_ID", "c1"),
        ("CI_COMMIT_MESSAGE", "Add carts"),
        ("CI_BUILD_ID", "b"),
        ("CI_BUILD_NUMBER", "12"),
    ];
    let expected = [
        ("CI", "codeship"),
        ("key", "b"),
        ("number", "12"),
        ("branch", "main"),
        ("commit_sha", "c1"),
        ("message", "Add carts"),
        ("repo", "acme/shop"),
    ];
    check(&variables, &expected);
}

#[test]
fn something_else_asks_git() {
    let git = |arguments: &[&str]| match arguments[0] {
        "rev-parse" => Some("c1\n".to_owned()),
        "symbolic-ref" => Some("carts\n".to_owned()),
        "config" => Some("git@git.example:acme/shop.git\n".to_owned()),
        other => panic!("{other}"),
    };
    let found = detect_with(&[("CI", "1")], &Overrides::default(), &git);
    let entries: BTreeMap<&str, &str> = found.entries().into_iter().collect();
    let expected = [
        ("CI", "generic"),
        ("key", "unique"),
        ("branch", "carts"),
        ("commit_sha", "c1"),
        ("repo", "acme/shop"),
        ("check", "default"),
    ];
    assert_eq!(entries, expected.into_iter().collect());
    // Without git there is less to say, and nothing to complain about.
    let bare = detect(&[]);
    assert_eq!(bare.entries(), [("key", "unique"), ("check", "default")]);
}

#[test]
fn overrides_win_field_by_field() {
    let said = |text: &str| Some(text.to_owned());
    let overrides = Overrides {
        key: said("k"),
        branch: said("other"),
        url: said("https://u:p@ci.example/1"),
        repo: said("https://github.com/acme/other.git"),
        commit: said(""),
        shard: said("2"),
        ..Overrides::default()
    };
    let found = detect_with(GITHUB, &overrides, &|_| None);
    assert_eq!((found.key.as_str(), found.branch.as_deref()), ("k", Some("other")));
    assert_eq!((found.commit.as_deref(), found.check.as_deref()), (Some("c1"), Some("unit")));
    assert_eq!(
        (found.url.as_deref(), found.repo.as_deref()),
        (Some("https://ci.example/1"), Some("acme/other"))
    );
    assert_eq!(found.shard.as_deref(), Some("2"));
}

#[test]
fn the_first_row_wins_and_every_row_has_its_word() {
    let two =
        detect(&[GITHUB, &[("GITLAB_CI", "true"), ("CI_COMMIT_SHA", "c9"), ("CI", "woodpecker")]].concat());
    assert_eq!((two.provider.as_deref(), two.commit.as_deref()), (Some("github_actions"), Some("c1")));
    let words: BTreeSet<&str> = PROVIDERS.iter().map(|provider| provider.word).collect();
    assert_eq!(words.len(), PROVIDERS.len());
    assert_eq!(PROVIDERS.len(), 22);
}

#[test]
fn keys_of_runs_without_ci_are_their_own() {
    let key = casebook_uploader::ci::unique_key();
    assert!(casebook_model::public_id::parse_uuid(&key).is_some() && key.as_bytes()[14] == b'4', "{key}");
    assert_ne!(key, casebook_uploader::ci::unique_key());
}
