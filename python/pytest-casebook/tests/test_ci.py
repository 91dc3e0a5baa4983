"""Each CI system from a recorded environment."""

from __future__ import annotations

import json
import subprocess

import pytest

from pytest_casebook import ci
from pytest_casebook.providers import PROVIDERS

# provider: environment, (repo, branch, commit, check, key)
RECORDED = {
    "github_actions": (
        {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "org/repo",
            "GITHUB_HEAD_REF": "",
            "GITHUB_REF_NAME": "main",
            "GITHUB_SHA": "abc",
            "GITHUB_RUN_ID": "901",
            "GITHUB_RUN_NUMBER": "7",
            "GITHUB_RUN_ATTEMPT": "2",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_JOB": "unit",
        },
        ("org/repo", "main", "abc", "unit", "901-unit-2"),
    ),
    "gitea_actions": (
        {
            "GITEA_ACTIONS": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "org/repo",
            "GITHUB_HEAD_REF": "feature",
            "GITHUB_SHA": "abc",
            "GITHUB_RUN_ID": "1",
            "GITHUB_JOB": "unit",
        },
        ("org/repo", "feature", "abc", "unit", "1-unit"),
    ),
    "gitlab": (
        {
            "GITLAB_CI": "true",
            "CI_PROJECT_PATH": "org/sub/repo",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
            "CI_COMMIT_REF_NAME": "main",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
            "CI_COMMIT_SHA": "abc",
            "CI_PIPELINE_ID": "5",
            "CI_JOB_ID": "6",
            "CI_NODE_INDEX": "2",
            "CI_JOB_NAME": "unit 2/3",
        },
        ("org/sub/repo", "feature", "abc", "unit 2/3", "5-6-2"),
    ),
    "circleci": (
        {
            "CIRCLECI": "true",
            "CIRCLE_PROJECT_USERNAME": "org",
            "CIRCLE_PROJECT_REPONAME": "repo",
            "CIRCLE_BRANCH": "main",
            "CIRCLE_SHA1": "abc",
            "CIRCLE_WORKFLOW_ID": "w",
            "CIRCLE_BUILD_NUM": "8",
            "CIRCLE_NODE_INDEX": "0",
            "CIRCLE_JOB": "unit-tests",
        },
        ("org/repo", "main", "abc", "ci/circleci: unit-tests", "w-8-0"),
    ),
    "buildkite": (
        {
            "BUILDKITE": "true",
            "BUILDKITE_REPO": "git@github.com:org/repo.git",
            "BUILDKITE_BRANCH": "main",
            "BUILDKITE_COMMIT": "abc",
            "BUILDKITE_BUILD_ID": "b",
            "BUILDKITE_JOB_ID": "j",
            "BUILDKITE_RETRY_COUNT": "1",
            "BUILDKITE_PARALLEL_JOB": "3",
            "BUILDKITE_PIPELINE_SLUG": "pipe",
        },
        ("org/repo", "main", "abc", "buildkite/pipe", "b-j-1-3"),
    ),
    "google_cloud_build": (
        {
            "TRIGGER_NAME": "unit",
            "JENKINS_URL": "https://jenkins",
            "REPO_FULL_NAME": "org/repo",
            "_HEAD_BRANCH": "feature",
            "COMMIT_SHA": "abc",
            "BUILD_ID": "g1",
        },
        ("org/repo", "feature", "abc", "unit", "g1"),
    ),
    "jenkins": (
        {
            "JENKINS_URL": "https://jenkins",
            "GIT_URL": "https://me:secret@git.example/org/repo.git",
            "GIT_BRANCH": "origin/main",
            "GIT_COMMIT": "abc",
            "BUILD_TAG": "jenkins-unit-4",
            "BUILD_NUMBER": "4",
            "JOB_NAME": "unit",
        },
        ("org/repo", "main", "abc", "unit", "jenkins-unit-4"),
    ),
    "azure": (
        {
            "TF_BUILD": "True",
            "BUILD_REPOSITORY_URI": "https://dev.azure.com/org/project/_git/repo",
            "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/feature",
            "BUILD_SOURCEVERSION": "abc",
            "BUILD_BUILDID": "11",
            "SYSTEM_JOBID": "j",
            "SYSTEM_JOBATTEMPT": "1",
            "BUILD_DEFINITIONNAME": "build",
            "SYSTEM_JOBDISPLAYNAME": "unit",
        },
        ("org/project/_git/repo", "feature", "abc", "build unit", "11-j-1"),
    ),
    "bitbucket": (
        {
            "BITBUCKET_BUILD_NUMBER": "3",
            "BITBUCKET_WORKSPACE": "org",
            "BITBUCKET_REPO_SLUG": "repo",
            "BITBUCKET_BRANCH": "main",
            "BITBUCKET_COMMIT": "abc",
            "BITBUCKET_PIPELINE_UUID": "{p}",
            "BITBUCKET_STEP_UUID": "{s}",
        },
        ("org/repo", "main", "abc", "default", "{p}-{s}"),
    ),
    "travis": (
        {
            "TRAVIS": "true",
            "TRAVIS_REPO_SLUG": "org/repo",
            "TRAVIS_BRANCH": "main",
            "TRAVIS_COMMIT": "abc",
            "TRAVIS_BUILD_ID": "1",
            "TRAVIS_JOB_ID": "2",
            "TRAVIS_JOB_NAME": "unit",
        },
        ("org/repo", "main", "abc", "unit", "1-2"),
    ),
    "appveyor": (
        {
            "APPVEYOR": "True",
            "APPVEYOR_REPO_NAME": "org/repo",
            "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH": "feature",
            "APPVEYOR_REPO_BRANCH": "main",
            "APPVEYOR_REPO_COMMIT": "abc",
            "APPVEYOR_BUILD_ID": "1",
            "APPVEYOR_JOB_ID": "j",
            "APPVEYOR_JOB_NAME": "unit",
        },
        ("org/repo", "feature", "abc", "unit", "1-j"),
    ),
    "teamcity": (
        {"TEAMCITY_VERSION": "2026", "BUILD_VCS_NUMBER": "abc", "BUILD_NUMBER": "5", "TEAMCITY_BUILDCONF_NAME": "unit"},
        ("", "", "abc", "unit", "unit-5"),
    ),
    "drone": (
        {
            "DRONE": "true",
            "DRONE_REPO": "org/repo",
            "DRONE_BRANCH": "main",
            "DRONE_COMMIT_SHA": "abc",
            "DRONE_BUILD_NUMBER": "5",
            "DRONE_STEP_NAME": "unit",
        },
        ("org/repo", "main", "abc", "unit", "5"),
    ),
    "woodpecker": (
        {
            "CI": "woodpecker",
            "CI_REPO": "org/repo",
            "CI_COMMIT_BRANCH": "main",
            "CI_COMMIT_SHA": "abc",
            "CI_PIPELINE_NUMBER": "5",
            "CI_STEP_NAME": "unit",
        },
        ("org/repo", "main", "abc", "unit", "org/repo-5-unit"),
    ),
    "codebuild": (
        {
            "CODEBUILD_BUILD_ID": "project:1234",
            "CODEBUILD_SOURCE_REPO_URL": "https://github.com/org/repo.git",
            "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/main",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": "abc",
        },
        ("org/repo", "main", "abc", "project", "project:1234"),
    ),
    "semaphore": (
        {
            "SEMAPHORE": "true",
            "SEMAPHORE_GIT_REPO_SLUG": "org/repo",
            "SEMAPHORE_GIT_BRANCH": "main",
            "SEMAPHORE_GIT_SHA": "abc",
            "SEMAPHORE_WORKFLOW_ID": "w",
            "SEMAPHORE_JOB_ID": "j",
            "SEMAPHORE_JOB_NAME": "unit",
        },
        ("org/repo", "main", "abc", "unit", "w-j"),
    ),
    "bamboo": (
        {
            "bamboo_buildNumber": "4",
            "bamboo_planRepository_repositoryUrl": "ssh://git@host:7999/org/repo.git",
            "bamboo_planRepository_branchName": "main",
            "bamboo_planRepository_revision": "abc",
            "bamboo_buildResultKey": "P-J-4",
            "bamboo_planName": "plan",
            "bamboo_shortJobName": "unit",
        },
        ("org/repo", "main", "abc", "plan unit", "P-J-4"),
    ),
    "codefresh": (
        {
            "CF_BUILD_ID": "c",
            "CF_REPO_OWNER": "org",
            "CF_REPO_NAME": "repo",
            "CF_BRANCH": "main",
            "CF_REVISION": "abc",
            "CF_STEP_NAME": "unit",
        },
        ("org/repo", "main", "abc", "unit", "c-unit"),
    ),
    "bitrise": (
        {
            "BITRISE_BUILD_SLUG": "s",
            "GIT_REPOSITORY_URL": "https://github.com/org/repo.git",
            "BITRISE_GIT_BRANCH": "main",
            "GIT_CLONE_COMMIT_HASH": "abc",
            "BITRISE_TRIGGERED_WORKFLOW_ID": "unit",
        },
        ("org/repo", "main", "abc", "unit", "s"),
    ),
    "buddy": (
        {
            "BUDDY": "true",
            "BUDDY_SCM_URL": "https://github.com/org/repo",
            "BUDDY_EXECUTION_BRANCH": "main",
            "BUDDY_EXECUTION_REVISION": "abc",
            "BUDDY_EXECUTION_ID": "e",
            "BUDDY_PIPELINE_NAME": "unit",
        },
        ("org/repo", "main", "abc", "unit", "e"),
    ),
}


