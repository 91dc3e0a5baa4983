-- Control: small tables, never distributed.

create table installation (
    name text not null primary key,
    value blob not null
) strict, without rowid;

create table organization (
    organization_id integer primary key,
    slug text not null unique,
    created_at integer not null
) strict;

create table suite (
    suite_id integer primary key autoincrement,
    organization_id integer not null references organization (organization_id),
    slug text not null,
    name text not null,
    default_branch text not null,
    default_branch_since integer not null default 0,
    repository text,
    check_name text,
    provider text,
    application_name text,
    color text,
    emoji text,
    oidc_policy text,
    sensitivity integer not null,
    resolve_rule integer not null,
    new_tests integer not null default 0,
    created_at integer not null,
    unique (organization_id, slug)
) strict;

create index suite_by_repository on suite (organization_id, repository, check_name);

-- Other names under which a CI provider asks for a suite's check.
create table suite_alias (
    suite_id integer not null references suite (suite_id),
    alias text not null,
    primary key (suite_id, alias)
) strict, without rowid;

-- Suites that were deleted and whose records are still being cleared away.
create table suite_removal (
    suite_id integer not null primary key,
    removed_at integer not null
) strict, without rowid;

create table token (
    token_id integer primary key,
    hash blob not null unique,
    organization_id integer references organization (organization_id),
    suite_id integer references suite (suite_id),
    scope integer not null,
    branches text,
    created_at integer not null,
    revoked_at integer
) strict;

create table user_account (
    user_id integer primary key,
    name text not null unique,
    role integer not null,
    home_suite_id integer not null references suite (suite_id),
    password_hash text not null,
    created_at integer not null
) strict;

create table webhook (
    webhook_id integer primary key autoincrement,
    suite_id integer not null references suite (suite_id),
    url text not null,
    events text not null,
    secret blob not null,
    created_at integer not null,
    paused_at integer,
    failing_since integer
) strict;
create index webhook_by_suite on webhook (suite_id);

create table event (
    event_id integer primary key autoincrement,
    suite_id integer not null,
    test_id integer,
    episode integer,
    kind integer not null,
    at integer not null,
    notified integer not null
) strict;
create unique index event_once on event (suite_id, test_id, episode, kind);

create table delivery (
    delivery_id integer primary key autoincrement,
    event_id integer not null references event (event_id),
    webhook_id integer not null references webhook (webhook_id),
    body blob not null,
    state integer not null,
    attempts integer not null default 0,
    most_attempts integer not null,
    next_attempt_at integer,
    lease_token blob,
    lease_until integer
) strict;
create index delivery_due on delivery (webhook_id, next_attempt_at) where state = 1;
create index delivery_by_webhook on delivery (webhook_id, delivery_id);
create index delivery_by_event on delivery (event_id);

create table delivery_attempt (
    delivery_id integer not null references delivery (delivery_id),
    attempt integer not null,
    at integer not null,
    status integer,
    error text,
    duration_us integer not null,
    primary key (delivery_id, attempt)
) strict, without rowid;

create table lease (
    name text not null primary key,
    holder blob not null,
    until integer not null
) strict, without rowid;

-- Everything below is distributed by suite_id.

create table suite_counter (
    suite_id integer not null primary key,
    runs integer not null default 0,
    tests integer not null default 0,
    uploads integer not null default 0,
    variants integer not null default 0,
    machines integer not null default 0,
    sessions integer not null default 0,
    sessions_kept integer not null default 0,
    metrics integer not null default 0,
    words integer not null default 0,
    jobs integer not null default 0,
    job_tests integer not null default 0,
    job_records integer not null default 0,
    jobs_kept integer not null default 0,
    jobs_passed integer not null default 0,
    jobs_failed integer not null default 0,
    catalog_version integer not null default 0,
    runs_kept integer not null default 0,
    past_changes integer not null default 0,
    policy_version integer not null default 0,
    episode_version integer not null default 0
) strict, without rowid;

create table test (
    suite_id integer not null,
    test_id integer not null,
    identity_key blob not null,
    class_name text not null,
    name text not null,
    location text,
    file text,
    suite_path text,
    judged integer not null default 1,
    catalog_version integer not null,
    primary key (suite_id, test_id)
) strict, without rowid;
create unique index test_by_identity on test (suite_id, identity_key);
create index test_by_version on test (suite_id, catalog_version);
create index test_by_name on test (suite_id, name);

create table test_spelling (
    suite_id integer not null,
    test_id integer not null,
    protocol integer not null,
    spelling_key blob not null,
    scope text not null,
    name text not null,
    catalog_version integer not null,
    primary key (suite_id, test_id, protocol, spelling_key)
) strict, without rowid;
create unique index spelling_by_key on test_spelling (suite_id, spelling_key);
create index spelling_by_version on test_spelling (suite_id, catalog_version);

