//! `casebook upload` against the real server, and against one that misbehaves.

use crate::endpoint::{Endpoint, accepted, connect_proxy, tls_endpoint};
use crate::setup::{Suite, program, start, text};
use casebook_testkit::{Engine, TestDatabase};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const XML: &str = "<testsuite name='s'><testcase classname='c' name='a' time='0.1'/>\
                   <testcase classname='c' name='b'><failure message='boom'/></testcase></testsuite>";

const TOKEN: &str = "cbk_a-token-that-nobody-may-see";

/// A run of the command: in a folder of its own, with nothing in the environment but what the test says.
struct Upload {
    command: Command,
    folder: tempfile::TempDir,
    input: Vec<u8>,
    token: String,
}

impl Upload {
    fn to(server: &str, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        command.arg("upload").env_clear().current_dir(folder.path());
        command.env("CASEBOOK_SERVER", server).env("CASEBOOK_TOKEN", token);
        // The tests' own repository must not be found, and a wait must be short.
        command.env("CASEBOOK_RETRY_DELAY_MS", "1").env("GIT_DIR", "/nonexistent");
        Self { command, folder, input: Vec::new(), token: token.to_owned() }
    }

    fn suite(suite: &Suite<'_>) -> Self {
        Self::to(suite.server.url(), &suite.upload_token)
    }

    fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self.command.arg(name);
        self
    }

    fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn input(mut self, input: &[u8]) -> Self {
        self.input = input.to_vec();
        self
    }

    #[track_caller]
    fn run(mut self) -> Said {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        // A command that does not read it may have closed it.
        let _ = child.stdin.take().unwrap().write_all(&self.input);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let said = Said {
            code: status.code(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        };
        let hides = |text: &str| self.token.is_empty() || !text.contains(&self.token);
        assert!(hides(&said.out) && hides(&said.err), "the token is shown");
        assert!(!said.err.contains("panicked"), "{}", said.err);
        said
    }
}

/// What the command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, sentence: &str) -> Self {
        assert!(self.err.contains(sentence), "{sentence:?} is not in {}", self.err);
        self
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

#[test]
fn every_format_is_found_and_stored() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/samples");
    for (number, format) in casebook_formats::Format::ALL.iter().enumerate() {
        let suite = Suite::new(&server, &format!("s{number}"));
        let folder = samples.join(format.as_str()).display().to_string();
        // Some JUnit files of real tools hold testcases without a class, which cannot be used.
        let strict: &[&str] = if *format == casebook_formats::Format::Junit { &[] } else { &["--strict"] };
        let upload =
            || Upload::suite(&suite).arguments(&[&[folder.as_str(), "--build-id", "k"], strict].concat());
        let said = upload().run().ends_with(0);
        let runs = suite.runs();
        let files = files_below(&samples.join(format.as_str()));
        // A job of Avocado is a run of its own, at its own time.
        let is_avocado = *format == casebook_formats::Format::AvocadoJson;
        assert_eq!(runs.len(), if is_avocado { files } else { 1 }, "{format}");
        let urls: Vec<String> = runs.iter().map(|run| text(run, "web_url")).collect();
        assert!(urls.iter().any(|url| said.out.trim_end().ends_with(url)), "{format}: {}", said.out);
        let told = said.err.lines().filter(|line| line.contains(&format!(": {format}, "))).count();
        assert_eq!(told, files, "{format}: {}", said.err);
        assert!(is_avocado || !suite.tests().is_empty(), "{format}");
        // Again: nothing new.
        let again = upload().run().ends_with(0);
        assert!(again.err.contains(" 0 results stored, "), "{format}: {}", again.err);
    }
}

fn cases(count: usize) -> String {
    let mut xml = format!("<?xml version='1.0'?>\n<testsuites><testsuite name='all' tests='{count}'>\n");
    for number in 0..count {
        let failure = if number % 100 == 0 { "<failure message='m'>t</failure>" } else { "" };
        writeln!(
            xml,
            "<testcase classname='c{}' name='n{number}' time='0.01'>{failure}</testcase>",
            number % 50
        )
        .unwrap();
    }
    xml + "</testsuite></testsuites>"
}

