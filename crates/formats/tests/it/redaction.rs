//! Secrets do not survive, and nothing else is harmed.

use crate::{Format, problems, read};
use casebook_formats::redaction::{Found, REDACTED, Rule, redact, redact_value};
use proptest::prelude::*;
use std::borrow::Cow;

/// What becomes of `text`, and the rules that found something.
fn redacted(text: &str) -> (String, Vec<Rule>) {
    let mut found = Found::default();
    let out = redact(text, &mut found).into_owned();
    (out, found.rules().collect())
}

fn becomes(rule: Rule, text: &str, expected: &str) {
    assert_eq!(redacted(text), (expected.to_owned(), vec![rule]), "{text}");
    assert_eq!(redacted(expected).0, expected, "redacted twice");
}

fn stays(text: &str) {
    let mut found = Found::default();
    assert!(
        matches!(redact(text, &mut found), Cow::Borrowed(same) if same == text),
        "{text}: {:?}",
        redacted(text)
    );
    assert!(found.is_empty(), "{text}");
}

/// Made up here, so that no scanner of this repository mistakes them for leaks.
fn letters(length: usize) -> String {
    "aB3dE5gH7".chars().cycle().take(length).collect()
}

#[test]
fn tokens_with_a_prefix() {
    let capitals: String = "A2C4E6G8".repeat(2);
    for (rule, token) in [
        (Rule::GitHub, format!("ghp_{}", letters(36))),
        (Rule::GitHub, format!("gho_{}", letters(36))),
        (Rule::GitHub, format!("ghu_{}", letters(36))),
        (Rule::GitHub, format!("ghs_{}", letters(36))),
        (Rule::GitHub, format!("ghr_{}", letters(36))),
        (Rule::GitHub, format!("github_pat_{}_{}", letters(22), letters(59))),
        (Rule::GitLab, format!("glpat-{}", letters(20))),
        (Rule::Slack, format!("xoxb-{}-{}", "1234567890", letters(24))),
        (Rule::Aws, format!("AKIA{capitals}")),
        (Rule::Aws, format!("ASIA{capitals}")),
        (Rule::Google, format!("AIza{}", letters(35))),
        (Rule::Stripe, format!("sk_live_{}", letters(24))),
        (Rule::Stripe, format!("rk_live_{}", letters(24))),
        (Rule::Npm, format!("npm_{}", letters(36))),
        (Rule::PyPi, format!("pypi-{}", letters(80))),
        (Rule::Buildkite, format!("bkua_{}", letters(40))),
        (Rule::Buildkite, format!("bkct_{}", letters(40))),
        (Rule::Casebook, format!("cbk_{}", letters(43))),
        (Rule::Webhook, format!("whsec_{}=", letters(43))),
        (Rule::JsonWebToken, format!("eyJ{}.eyJ{}.{}", letters(30), letters(60), letters(43))),
    ] {
        becomes(rule, &format!("got {token}, sorry"), "got [redacted], sorry");
        becomes(rule, &token, REDACTED);
        becomes(rule, &format!("[\"{token}\"]"), "[\"[redacted]\"]");
        stays(&format!("x{token}"));
        stays(&token[..8]);
    }
}

#[test]
fn headers() {
    let secret = letters(24);
    for (before, rest) in [
        ("Authorization: Bearer ", ""),
        ("authorization: token ", ""),
        ("Proxy-Authorization: Basic ", ""),
        ("> Authorization: Bearer ", "\n> Accept: */*"),
        ("{\"Authorization\": \"Bearer ", "\", \"a\": 1}"),
        ("{'authorization': '", "'}"),
        ("Authorization: Token token=\"", "\""),
        ("sent Bearer ", " to it"),
        ("{\"q\":\"{\\\"Authorization\\\": \\\"Bearer ", "\\\"}\"}"),
    ] {
        becomes(
            Rule::Authorization,
            &format!("{before}{secret}{rest}"),
            &format!("{before}[redacted]{rest}"),
        );
    }
    becomes(Rule::Authorization, "Authorization: Basic YWxpY2U6c2VjcmV0", "Authorization: Basic [redacted]");
    becomes(Rule::Cookie, "Cookie: sid=abc; theme=dark\nnext", "Cookie: [redacted]\nnext");
    becomes(Rule::Cookie, "< Set-Cookie: sid=abc; Path=/; HttpOnly", "< Set-Cookie: [redacted]");
    becomes(Rule::NamedSecret, &format!("x-api-key: {secret}"), "x-api-key: [redacted]");
}