create table test_label (
    suite_id integer not null,
    test_id integer not null,
    label text not null,
    primary key (suite_id, test_id, label)
) strict, without rowid;
create index label_by_name on test_label (suite_id, label, test_id);

create table test_disposition (
    suite_id integer not null,
    test_id integer not null,
    disposition integer not null,
    owner text,
    reason text,
    expires_at integer,
    decided_at integer not null,
    decided_by text,
    primary key (suite_id, test_id)
) strict, without rowid;

create table test_policy (
    suite_id integer not null,
    test_id integer not null,
    max_runs integer not null,
    min_passes integer not null,
    decided_at integer not null,
    primary key (suite_id, test_id)
) strict, without rowid;

create table suite_policy (
    suite_id integer not null primary key,
    max_runs integer not null,
    min_passes integer not null,
    decided_at integer not null
) strict;

-- What people said of tests, in the order of the fold.
create table test_mark (
    suite_id integer not null,
    mark_id integer not null,
    after_upload integer not null,
    test_id integer not null,
    kind integer not null,
    commit_sha text,
    at integer not null,
    primary key (suite_id, mark_id)
) strict, without rowid;

create table ownership (
    suite_id integer not null primary key,
    body blob not null,
    received_at integer not null
) strict, without rowid;

create table variant (
    suite_id integer not null,
    variant_id integer not null,
    variant_key blob not null,
    tags text not null,
    primary key (suite_id, variant_id)
) strict, without rowid;
create unique index variant_by_key on variant (suite_id, variant_key);

create table machine (
    suite_id integer not null,
    machine_id integer not null,
    protocol integer not null,
    machine_key blob not null,
    key text not null,
    folded blob,
    cpu_count integer,
    cpu_frequency_mhz real,
    cpu_type text,
    cpu_vendor text,
    ram_mb integer,
    node text,
    machine_type text,
    architecture text,
    system text,
    runtime text,
    primary key (suite_id, machine_id)
) strict, without rowid;
create unique index machine_by_key on machine (suite_id, protocol, machine_key);
create index machine_by_prefix on machine (suite_id, protocol, folded);

create table run (
    suite_id integer not null,
    run_id integer not null,
    protocol integer not null,
    run_key blob not null,
    key text not null,
    branch text,
    branch_class integer not null,
    commit_sha text,
    message text,
    url text,
    number text,
    provider text,
    started_at integer not null,
    updated_at integer not null,
    pinned integer not null default 0,
    incident integer not null default 0,
    uploads integer not null,
    passed integer not null,
    failed integer not null,
    error integer not null,
    skipped integer not null,
    unknown integer not null,
    verdicts_passed integer not null,
    verdicts_failed integer not null,
    verdicts_flaky integer not null,
    verdicts_skipped integer not null,
    verdicts_unknown integer not null,
    duration_us integer not null,
    primary key (suite_id, run_id)
) strict, without rowid;
create unique index run_by_key on run (suite_id, run_key);
create index run_by_commit on run (suite_id, commit_sha, run_id);
create index run_by_time on run (suite_id, started_at, run_id);

-- Runs that retention dropped: what is sent again of one, up to its last results, is a repetition.
create table dropped_run (
    suite_id integer not null,
    run_key blob not null,
    run_id integer not null,
    upload_id integer not null,
    last_at integer not null,
    primary key (suite_id, run_key)
) strict, without rowid;

create table upload (
    suite_id integer not null,
    upload_id integer not null,
    run_id integer not null,
    protocol integer not null,
    format integer not null,
    received_at integer not null,
    at integer not null,
    digest blob,
    branch text,
    branch_class integer not null,
    commit_sha text,
    job text,
    shard text,
    collector text,
    tags text,
    accepted integer not null,
    repaired integer not null,
    rejected integer not null,
    duplicate integer not null,
    problems blob,
    primary key (suite_id, upload_id)
) strict, without rowid;
create index upload_by_run on upload (suite_id, run_id, upload_id);
create index upload_by_time on upload (suite_id, at);
create index upload_by_commit on upload (suite_id, commit_sha, upload_id);

create table execution (
    suite_id integer not null,
    run_id integer not null,
    test_id integer not null,
    upload_id integer not null,
    variant_id integer not null,
    offset_ms integer not null,
    attempt integer not null,
    instance integer not null,
    outcome integer not null,
    flags integer not null,
    duration_us integer,
    external_hash integer,
    primary key (suite_id, run_id, test_id, attempt)
) strict, without rowid;