#[test]
fn a_large_report_is_stored_once() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "large");
    let xml = cases(12_345);
    let upload =
        || Upload::suite(&suite).file("large.xml", &xml).arguments(&["--build-id", "k", "--strict"]).run();
    let _ =
        upload().ends_with(0).says("large.xml: junit, 12345 results in 3 requests: 12345 stored, 0 skipped");
    let _ = upload().ends_with(0).says("1 file: 0 results stored, 12345 skipped, 0 problems");
    assert_eq!(suite.runs().len(), 1);
    // Pages of a hundred: the last has the rest.
    let page = |suite: &Suite<'_>, page: usize| {
        let tests = suite.get(&format!("/tests?period=1day&per_page=100&page={page}"));
        tests.as_array().unwrap().len()
    };
    assert_eq!((page(&suite, 124), page(&suite, 125)), (45, 0));
    let run = &suite.runs()[0]["id"];
    assert_eq!(suite.failed(run).len(), 124);
    // Result objects without ids, too, and native reports that have to be translated.
    let objects: Vec<String> = (0..5_001)
        .map(|number| format!(r#"{{"name":"j{number}","history":{{"duration":0.1}},"result":"passed"}}"#))
        .collect();
    let jest: Vec<String> = (0..5_001)
        .map(|number| format!(r#"{{"ancestorTitles":["x"],"title":"t{number}","fullName":"x t{number}","status":"passed","duration":1,"failureMessages":[]}}"#))
        .collect();
    let jest = format!(
        r#"{{"numTotalTests":1,"testResults":[{{"name":"/a.js","assertionResults":[{}]}}]}}"#,
        jest.join(",")
    );
    let suite = Suite::new(&server, "objects");
    let upload = || {
        let upload = Upload::suite(&suite)
            .file("objects.json", format!("[{}]", objects.join(",\n")))
            .file("jest.json", &jest);
        upload.arguments(&["--build-id", "k", "--strict"]).run()
    };
    let _ = upload().ends_with(0).says("2 files: 10002 results stored, 0 skipped");
    let _ = upload().ends_with(0).says("2 files: 0 results stored, 10002 skipped");
    assert_eq!((page(&suite, 101), page(&suite, 102)), (2, 0));
}

#[test]
fn a_huge_text_is_stored() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "huge");
    // Packed, it would look like an attack; in one part with others, it would leave no room for their texts.
    let huge =
        format!("<testcase classname='c' name='huge'><failure>{}</failure></testcase>", "x".repeat(17 << 20));
    let xml = format!("{}{huge}</testsuite></testsuites>", cases(2).replace("</testsuite></testsuites>", ""));
    let said = Upload::suite(&suite).file("huge.xml", xml).arguments(&["--strict"]).run().ends_with(0);
    let _ = said.says("huge.xml: junit, 3 results in 2 requests: 3 stored");
    assert_eq!(suite.tests().len(), 3);
}

#[test]
fn what_can_be_used_is_stored_and_the_rest_told() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "rest");
    let upload = || {
        Upload::suite(&suite)
            .file("broken.xml", &cases(10)[..500])
            .file("unknown.txt", "hello")
            .file("nameless.xml", "<testsuite><testcase classname='c'/></testsuite>")
            .file("entity.xml", "<testsuite><testcase classname='&x;' name='n'/></testsuite>")
            .file("good.xml", XML)
            .arguments(&["missing.xml", "no-*.xml", "--build-id", "k"])
    };
    let said = upload().run().ends_with(0);
    let said = said.says("broken.xml: the report breaks off, what had closed was kept");
    let said = said
        .says("unknown.txt: its format is not known: expected JUnit XML or one of json, junit, jest-json");
    let said = said
        .says("nameless.xml: result 1: the testcase has no `name`")
        .says("entity.xml: part 1 with 1 results: the server refuses it (400)");
    let said = said.says("missing.xml: there is no such file").says("no-*.xml: nothing matches");
    let said = said.says("good.xml: junit, 2 results in 1 request: 2 stored, 0 skipped");
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    assert_eq!(suite.runs().len(), 1);
    assert_eq!(suite.counts("c", "b"), json!({ "passed": 0, "failed": 1 }));
    let _ = upload().arguments(&["--strict"]).run().ends_with(1);
    // Nothing else is wrong with the good one.
    let good = || Upload::suite(&suite).file("good.xml", XML).arguments(&["--strict"]);
    let _ = good().run().ends_with(0);
    let quiet = good().arguments(&["--quiet"]).run().ends_with(0);
    assert_eq!((quiet.err.as_str(), quiet.out.lines().count()), ("", 1));
}

