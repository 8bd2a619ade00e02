//! What the converter's tests share: where real checkpoints are, and writers of small hostile ones.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod pickle_writer;
pub mod shrink;
pub mod zip_writer;

use std::path::PathBuf;

use rife_model::convert::ConvertError;
use rife_model::weights::Store;

/// The published checkpoint of a version (`4.6`, `4.26`), fetched where it is missing.
pub fn real_checkpoint(version: &str) -> PathBuf {
    Store::locate(None)
        .and_then(|s| s.obtain_source(version.parse().unwrap(), &mut |line| eprintln!("{line}")))
        .unwrap_or_else(|e| panic!("{e}"))
}

/// A fixture of `tools/convert_fixtures.py`.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/convert")).join(name)
}

/// The message of an error, which must be one line, escaped and of bearable length.
pub fn one_line(error: &ConvertError) -> String {
    let message = error.to_string();
    assert!(!message.is_empty());
    assert!(!message.chars().any(char::is_control), "control characters: {message:?}");
    assert!(message.len() < 2000, "{} bytes: {message}", message.len());
    message
}