#[test]
fn private_keys() {
    let key = format!("{}\n{}\n", letters(64), letters(40));
    for kind in ["", "RSA ", "EC ", "OPENSSH "] {
        let (begin, end) =
            (format!("-----BEGIN {kind}PRIVATE KEY-----"), format!("-----END {kind}PRIVATE KEY-----"));
        becomes(
            Rule::PrivateKey,
            &format!("a\n{begin}\n{key}{end}\nb"),
            &format!("a\n{begin}[redacted]{end}\nb"),
        );
    }
    let cut = format!("-----BEGIN PRIVATE KEY-----\n{key}");
    assert_eq!(redacted(&cut).0, "-----BEGIN PRIVATE KEY-----[redacted]");
    stays("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n-----END PUBLIC KEY-----");
    stays("expected -----BEGIN PRIVATE KEY----- in the file");
}

#[test]
fn addresses() {
    becomes(Rule::UserInfo, "postgres://app:hunter2@db.test/x", "postgres://[redacted]@db.test/x");
    becomes(
        Rule::UserInfo,
        "fatal: https://x:a%40b@host:8080/r.git",
        "fatal: https://[redacted]@host:8080/r.git",
    );
    becomes(Rule::UserInfo, &format!("https://{}@host/", letters(20)), "https://[redacted]@host/");
    for harmless in [
        "ssh://git@github.com/acme/cart.git",
        "https://example.test/a:b@c",
        "see https://example.test:8080/ and mail a@b.test",
        "git@github.com:acme/cart.git",
        "https://host/?q=user:pass@x",
    ] {
        stays(harmless);
    }
}

#[test]
fn names_of_secrets() {
    for (before, secret, after) in [
        ("AWS_SECRET_ACCESS_KEY=", "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY1", ""),
        ("DB_PASSWORD=", "correcthorse", " ./run"),
        ("export NPM_TOKEN='", "abcd-1234-efgh", "'"),
        ("\"password\": \"", "hunter2hunter2", "\","),
        ("{'client_secret': '", "s3cr3t-value", "'}"),
        ("password: ", "hunter2hunter2", ""),
        ("db.password=", "hunter2hunter2", ""),
        ("--api-key=", "9f8e7d6c5b4a", " --verbose"),
        ("?access_token=", "9f8e7d6c5b4a", "&page=2"),
        ("PRIVATE_KEY=", "MIIEvQIBADANBg", ""),
        ("MY_CREDENTIALS => '", "hunter2hunter2", "'"),
        ("{\\\"password\\\": \\\"", "hunter2hunter2", "\\\"}"),
        ("{\"password\":\"", "ab\\\"cd1234", "\"}"),
    ] {
        becomes(
            Rule::NamedSecret,
            &format!("{before}{secret}{after}"),
            &format!("{before}[redacted]{after}"),
        );
    }
}

#[test]
fn prose_and_code_stay() {
    for harmless in [
        "token = next()",
        "expected token: 'EOF'",
        "expected token: 'IDENTIFIER'",
        "SyntaxError: Unexpected token: identifier",
        "Unexpected token < in JSON at position 0",
        "Unexpected token '}', \"{\"a\":1}}\" is not valid JSON",
        "assert token == \"abc12345678\"",
        "AssertionError: expected password to be at least 8 characters",
        "password: undefined",
        "the secret: never give up",
        "PASSWORD=",
        "password=$DB_PASSWORD",
        "password: process.env.DB_PASSWORD",
        "secret = config.get(\"secret\")",
        "token: Token { kind: Ident, span: 3..9 }",
        "let token: Option<String1> = None;",
        "TOKEN_URL=https://auth.test/oauth2/token",
        "token_type=bearer2000",
        "tokenizer=whitespace1",
        "max_tokens=12345678",
        "credentials=/home/app/credentials1.json",
        "password=********",
        "password: [FILTERED]",
        "Authorization: required",
        "missing header Authorization: Bearer",
        "Expected Authorization: Bearer token to be present",
        "expected cookie: chocolate",
        "cookie = jar.get(name=1)",
        "npm_config_registry=https://registry.npmjs.org/",
        "npm_lifecycle_event=test",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "sha512-0123456789abcdef==",
        "at Object.<anonymous> (/builds/project/src/token.test.js:12:34)",
        "ASIAN",
        "EYJAFJALLAJOKULL",
        "asiatic elephants are smaller",
        "    assert response.cookies == {}",
        "org.acme.token.TokenServiceTest.issuesToken:42",
        "DEBUG a.b.PasswordEncoder: encoded in 12ms",
        "private_key: PathBuf::from(\"key1.pem\")",
    ] {
        stays(harmless);
    }
}

