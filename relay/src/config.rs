//! From the command line, the environment and `--config FILE` to the options.
//!
//! What is in the file becomes words of the command line, where neither that nor the environment has the option: so every value is
//! checked by the same rules, and there is nothing to keep in step. Options that depend on each other are looked at once all sources are
//! known: see `relations`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::iter;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::de::{DeTable, DeValue};

use crate::options::{Options, Program};
use crate::relations::{Contradiction, Given, Source, settle};

/// Prefix of the environment variables.
const ENVIRONMENT: &str = "PEERSOCKETS_";
/// Prefix of variables that Kubernetes sets for a service named `peersockets-relay`.
const SERVICE: &str = "PEERSOCKETS_RELAY_";
/// Options that make no sense in a file.
const NOT_IN_FILE: [&str; 4] = ["config", "check-config", "help", "version"];

/// What `--config FILE` says.
#[derive(Default)]
struct File {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// One option in the file.
struct Entry {
    option: Arg,
    /// The words of a command line that say the same.
    words: Vec<OsString>,
    line: usize,
}

/// Reads the command line, the environment and the file that either of them names.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Program, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    refuse_unknown_variables()?;
    let mut command = command();
    let matches = command.clone().try_get_matches_from(&words)?;
    let file = matches.get_one::<PathBuf>("config").map_or_else(|| Ok(File::default()), |path| File::read(path))?;
    // What counts of the command itself, then of its subcommand.
    let mut built = command.clone();
    built.build();
    let counts = counting(&built, &matches, &file)?;
    command = silence(command, &matches, &counts);
    if let Some((name, matches)) = matches.subcommand() {
        let given = built
            .find_subcommand(name)
            .map_or_else(|| Ok(Given::new()), |subcommand| counting(subcommand, matches, &File::default()))?;
        command = command.mut_subcommand(name, |subcommand| silence(subcommand, matches, &given));
    }
    let from_file = file.entries.iter().filter(|entry| counts.get(entry.name()) == Some(&Source::File));
    let mut given = words.into_iter();
    // Before a subcommand, if there is one.
    let words: Vec<OsString> = given.by_ref().take(1).chain(from_file.flat_map(|entry| entry.words.clone())).collect();
    let matches = command.try_get_matches_from(words.into_iter().chain(given)).map_err(|error| file.locate(error))?;
    Program::from_arg_matches(&matches)
}

/// The options of a command that count, and where each comes from.
fn counting(command: &Command, matches: &ArgMatches, file: &File) -> Result<Given, clap::Error> {
    let mut given = Given::new();
    for option in command.get_arguments() {
        let (Some(name), Some(source)) = (option.get_long(), source(option, matches, file)) else { continue };
        given.insert(name.to_owned(), source);
    }
    let all = given.clone();
    settle(&mut given).map_err(|contradiction| {
        let describe = |name: &str| match all.get(name) {
            Some(Source::Environment) => variable(name),
            _ => {
                command.get_arguments().find(|arg| arg.get_long() == Some(name)).map(Arg::to_string).unwrap_or_default()
            }
        };
        let (kind, first, text) = match contradiction {
            Contradiction::Exclusive(first, second) => {
                let text = format!("'{}' cannot be used with '{}'", describe(&first), describe(second));
                (ErrorKind::ArgumentConflict, first, text)
            }
            Contradiction::Needs(first, second) => {
                let text = format!("'{}' needs '{}'", describe(&first), describe(second));
                (ErrorKind::MissingRequiredArgument, first, text)
            }
        };
        let is_in_file = all.get(&first) == Some(&Source::File);
        let entry = file.entries.iter().find(|entry| is_in_file && entry.name() == first);
        let place = entry.map(|entry| file.place(entry.line)).unwrap_or_default();
        command.clone().error(kind, format!("{place}{text}"))
    })?;
    Ok(given)
}

/// Where the value of an option comes from; from nowhere, if it is a switch that is off.
fn source(option: &Arg, matches: &ArgMatches, file: &File) -> Option<Source> {
    let id = option.get_id().as_str();
    let is_switch = matches!(option.get_action(), ArgAction::SetTrue);
    let source = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Source::CommandLine,
        Some(ValueSource::EnvVariable) => Source::Environment,
        _ => {
            let entry = file.entries.iter().find(|entry| Some(entry.name()) == option.get_long());
            return entry.filter(|entry| !entry.words.is_empty()).map(|_| Source::File);
        }
    };
    (!is_switch || matches.get_flag(id)).then_some(source)
}

