//! The file of profiles: a table for each, from long names of options to values.

use std::ops::Range;
use std::path::PathBuf;

use etcetera::BaseStrategy;
use toml::de::{DeTable, DeValue};

/// Name of the file in the user's configuration folder.
const NAME: &str = "profiles.toml";

/// The file of profiles.
pub(super) struct ProfileFile {
    path: PathBuf,
    text: String,
    names: Vec<String>,
}

/// The options of a profile, in the order of the file.
pub(super) struct Profile {
    name: String,
    line: usize,
    pub(super) options: Vec<ProfileOption>,
}

/// An option of a profile.
pub(super) struct ProfileOption {
    pub(super) name: String,
    pub(super) value: OptionValue,
    /// Line in the file, counted from 1.
    pub(super) line: usize,
}

/// The value of an option.
pub(super) enum OptionValue {
    /// Set or not.
    Flag(bool),
    /// A string, a number or a time.
    Text(String),
    /// Several of these.
    List(Vec<String>),
    /// Anything else, by the name of its type.
    Other(&'static str),
}

impl std::fmt::Display for OptionValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(_) => f.write_str("a list"),
            Self::Other(kind) => write!(f, "a value of type {kind}"),
        }
    }
}

impl OptionValue {
    fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Array(values) => {
                let texts = values.iter().map(|value| text(value.get_ref()));
                texts.collect::<Option<_>>().map_or(Self::Other("array"), Self::List)
            }
            value => text(value).map_or(Self::Other(value.type_str()), Self::Text),
        }
    }
}

/// A single value as text; `None` for values that are no text on the command line.
fn text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string()
        }
        DeValue::Float(number) => number.as_str().to_owned(),
        // A clock time.
        DeValue::Datetime(time) if time.date.is_none() => time.to_string(),
        _ => return None,
    })
}

/// Path of the file: `rife/profiles.toml` in the user's configuration folder.
pub(super) fn path() -> Result<PathBuf, String> {
    let user = etcetera::choose_base_strategy()
        .map_err(|error| format!("cannot find the configuration folder: {error}"))?;
    Ok(user.config_dir().join("rife").join(NAME))
}

impl ProfileFile {
    /// Reads the file.
    ///
    /// # Errors
    /// If it does not exist, or is not valid TOML with a table for each profile.
    pub(super) fn read() -> Result<Self, String> {
        let path = path()?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read the profiles in {}: {error}", path.display()))?;
        let mut file = Self { path, text, names: Vec::new() };
        let table = file.table()?;
        let mut names = Vec::new();
        for (name, value) in table.iter() {
            if !value.get_ref().is_table() {
                let place = file.place(file.line(&name.span()));
                return Err(format!(
                    "{place}: {:?} is outside of a profile: expected a line such as [fast] above it",
                    name.get_ref()
                ));
            }
            names.push(name.get_ref().to_string());
        }
        file.names = names;
        Ok(file)
    }

    /// The names of the profiles.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The profile with a name.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn profile(&self, name: &str) -> Result<Profile, String> {
        let table = self.table()?;
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
            let names: Vec<_> = self.names.iter().map(|name| format!("{name:?}")).collect();
            let expected = match names.is_empty() {
                true => "the file has none".to_owned(),
                false => format!("expected {}", names.join(", ")),
            };
            return Err(format!("{}: no profile {name:?}: {expected}", self.path.display()));
        };
        let options = value.get_ref().as_table().into_iter().flat_map(DeTable::iter);
        let mut options: Vec<_> = options
            .map(|(name, value)| ProfileOption {
                name: name.get_ref().to_string(),
                value: OptionValue::of(value.get_ref()),
                line: self.line(&name.span()),
            })
            .collect();
        options.sort_by_key(|option| option.line);
        Ok(Profile { name: name.to_owned(), line: self.line(&key.span()), options })
    }

    fn table(&self) -> Result<DeTable<'_>, String> {
        DeTable::parse(&self.text).map(toml::Spanned::into_inner).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line(&span));
            let why = error.message().lines().next().unwrap_or("invalid TOML");
            format!("{}: {why}", self.place(line))
        })
    }

    /// The error for an option of a profile.
    pub(super) fn error_at(&self, line: usize, profile: &Profile, why: &str) -> String {
        format!("{}: profile {:?}: {why}", self.place(line), profile.name)
    }

    /// The error for a profile as a whole.
    pub(super) fn error_in(&self, profile: &Profile, why: &str) -> String {
        self.error_at(profile.line, profile, why)
    }

    fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The line of a position, counted from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}