#[test]
fn dumps_of_properties() {
    let dump = "before\njava.version=21.0.1\njava.vm.name=OpenJDK 64-Bit Server VM\nsun.java.command=run --key abc\n\
                user.name=alice\nos.name=Linux\nci.deploy=anything at all\nafter";
    let (text, rules) = redacted(dump);
    assert_eq!(
        text,
        "before\njava.version=21.0.1\njava.vm.name=OpenJDK 64-Bit Server VM\nsun.java.command=[redacted]\n\
         user.name=[redacted]\nos.name=Linux\nci.deploy=[redacted]\nafter"
    );
    assert_eq!(rules, [Rule::JavaProperties]);
    assert_eq!(redacted(&text).0, text);
    let options = "  -Djava.home=/opt/java\n  -Dos.name=Linux\n  -Ddeploy.to=x\r\n";
    assert_eq!(
        redacted(options).0,
        "  -Djava.home=/opt/java\n  -Dos.name=Linux\n  -Ddeploy.to=[redacted]\r\n"
    );
    stays("java.version=21\nuser.name=alice\n");
    stays("a=1\nb=2\nc=3\nd=4\n");

    let random = "kJ8sQ2mZx7Lw4TnB9vRc3Hd6PfYg5Ue1";
    let environment = format!("HOME=/root\nPATH=/usr/bin:/bin\nDEPLOY={random}\nLANG=C\n");
    let (text, rules) = redacted(&environment);
    assert_eq!(text, "HOME=/root\nPATH=/usr/bin:/bin\nDEPLOY=[redacted]\nLANG=C\n");
    assert_eq!(rules, [Rule::RandomValue]);
}

#[test]
fn values_of_tags() {
    let value = |name: &str, value: &str| {
        let mut found = Found::default();
        (redact_value(name, value, &mut found).into_owned(), found.rules().next())
    };
    assert_eq!(
        value("deploy.key", "kJ8sQ2mZx7Lw4TnB9vRc3Hd6PfYg5Ue1"),
        (REDACTED.to_owned(), Some(Rule::RandomValue))
    );
    assert_eq!(value("db.password", "hunter2hunter2"), (REDACTED.to_owned(), Some(Rule::NamedSecret)));
    for harmless in [
        "linux",
        "jest",
        "0190c1d2-3e4f-7a5b-8c6d-9e0f1a2b3c4d",
        "services/Checkout/src/main/CartTest2.java",
        "v1.2.3",
    ] {
        assert_eq!(value("host", harmless), (harmless.to_owned(), None));
    }
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let names: std::collections::HashSet<_> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
}