#[test]
fn nothing_found_is_told() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "nothing");
    let none = || Upload::suite(&suite).arguments(&["build/**/*.xml"]);
    let said = none().run().ends_with(0).says("build/**/*.xml: nothing matches").says("nothing was sent");
    assert_eq!(said.out, "");
    let _ = none().arguments(&["--strict"]).run().ends_with(1);
    suite.assert_empty();
}

#[test]
fn standard_input_and_a_named_format() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "input");
    let _ = Upload::suite(&suite)
        .arguments(&["-", "--format", "junit", "--strict"])
        .input(XML.as_bytes())
        .run()
        .ends_with(0);
    assert_eq!(suite.tests().len(), 2);
    let wrong =
        Upload::suite(&suite).arguments(&["-", "--format", "json"]).input(XML.as_bytes()).run().ends_with(0);
    let _ = wrong.says("standard input: the results must be an array");
}

#[test]
fn reports_in_utf_16_are_read_and_cut() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "wide");
    let upload = |name: &str, text: &str| {
        let wide: Vec<u8> = format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        Upload::suite(&suite).file(name, wide).arguments(&["--strict"]).run().ends_with(0)
    };
    let _ = upload("small.xml", XML).says("small.xml: junit, 2 results in 1 request: 2 stored");
    let _ =
        upload("large.xml", &cases(5_001)).says("large.xml: junit, 5001 results in 2 requests: 5001 stored");
}

#[test]
fn the_run_comes_from_the_ci_system() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "ci");
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_SHA", "c1"),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_JOB", "unit"),
        ("GITHUB_SERVER_URL", "https://github.com"),
    ];
    let gitlab = [
        ("GITLAB_CI", "true"),
        ("CI_COMMIT_REF_NAME", "carts"),
        ("CI_COMMIT_SHA", "c2"),
        ("CI_PIPELINE_ID", "100"),
        ("CI_JOB_ID", "200"),
        ("CI_JOB_URL", "https://gitlab.com/acme/shop/-/jobs/200"),
        ("CI_COMMIT_MESSAGE", "Add carts"),
    ];
    let buildkite = [
        ("BUILDKITE", "true"),
        ("BUILDKITE_BRANCH", "main"),
        ("BUILDKITE_COMMIT", "c3"),
        ("BUILDKITE_BUILD_ID", "0199aaaa-9e0a-450f-bc64-9edb62d43fa9"),
        ("BUILDKITE_BUILD_URL", "https://buildkite.com/acme/shop/builds/12"),
        ("BUILDKITE_MESSAGE", "Buy carts"),
    ];
    let expected = [
        (&github[..], "main", "c1", "https://github.com/acme/shop/actions/runs/77"),
        (&gitlab, "carts", "c2", "https://gitlab.com/acme/shop/-/jobs/200"),
        (&buildkite, "main", "c3", "https://buildkite.com/acme/shop/builds/12"),
    ];
    for (variables, branch, commit, url) in expected {
        let mut upload = Upload::suite(&suite).file("a.xml", XML);
        for (name, value) in variables {
            upload = upload.env(name, value);
        }
        let said = upload.run().ends_with(0);
        let run = &suite.runs()[0];
        assert_eq!(said.out.trim_end(), text(run, "web_url"));
        assert_eq!((text(run, "branch").as_str(), text(run, "commit_sha").as_str()), (branch, commit));
        let _ = url;
    }
    assert_eq!(suite.runs().len(), 3);
    // What is said wins, from flags and from variables.
    let upload = Upload::suite(&suite)
        .file("a.xml", XML)
        .env("GITHUB_ACTIONS", "true")
        .env("CASEBOOK_BRANCH", "other");
    let _ = upload
        .env("CASEBOOK_COMMIT", "c8")
        .arguments(&["--commit", "c9", "--tag", "os=linux", "--tag", "team=a"])
        .run();
    let run = &suite.runs()[0];
    assert_eq!((text(run, "branch").as_str(), text(run, "commit_sha").as_str()), ("other", "c9"));
}

