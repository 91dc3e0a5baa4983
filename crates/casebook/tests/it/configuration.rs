//! Options from flags, variables and `casebook.toml`.

use crate::setup::program;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with a `casebook.toml`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("casebook.toml"), text).unwrap();
    folder
}

fn run_in(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().envs(variables.iter().copied()).current_dir(folder);
    command.output().unwrap()
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The sentence with which a file is refused.
#[track_caller]
fn refused(text: &str) -> String {
    let folder = folder(text);
    let output = run_in(folder.path(), &["suite", "list"], &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}: {error}");
    assert!(error.starts_with("error: casebook.toml") && error.lines().count() == 1, "{text}: {error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{text}: it did something");
    error.trim_end().to_owned()
}

#[test]
fn flags_win_then_variables_then_the_file() {
    let folder = folder(
        "database = 'sqlite:file.db'\n[suite.create]\ndefault-branch = 'from-file'\nrepo = 'acme/file'\n",
    );
    let create = |arguments: &[&str], variables: &[(&str, &str)]| {
        let _ = printed(&run_in(folder.path(), &[&["suite", "create"], arguments].concat(), variables));
    };
    create(&["acme/a"], &[]);
    create(&["acme/b"], &[("CASEBOOK_DEFAULT_BRANCH", "from-variable")]);
    create(&["acme/c", "--default-branch", "from-flag"], &[("CASEBOOK_DEFAULT_BRANCH", "from-variable")]);
    assert!(folder.path().join("file.db").exists() && !folder.path().join("casebook.db").exists());
    let list = printed(&run_in(folder.path(), &["suite", "list"], &[]));
    for (suite, branch) in [("acme/a", "from-file"), ("acme/b", "from-variable"), ("acme/c", "from-flag")] {
        let line = list.lines().find(|line| line.starts_with(suite)).unwrap();
        assert!(line.contains(&format!("branch {branch}, repo acme/file")), "{line}");
    }
    create(&["acme/d"], &[("CASEBOOK_DATABASE", "sqlite:variable.db")]);
    create(&["acme/d", "--database", "sqlite:flag.db"], &[("CASEBOOK_DATABASE", "sqlite:variable.db")]);
    assert!(folder.path().join("variable.db").exists() && folder.path().join("flag.db").exists());
}

#[test]
fn the_file_is_named_or_found() {
    let folder = folder("database = 'sqlite:found.db'\n");
    std::fs::write(folder.path().join("other.toml"), "database = 'sqlite:other.db'\n").unwrap();
    let exists = |name: &str| folder.path().join(name).exists();
    let _ = printed(&run_in(folder.path(), &["suite", "list", "--config", "other.toml"], &[]));
    assert!(exists("other.db") && !exists("found.db"));
    let _ = printed(&run_in(folder.path(), &["suite", "list"], &[("CASEBOOK_CONFIG", "")]));
    assert!(exists("found.db"));
    std::fs::remove_file(folder.path().join("other.db")).unwrap();
    let _ = printed(&run_in(folder.path(), &["suite", "list"], &[("CASEBOOK_CONFIG", "other.toml")]));
    assert!(exists("other.db"));
    let missing = run_in(folder.path(), &["suite", "list", "--config", "none.toml"], &[]);
    let error = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(error.contains("none.toml cannot be read"), "{error}");
}

#[test]
fn tables_nearer_to_the_command_win() {
    let text = "database = 'sqlite:top.db'\n[suite]\ndatabase = 'sqlite:group.db'\n[suite.list]\ndatabase = 'sqlite:own.db'\n";
    let folder = folder(text);
    for (arguments, name) in [(["token", "list"], "top.db"), (["suite", "list"], "own.db")] {
        let _ = printed(&run_in(folder.path(), &arguments, &[]));
        assert!(folder.path().join(name).exists(), "{name}");
    }
    let _ = printed(&run_in(folder.path(), &["suite", "create", "acme/a"], &[]));
    assert!(folder.path().join("group.db").exists());
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    assert_eq!(
        refused("\ndatabse = 'x'\n"),
        "error: casebook.toml, line 2: there is no option `databse`: did you mean `database`?"
    );
    assert!(
        refused("[serve]\nlisten_on = 'x'\n")
            .contains("line 2: there is no option `listen_on`: did you mean `listen`?")
    );
    assert!(refused("[serve]\npublic_url = 'x'\n").contains("did you mean `public-url`?"));
    assert!(
        refused("[serv]\nlisten = 'x'\n").contains("line 1: there is no table [serv]: did you mean [serve]?")
    );
    assert!(refused("[token.make]\n").contains("there is no table [make]"));
    assert!(refused("anonymous = 'read'\n").contains("`anonymous` belongs under [serve]"));
    assert!(refused("config = 'x'\n").contains("there is no option `config`"));
    assert!(refused("serve = 1\n").contains("there is no option `serve`"));
}

#[test]
fn wrong_values_are_refused_with_their_line() {
    let cases = [
        ("[serve]\n\nlisten = 'here'\n", "line 3: `listen`: invalid socket address"),
        ("[serve]\nlisten = 9405\n", "line 2: `listen`: invalid socket address"),
        ("[serve]\nlisten = ['127.0.0.1:1']\n", "line 2: `listen` must be a text or a number, not a list"),
        ("[serve]\nlog-json = 'yes'\n", "line 2: `log-json` must be true or false, not a text"),
        ("[serve]\nanonymous = 'all'\n", "line 2: `anonymous`: use none, read or write"),
        ("[upload]\nformat = 'xml'\n", "line 2: `format`: use one of json, junit"),
        ("[upload]\ntimeout = 0\n", "line 2: `timeout`: 0 is not in 1..=86400"),
        ("[upload]\ntag = ['a=b', 'c']\n", "line 2: `tag`: write KEY=VALUE"),
        ("[token.create]\nscope = true\n", "line 2: `scope` must be a text or a number, not true or false"),
        ("[demo]\nseed = 99999999999999999999\n", "line 2: `seed` is too large"),
        ("a = \n", "line 1: "),
    ];
    for (text, sentence) in cases {
        let error = refused(text);
        assert!(error.contains(sentence), "{sentence:?} is not in {error}");
    }
}

#[test]
fn secrets_are_refused() {
    for text in
        ["token = 'cbk_s3cret'\n", "[upload]\ntoken = 'cbk_s3cret'\n", "CASEBOOK_TOKEN = 'cbk_s3cret'\n"]
    {
        let error = refused(text);
        assert!(
            error.contains("is a secret") && error.contains("CASEBOOK_TOKEN") && !error.contains("s3cret'"),
            "{error}"
        );
        assert!(!error.contains("cbk_"), "{error}");
    }
    let error = refused("[user.create]\npassword = 'cbk_s3cret'\n");
    assert!(error.contains("--password-stdin") && !error.contains("cbk_"), "{error}");
}

#[test]
fn options_that_exclude_each_other() {
    let folder = folder("database = 'sqlite:a.db'\n[token.create]\nsuite = 'acme/a'\nscope = 'read'\n");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| run_in(folder.path(), arguments, variables);
    let _ = printed(&run(&["suite", "create", "acme/a"], &[]));
    let reach = |arguments: &[&str], variables: &[(&str, &str)]| {
        let _ = printed(&run(&[&["token", "create"], arguments].concat(), variables));
        let list = printed(&run(&["token", "list"], &[]));
        list.lines().last().unwrap().split('\t').nth(2).unwrap().to_owned()
    };
    assert_eq!(reach(&[], &[]), "suite acme/a");
    assert_eq!(reach(&["--org", "acme"], &[]), "organization acme");
    assert_eq!(reach(&[], &[("CASEBOOK_ORG", "acme")]), "organization acme");
    assert_eq!(reach(&["--suite", "acme/a"], &[("CASEBOOK_ORG", "acme")]), "suite acme/a");
    let both = run(&["token", "create", "--org", "acme", "--suite", "acme/a"], &[]);
    assert_eq!(both.status.code(), Some(2));
    std::fs::write(
        folder.path().join("casebook.toml"),
        "[token.create]\nsuite = 'acme/a'\norg = 'acme'\nscope = 'read'\n",
    )
    .unwrap();
    let both = run(&["token", "create"], &[]);
    let error = String::from_utf8(both.stderr).unwrap();
    assert_eq!(both.status.code(), Some(2));
    assert!(error.contains("exclude each other: keep one"), "{error}");
}

#[test]
fn flags_and_lists_from_the_file() {
    let folder = folder(
        "[upload]\nserver = 'http://127.0.0.1:1'\ndry-run = true\nstrict = true\ntag = ['os=linux', 'team=shop']\nretry-for = 0\nstarted-at = 2026-01-02T03:04:05Z\n",
    );
    std::fs::write(folder.path().join("a.xml"), "<testsuite/>").unwrap();
    let upload = ["upload", "a.xml", "--build-id", "k"];
    let text = printed(&run_in(folder.path(), &upload, &[]));
    for line in ["tag os: linux", "tag team: shop", "started_at: 2026-01-02T03:04:05Z"] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    // A flag replaces the list, a variable the truth.
    let text = printed(&run_in(folder.path(), &[&upload[..], &["--tag", "os=mac"]].concat(), &[]));
    assert!(text.contains("tag os: mac") && !text.contains("team"), "{text}");
    let sent = run_in(folder.path(), &upload, &[("CASEBOOK_DRY_RUN", "false"), ("CASEBOOK_TOKEN", "t")]);
    assert_eq!(sent.status.code(), Some(1), "strict comes from the file");
    // The other name of a variable wins over the file, too.
    let other =
        [("CASEBOOK_DRY_RUN", "false"), ("CASEBOOK_TOKEN", "t"), ("CASEBOOK_URL", "https://u:p@host")];
    let output = run_in(folder.path(), &upload, &other);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn help_needs_no_file() {
    let folder = folder("nonsense");
    for arguments in [&["--help"][..], &["upload", "--help"], &["--version"]] {
        let _ = printed(&run_in(folder.path(), arguments, &[]));
    }
}
