"""The CI systems, and in which variables each says what. ``{NAME}`` must be set, ``{NAME?}`` may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Provider:
    """One CI system. Of several templates the first whose variables are set counts; of ``key`` all that are set."""

    name: str
    signs: tuple[str, ...]
    key: tuple[str, ...]
    repo: tuple[str, ...] = ()
    branch: tuple[str, ...] = ()
    commit: tuple[str, ...] = ()
    number: tuple[str, ...] = ()
    job_id: tuple[str, ...] = ()
    url: tuple[str, ...] = ()
    message: tuple[str, ...] = ()
    check: tuple[str, ...] = ("default",)

    def recognised(self, environment: Mapping[str, str]) -> bool:
        """Whether one of the signs, ``NAME`` or ``NAME=value``, is there. An empty variable counts as unset."""
        for sign in self.signs:
            name, _, wanted = sign.partition("=")
            value = environment.get(name, "")
            if value and value.lower() != "false" and (not wanted or value == wanted):
                return True
        return False


def _actions(name: str, signs: tuple[str, ...]) -> Provider:
    return Provider(
        name,
        signs,
        key=("{GITHUB_RUN_ID}", "{GITHUB_JOB}", "{GITHUB_RUN_ATTEMPT}"),
        repo=("{GITHUB_REPOSITORY}",),
        branch=("{GITHUB_HEAD_REF}", "{GITHUB_REF_NAME}"),
        commit=("{GITHUB_SHA}",),
        number=("{GITHUB_RUN_NUMBER}",),
        job_id=("{GITHUB_JOB}",),
        url=("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",),
        check=("{GITHUB_JOB}", "default"),
    )


PROVIDERS = (
    # Gitea and Forgejo also set GITHUB_ACTIONS, so they are asked before GitHub.
    _actions("gitea_actions", ("GITEA_ACTIONS", "FORGEJO_ACTIONS")),
    _actions("github_actions", ("GITHUB_ACTIONS",)),
    Provider(
        "gitlab",
        ("GITLAB_CI",),
        key=("{CI_PIPELINE_ID}", "{CI_JOB_ID}", "{CI_NODE_INDEX}"),
        repo=("{CI_PROJECT_PATH}",),
        branch=("{CI_MERGE_REQUEST_SOURCE_BRANCH_NAME}", "{CI_COMMIT_REF_NAME}"),
        commit=("{CI_MERGE_REQUEST_SOURCE_BRANCH_SHA}", "{CI_COMMIT_SHA}"),
        number=("{CI_PIPELINE_ID}",),
        job_id=("{CI_JOB_ID}",),
        url=("{CI_JOB_URL}",),
        message=("{CI_COMMIT_MESSAGE}",),
        check=("{CI_JOB_NAME}", "default"),
    ),
    Provider(
        "circleci",
        ("CIRCLECI",),
        key=("{CIRCLE_WORKFLOW_ID}", "{CIRCLE_BUILD_NUM}", "{CIRCLE_WORKFLOW_JOB_ID}", "{CIRCLE_NODE_INDEX}"),
        repo=("{CIRCLE_PROJECT_USERNAME}/{CIRCLE_PROJECT_REPONAME}", "{CIRCLE_REPOSITORY_URL}"),
        branch=("{CIRCLE_BRANCH}",),
        commit=("{CIRCLE_SHA1}",),
        number=("{CIRCLE_BUILD_NUM}",),
        job_id=("{CIRCLE_WORKFLOW_JOB_ID}", "{CIRCLE_BUILD_NUM}"),
        url=("{CIRCLE_BUILD_URL}",),
        check=("ci/circleci: {CIRCLE_JOB}", "default"),
    ),
    Provider(
        "buildkite",
        ("BUILDKITE",),
        key=("{BUILDKITE_BUILD_ID}", "{BUILDKITE_JOB_ID}", "{BUILDKITE_RETRY_COUNT}", "{BUILDKITE_PARALLEL_JOB}"),
        repo=("{BUILDKITE_REPO}",),
        branch=("{BUILDKITE_BRANCH}",),
        commit=("{BUILDKITE_COMMIT}",),
        number=("{BUILDKITE_BUILD_NUMBER}",),
        job_id=("{BUILDKITE_JOB_ID}",),
        url=("{BUILDKITE_BUILD_URL}",),
        message=("{BUILDKITE_MESSAGE}",),
        check=("buildkite/{BUILDKITE_PIPELINE_SLUG}", "default"),
    ),
    # A build of Google Cloud Build may run inside Jenkins: Google wins, so it is asked first.
    Provider(
        "google_cloud_build",
        ("TRIGGER_NAME",),
        key=("{BUILD_ID}",),
        repo=("{REPO_FULL_NAME}", "{REPO_NAME}"),
        branch=("{_HEAD_BRANCH}", "{BRANCH_NAME}"),
        commit=("{COMMIT_SHA}",),
        number=("{BUILD_ID}",),
        job_id=("{BUILD_ID}",),
        url=("https://console.cloud.google.com/cloud-build/builds/{BUILD_ID}?project={PROJECT_ID}",),
        check=("{TRIGGER_NAME}",),
    ),
    Provider(
        "jenkins",
        ("JENKINS_URL",),
        key=("{BUILD_TAG}",),
        repo=("{GIT_URL}", "{GIT_URL_1}"),
        branch=("{CHANGE_BRANCH}", "{BRANCH_NAME}", "{GIT_BRANCH}"),
        commit=("{GIT_COMMIT}",),
        number=("{BUILD_NUMBER}",),
        job_id=("{BUILD_TAG}",),
        url=("{BUILD_URL}",),
        check=("{JOB_NAME}", "default"),
    ),
    Provider(
        "azure",
        ("TF_BUILD",),
        key=("{BUILD_BUILDID}", "{SYSTEM_JOBID}", "{SYSTEM_JOBATTEMPT}"),
        repo=("{SYSTEM_PULLREQUEST_SOURCEREPOSITORYURI}", "{BUILD_REPOSITORY_URI}"),
        branch=("{SYSTEM_PULLREQUEST_SOURCEBRANCH}", "{BUILD_SOURCEBRANCH}"),
        commit=("{SYSTEM_PULLREQUEST_SOURCECOMMITID}", "{BUILD_SOURCEVERSION}"),
        number=("{BUILD_BUILDID}",),
        job_id=("{SYSTEM_JOBID}",),
        url=("{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",),
        message=("{BUILD_SOURCEVERSIONMESSAGE}",),
        check=("{BUILD_DEFINITIONNAME} {SYSTEM_JOBDISPLAYNAME?}", "default"),
    ),
    Provider(
        "bitbucket",
        ("BITBUCKET_BUILD_NUMBER",),
        key=("{BITBUCKET_PIPELINE_UUID}", "{BITBUCKET_STEP_UUID}"),
        repo=("{BITBUCKET_REPO_FULL_NAME}", "{BITBUCKET_WORKSPACE}/{BITBUCKET_REPO_SLUG}"),
        branch=("{BITBUCKET_BRANCH}",),
        commit=("{BITBUCKET_COMMIT}",),
        number=("{BITBUCKET_BUILD_NUMBER}",),
        job_id=("{BITBUCKET_STEP_UUID}",),
        url=("https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",),
        check=("{BITBUCKET_REPO_FULL_NAME}", "default"),
    ),
    Provider(
        "travis",
        ("TRAVIS",),
        key=("{TRAVIS_BUILD_ID}", "{TRAVIS_JOB_ID}"),
        repo=("{TRAVIS_REPO_SLUG}",),
        branch=("{TRAVIS_PULL_REQUEST_BRANCH}", "{TRAVIS_BRANCH}"),
        commit=("{TRAVIS_PULL_REQUEST_SHA}", "{TRAVIS_COMMIT}"),
        number=("{TRAVIS_BUILD_NUMBER}",),
        job_id=("{TRAVIS_JOB_ID}",),
        url=("{TRAVIS_JOB_WEB_URL}",),
        message=("{TRAVIS_COMMIT_MESSAGE}",),
        check=("{TRAVIS_JOB_NAME}", "default"),
    ),
    Provider(
        "appveyor",
        ("APPVEYOR",),
        key=("{APPVEYOR_BUILD_ID}", "{APPVEYOR_JOB_ID}"),
        repo=("{APPVEYOR_REPO_NAME}",),
        branch=("{APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH}", "{APPVEYOR_REPO_BRANCH}"),
        commit=("{APPVEYOR_PULL_REQUEST_HEAD_COMMIT}", "{APPVEYOR_REPO_COMMIT}"),
        number=("{APPVEYOR_BUILD_NUMBER}", "{APPVEYOR_BUILD_ID}"),
        job_id=("{APPVEYOR_JOB_ID}",),
        message=("{APPVEYOR_REPO_COMMIT_MESSAGE}",),
        check=("{APPVEYOR_JOB_NAME}", "default"),
    ),
    Provider(
        "teamcity",
        ("TEAMCITY_VERSION",),
        key=("{TEAMCITY_BUILDCONF_NAME}", "{BUILD_NUMBER}"),
        commit=("{BUILD_VCS_NUMBER}",),
        number=("{BUILD_NUMBER}",),
        job_id=("{BUILD_NUMBER}",),
        url=("{BUILD_URL}",),
        check=("{TEAMCITY_BUILDCONF_NAME}", "default"),
    ),
    Provider(
        "drone",
        ("DRONE",),
        key=("{DRONE_BUILD_NUMBER}", "{DRONE_STAGE_NUMBER}", "{DRONE_STEP_NUMBER}"),
        repo=("{DRONE_REPO}",),
        branch=("{DRONE_SOURCE_BRANCH}", "{DRONE_BRANCH}"),
        commit=("{DRONE_COMMIT_SHA}",),
        number=("{DRONE_BUILD_NUMBER}",),
        url=("{DRONE_BUILD_LINK}",),
        message=("{DRONE_COMMIT_MESSAGE}",),
        check=("{DRONE_STEP_NAME}", "default"),
    ),
    Provider(
        "woodpecker",
        ("CI=woodpecker",),
        key=("{CI_REPO}", "{CI_PIPELINE_NUMBER}", "{CI_STEP_NAME}", "{CI_STEP_NUMBER}"),
        repo=("{CI_REPO}",),
        branch=("{CI_COMMIT_BRANCH}",),
        commit=("{CI_COMMIT_SHA}",),
        number=("{CI_PIPELINE_NUMBER}",),
        url=("{CI_PIPELINE_URL}",),
        message=("{CI_COMMIT_MESSAGE}",),
        check=("{CI_STEP_NAME}", "default"),
    ),
    Provider(
        "codebuild",
        ("CODEBUILD_BUILD_ID",),
        key=("{CODEBUILD_BUILD_ID}",),
        repo=("{CODEBUILD_SOURCE_REPO_URL}",),
        branch=("{CODEBUILD_WEBHOOK_HEAD_REF}",),
        commit=("{CODEBUILD_RESOLVED_SOURCE_VERSION}",),
        number=("{CODEBUILD_BUILD_NUMBER}",),
        job_id=("{CODEBUILD_BUILD_ID}",),
        url=("{CODEBUILD_BUILD_URL}",),
        check=("{CODEBUILD_BUILD_ID}",),
    ),
    Provider(
        "semaphore",
        ("SEMAPHORE",),
        key=("{SEMAPHORE_WORKFLOW_ID}", "{SEMAPHORE_JOB_ID}"),
        repo=("{SEMAPHORE_GIT_REPO_SLUG}",),
        branch=("{SEMAPHORE_GIT_PR_BRANCH}", "{SEMAPHORE_GIT_WORKING_BRANCH}", "{SEMAPHORE_GIT_BRANCH}"),
        commit=("{SEMAPHORE_GIT_SHA}",),
        number=("{SEMAPHORE_WORKFLOW_NUMBER}",),
        job_id=("{SEMAPHORE_JOB_ID}",),
        check=("{SEMAPHORE_JOB_NAME}", "default"),
    ),
    Provider(
        "bamboo",
        ("bamboo_buildNumber",),
        key=("{bamboo_buildResultKey}",),
        repo=("{bamboo_planRepository_repositoryUrl}",),
        branch=("{bamboo_planRepository_branchName}", "{bamboo_planRepository_branch}"),
        commit=("{bamboo_planRepository_revision}",),
        number=("{bamboo_buildNumber}",),
        job_id=("{bamboo_buildResultKey}",),
        url=("{bamboo_buildResultsUrl}", "{bamboo_resultsUrl}"),
        check=("{bamboo_planName} {bamboo_shortJobName?}", "default"),
    ),
    Provider(
        "codefresh",
        ("CF_BUILD_ID",),
        key=("{CF_BUILD_ID}", "{CF_STEP_NAME}"),
        repo=("{CF_REPO_OWNER}/{CF_REPO_NAME}",),
        branch=("{CF_BRANCH}",),
        commit=("{CF_REVISION}",),
        number=("{CF_BUILD_ID}",),
        url=("{CF_BUILD_URL}",),
        message=("{CF_COMMIT_MESSAGE}",),
        check=("{CF_STEP_NAME}", "default"),
    ),
    Provider(
        "bitrise",
        ("BITRISE_BUILD_SLUG",),
        key=("{BITRISE_BUILD_SLUG}",),
        repo=("{GIT_REPOSITORY_URL}",),
        branch=("{BITRISE_GIT_BRANCH}",),
        commit=("{BITRISE_GIT_COMMIT}", "{GIT_CLONE_COMMIT_HASH}"),
        number=("{BITRISE_BUILD_NUMBER}",),
        url=("{BITRISE_BUILD_URL}",),
        message=("{BITRISE_GIT_MESSAGE}",),
        check=("{BITRISE_TRIGGERED_WORKFLOW_ID}", "default"),
    ),
    Provider(
        "buddy",
        ("BUDDY",),
        key=("{BUDDY_EXECUTION_ID}",),
        repo=("{BUDDY_SCM_URL}",),
        branch=("{BUDDY_EXECUTION_BRANCH}",),
        commit=("{BUDDY_EXECUTION_REVISION}",),
        number=("{BUDDY_EXECUTION_ID}",),
        url=("{BUDDY_EXECUTION_URL}",),
        check=("{BUDDY_PIPELINE_NAME}", "default"),
    ),
)
