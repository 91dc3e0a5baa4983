//! `POST /api/test-report-uploader` (`aviator.md` 3), as the three published uploaders send it.

use crate::aviator::{
    CHECK, checked_suite, flaky, junit, now, organization_tokens, rerun_list, send_reports, test_cases,
};
use crate::setup::{Suite, start, text};
use casebook_testkit::{Form, Reply, TestDatabase, Upload, both_engines};
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};

both_engines!(
    a_report_becomes_evidence,
    results_of_all_protocols_are_one_history,
    every_uploader_reports_to_its_check,
    a_report_that_comes_again_counts_once,
    an_archive_is_read_to_its_last_folder,
    archives_that_do_harm_leave_no_trace,
    what_is_no_report_is_refused_or_left_out,
    a_report_that_breaks_off_is_kept_as_far_as_it_goes,
    requests_that_say_too_little_are_refused,
    a_suites_token_keeps_its_suite,
    headers_may_be_empty_or_strange,
    many_files_come_in_one_request,
    jobs_with_long_names_and_without_names_keep_to_themselves,
    one_check_has_one_suite,
);

/// The answer to a request that is accepted.
const ACCEPTED: &str = r#"{"status":200,"success":true,"message":"Artifact uploaded successfully."}"#;

#[track_caller]
fn accepted(reply: Reply) {
    assert_eq!(reply.expect(200).json(), serde_json::from_str::<Value>(ACCEPTED).unwrap());
}

#[track_caller]
fn refused(reply: Reply, status: u16) -> String {
    let body = reply.expect(status).json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    text(&body, "error")
}

fn report(cases: &[(&str, &str, bool)]) -> Form {
    Form::new().file("file[]", "result.xml", junit(cases))
}

fn question(org: &str, repo: &str, check: &str) -> String {
    let check: String = check.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("org={org}&repo={repo}&github_check_name={check}")
}

/// pytest-aviator writes a testcase for each attempt.
fn a_report_becomes_evidence(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    for commit in ["c1", "c2"] {
        let form = report(&[
            ("src.test_sample", "test_sample_random", true),
            ("src.test_sample", "test_sample_random", false),
        ]);
        let headers = [("Commit-Sha", commit), ("Build-ID", commit), ("Build-Status", "success")];
        accepted(send_reports(&server, &suite.upload_token, &headers, &form));
    }
    let listed = test_cases(&suite);
    assert_eq!(
        (&listed[0]["class_name"], &listed[0]["name"], &listed[0]["last_24_hours_count"]),
        (&json!("src.test_sample"), &json!("test_sample_random"), &json!(2))
    );
    assert_eq!(rerun_list(&suite)[0]["test_name"], "test_sample_random");
    let runs = suite.runs();
    let run = runs.iter().find(|run| run["commit_sha"] == "c2").unwrap();
    assert_eq!(run["branch"], "main");
}

fn results_of_all_protocols_are_one_history(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let _ = now(&suite);
    // It fails in one protocol and then passes in the other, on one commit.
    for commit in ["c1", "c2"] {
        let headers = [("Commit-Sha", commit), ("Build-ID", commit)];
        accepted(send_reports(
            &server,
            &suite.upload_token,
            &headers,
            &report(&[("tests.test_a.TestA", "test_x[1]", true)]),
        ));
        let upload = Upload::new(commit).branch("main").commit(commit);
        let _ = suite.upload(&upload.result("tests/test_a.py::TestA", "test_x[1]", "passed"));
    }
    let listed = test_cases(&suite);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["class_name"], "tests.test_a.TestA");
    // The other protocol sees both.
    assert_eq!(suite.counts("tests/test_a.py::TestA", "test_x[1]"), json!({ "passed": 2, "failed": 2 }));
}

