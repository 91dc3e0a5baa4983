//! Options from flags, variables and `casebook.toml`: flags win, then variables, then the file. Empty variables say nothing.
//!
//! The file's values become the defaults of the options, after every one of them, also those of other commands, has been
//! held against the definition of its option. `docs/configuration.md` is made from the same definitions.

mod file;
#[cfg(test)]
mod page;

pub(crate) use file::InvalidFile;

use crate::Arguments;
use clap::builder::{OsStr, Resettable};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use file::{File, Setting};
use std::path::{Path, PathBuf};

/// The file that is read if it is there and no other is named.
const DEFAULT_FILE: &str = "casebook.toml";

/// Other names of variables, which older clients use: command, option, variable.
const OTHER_NAMES: &[(&str, &str, &str)] = &[("upload", "server", "CASEBOOK_URL")];

/// The program cannot start as it was told to.
pub(crate) enum NotParsed {
    /// Flags or variables are wrong, or ask for help.
    Usage(clap::Error),
    /// The file is wrong.
    File(InvalidFile),
}

impl From<clap::Error> for NotParsed {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

/// What the command line, the environment and the file say.
pub(crate) fn arguments() -> Result<Arguments, NotParsed> {
    let command = without_empty_variables(Arguments::command());
    // What is given on the command line decides about the rest. Help needs no file.
    let Ok(given) = command.clone().ignore_errors(true).try_get_matches() else {
        return Ok(Arguments::try_parse_from_command(command)?);
    };
    let path = given.get_one::<PathBuf>("config").cloned();
    let path = path.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
    let file = match path {
        Some(path) => File::read(&path, &command).map_err(NotParsed::File)?,
        None => File::default(),
    };
    let mut chosen = Vec::new();
    let mut leaf = &given;
    while let Some((name, inner)) = leaf.subcommand() {
        chosen.push(name.to_owned());
        leaf = inner;
    }
    let settings = file.for_command(&chosen).map_err(NotParsed::File)?;
    let command =
        change(command, &chosen, Box::new(|command| with_defaults(command, &chosen, leaf, &settings)));
    Ok(Arguments::try_parse_from_command(command)?)
}

/// A variable without a value says nothing: CI systems set them to that for secrets that a job may not have.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |option: &clap::Arg| {
        let value = option.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    let command = command.mut_args(|option| match is_empty(&option) {
        true => option.env(Resettable::<OsStr>::Reset),
        false => option,
    });
    command.mut_subcommands(without_empty_variables)
}

impl Arguments {
    fn try_parse_from_command(command: Command) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}

/// Changes the command at the end of `path`.
fn change<'c>(
    command: Command,
    path: &'c [String],
    how: Box<dyn FnOnce(Command) -> Command + 'c>,
) -> Command {
    match path.split_first() {
        Some((name, rest)) => command.mut_subcommand(name, |inner| change(inner, rest, how)),
        None => how(command),
    }
}

/// Gives a command the file's values as defaults, except where something else has been said.
fn with_defaults(command: Command, chosen: &[String], given: &ArgMatches, settings: &[Setting]) -> Command {
    let (mut command, said) = without_excluded(command, given);
    for setting in settings {
        let Some(option) = command.get_arguments().find(|option| option.get_long() == Some(&setting.key))
        else {
            continue;
        };
        let id = option.get_id().as_str().to_owned();
        if said.contains(&id) || other_name(chosen, &setting.key) {
            continue;
        }
        for group in groups_of(&command, &id) {
            command = command.mut_group(group, |group| group.required(false));
        }
        command = command.mut_arg(id, |option| option.required(false).default_values(setting.values.clone()));
    }
    command
}

/// Of options that exclude each other, one on the command line makes the variables of the others mean nothing. Returns the
/// options for which the file means nothing either.
fn without_excluded(mut command: Command, given: &ArgMatches) -> (Command, Vec<String>) {
    let mut excluded = Vec::new();
    for group in exclusive_groups(&command) {
        for source in [ValueSource::CommandLine, ValueSource::EnvVariable] {
            let is_given =
                |id: &&String| given.try_contains_id(id).is_ok() && given.value_source(id) == Some(source);
            let Some(winner) = group.iter().find(is_given) else { continue };
            for loser in group.iter().filter(|id| *id != winner && !is_given(id)) {
                command = command.mut_arg(loser, |option| option.env(Resettable::<OsStr>::Reset));
                excluded.push(loser.clone());
            }
            break;
        }
    }
    (command, excluded)
}

/// The options of each group of which only one may be given.
fn exclusive_groups(command: &Command) -> Vec<Vec<String>> {
    let groups = command.get_groups().filter(|group| !(*group).clone().is_multiple());
    groups.map(|group| group.get_args().map(|id| id.as_str().to_owned()).collect()).collect()
}

/// Names of the groups that an option is in.
fn groups_of(command: &Command, id: &str) -> Vec<String> {
    let holds = |group: &&clap::ArgGroup| group.get_args().any(|member| member.as_str() == id);
    command.get_groups().filter(holds).map(|group| group.get_id().as_str().to_owned()).collect()
}

/// Whether the environment gives an option by its other name.
fn other_name(chosen: &[String], key: &str) -> bool {
    OTHER_NAMES.iter().any(|(command, option, variable)| {
        chosen.last().is_some_and(|last| last == command)
            && *option == key
            && std::env::var_os(variable).is_some_and(|value| !value.is_empty())
    })
}

/// The options of a command that a file may set.
fn options(command: &Command) -> impl Iterator<Item = &clap::Arg> {
    let is_option = |option: &&clap::Arg| {
        let shows_text = matches!(
            option.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        option.get_long().is_some_and(|long| long != "config") && !shows_text
    };
    command.get_arguments().filter(is_option)
}

/// How many commands at or below this one have an option.
fn spread(command: &Command, key: &str) -> usize {
    let own = usize::from(options(command).any(|option| option.get_long() == Some(key)));
    own + command.get_subcommands().map(|inner| spread(inner, key)).sum::<usize>()
}

/// An option of that name, wherever it is defined at or below this command.
fn find_option<'c>(command: &'c Command, key: &str) -> Option<&'c clap::Arg> {
    let own = options(command).find(|option| option.get_long() == Some(key));
    own.or_else(|| command.get_subcommands().find_map(|inner| find_option(inner, key)))
}

/// The file's name for sentences.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
