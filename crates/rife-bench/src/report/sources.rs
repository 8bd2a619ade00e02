//! The records that a report is made of.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::record::Record;

/// A record and the name by which a report calls it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's name, without its folder.
    pub name: String,
    /// What it holds.
    pub record: Record,
}

/// Reads records.
///
/// # Errors
/// The first file that is none, or that is called as another one is, in one line.
pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        ensure!(
            !sources.iter().any(|source| source.name == name),
            "{}: two records are called {name}: tables could not tell them apart",
            path.display()
        );
        let record = match Record::read(path) {
            Ok(record) => record,
            Err(error) => match another(path) {
                Some(what) => bail!("{} is {what}, not a record of rife-bench", path.display()),
                None => return Err(error),
            },
        };
        sources.push(Source { name, record });
    }
    Ok(sources)
}

/// What a file is that people may take for a record.
fn another(path: &Path) -> Option<&'static str> {
    let text = std::fs::read_to_string(path).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let has = |key: &str| value.get(key).is_some();
    if has("settings") {
        None
    } else if has("frames") && has("runs") {
        Some("a record of launches (rife-bench kernels)")
    } else if has("jobs") {
        Some("a record of video (rife-bench video)")
    } else if has("peers") {
        Some("a record of peers (tools/peers.py)")
    } else {
        None
    }
}