fn every_uploader_reports_to_its_check(database: &TestDatabase) {
    let server = start(database);
    let [upload, read] = organization_tokens(&server, "acme");
    let cases = [("Cart", "shaky", true), ("Cart", "shaky", false)];
    // Two pull requests: pushes of one would be one source.
    for (commit, branch) in [("c1", "17/merge"), ("c2", "18/merge")] {
        let github = [
            ("Provider-Name", "github_action"),
            ("Job-Name", "build"),
            ("Workflow-Name", "CI"),
            ("Build-ID", commit),
            ("Commit-Sha", commit),
            ("Repo-Url", "https://github.com/octo/hello"),
            ("Branch-Name", branch),
        ];
        let buildkite = [
            ("Provider-Name", "buildkite"),
            ("Job-Name", ":pytest: unit"),
            ("Workflow-Name", "pytest"),
            ("Build-ID", commit),
            ("Commit-Sha", commit),
            ("Repo-Url", "git@github.com:octo/hello.git"),
        ];
        let other = [
            ("Provider-Name", "jenkins"),
            ("Job-Name", "nightly"),
            ("Build-ID", commit),
            ("Commit-Sha", commit),
            ("Repo-Url", "ssh://git@host:22/octo/hello.git"),
        ];
        for headers in [
            &github[..],
            &buildkite,
            &[("Commit-Sha", commit), ("Build-ID", commit), ("Repo-Url", "https://host/octo/hello")],
            &other,
        ] {
            accepted(send_reports(&server, &upload, headers, &report(&cases)));
        }
    }
    for (check, canonical, provider) in [
        ("ci/circleci: unit-tests", "ci/circleci: unit-tests", "CircleCI"),
        ("ci/circleci:unit-tests", "ci/circleci: unit-tests", "CircleCI"),
        ("buildkite/pytest", "buildkite/pytest", "Buildkite"),
        ("build", "build", "GitHub Actions"),
        ("CI / build", "build", "GitHub Actions"),
        ("jenkins/nightly", "jenkins/nightly", "jenkins"),
    ] {
        let answer = flaky(&server, &read, &question("octo", "hello", check)).expect(200).json();
        assert_eq!(answer["github_check"], json!({ "name": canonical, "provider": provider }), "{check}");
        assert_eq!(answer["repository"], json!({ "name": "hello", "org": "octo" }));
        let tests: Vec<&Value> =
            answer["test_cases"].as_array().unwrap().iter().map(|test| &test["name"]).collect();
        assert_eq!(tests, [&json!("shaky")], "{check}");
    }
    let _ = flaky(&server, &read, &question("octo", "hello", "Other / build")).expect(404);
}