create table failure (
    suite_id integer not null,
    run_id integer not null,
    test_id integer not null,
    attempt integer not null,
    outcome integer not null,
    location text,
    file text,
    text_key blob,
    signature blob,
    signature_version integer,
    p_flake real,
    p_regression real,
    p_incident real,
    primary key (suite_id, run_id, test_id, attempt)
) strict, without rowid;
create index failure_by_text on failure (suite_id, text_key);

create table failure_text (
    suite_id integer not null,
    text_key blob not null,
    body blob not null,
    primary key (suite_id, text_key)
) strict, without rowid;

create table execution_tags (
    suite_id integer not null,
    run_id integer not null,
    test_id integer not null,
    attempt integer not null,
    tags text not null,
    primary key (suite_id, run_id, test_id, attempt)
) strict, without rowid;

create table execution_spans (
    suite_id integer not null,
    run_id integer not null,
    test_id integer not null,
    attempt integer not null,
    body blob not null,
    primary key (suite_id, run_id, test_id, attempt)
) strict, without rowid;

create table execution_resources (
    suite_id integer not null,
    run_id integer not null,
    test_id integer not null,
    attempt integer not null,
    wall_seconds real,
    user_seconds real,
    system_seconds real,
    cpu_share real,
    memory_mib real,
    primary key (suite_id, run_id, test_id, attempt)
) strict, without rowid;

create table rollup (
    suite_id integer not null,
    day integer not null,
    branch_class integer not null,
    chunk integer not null,
    cells blob not null,
    primary key (suite_id, day, branch_class, chunk)
) strict, without rowid;

create index rollup_by_chunk on rollup (suite_id, chunk, day);

create table branch_position (
    suite_id integer not null,
    commit_sha text not null,
    position integer not null,
    first_at integer not null,
    primary key (suite_id, commit_sha)
) strict, without rowid;

create table detector_suite (
    suite_id integer not null primary key,
    version integer not null,
    positions integer not null,
    body blob not null
) strict;

create table detector_state (
    suite_id integer not null,
    test_id integer not null,
    health integer not null,
    since integer not null,
    due_at integer,
    body blob not null,
    primary key (suite_id, test_id)
) strict, without rowid;
create index detector_due on detector_state (due_at);

create table evidence (
    suite_id integer not null,
    test_id integer not null,
    run_id integer not null,
    kind integer not null,
    at integer not null,
    commit_sha text,
    weight real not null,
    signature blob,
    primary key (suite_id, test_id, run_id, kind)
) strict, without rowid;
create index evidence_by_time on evidence (suite_id, at);

create table episode (
    suite_id integer not null,
    test_id integer not null,
    number integer not null,
    opened_at integer not null,
    announced_at integer,
    announced_commit text,
    last_evidence_at integer not null,
    ended_at integer,
    ended_by integer,
    version integer not null,
    primary key (suite_id, test_id, number)
) strict, without rowid;
create index episode_by_evidence on episode (suite_id, last_evidence_at);
create index episode_by_version on episode (suite_id, version);

create table health_change (
    suite_id integer not null,
    test_id integer not null,
    at integer not null,
    to_health integer not null,
    from_health integer not null,
    upload_id integer,
    primary key (suite_id, test_id, at, to_health)
) strict, without rowid;

-- What tests take: machines that are alike, what is usual for each test on them, and what shifted.

create table host_class (
    suite_id integer not null,
    host_class_id integer not null,
    class_key blob not null,
    name text not null,
    primary key (suite_id, host_class_id)
) strict, without rowid;
create unique index host_class_by_key on host_class (suite_id, class_key);

create table resource_suite (
    suite_id integer not null primary key,
    upload_id integer not null,
    shifts integer not null,
    body blob not null
) strict;

create table resource_baseline (
    suite_id integer not null,
    chunk integer not null,
    host_class_id integer not null,
    body blob not null,
    primary key (suite_id, chunk, host_class_id)
) strict, without rowid;

create table resource_shift (
    suite_id integer not null,
    shift_id integer not null,
    test_id integer not null,
    host_class_id integer not null,
    measure integer not null,
    at integer not null,
    after_upload integer not null,
    upload_id integer not null,
    until_upload integer not null,
    before_amount real not null,
    after_amount real not null,
    share real not null,
    p real not null,
    values_before integer not null,
    values_after integer not null,
    machine_wide integer not null,
    primary key (suite_id, shift_id)
) strict, without rowid;
create index shift_by_test on resource_shift (suite_id, test_id, shift_id);

create table test_plan (
    suite_id integer not null,
    plan_key blob not null,
    identifier text not null,
    created_at integer not null,
    body blob not null,
    primary key (suite_id, plan_key)
) strict, without rowid;

-- pytest-monitor: sessions and metrics keep the order in which they arrived.

