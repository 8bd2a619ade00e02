//! Records as the input of a report.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::record::Record;

/// A record and its name in a report.
#[derive(Clone, Debug)]
pub struct NamedRecord {
    /// File name without its folder.
    pub name: String,
    /// Content.
    pub record: Record,
}

/// Reads records.
///
/// # Errors
/// The first file that is not a record or has the same name as another, on one line.
pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<NamedRecord>> {
    let mut records: Vec<NamedRecord> = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        ensure!(
            !records.iter().any(|record| record.name == name),
            "cannot use {}: another record has the same name {name}; rename one",
            path.display()
        );
        let record = match Record::read(path) {
            Ok(record) => record,
            Err(error) => match other_format(path) {
                Some(what) => bail!("cannot use {}: it is {what}", path.display()),
                None => return Err(error),
            },
        };
        records.push(NamedRecord { name, record });
    }
    Ok(records)
}

/// The format of a file that may be mistaken for a record.
fn other_format(path: &Path) -> Option<&'static str> {
    let text = std::fs::read_to_string(path).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let has = |key: &str| value.get(key).is_some();
    if has("settings") {
        None
    } else if has("frames") && has("runs") {
        Some("a record of rife-bench kernels")
    } else if has("jobs") {
        Some("a record of rife-bench video")
    } else if has("peers") {
        Some("the output of an earlier tools/peers.py")
    } else {
        None
    }
}