@pytest.mark.parametrize("provider", list(RECORDED))
def test_recorded(provider, tmp_path):
    environment, expected = RECORDED[provider]
    found = ci.detect(environment, tmp_path, use_git=False)
    assert found.provider == provider
    assert (found.repo, found.branch, found.commit, found.check, found.key) == expected
    assert found.in_ci


def test_every_provider_is_recorded():
    assert {provider.name for provider in PROVIDERS} == set(RECORDED)


def test_pull_requests_of_github_name_the_real_commit(tmp_path):
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"head": {"sha": "real"}}}))
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "merge", "GITHUB_EVENT_PATH": str(event)}
    assert ci.detect(environment, tmp_path, use_git=False).commit == "real"
    event.write_text("[]")
    assert ci.detect(environment, tmp_path, use_git=False).commit == "merge"


def test_something_else_and_nothing(tmp_path):
    found = ci.detect({"CI": "true"}, tmp_path, use_git=False)
    assert (found.provider, found.check, found.in_ci) == ("generic", "default", True)
    assert not ci.detect({"CI": "false"}, tmp_path, use_git=False).in_ci
    assert len(found.key) == 36


def test_git_fills_in_what_is_missing(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments], cwd=tmp_path, check=True)

    git("init", "-q", "-b", "trunk")
    git("remote", "add", "origin", "https://user:secret@host/org/repo.git")
    git("commit", "-q", "--allow-empty", "-m", "Fix\n\nFixes-flaky: a.py::b")
    found = ci.detect({}, tmp_path)
    assert (found.repo, found.branch, len(found.commit)) == ("org/repo", "trunk", 40)
    assert ci.fixes(ci.last_message(tmp_path)) == ["a.py::b"]


