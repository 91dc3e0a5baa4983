//! The CI systems, in the order in which they are looked for: the first that is recognised speaks alone.
//!
//! From section 15 of the pytest plugin's contract, with what `docs/uploading.md` says about the differences. Every value is
//! a list of templates, of which the first counts whose variables are all set; the key joins those that are set.

/// What shows that a job runs at a provider.
#[derive(Debug, Clone, Copy)]
pub enum Sign {
    /// The variable is set, and not empty.
    Set(&'static str),
    /// The variable has this value.
    Is(&'static str, &'static str),
}

/// A CI system and its variables.
#[derive(Debug, Clone, Copy)]
pub struct Provider {
    /// Its name, for people.
    pub name: &'static str,
    /// The word for it in `run_env[CI]`.
    pub word: &'static str,
    /// Any of these shows that the job runs there.
    pub recognised_by: &'static [Sign],
    /// The repository, or its address.
    pub repo: &'static [&'static str],
    /// The branch: of a pull request, the one that is to be merged.
    pub branch: &'static [&'static str],
    /// The commit: of a pull request, its head.
    pub commit: &'static [&'static str],
    /// What the key of the run is made of.
    pub key: &'static [&'static str],
    /// Number of the build.
    pub number: &'static [&'static str],
    /// The job.
    pub job_id: &'static [&'static str],
    /// Address of the job or build.
    pub url: &'static [&'static str],
    /// Message of the commit.
    pub message: &'static [&'static str],
    /// Name of the check.
    pub check: &'static [&'static str],
    /// Which of several parallel parts of the job.
    pub shard: &'static [&'static str],
}

/// A provider of which nothing is known.
const NOTHING: Provider = Provider {
    name: "",
    word: "",
    recognised_by: &[],
    repo: &[],
    branch: &[],
    commit: &[],
    key: &[],
    number: &[],
    job_id: &[],
    url: &[],
    message: &[],
    check: &[],
    shard: &[],
};

/// GitHub's variables, which Gitea and Forgejo set too.
const GITHUB: Provider = Provider {
    name: "GitHub Actions",
    word: "github_actions",
    recognised_by: &[Sign::Set("GITHUB_ACTIONS")],
    repo: &["$GITHUB_REPOSITORY"],
    branch: &["$GITHUB_HEAD_REF", "$GITHUB_REF_NAME"],
    commit: &["$(event commit)", "$GITHUB_SHA"],
    key: &["$GITHUB_RUN_ID", "$GITHUB_JOB", "$GITHUB_RUN_ATTEMPT"],
    number: &["$GITHUB_RUN_NUMBER"],
    job_id: &["$GITHUB_JOB"],
    url: &["$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"],
    message: &["$(event message)", "$(event title)"],
    check: &["$GITHUB_JOB"],
    ..NOTHING
};

