//! `docs/configuration.md`, made from the definitions of the options.

use super::{options, spread};
use crate::Arguments;
use clap::builder::OsStr;
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "# Configuration

Every option of every command is also a variable and a key of `casebook.toml`. Flags win, then variables, then the file, then the default.

The file is named by `--config FILE` or `CASEBOOK_CONFIG`; else `casebook.toml` in the current folder is read if it is there. Keys are the
names of options, in a table for each command. A key above all tables is meant for every command that has the option; only options of several
commands may stand there.

```toml
database = \"postgres://casebook@db.internal/casebook\"

[serve]
listen = \"0.0.0.0:9405\"
public-url = \"https://casebook.example\"

[upload]
server = \"https://casebook.example\"
tag = [\"os=linux\", \"team=shop\"]
strict = true

[token.create]
scope = \"upload\"
```

Everything in the file is checked, also what is meant for other commands: an unknown key, or a value that its option does not take, ends the
command with exit code 2 and a sentence that names the file, the line and the key. Tokens and passwords are refused: a token comes from
`CASEBOOK_TOKEN` or from a file named by `token-file`, a password from standard input.

A variable that stands for a flag without a value is `true` or `false`; one that is empty counts as not set. Of options that exclude each other, the one on the command line wins.
`casebook upload` takes the server's address also from `CASEBOOK_URL`, and the proxies from the usual variables ([uploading](uploading.md)).
`RUST_LOG` chooses how much `serve` and `demo` log.

This page is made from the program: `CASEBOOK_WRITE_DOCS=1 cargo test -p casebook --bin casebook configuration` writes it.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut command = Arguments::command();
    // Adds what clap adds by itself, so that nothing is forgotten.
    command.build();
    add_tables(&command, &command, &mut Vec::new(), &mut page);
    page
}

fn add_tables(root: &Command, command: &Command, path: &mut Vec<String>, page: &mut String) {
    let shown: Vec<&Arg> = options(command).filter(|option| !option.is_hide_set()).collect();
    if !path.is_empty()
        && command.get_subcommands().all(|inner| inner.get_name() == "help")
        && !shown.is_empty()
    {
        let table = path.join(".");
        write!(page, "\n## casebook {}\n\n", path.join(" ")).unwrap();
        writeln!(page, "Table `[{table}]`.\n\n| option | variable | default | |\n|---|---|---|---|").unwrap();
        for option in shown {
            add_row(root, option, page);
        }
    }
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        path.push(inner.get_name().to_owned());
        add_tables(root, inner, path, page);
        path.pop();
    }
}

fn add_row(root: &Command, option: &Arg, page: &mut String) {
    let long = option.get_long().unwrap();
    let value = match (option.get_action(), option.get_value_names()) {
        (ArgAction::Set | ArgAction::Append, Some([name, ..])) => format!(" {name}"),
        _ => String::new(),
    };
    let variable = option.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let defaults: Vec<&OsStr> = option.get_default_values().iter().collect();
    let default = match defaults.as_slice() {
        [default] if !matches!(option.get_action(), ArgAction::SetTrue) => {
            format!("`{}`", default.to_string_lossy())
        }
        _ => String::new(),
    };
    let help = option.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    let shared = if spread(root, long) > 1 { "; may stand above all tables" } else { "" };
    writeln!(page, "| `--{long}{value}` | `{variable}` | {default} | {help}{shared} |").unwrap();
}

#[test]
fn configuration_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = page();
    if std::env::var_os("CASEBOOK_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
        eprintln!("wrote {}", path.display());
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, page, "docs/configuration.md: write it anew with CASEBOOK_WRITE_DOCS=1");
}

#[test]
fn every_option_has_a_variable_and_help() {
    fn check(command: &Command, path: &str, checked: &mut usize) {
        for option in options(command) {
            let long = option.get_long().unwrap();
            let name = format!("{path} --{long}");
            let variable = option.get_env().unwrap_or_else(|| panic!("{name} has no variable"));
            let expected = format!("CASEBOOK_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(variable.to_str(), Some(expected.as_str()), "{name}");
            assert!(option.get_help().is_some(), "{name} has no help");
            *checked += 1;
        }
        for inner in command.get_subcommands() {
            check(inner, &format!("{path} {}", inner.get_name()), checked);
        }
    }
    let mut checked = 0;
    check(&Arguments::command(), "casebook", &mut checked);
    assert!(checked > 40, "{checked}");
}