#[test]
fn results_are_redacted_and_names_are_not() {
    let token = format!("ghp_{}", letters(36));
    let text = format!(
        "<testsuite><testcase classname='c {token}' name='n {token}' file='https://a:b@c/d.py' line='3'>\
         <flakyFailure message='{token}'/><failure message='got {token}'>line\n-----BEGIN PRIVATE KEY-----\n{}\n\
         -----END PRIVATE KEY-----\nend</failure></testcase></testsuite>",
        letters(64)
    );
    let report = read(Format::Junit, &text);
    let result = &report.results[0];
    assert_eq!(
        (result.scope.as_str(), result.name.as_str()),
        (&*format!("c {token}"), &*format!("n {token}"))
    );
    assert_eq!(result.file.as_deref(), Some("https://[redacted]@c/d.py"));
    assert_eq!(result.location.as_deref(), Some("https://[redacted]@c/d.py:3"));
    assert_eq!(result.earlier[0].failure.reason.as_deref(), Some(REDACTED));
    let failure = result.failure.as_ref().unwrap();
    assert_eq!(failure.reason.as_deref(), Some("got [redacted]"));
    let key = "-----BEGIN PRIVATE KEY-----[redacted]-----END PRIVATE KEY-----";
    assert_eq!(failure.details[0].expanded, ["line", key, "end"]);
    assert_eq!(
        problems(&report),
        ["result 1: a secret was redacted: GitHub token, private key, credentials in an address"]
    );
}

#[test]
fn spans_and_tags_are_redacted() {
    let text = format!(
        r#"[{{"name":"n","tags":{{"db.password":"hunter2hunter2","os":"linux"}},"history":{{"duration":1,"children":[
            {{"section":"http","detail":{{"url":"https://a:b@c/","password":"x1y2z3a4b5","n":1}}}}]}},
            "failure_reason":"glpat-{}"}}]"#,
        letters(20)
    );
    let report = read(Format::Json, &text);
    let result = &report.results[0];
    assert_eq!(result.tags[0].1, REDACTED);
    assert_eq!(result.tags[1].1, "linux");
    let spans = result.spans.as_deref().unwrap();
    assert!(spans.contains(r#""url":"https://[redacted]@c/","password":"[redacted]""#), "{spans}");
    assert_eq!(result.failure.as_ref().unwrap().reason.as_deref(), Some(REDACTED));
    assert_eq!(
        problems(&report),
        [
            "result 1: a secret was redacted: GitLab token, credentials in an address, value of a secret's name"
        ]
    );
}

/// Pieces from which texts with and without secrets can be made.
fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "password",
        "TOKEN",
        "Authorization",
        "Cookie",
        "bearer ",
        ": ",
        "=",
        "=>",
        "\"",
        "'",
        "\\\"",
        "\\",
        "\n",
        "\\n",
        " ",
        "hunter2hunter2",
        "ghp_aB3dE5gH7aB3dE5gH7aB3d",
        "eyJaB3dE5gH7a.eyJaB3dE5gH7a.aB3dE5gH7a",
        "AKIAA2C4E6G8A2C4E6G8",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo",
        "https://",
        "user:pass",
        "@",
        "host/",
        "java.version=1",
        "java.vm.name=x",
        "PATH=/bin",
        "a.b=c",
        "-D",
        "[redacted]",
        "ü",
        "\u{1F600}",
        "(",
        ")",
        ";",
        ",",
        "sid=1; a=b",
        "Basic ",
        "token=",
        "_",
        ".",
        "secret",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..30).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_quotation_does_not_reach_beyond_the_string_it_is_in() {
    let text = r#"{"Authorization: 'hunter2hunter2\"": "'"}"#;
    assert_eq!(redacted(text).0, text);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redacting_twice_is_redacting_once(text in soup()) {
        let once = redacted(&text).0;
        prop_assert_eq!(&redacted(&once).0, &once);
        let mut found = Found::default();
        let unchanged = matches!(redact(&text, &mut found), Cow::Borrowed(_));
        prop_assert_eq!(unchanged, found.is_empty());
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        redacted(&text);
    }

    #[test]
    fn json_stays_json(keys in prop::collection::vec(soup(), 1..4), values in prop::collection::vec(soup(), 1..4), n in any::<u64>()) {
        let mut members: Vec<String> = keys
            .iter()
            .zip(&values)
            .map(|(key, value)| format!("{}: {}", serde_json::Value::from(key.as_str()), serde_json::Value::from(value.as_str())))
            .collect();
        members.push(format!("\"password\": {n}, \"api_key\": true, \"x\": [\"{{\\\"secret\\\": {n}}}\"]"));
        let text = format!("[{{{}}}]", members.join(", "));
        let out = redacted(&text).0;
        prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{} -> {}", text, out);
    }
}
