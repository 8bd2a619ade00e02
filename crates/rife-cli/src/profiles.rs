//! Profiles: named options of `rife interpolate` in a file of the user.
//!
//! A profile becomes arguments in front of those of the command line, so that there is one parser.

mod file;

use std::ffi::OsString;
use std::fmt::Write;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory, FromArgMatches};

use self::file::{OptionValue, Profile, ProfileFile};
use crate::args::{self, Args};
use crate::print;

/// Options that a profile cannot set: they belong to one job.
const EXCLUDED: [&str; 4] = ["output", "profile", "help", "version"];

/// Why arguments cannot be used.
#[derive(Debug)]
pub(crate) enum ArgumentError {
    /// They are invalid.
    Usage(Box<clap::Error>),
    /// The profile that they name is invalid, for a reason on one line.
    Profile(String),
}

impl From<clap::Error> for ArgumentError {
    fn from(error: clap::Error) -> Self {
        Self::Usage(Box::new(error))
    }
}

/// Parses arguments, of which the first is the name of the program, with the profile that they
/// name.
pub(crate) fn parse(words: &[OsString]) -> Result<Args, ArgumentError> {
    let matches = Args::command().try_get_matches_from(words)?;
    let given = matches.subcommand_matches("interpolate");
    let name = given.and_then(|given| given.get_one::<String>("profile")).cloned();
    let Some((given, name)) = given.zip(name) else { return Ok(Args::from_arg_matches(&matches)?) };
    let file = ProfileFile::read().map_err(ArgumentError::Profile)?;
    let profile = file.profile(&name).map_err(ArgumentError::Profile)?;
    let mut options = Vec::new();
    for (argument, word) in arguments(&file, &profile).map_err(ArgumentError::Profile)? {
        let is_given = given.value_source(&argument) == Some(ValueSource::CommandLine);
        if !is_given && !conflicts(words, &word) {
            options.push(word);
        }
    }
    Args::command()
        .try_get_matches_from(insert(words, options))
        .and_then(|matches| Args::from_arg_matches(&matches))
        .map_err(|error| ArgumentError::Profile(file.error_in(&profile, &usage_error(&error))))
}

/// The arguments with `options` in front of those of the subcommand.
fn insert(words: &[OsString], options: impl IntoIterator<Item = String>) -> Vec<OsString> {
    let mut all = words.to_vec();
    let at = words.iter().position(|word| word == "interpolate").map_or(0, |at| at + 1);
    all.splice(at..at, options.into_iter().map(OsString::from));
    all
}

/// Whether an option excludes one of the given arguments, which override it.
fn conflicts(words: &[OsString], option: &str) -> bool {
    let error = Args::command().try_get_matches_from(insert(words, [option.to_owned()])).err();
    error.is_some_and(|error| error.kind() == ErrorKind::ArgumentConflict)
}

/// The message of a usage error, without the word `error`.
fn usage_error(error: &clap::Error) -> String {
    let message = args::usage_message(error);
    message.strip_prefix("error: ").unwrap_or(&message).to_owned()
}

/// The options of a profile as arguments, each with the name of the argument in the parser.
///
/// # Errors
/// With the line of the first option that is unknown, or that has an invalid value.
fn arguments(file: &ProfileFile, profile: &Profile) -> Result<Vec<(String, String)>, String> {
    let mut command = Args::command();
    command.build();
    let interpolate = command.find_subcommand("interpolate");
    let mut found = Vec::new();
    for option in &profile.options {
        let refuse = |why: String| file.error_at(option.line, profile, &why);
        if EXCLUDED.contains(&option.name.as_str()) {
            return Err(refuse(format!("a profile cannot set {:?}", option.name)));
        }
        let mut known = interpolate.into_iter().flat_map(clap::Command::get_arguments);
        let known = known.find(|known| known.get_long() == Some(option.name.as_str()));
        let Some(known) = known else {
            return Err(refuse(format!(
                "unknown option {:?}: expected an option of rife interpolate, such as factor or \
                 codec",
                option.name
            )));
        };
        let is_flag = matches!(known.get_action(), ArgAction::SetTrue);
        let refuse_type = |expected: &str| {
            let got = &option.value;
            refuse(format!("invalid {}: expected {expected}, got {got}", option.name))
        };
        let word = match &option.value {
            OptionValue::Flag(set) if is_flag => set.then(|| format!("--{}", option.name)),
            OptionValue::Text(text) if !is_flag => Some(format!("--{}={text}", option.name)),
            OptionValue::List(values) if !is_flag && known.get_value_delimiter().is_some() => {
                Some(format!("--{}={}", option.name, values.join(",")))
            }
            _ if is_flag => return Err(refuse_type("true or false")),
            _ => return Err(refuse_type("a string or a number")),
        };
        let Some(word) = word else { continue };
        let trial = ["rife", "interpolate", "input", "--output=output", &word];
        if let Err(error) = Args::command().try_get_matches_from(trial) {
            return Err(refuse(usage_error(&error)));
        }
        found.push((known.get_id().to_string(), word));
    }
    Ok(found)
}

/// An argument as typed in a shell.
fn quoted(word: &str) -> String {
    match word.split_once('=') {
        Some((option, value)) => match shlex::try_quote(value) {
            Ok(value) => format!("{option} {value}"),
            Err(_) => word.to_owned(),
        },
        None => word.to_owned(),
    }
}

/// `rife profiles`.
pub(crate) fn list() -> Result<()> {
    let list = || {
        let path = file::path()?;
        if !path.exists() {
            return Ok(format!("no profiles: {} does not exist\n", path.display()));
        }
        let file = ProfileFile::read()?;
        let mut text = format!("profiles in {}:\n", path.display());
        for name in file.names() {
            let profile = file.profile(name)?;
            let words = arguments(&file, &profile)?.into_iter().map(|(_, word)| quoted(&word));
            let words: Vec<_> = words.collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name}: {}", words.join(" "));
        }
        Ok(text)
    };
    let text: Result<String, String> = list();
    print(&text.map_err(anyhow::Error::msg)?)
}