#[test]
fn wrong_tokens_stop_it() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let server = start(&database);
    let suite = Suite::new(&server, "tokens");
    let upload = || Upload::to(server.url(), TOKEN).file("a.xml", XML).file("b.xml", XML);
    let said = upload()
        .run()
        .ends_with(0)
        .says("a.xml: the server does not accept the token (401): check CASEBOOK_TOKEN");
    let said = said.says("b.xml: not sent");
    assert_eq!(said.out, "");
    let _ = upload().arguments(&["--strict"]).run().ends_with(1);
    let read = Upload::to(server.url(), &suite.read_token).file("a.xml", XML).run().ends_with(0);
    let _ = read.says("(403)");
    suite.assert_empty();
    let empty = Upload::to(server.url(), "")
        .file("a.xml", XML)
        .env("CASEBOOK_TOKEN_FILE", "")
        .env("CASEBOOK_TIMEOUT", "");
    let _ = empty.run().ends_with(0).says("there is no token");
    // From a file; the variable wins, unless it is empty.
    let from_file = |token: &str| {
        let upload = Upload::to(server.url(), token);
        std::fs::write(upload.folder.path().join("token"), format!("{}\n", suite.upload_token)).unwrap();
        upload.file("a.xml", XML).arguments(&["--token-file", "token", "--strict"]).run()
    };
    let _ = from_file("").ends_with(0);
    let _ = from_file(TOKEN).ends_with(1);
    let missing = Upload::to(server.url(), "").file("a.xml", XML);
    let _ =
        missing.run().ends_with(0).says("nothing was sent: there is no token: put it into CASEBOOK_TOKEN");
    let missing = Upload::to(server.url(), "").file("a.xml", XML).arguments(&[
        "--strict",
        "--token-file",
        "no-such-file",
    ]);
    let _ = missing.run().ends_with(1).says("no-such-file");
}

#[test]
fn wrong_usage_ends_with_2() {
    let wrong: [(&str, &[&str]); 8] = [
        ("http://127.0.0.1:1", &[]),
        ("http://127.0.0.1:1", &["a.xml", "--format", "xml"]),
        ("http://127.0.0.1:1", &["a.xml", "--tag", "novalue"]),
        ("http://127.0.0.1:1", &["a.xml", "--started-at", "yesterday"]),
        ("http://127.0.0.1:1", &["a.xml", "--token", "abc"]),
        ("http://127.0.0.1:1", &["a.xml", "--ca-file", "no-such-file"]),
        ("casebook.example", &["a.xml"]),
        ("https://user:s3cretpw@casebook.example", &["a.xml"]),
    ];
    for (server, arguments) in wrong {
        let said = Upload::to(server, TOKEN).arguments(arguments).run().ends_with(2);
        assert!(
            said.err.starts_with("error: ") && said.err.lines().count() == 1,
            "{arguments:?}: {}",
            said.err
        );
        assert!(!said.err.contains("s3cretpw"), "{}", said.err);
    }
    let mut nowhere = Upload::to("", TOKEN).file("a.xml", XML);
    nowhere.command.env_remove("CASEBOOK_SERVER");
    let _ = nowhere.run().ends_with(2).says("CASEBOOK_SERVER");
    // Jobs of strangers have variables that are empty.
    let _ = Upload::to("", TOKEN).file("a.xml", XML).run().ends_with(0).says("nothing was sent");
    let mut other = Upload::to("", TOKEN).file("a.xml", XML).env("CASEBOOK_URL", "http://user:s3cretpw@host");
    other.command.env_remove("CASEBOOK_SERVER");
    let _ = other.run().ends_with(2).says("must not hold credentials");
}

