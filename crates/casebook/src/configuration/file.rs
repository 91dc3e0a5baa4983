//! `casebook.toml`: read, and held against the definitions of the options.

use super::{exclusive_groups, find_option, options, shown, spread};
use clap::{Arg, ArgAction, Command};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file cannot be used: one sentence with its name, the line and the key.
#[derive(Debug)]
pub(crate) struct InvalidFile(String);

impl std::fmt::Display for InvalidFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidFile {}

/// A value for an option.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The commands for which it is meant, from the outermost.
    path: Vec<String>,
    /// The option's long name.
    pub(super) key: String,
    /// As they would stand on the command line.
    pub(super) values: Vec<String>,
    line: usize,
    /// Other options that it excludes.
    excludes: Vec<String>,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct File {
    name: String,
    settings: Vec<Setting>,
}

impl File {
    /// Reads a file and checks all of it.
    pub(super) fn read(path: &Path, command: &Command) -> Result<Self, InvalidFile> {
        let name = shown(path);
        let text = std::fs::read_to_string(path)
            .map_err(|error| InvalidFile(format!("the configuration file {name} cannot be read: {error}")))?;
        Self::parse(name, &text, command)
    }

    fn parse(name: String, text: &str, command: &Command) -> Result<Self, InvalidFile> {
        let mut reader = Reader { name, text, settings: Vec::new() };
        let table = DeTable::parse(text).map_err(|error| {
            // The parser's sentences may have several lines, and none of the text.
            let sentence = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            reader.wrong(error.span().unwrap_or_default(), &sentence)
        })?;
        reader.table(table.get_ref(), command, &mut Vec::new())?;
        Ok(Self { name: reader.name, settings: reader.settings })
    }

    /// The settings for one command: of those for one option, the one that is meant for the fewest commands.
    pub(super) fn for_command(&self, chosen: &[String]) -> Result<Vec<Setting>, InvalidFile> {
        let meant = self.settings.iter().filter(|setting| chosen.starts_with(&setting.path));
        let mut settings: Vec<Setting> = Vec::new();
        for setting in meant {
            let is_same = |known: &Setting| known.key == setting.key || known.excludes.contains(&setting.key);
            if let Some(equal) = settings
                .iter()
                .find(|known| known.excludes.contains(&setting.key) && known.path.len() == setting.path.len())
            {
                let Self { name, .. } = self;
                let (line, key, other) = (setting.line, &setting.key, &equal.key);
                let sentence =
                    format!("{name}, line {line}: `{key}` and `{other}` exclude each other: keep one");
                return Err(InvalidFile(sentence));
            }
            if settings.iter().any(|known| is_same(known) && known.path.len() > setting.path.len()) {
                continue;
            }
            settings.retain(|known| !is_same(known));
            settings.push(setting.clone());
        }
        Ok(settings)
    }
}

/// Reads the tables of a file.
struct Reader<'t> {
    name: String,
    text: &'t str,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn table(
        &mut self,
        table: &DeTable<'_>,
        command: &Command,
        path: &mut Vec<String>,
    ) -> Result<(), InvalidFile> {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if let Some(inner) = value.get_ref().as_table() {
                let Some(subcommand) = command.find_subcommand(name) else {
                    return Err(self.wrong(key.span(), &unknown_table(command, name)));
                };
                path.push(name.to_owned());
                self.table(inner, subcommand, path)?;
                path.pop();
            } else {
                self.setting(key.span(), name, value, command, path)?;
            }
        }
        Ok(())
    }

    fn setting(
        &mut self,
        span: Range<usize>,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        command: &Command,
        path: &[String],
    ) -> Result<(), InvalidFile> {
        let is_shared = !path.is_empty() || spread(command, key) > 1;
        let Some(option) = find_option(command, key).filter(|_| is_shared) else {
            return Err(self.wrong(span, &unknown_key(command, key)));
        };
        let values = values(option, value.get_ref())
            .map_err(|sentence| self.wrong(value.span(), &format!("`{key}` {sentence}")))?;
        for value in &values {
            check(option, value)
                .map_err(|sentence| self.wrong(span.clone(), &format!("`{key}`: {sentence}")))?;
        }
        let line = self.line(&span);
        let excludes = excluded(command, key);
        self.settings.push(Setting { path: path.to_vec(), key: key.to_owned(), values, line, excludes });
        Ok(())
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    }

    fn wrong(&self, span: Range<usize>, sentence: &str) -> InvalidFile {
        InvalidFile(format!("{}, line {}: {sentence}", self.name, self.line(&span)))
    }
}