/// Lets the variables of options that do not count say nothing.
fn silence(command: Command, matches: &ArgMatches, counts: &Given) -> Command {
    let is_silent = |arg: &Arg| {
        let is_variable = matches.value_source(arg.get_id().as_str()) == Some(ValueSource::EnvVariable);
        is_variable && arg.get_long().is_some_and(|name| !counts.contains_key(name))
    };
    command.mut_args(|arg| if is_silent(&arg) { arg.env(None::<&str>) } else { arg })
}

/// The program's command line; each option has an environment variable.
pub fn command() -> Command {
    let with_variable = |arg: Arg| match arg.get_long().map(variable) {
        // Values are hidden: some are secrets.
        Some(name) => arg.env(name).hide_env_values(true),
        None => arg,
    };
    Program::command().mut_args(with_variable).mut_subcommands(|command| command.mut_args(with_variable))
}

/// A misspelt variable may be the one that keeps strangers out.
fn refuse_unknown_variables() -> Result<(), clap::Error> {
    let command = command();
    let commands = || iter::once(&command).chain(command.get_subcommands());
    let is_known =
        |name: &str| commands().flat_map(Command::get_arguments).any(|arg| arg.get_env() == Some(name.as_ref()));
    let mut unknown: Vec<String> = env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(ENVIRONMENT) && !name.starts_with(SERVICE) && !is_known(name))
        .collect();
    unknown.sort();
    if unknown.is_empty() {
        return Ok(());
    }
    let text = format!("there is no option for {} of the environment", unknown.join(", "));
    Err(clap::Error::raw(ErrorKind::UnknownArgument, format!("{text}\n")).with_cmd(&command))
}

/// The environment variable of an option.
fn variable(option: &str) -> String {
    format!("{ENVIRONMENT}{}", option.replace('-', "_").to_ascii_uppercase())
}

impl File {
    fn read(path: &Path) -> Result<Self, clap::Error> {
        let entries = read_entries(path)
            .map_err(|text| command().error(ErrorKind::InvalidValue, format!("{}: {text}", path.display())))?;
        Ok(Self { path: path.to_owned(), entries })
    }

    fn place(&self, line: usize) -> String {
        format!("{}: line {line}: ", self.path.display())
    }

    /// Says in which line of the file the mistake is, if it is one of the file's.
    fn locate(&self, error: clap::Error) -> clap::Error {
        let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return error };
        let name = option.trim_start_matches("--").split(' ').next().unwrap_or_default();
        let Some(entry) = self.entries.iter().find(|entry| entry.name() == name) else { return error };
        let text = error.render().to_string();
        let text = text.trim_start_matches("error: ");
        command().error(error.kind(), format!("{}{text}", self.place(entry.line)))
    }
}

impl Entry {
    fn name(&self) -> &str {
        self.option.get_long().unwrap_or_default()
    }
}

fn read_entries(path: &Path) -> Result<Vec<Entry>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let line_of = |span: Range<usize>| text[..span.start].matches('\n').count() + 1;
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, line_of);
        format!("line {line}: {}", error.message())
    })?;
    let command = Options::command();
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let (name, line) = (key.get_ref().as_ref(), line_of(key.span()));
        let option = command.get_arguments().find(|arg| arg.get_long() == Some(name));
        let option = option.filter(|_| !NOT_IN_FILE.contains(&name));
        let option = option.ok_or_else(|| format!("line {line}: there is no option {name}"))?;
        let is_switch = matches!(option.get_action(), ArgAction::SetTrue);
        let words =
            words(name, value.get_ref(), is_switch).map_err(|problem| format!("line {line}: {name} {problem}"))?;
        entries.push(Entry { option: option.clone(), words, line });
    }
    Ok(entries)
}

/// A switch that is off is no word.
fn words(name: &str, value: &DeValue<'_>, is_switch: bool) -> Result<Vec<OsString>, &'static str> {
    let word = |value: &DeValue<'_>| scalar(value).map(|text| format!("--{name}={text}").into());
    match (value, is_switch) {
        (DeValue::Boolean(true), true) => Ok(vec![format!("--{name}").into()]),
        (DeValue::Boolean(false), true) => Ok(Vec::new()),
        (_, true) => Err("is true or false"),
        (DeValue::Array(list), false) if list.is_empty() => {
            Err("is an empty list: leave it out if that is what you mean")
        }
        (DeValue::Array(list), false) => list.iter().map(|value| word(value.get_ref())).collect(),
        (value, false) => Ok(vec![word(value)?]),
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "is too large a number"),
        DeValue::Float(number) => Ok(number.as_str().replace('_', "")),
        _ => Err("is a text, a number, or a list of them"),
    }
}