create table monitor_session (
    suite_id integer not null,
    session_no integer not null,
    session_word integer not null,
    folded blob not null,
    key text not null,
    run_id integer not null,
    run_date text not null,
    scm_ref text,
    scm_folded blob,
    tags text not null,
    pipeline_word integer,
    build_word integer,
    primary key (suite_id, session_no)
) strict, without rowid;
create unique index session_by_word on monitor_session (suite_id, session_word);
create index session_by_prefix on monitor_session (suite_id, folded);
create index session_by_scm on monitor_session (suite_id, scm_folded);
create index session_by_pipeline on monitor_session (suite_id, pipeline_word, build_word, session_no);

create table monitor_word (
    suite_id integer not null,
    word_id integer not null,
    kind integer not null,
    word_key blob not null,
    word text not null,
    primary key (suite_id, word_id)
) strict, without rowid;
create unique index word_by_key on monitor_word (suite_id, kind, word_key);

create table monitor_metric (
    suite_id integer not null,
    metric_no integer not null,
    session_word integer not null,
    context_word integer not null,
    item_word integer not null,
    variant_word integer not null,
    path_word integer not null,
    location_word integer not null,
    kind_word integer not null,
    component_word integer not null,
    started text not null,
    measured blob not null,
    primary key (suite_id, metric_no)
) strict, without rowid;

-- Numbers of the metrics of each word, packed; word 0 stands for all metrics. Full chunks never change, the rest is the tail.
create table monitor_list (
    suite_id integer not null,
    word_id integer not null,
    size integer not null,
    tail blob not null,
    primary key (suite_id, word_id)
) strict, without rowid;

create table monitor_list_chunk (
    suite_id integer not null,
    word_id integer not null,
    chunk integer not null,
    members blob not null,
    primary key (suite_id, word_id, chunk)
) strict, without rowid;

-- One measured value of 512 neighbouring metrics, packed, written when all of them are there.
create table monitor_column (
    suite_id integer not null,
    resource integer not null,
    block integer not null,
    body blob not null,
    primary key (suite_id, resource, block)
) strict, without rowid;

create table monitor_component_session (
    suite_id integer not null,
    component_word integer not null,
    session_word integer not null,
    first_metric integer not null,
    primary key (suite_id, component_word, session_word)
) strict, without rowid;

-- Which spellings of tests have metrics of a component.
create table monitor_component_spelling (
    suite_id integer not null,
    component_word integer not null,
    spelling_key blob not null,
    primary key (suite_id, component_word, spelling_key)
) strict, without rowid;

-- Avocado Server: jobs, and below each its tests, activities and data in order of arrival.

create table avocado_job (
    suite_id integer not null,
    job_no integer not null,
    job_key text not null,
    unique_ident text not null,
    description text,
    status integer,
    elapsed_seconds real not null,
    timeout integer not null,
    priority integer,
    created_at integer not null,
    tests integer not null,
    tests_passed integer not null,
    tests_failed integer not null,
    primary key (suite_id, job_no)
) strict, without rowid;
create unique index job_by_key on avocado_job (suite_id, job_key);
create index job_by_ident on avocado_job (suite_id, unique_ident);
create index job_by_time on avocado_job (suite_id, created_at, job_no);

create table avocado_test (
    suite_id integer not null,
    job_no integer not null,
    test_no integer not null,
    tag text not null,
    tag_key blob not null,
    status integer,
    primary key (suite_id, job_no, test_no)
) strict, without rowid;
create unique index job_test_by_tag on avocado_test (suite_id, job_no, tag_key);

create table avocado_activity (
    suite_id integer not null,
    job_no integer not null,
    test_no integer not null,
    at integer not null,
    activity text not null,
    status integer not null,
    record_no integer not null,
    primary key (suite_id, job_no, test_no, at, activity, status)
) strict, without rowid;

create table avocado_datum (
    suite_id integer not null,
    job_no integer not null,
    test_no integer not null,
    category text not null,
    name text not null,
    record_no integer not null,
    value text,
    primary key (suite_id, job_no, test_no, category, name)
) strict, without rowid;

create table avocado_label (
    suite_id integer not null,
    kind integer not null,
    number integer not null,
    name text not null,
    primary key (suite_id, kind, number)
) strict, without rowid;

create table avocado_component (
    suite_id integer not null,
    number integer not null,
    kind integer not null,
    arch integer not null,
    name text not null,
    version text not null,
    release text not null,
    checksum text not null,
    primary key (suite_id, number)
) strict, without rowid;

create table avocado_distro (
    suite_id integer not null,
    number integer not null,
    name text not null,
    version text not null,
    release text not null,
    arch text not null,
    primary key (suite_id, number)
) strict, without rowid;

create table avocado_environment (
    suite_id integer not null,
    number integer not null,
    distro integer not null,
    primary key (suite_id, number)
) strict, without rowid;