/// Long names of the options that exclude the option `key` in the command that has it.
fn excluded(command: &Command, key: &str) -> Vec<String> {
    let Some(own) = options(command).find(|option| option.get_long() == Some(key)) else {
        return command.get_subcommands().flat_map(|inner| excluded(inner, key)).collect();
    };
    let id = own.get_id().as_str();
    let groups =
        exclusive_groups(command).into_iter().filter(|group| group.iter().any(|member| member == id));
    let others = groups.flatten().filter(|other| other != id);
    let long = |other: String| {
        let option = options(command).find(|option| option.get_id().as_str() == other);
        option.and_then(|option| option.get_long().map(str::to_owned))
    };
    others.filter_map(long).collect()
}

/// A value as it would stand on the command line, or what is wrong about it.
fn values(option: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let takes_no_value = matches!(option.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
    match (value, option.get_action()) {
        (DeValue::Boolean(value), _) if takes_no_value => Ok(vec![value.to_string()]),
        _ if takes_no_value => Err(format!("must be true or false, not {}", kind(value))),
        (DeValue::Array(items), ArgAction::Append) => items.iter().map(|item| one(item.get_ref())).collect(),
        _ => one(value).map(|value| vec![value]),
    }
}

fn one(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map(|number| number.to_string()).map_err(|_| "is too large".to_owned())
        }
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Datetime(time) => Ok(time.to_string()),
        DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(format!("must be a text or a number, not {}", kind(value)))
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Lets the option's own definition read a value.
fn check(option: &Arg, value: &str) -> Result<(), String> {
    if matches!(option.get_action(), ArgAction::SetTrue | ArgAction::SetFalse) {
        return Ok(());
    }
    let alone = Arg::new("value")
        .long("value")
        .action(ArgAction::Set)
        .value_parser(option.get_value_parser().clone());
    let command = Command::new("check").no_binary_name(true).disable_help_flag(true).arg(alone);
    match command.try_get_matches_from([format!("--value={value}")]) {
        Ok(_) => Ok(()),
        Err(error) => {
            // The source says what is wrong with the value, without clap's words about a command line.
            let source = std::error::Error::source(&error).map(ToString::to_string);
            Err(source.unwrap_or_else(|| "this value is not possible".to_owned()))
        }
    }
}

fn unknown_table(command: &Command, name: &str) -> String {
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    match nearest(&names, name) {
        Some(near) => format!("there is no table [{name}]: did you mean [{near}]?"),
        None => format!("there is no table [{name}] here"),
    }
}

fn unknown_key(command: &Command, key: &str) -> String {
    if let Some(sentence) = secret(key) {
        return sentence;
    }
    if let Some(owner) = owner(command, key) {
        return format!("`{key}` belongs under [{owner}]");
    }
    let mut names = Vec::new();
    gather(command, &mut names);
    match nearest(&names, key) {
        Some(near) => format!("there is no option `{key}`: did you mean `{near}`?"),
        None => format!("there is no option `{key}` here: docs/configuration.md lists them"),
    }
}

/// Secrets do not belong into a file that is shown and committed; the sentence does not repeat the value.
fn secret(key: &str) -> Option<String> {
    let key = key.to_ascii_lowercase().replace('_', "-");
    if key.ends_with("token") || key.ends_with("secret") || key.ends_with("api-key") {
        return Some(format!(
            "`{key}` is a secret, which does not belong into this file: put it into the variable CASEBOOK_TOKEN, or into a \
             file named by token-file"
        ));
    }
    key.ends_with("password").then(|| {
        format!("`{key}` is a secret, which does not belong into this file: give it on standard input, with --password-stdin")
    })
}

/// The table below this one in which an option of that name belongs.
fn owner(command: &Command, key: &str) -> Option<String> {
    command.get_subcommands().find_map(|inner| {
        let name = inner.get_name();
        if options(inner).any(|option| option.get_long() == Some(key)) {
            return Some(name.to_owned());
        }
        owner(inner, key).map(|rest| format!("{name}.{rest}"))
    })
}

fn gather<'c>(command: &'c Command, names: &mut Vec<&'c str>) {
    names.extend(options(command).filter_map(Arg::get_long));
    for inner in command.get_subcommands() {
        gather(inner, names);
    }
}

/// The name that is nearest by edits, if any is near.
fn nearest<'n>(names: &[&'n str], wrong: &str) -> Option<&'n str> {
    let wrong = wrong.to_ascii_lowercase().replace('_', "-");
    let distance = |name: &&&str| strsim::damerau_levenshtein(name, &wrong);
    let near = names.iter().min_by_key(distance)?;
    (distance(&near) <= near.len().max(4) / 2).then_some(*near)
}