#[test]
fn a_dry_run_sends_nothing() {
    let endpoint = Endpoint::start(|_, _| accepted(0));
    let upload = Upload::to(&endpoint.url, TOKEN)
        .file("a.xml", XML)
        .file("large.xml", cases(5_001))
        .file("x.txt", "?");
    let upload = upload.env("GITHUB_ACTIONS", "true").env("GITHUB_SHA", "c1").env("GITHUB_RUN_ID", "7");
    let said = upload.arguments(&["--dry-run", "--tag", "os=linux", "--branch", "main"]).run().ends_with(0);
    for line in [
        "CI: github_actions",
        "key: 7",
        "branch: main",
        "commit_sha: c1",
        "collector: casebook-upload",
        "tag os: linux",
        "a.xml: junit, 2 results in 1 request",
        "large.xml: junit, 5001 results in 2 requests",
        "would send 3 files with 5003 results in 3 requests",
    ] {
        assert!(said.out.lines().any(|told| told == line), "{line}: {}", said.out);
    }
    assert!(said.err.contains("x.txt: its format is not known"), "{}", said.err);
    assert!(endpoint.received().is_empty());
    // It needs neither server nor token.
    let mut bare = Upload::to("", "").file("a.xml", XML).arguments(&["--dry-run", "--strict"]);
    bare.command.env_remove("CASEBOOK_SERVER");
    let _ = bare.run().ends_with(0);
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let endpoint = Endpoint::start(|number, _| match number {
        0 => (503, "Retry-After: 0\r\n", r#"{"message":"starting"}"#.to_owned()),
        1 => (429, "RateLimit-Reset: 0\r\n", String::new()),
        2 => (408, "", String::new()),
        3 => (409, "", String::new()),
        _ => accepted(2),
    });
    let said =
        Upload::to(&endpoint.url, TOKEN).file("a.xml", XML).arguments(&["--strict"]).run().ends_with(0);
    assert_eq!(said.out, "http://run/1\n");
    let received = endpoint.received();
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|request| request.body == received[0].body), "each attempt sends the same");
    assert!(received[0].head.starts_with("POST /v1/uploads "), "{}", received[0].head);
    let form = received[0].text();
    for field in [
        "name=\"format\"\r\n\r\njunit\r\n",
        "name=\"run_env[collector]\"\r\n\r\ncasebook-upload\r\n",
        "filename=\"a.xml\"",
        XML,
    ] {
        assert!(form.contains(field), "{field}: {form}");
    }
    // Not for ever, and not longer than a server that asks for more time than there is.
    for (headers, attempts) in [("", 2..1000), ("Retry-After: 3600\r\n", 1..2)] {
        let endpoint = Endpoint::start(move |_, _| (500, headers, r#"{"message":"no"}"#.to_owned()));
        let upload = Upload::to(&endpoint.url, TOKEN).file("a.xml", XML).file("b.xml", XML);
        let said = upload.arguments(&["--strict", "--retry-for", "1"]).run().ends_with(1);
        let said =
            said.says("a.xml: the server could not be reached: it answers 500: no").says("b.xml: not sent");
        assert_eq!(said.out, "");
        assert!(attempts.contains(&endpoint.received().len()), "{attempts:?}: {}", endpoint.received().len());
    }
    // Nobody is there at all.
    let upload = Upload::to("http://127.0.0.1:1", TOKEN).file("a.xml", XML).arguments(&["--retry-for", "0"]);
    let _ = upload.run().ends_with(0).says("a.xml: the server could not be reached: ");
}

#[test]
fn what_is_too_large_is_halved() {
    let endpoint = Endpoint::start(|_, request| match request.testcases() {
        0..=2 => accepted(request.testcases()),
        _ => (413, "", r#"{"message":"too large"}"#.to_owned()),
    });
    let said =
        Upload::to(&endpoint.url, TOKEN).file("a.xml", cases(7)).arguments(&["--strict"]).run().ends_with(0);
    let _ = said.says("a.xml: junit, 7 results in 4 requests: 7 stored");
    let stubborn = Endpoint::start(|_, _| (413, "", r#"{"message":"too large"}"#.to_owned()));
    let said =
        Upload::to(&stubborn.url, TOKEN).file("a.xml", cases(3)).arguments(&["--strict"]).run().ends_with(1);
    assert_eq!(said.err.matches("the server finds it too large: too large").count(), 3, "{}", said.err);
}

#[test]
fn the_token_goes_to_the_server_alone() {
    let other = Endpoint::start(|_, _| accepted(2));
    let elsewhere = format!("Location: {}/v1/uploads\r\n", other.url);
    let elsewhere: &'static str = elsewhere.leak();
    let endpoint = Endpoint::start(move |_, _| (307, elsewhere, String::new()));
    let said =
        Upload::to(&endpoint.url, TOKEN).file("a.xml", XML).arguments(&["--strict"]).run().ends_with(1);
    let _ = said.says("where the token is not sent");
    assert!(other.received().is_empty());
    let moved = Endpoint::start(|number, _| match number {
        0 => (308, "Location: /casebook/v1/uploads\r\n", String::new()),
        _ => accepted(2),
    });
    let upload = Upload::to(&moved.url, TOKEN).file("a.xml", XML).file("b.xml", XML).arguments(&["--strict"]);
    let _ = upload.run().ends_with(0);
    let lines: Vec<String> =
        moved.received().iter().map(|request| request.head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        lines,
        [
            "POST /v1/uploads HTTP/1.1",
            "POST /casebook/v1/uploads HTTP/1.1",
            "POST /casebook/v1/uploads HTTP/1.1"
        ]
    );
    let round = Endpoint::start(|_, _| (307, "Location: /v1/uploads\r\n", String::new()));
    let _ = Upload::to(&round.url, TOKEN).file("a.xml", XML).run().ends_with(0).says("redirects without end");
    // Unencrypted only where nobody listens.
    let public = Upload::to("http://198.51.100.1", TOKEN).file("a.xml", XML).arguments(&[
        "--strict",
        "--retry-for",
        "0",
    ]);
    let _ = public.run().ends_with(1).says("use https, or allow it with --insecure");
    // A server that repeats it is not repeated.
    let echo = Endpoint::start(|_, _| (422, "", format!(r#"{{"message":"{TOKEN} is odd"}}"#)));
    let _ = Upload::to(&echo.url, TOKEN).file("a.xml", XML).run().ends_with(0).says("*** is odd");
    let page = Endpoint::start(|_, _| (200, "", "<html>log in</html>".to_owned()));
    let _ = Upload::to(&page.url, TOKEN).file("a.xml", XML).run().ends_with(0).says("is no Casebook");
    let lost = Endpoint::start(|_, _| (404, "", String::new()));
    let _ =
        Upload::to(&lost.url, TOKEN).file("a.xml", XML).run().ends_with(0).says("nothing takes uploads at");
}

#[test]
fn certificates_and_proxies() {
    let (address, certificate) = tls_endpoint();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let upload = |host: &str| {
        let upload = Upload::to(&format!("https://{host}:{port}"), TOKEN);
        std::fs::write(upload.folder.path().join("ca.pem"), &certificate).unwrap();
        upload.file("a.xml", XML).arguments(&["--strict", "--retry-for", "0"])
    };
    let _ = upload("localhost").run().ends_with(1).says("the server could not be reached: ");
    let trusting = upload("localhost").arguments(&["--ca-file", "ca.pem"]).run().ends_with(0);
    assert_eq!(trusting.out, "http://run/1\n");
    let _ = upload("localhost").env("SSL_CERT_FILE", "ca.pem").run().ends_with(0);
    // A name that only the proxy knows.
    let (proxy, told) = connect_proxy(address.clone());
    let through = upload("casebook.test").arguments(&["--ca-file", "ca.pem"]).env("HTTPS_PROXY", &proxy);
    let _ = through.run().ends_with(0);
    assert_eq!(told.recv().unwrap(), format!("CONNECT casebook.test:{port} HTTP/1.1"));
    let without = upload("localhost").arguments(&["--ca-file", "ca.pem"]).env("HTTPS_PROXY", &proxy);
    let _ = without.env("NO_PROXY", "localhost").run().ends_with(0);
    assert!(told.try_recv().is_err());
    let wrong = upload("localhost").env("HTTPS_PROXY", "http://u:s3cretpw@ /").run().ends_with(2);
    assert!(wrong.err.contains("https_proxy") || wrong.err.contains("HTTPS_PROXY"), "{}", wrong.err);
    assert!(!wrong.err.contains("s3cretpw"));
    let _ = upload("localhost")
        .arguments(&["--ca-file", "a.xml"])
        .run()
        .ends_with(2)
        .says("no certificate in PEM form");
}