def test_overrides_win(tmp_path):
    environment = {
        **RECORDED["jenkins"][0],
        "CASEBOOK_BRANCH": "mine",
        "CASEBOOK_BUILD_ID": "k",
        "CASEBOOK_COMMIT": "c",
    }
    found = ci.detect(environment, tmp_path, use_git=False)
    assert (found.branch, found.key, found.commit, found.repo) == ("mine", "k", "c", "org/repo")


@pytest.mark.parametrize(
    "address",
    [
        "https://h/org/repo",
        "https://u:p@h/org/repo.git",
        "git@h:org/repo.git",
        "ssh://git@h:22/org/repo.git",
        "org/repo",
    ],
)
def test_clone_addresses(address):
    assert ci.clean_repository(address) == "org/repo"


def test_annotations_and_summary_in_github(policy_file, casefile, run, pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    (pytester.path / "summary.md").touch()
    casefile("def test_a(): script('a', 'fp')\ndef test_b(): assert False")
    policy = policy_file(
        {"class_name": "test_case", "name": "test_a", "max_runs": 2},
        {"class_name": "test_case", "name": "test_b", "mode": "quarantine"},
    )
    result = run(policy)
    result.stdout.fnmatch_lines(
        ["::notice file=test_case.py,line=*::*test_a: failed, passed; needed 1 of 2", "::warning *"]
    )
    assert "| QUARANTINED | `test_case.py::test_b` |" in (pytester.path / "summary.md").read_text()
    pytester.makeini("[pytest]\ncasebook_annotations = false\n")
    assert "::notice" not in run(policy).stdout.str()