/// Every provider, first match first.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "Forgejo Actions",
        word: "forgejo_actions",
        recognised_by: &[Sign::Set("FORGEJO_ACTIONS")],
        // Addresses of runs there have the number, not the id.
        url: &["$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_NUMBER"],
        ..GITHUB
    },
    Provider {
        name: "Gitea Actions",
        word: "gitea_actions",
        recognised_by: &[Sign::Set("GITEA_ACTIONS")],
        url: &["$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_NUMBER"],
        ..GITHUB
    },
    GITHUB,
    Provider {
        name: "GitLab CI",
        word: "gitlab",
        recognised_by: &[Sign::Set("GITLAB_CI")],
        repo: &["$CI_PROJECT_PATH"],
        branch: &["$CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "$CI_COMMIT_REF_NAME"],
        commit: &["$CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "$CI_COMMIT_SHA"],
        key: &["$CI_PIPELINE_ID", "$CI_JOB_ID", "$CI_NODE_INDEX"],
        number: &["$CI_PIPELINE_IID"],
        job_id: &["$CI_JOB_ID"],
        url: &["$CI_JOB_URL", "$CI_PIPELINE_URL"],
        message: &["$CI_COMMIT_MESSAGE"],
        check: &["$CI_JOB_NAME"],
        shard: &["$CI_NODE_INDEX"],
    },
    Provider {
        name: "CircleCI",
        word: "circleci",
        recognised_by: &[Sign::Set("CIRCLECI")],
        repo: &["$CIRCLE_PROJECT_USERNAME/$CIRCLE_PROJECT_REPONAME", "$CIRCLE_REPOSITORY_URL"],
        branch: &["$CIRCLE_BRANCH"],
        commit: &["$CIRCLE_SHA1"],
        key: &["$CIRCLE_WORKFLOW_ID", "$CIRCLE_BUILD_NUM"],
        number: &["$CIRCLE_BUILD_NUM"],
        job_id: &["$CIRCLE_WORKFLOW_JOB_ID"],
        url: &["$CIRCLE_BUILD_URL"],
        check: &["ci/circleci: $CIRCLE_JOB"],
        shard: &["$CIRCLE_NODE_INDEX"],
        ..NOTHING
    },
    Provider {
        name: "Buildkite",
        word: "buildkite",
        recognised_by: &[Sign::Set("BUILDKITE")],
        repo: &["$BUILDKITE_REPO"],
        branch: &["$BUILDKITE_BRANCH"],
        commit: &["$BUILDKITE_COMMIT"],
        key: &["$BUILDKITE_BUILD_ID"],
        number: &["$BUILDKITE_BUILD_NUMBER"],
        job_id: &["$BUILDKITE_JOB_ID"],
        url: &["$BUILDKITE_BUILD_URL"],
        message: &["$BUILDKITE_MESSAGE"],
        check: &["buildkite/$BUILDKITE_PIPELINE_SLUG"],
        shard: &["$BUILDKITE_PARALLEL_JOB"],
    },
    Provider {
        name: "Google Cloud Build",
        word: "google_cloud_build",
        recognised_by: &[Sign::Set("TRIGGER_NAME")],
        repo: &["$REPO_FULL_NAME", "$REPO_NAME"],
        branch: &["$_HEAD_BRANCH", "$BRANCH_NAME"],
        commit: &["$COMMIT_SHA"],
        key: &["$BUILD_ID"],
        url: &["https://console.cloud.google.com/cloud-build/builds/$BUILD_ID?project=$PROJECT_ID"],
        check: &["$TRIGGER_NAME"],
        ..NOTHING
    },
    Provider {
        name: "Jenkins",
        word: "jenkins",
        recognised_by: &[Sign::Set("JENKINS_URL")],
        repo: &["$GIT_URL", "$GIT_URL_1"],
        branch: &["$CHANGE_BRANCH", "$BRANCH_NAME", "$(git branch)"],
        commit: &["$GIT_COMMIT"],
        key: &["$BUILD_TAG"],
        number: &["$BUILD_NUMBER"],
        job_id: &["$BUILD_TAG"],
        url: &["$BUILD_URL"],
        check: &["$JOB_NAME"],
        ..NOTHING
    },
    Provider {
        name: "Azure Pipelines",
        word: "azure_pipelines",
        recognised_by: &[Sign::Set("TF_BUILD")],
        repo: &["$SYSTEM_PULLREQUEST_SOURCEREPOSITORYURI", "$BUILD_REPOSITORY_URI"],
        branch: &["$SYSTEM_PULLREQUEST_SOURCEBRANCH", "$BUILD_SOURCEBRANCH"],
        commit: &["$SYSTEM_PULLREQUEST_SOURCECOMMITID", "$BUILD_SOURCEVERSION"],
        key: &["$BUILD_BUILDID", "$SYSTEM_JOBID", "$SYSTEM_JOBATTEMPT"],
        number: &["$BUILD_BUILDNUMBER"],
        job_id: &["$SYSTEM_JOBID"],
        url: &["$SYSTEM_COLLECTIONURI$SYSTEM_TEAMPROJECT/_build/results?buildId=$BUILD_BUILDID"],
        message: &["$BUILD_SOURCEVERSIONMESSAGE"],
        check: &["$BUILD_DEFINITIONNAME $SYSTEM_JOBDISPLAYNAME", "$BUILD_DEFINITIONNAME"],
        shard: &["$SYSTEM_JOBPOSITIONINPHASE"],
    },
    Provider {
        name: "Bitbucket Pipelines",
        word: "bitbucket",
        recognised_by: &[Sign::Set("BITBUCKET_BUILD_NUMBER")],
        repo: &["$BITBUCKET_REPO_FULL_NAME", "$BITBUCKET_WORKSPACE/$BITBUCKET_REPO_SLUG"],
        branch: &["$BITBUCKET_BRANCH"],
        commit: &["$BITBUCKET_COMMIT"],
        key: &["$BITBUCKET_PIPELINE_UUID", "$BITBUCKET_STEP_UUID"],
        number: &["$BITBUCKET_BUILD_NUMBER"],
        job_id: &["$BITBUCKET_STEP_UUID"],
        url: &["$BITBUCKET_GIT_HTTP_ORIGIN/pipelines/results/$BITBUCKET_BUILD_NUMBER"],
        check: &["$BITBUCKET_REPO_FULL_NAME"],
        shard: &["$BITBUCKET_PARALLEL_STEP"],
        ..NOTHING
    },
    Provider {
        name: "Travis CI",
        word: "travis",
        recognised_by: &[Sign::Set("TRAVIS")],
        repo: &["$TRAVIS_REPO_SLUG"],
        branch: &["$TRAVIS_PULL_REQUEST_BRANCH", "$TRAVIS_BRANCH"],
        commit: &["$TRAVIS_PULL_REQUEST_SHA", "$TRAVIS_COMMIT"],
        key: &["$TRAVIS_BUILD_ID", "$TRAVIS_JOB_ID"],
        number: &["$TRAVIS_BUILD_NUMBER"],
        job_id: &["$TRAVIS_JOB_ID"],
        url: &["$TRAVIS_JOB_WEB_URL", "$TRAVIS_BUILD_WEB_URL"],
        message: &["$TRAVIS_COMMIT_MESSAGE"],
        check: &["$TRAVIS_JOB_NAME"],
        ..NOTHING
    },
    Provider {
        name: "AppVeyor",
        word: "appveyor",
        recognised_by: &[Sign::Set("APPVEYOR")],
        repo: &["$APPVEYOR_REPO_NAME"],
        branch: &["$APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH", "$APPVEYOR_REPO_BRANCH"],
        commit: &["$APPVEYOR_PULL_REQUEST_HEAD_COMMIT", "$APPVEYOR_REPO_COMMIT"],
        key: &["$APPVEYOR_BUILD_ID", "$APPVEYOR_JOB_ID"],
        number: &["$APPVEYOR_BUILD_NUMBER"],
        job_id: &["$APPVEYOR_JOB_ID"],
        url: &[
            "$APPVEYOR_URL/project/$APPVEYOR_ACCOUNT_NAME/$APPVEYOR_PROJECT_SLUG/builds/$APPVEYOR_BUILD_ID",
        ],
        message: &["$APPVEYOR_REPO_COMMIT_MESSAGE"],
        check: &["$APPVEYOR_JOB_NAME"],
        ..NOTHING
    },
    Provider {
        name: "TeamCity",
        word: "teamcity",
        recognised_by: &[Sign::Set("TEAMCITY_VERSION")],
        commit: &["$BUILD_VCS_NUMBER"],
        // Numbers of builds count in one configuration only.
        key: &["$TEAMCITY_BUILDCONF_NAME", "$BUILD_NUMBER"],
        number: &["$BUILD_NUMBER"],
        url: &["$BUILD_URL"],
        check: &["$TEAMCITY_BUILDCONF_NAME"],
        ..NOTHING
    },
    Provider {
        name: "Woodpecker",
        word: "woodpecker",
        recognised_by: &[Sign::Is("CI", "woodpecker")],
        repo: &["$CI_REPO"],
        branch: &["$CI_COMMIT_SOURCE_BRANCH", "$CI_COMMIT_BRANCH"],
        commit: &["$CI_COMMIT_SHA"],
        // Numbers of pipelines count in one repository only, and a suite has one.
        key: &["$CI_PIPELINE_NUMBER", "$CI_WORKFLOW_NUMBER", "$CI_STEP_NAME"],
        number: &["$CI_PIPELINE_NUMBER"],
        job_id: &["$CI_STEP_NAME"],
        url: &["$CI_PIPELINE_URL"],
        message: &["$CI_COMMIT_MESSAGE"],
        check: &["$CI_STEP_NAME"],
        ..NOTHING
    },
    Provider {
        name: "Drone",
        word: "drone",
        recognised_by: &[Sign::Set("DRONE")],
        repo: &["$DRONE_REPO"],
        branch: &["$DRONE_SOURCE_BRANCH", "$DRONE_BRANCH"],
        commit: &["$DRONE_COMMIT_SHA"],
        key: &["$DRONE_BUILD_NUMBER", "$DRONE_STAGE_NUMBER", "$DRONE_STEP_NAME"],
        number: &["$DRONE_BUILD_NUMBER"],
        job_id: &["$DRONE_STEP_NAME"],
        url: &["$DRONE_BUILD_LINK"],
        message: &["$DRONE_COMMIT_MESSAGE"],
        check: &["$DRONE_STEP_NAME"],
        ..NOTHING
    },
    Provider {
        name: "AWS CodeBuild",
        word: "codebuild",
        recognised_by: &[Sign::Set("CODEBUILD_BUILD_ID")],
        repo: &["$CODEBUILD_SOURCE_REPO_URL"],
        branch: &["$CODEBUILD_WEBHOOK_HEAD_REF"],
        commit: &["$CODEBUILD_RESOLVED_SOURCE_VERSION"],
        key: &["$CODEBUILD_BUILD_ID"],
        number: &["$CODEBUILD_BUILD_NUMBER"],
        job_id: &["$CODEBUILD_BUILD_ID"],
        url: &["$CODEBUILD_PUBLIC_BUILD_URL", "$CODEBUILD_BUILD_URL"],
        check: &["$(project)"],
        ..NOTHING
    },
    Provider {
        name: "Semaphore",
        word: "semaphore",
        recognised_by: &[Sign::Set("SEMAPHORE")],
        repo: &["$SEMAPHORE_GIT_REPO_SLUG"],
        branch: &["$SEMAPHORE_GIT_PR_BRANCH", "$SEMAPHORE_GIT_WORKING_BRANCH", "$SEMAPHORE_GIT_BRANCH"],
        commit: &["$SEMAPHORE_GIT_PR_SHA", "$SEMAPHORE_GIT_SHA"],
        key: &["$SEMAPHORE_WORKFLOW_ID", "$SEMAPHORE_JOB_ID"],
        number: &["$SEMAPHORE_WORKFLOW_NUMBER"],
        job_id: &["$SEMAPHORE_JOB_ID"],
        url: &["$SEMAPHORE_ORGANIZATION_URL/jobs/$SEMAPHORE_JOB_ID"],
        check: &["$SEMAPHORE_JOB_NAME"],
        shard: &["$SEMAPHORE_JOB_INDEX"],
        ..NOTHING
    },
    Provider {
        name: "Bamboo",
        word: "bamboo",
        recognised_by: &[Sign::Set("bamboo_buildNumber")],
        repo: &["$bamboo_planRepository_repositoryUrl", "$bamboo_planRepository_1_repositoryUrl"],
        branch: &[
            "$bamboo_planRepository_branchName",
            "$bamboo_planRepository_branch",
            "$bamboo_planRepository_1_branch",
        ],
        commit: &["$bamboo_planRepository_revision", "$bamboo_planRepository_1_revision"],
        key: &["$bamboo_buildResultKey"],
        number: &["$bamboo_buildNumber"],
        job_id: &["$bamboo_buildResultKey"],
        url: &["$bamboo_buildResultsUrl", "$bamboo_resultsUrl"],
        check: &["$bamboo_planName $bamboo_shortJobName", "$bamboo_planName"],
        ..NOTHING
    },
    Provider {
        name: "Codefresh",
        word: "codefresh",
        recognised_by: &[Sign::Set("CF_BUILD_ID")],
        repo: &["$CF_REPO_OWNER/$CF_REPO_NAME"],
        branch: &["$CF_BRANCH"],
        commit: &["$CF_REVISION"],
        key: &["$CF_BUILD_ID", "$CF_STEP_NAME"],
        job_id: &["$CF_STEP_NAME"],
        url: &["$CF_BUILD_URL"],
        message: &["$CF_COMMIT_MESSAGE"],
        check: &["$CF_STEP_NAME"],
        ..NOTHING
    },
    Provider {
        name: "Bitrise",
        word: "bitrise",
        recognised_by: &[Sign::Set("BITRISE_BUILD_SLUG")],
        repo: &["$GIT_REPOSITORY_URL"],
        branch: &["$BITRISE_GIT_BRANCH"],
        commit: &["$BITRISE_GIT_COMMIT", "$GIT_CLONE_COMMIT_HASH"],
        key: &["$BITRISE_BUILD_SLUG"],
        number: &["$BITRISE_BUILD_NUMBER"],
        job_id: &["$BITRISE_BUILD_SLUG"],
        url: &["$BITRISE_BUILD_URL"],
        message: &["$BITRISE_GIT_MESSAGE"],
        check: &["$BITRISE_TRIGGERED_WORKFLOW_ID"],
        ..NOTHING
    },
    Provider {
        name: "Buddy",
        word: "buddy",
        recognised_by: &[Sign::Set("BUDDY")],
        repo: &["$BUDDY_SCM_URL"],
        branch: &["$BUDDY_EXECUTION_PULL_REQUEST_HEAD_BRANCH", "$BUDDY_EXECUTION_BRANCH"],
        commit: &["$BUDDY_EXECUTION_REVISION"],
        key: &["$BUDDY_PIPELINE_ID", "$BUDDY_EXECUTION_ID"],
        number: &["$BUDDY_EXECUTION_ID"],
        url: &["$BUDDY_EXECUTION_URL"],
        message: &["$BUDDY_EXECUTION_REVISION_MESSAGE"],
        check: &["$BUDDY_PIPELINE_NAME"],
        ..NOTHING
    },
    Provider {
        name: "Codeship",
        word: "codeship",
        recognised_by: &[Sign::Is("CI_NAME", "codeship")],
        repo: &["$CI_REPO_NAME"],
        branch: &["$CI_BRANCH"],
        commit: &["$CI_COMMIT_ID"],
        key: &["$CI_BUILD_ID"],
        number: &["$CI_BUILD_NUMBER"],
        url: &["$CI_PULL_REQUEST"],
        message: &["$CI_COMMIT_MESSAGE"],
        ..NOTHING
    },
];