fn a_report_that_comes_again_counts_once(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let first = report(&[("Cart", "a", true)]);
    for _ in 0..2 {
        accepted(send_reports(&server, &suite.upload_token, &[], &first));
    }
    assert_eq!(suite.counts("Cart", "a"), json!({ "passed": 0, "failed": 1 }));
    // Another container of the same build, and another attempt of the same job.
    accepted(send_reports(&server, &suite.upload_token, &[], &report(&[("Cart", "b", false)])));
    accepted(send_reports(&server, &suite.upload_token, &[], &report(&[("Cart", "a", false)])));
    assert_eq!(suite.counts("Cart", "a"), json!({ "passed": 1, "failed": 1 }));
    let runs = suite.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    // Another job is another run, whose equal report counts.
    let _ = send_reports(&server, &suite.upload_token, &[("Job-Name", "lint")], &first).expect(200);
    assert_eq!(suite.runs().len(), 2);
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn an_archive_is_read_to_its_last_folder(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let (a, b) = (junit(&[("Cart", "a", false)]), junit(&[("Cart", "b", true)]));
    let packed = archive(&[
        ("reports/unit/a.xml", a.as_bytes()),
        ("reports/b.xml", b.as_bytes()),
        ("reports/b again.xml", b.as_bytes()),
    ]);
    // By content, not by name or type.
    for name in ["aviator.zip", "result.xml"] {
        accepted(send_reports(&server, &suite.upload_token, &[], &Form::new().file("file[]", name, &packed)));
    }
    // Equal files are one report, in one archive and in the next.
    assert_eq!(suite.counts("Cart", "a"), json!({ "passed": 1, "failed": 0 }));
    assert_eq!(suite.counts("Cart", "b"), json!({ "passed": 0, "failed": 1 }));
    // Several files in one request, one of them an archive.
    let c = junit(&[("Cart", "c", false)]);
    let form = Form::new().file("file[]", "c.xml", &c).file(
        "file[]",
        "more.zip",
        archive(&[("d.xml", junit(&[("Cart", "d", false)]).as_bytes())]),
    );
    accepted(send_reports(&server, &suite.upload_token, &[], &form));
    assert_eq!(suite.tests().len(), 4);
}

fn archives_that_do_harm_leave_no_trace(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let good = junit(&[("Cart", "a", false)]);
    let send = |packed: &[u8]| {
        send_reports(&server, &suite.upload_token, &[], &Form::new().file("file[]", "a.zip", packed))
    };
    for name in ["../a.xml", "x/../../a.xml", "/etc/a.xml", "C:\\a.xml"] {
        let packed = archive(&[("good.xml", good.as_bytes()), (name, good.as_bytes())]);
        assert!(refused(send(&packed), 400).contains("outside"), "{name}");
    }
    let zeros = vec![b' '; 1 << 20];
    let bomb: Vec<(String, &[u8])> =
        (0..300).map(|number| (format!("{number}.xml"), zeros.as_slice())).collect();
    let bomb: Vec<(&str, &[u8])> = [("good.xml", good.as_bytes())]
        .into_iter()
        .chain(bomb.iter().map(|(name, content)| (name.as_str(), *content)))
        .collect();
    assert!(refused(send(&archive(&bomb)), 400).contains("may be unpacked"));
    let mut damaged = archive(&[("good.xml", good.as_bytes())]);
    let middle = damaged.len() / 4;
    damaged[middle] ^= 0x55;
    let _ = refused(send(&damaged), 400);
    let _ = refused(send(&damaged[..damaged.len() / 2]), 400);
    let _ = refused(send(&archive(&[])), 400);
    let nested = archive(&[("inner.zip", &archive(&[("good.xml", good.as_bytes())]))]);
    let _ = refused(send(&nested), 400);
    suite.assert_empty();
}

fn what_is_no_report_is_refused_or_left_out(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let send = |form: &Form| send_reports(&server, &suite.upload_token, &[], form);
    for content in ["", "hello", "{}", "<html></html>", "<a", "\0\0\0"] {
        assert!(
            refused(send(&Form::new().file("file[]", "x.xml", content)), 400).contains("JUnit"),
            "{content}"
        );
    }
    let _ = refused(send(&Form::new().file("other", "x.xml", junit(&[("Cart", "a", false)]))), 400);
    let _ = refused(send(&archive_form(&[("README", b"nothing")])), 400);
    suite.assert_empty();
    let form = Form::new().file("file[]", "notes.txt", "hello").file(
        "file[]",
        "a.xml",
        junit(&[("Cart", "a", false)]),
    );
    let answer = send(&form).expect(200).json();
    assert_eq!((&answer["status"], &answer["success"]), (&json!(200), &json!(true)));
    assert!(answer["problems"][0].as_str().unwrap().contains("notes.txt"), "{answer}");
}

fn archive_form(entries: &[(&str, &[u8])]) -> Form {
    Form::new().file("file[]", "aviator.zip", archive(entries))
}

fn a_report_that_breaks_off_is_kept_as_far_as_it_goes(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let whole = junit(&[("Cart", "a", false), ("Cart", "b", false)]);
    let cut = &whole[..whole.len() - "</testsuite></testsuites>".len() - 20];
    let answer = send_reports(&server, &suite.upload_token, &[], &Form::new().file("file[]", "x.xml", cut))
        .expect(200)
        .json();
    assert!(answer["problems"][0].as_str().unwrap().contains("breaks off"), "{answer}");
    assert_eq!(suite.counts("Cart", "a"), json!({ "passed": 1, "failed": 0 }));
    // A testcase without a class is one whose class has no name.
    let plain = "<testsuite><testcase name='alone'/></testsuite>";
    accepted(send_reports(&server, &suite.upload_token, &[], &Form::new().file("file[]", "y.xml", plain)));
    assert_eq!(suite.counts("", "alone"), json!({ "passed": 1, "failed": 0 }));
}

fn requests_that_say_too_little_are_refused(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let form = report(&[("Cart", "a", false)]);
    for name in ["Provider-Name", "Repo-Url", "Commit-Sha"] {
        for value in ["", " "] {
            assert!(
                refused(send_reports(&server, &suite.upload_token, &[(name, value)], &form), 400)
                    .contains(name)
            );
        }
    }
    let _ = refused(send_reports(&server, &suite.upload_token, &[("Repo-Url", "nonsense")], &form), 400);
    // The token comes first.
    for token in ["", "unknown"] {
        let _ = refused(send_reports(&server, token, &[("Repo-Url", "")], &form), 401);
    }
    let _ = refused(send_reports(&server, &suite.read_token, &[], &form), 403);
    let plain = server.post("/api/test-report-uploader").token(&suite.upload_token);
    let plain = plain.header("Provider-Name", "x").header("Repo-Url", "a/b").header("Commit-Sha", "c");
    let _ = refused(plain.json(&json!({})).send(), 400);
    let _ = refused(server.get("/api/test-report-uploader").token(&suite.upload_token).send(), 405);
    suite.assert_empty();
}

fn a_suites_token_keeps_its_suite(database: &TestDatabase) {
    let server = start(database);
    let suite = Suite::new(&server, "cart");
    let answer =
        send_reports(&server, &suite.upload_token, &[], &report(&[("Cart", "a", false)])).expect(200).json();
    assert!(answer["problems"][0].as_str().unwrap().contains("not used"), "{answer}");
    assert_eq!(suite.tests().len(), 1);
    let [_, read] = organization_tokens(&server, "acme");
    let _ = flaky(&server, &read, &question("repo_org", "repo_name", CHECK)).expect(404);
}

fn headers_may_be_empty_or_strange(database: &TestDatabase) {
    let server = start(database);
    let [upload, read] = organization_tokens(&server, "acme");
    let empty = ["Job-Name", "Build-URL", "Build-ID", "Branch-Name", "Build-Status"].map(|name| (name, ""));
    accepted(send_reports(&server, &upload, &empty, &report(&[("Cart", "a", false)])));
    let job = [("Job-Name", "prüfen 2"), ("Branch-Name", "zweig/ä")];
    accepted(send_reports(&server, &upload, &job, &report(&[("Cart", "b", false)])));
    let answer =
        flaky(&server, &read, &question("repo_org", "repo_name", "ci/circleci: prüfen 2")).expect(200);
    assert_eq!(answer.json()["github_check"]["name"], "ci/circleci: prüfen 2");
}

/// What a request holds must never keep it from going on.
fn many_files_come_in_one_request(database: &TestDatabase) {
    let server = start(database);
    let suite = checked_suite(&server, "cart");
    let form = |files: usize, bytes: usize| {
        (0..files).fold(Form::new(), |form, number| {
            let mut report = junit(&[("Cart", &format!("test {number}"), false)]);
            report.push_str(&" ".repeat(bytes.saturating_sub(report.len())));
            form.file("file[]", &format!("{number}.xml"), report)
        })
    };
    for (files, bytes) in [(30, 100_000), (300, 15_000), (1_000, 100)] {
        let _ = send_reports(&server, &suite.upload_token, &[], &form(files, bytes)).expect(200);
    }
    assert_eq!(suite.all("/tests?period=1day").len(), 1_000);
    assert!(
        refused(send_reports(&server, &suite.upload_token, &[], &form(1_001, 100)), 400)
            .contains("1000 files")
    );
    // Each archive is small; all of them together are not.
    let spaces = vec![b' '; 90 << 20];
    let packed = archive(&[("a.xml", junit(&[("Cart", "a", false)]).as_bytes()), ("b.xml", &spaces)]);
    let three =
        (0..3).fold(Form::new(), |form, number| form.file("file[]", &format!("{number}.zip"), &packed));
    assert!(
        refused(send_reports(&server, &suite.upload_token, &[], &three), 400).contains("may be unpacked")
    );
}

fn jobs_with_long_names_and_without_names_keep_to_themselves(database: &TestDatabase) {
    let server = start(database);
    let [upload, read] = organization_tokens(&server, "acme");
    let long = "lang-".repeat(70);
    let jobs = ["unit", &format!("{long}1"), &format!("{long}2"), &long.repeat(4), ""];
    for job in jobs {
        let test = format!("of {} {job:.6}", job.len());
        accepted(send_reports(&server, &upload, &[("Job-Name", job)], &report(&[("Cart", &test, false)])));
    }
    let suites = server.get("/v2/analytics/organizations/acme/suites?per_page=100").token(&read).send();
    // One is the organization's own.
    assert_eq!(suites.expect(200).json().as_array().map(Vec::len), Some(jobs.len() + 1));
    for job in &jobs[..4] {
        let check = format!("ci/circleci: {job}");
        let _ = flaky(&server, &read, &question("repo_org", "repo_name", &check)).expect(200);
    }
    let _ = flaky(&server, &read, &question("repo_org", "repo_name", "circleci")).expect(200);
    // Under its other name, too.
    let (job, workflow) = ("j".repeat(150), "w".repeat(200));
    let github = [("Provider-Name", "github_action"), ("Job-Name", &*job), ("Workflow-Name", &*workflow)];
    accepted(send_reports(&server, &upload, &github, &report(&[("Cart", "a", false)])));
    for check in [&job, &format!("{workflow} / {job}")] {
        let _ = flaky(&server, &read, &question("repo_org", "repo_name", check)).expect(200);
    }
}

fn one_check_has_one_suite(database: &TestDatabase) {
    let server = start(database);
    let _ = checked_suite(&server, "cart");
    let options = ["--repo", "repo_org/repo_name", "--check", "ci/circleci:unit-tests"];
    for name in ["acme/twin", "acme/twin"] {
        let refused = server.command(&[&["suite", "create", name], &options[..]].concat());
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("acme/cart"));
    }
    // What is changed must fit too; another organization, and the suite itself, may keep the names.
    let _ = server.succeed(&["suite", "create", "acme/twin", "--repo", "repo_org/repo_name"]);
    assert_eq!(server.command(&["suite", "create", "acme/twin", "--check", CHECK]).status.code(), Some(1));
    for name in ["rival/cart", "acme/cart"] {
        let _ = server.succeed(&[&["suite", "create", name], &options[..]].concat());
    }
}
