//! Shared by the converter tests: the published checkpoints, and writers of small hostile ones.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod pickle_writer;
pub mod shrink;
pub mod zip_writer;

use std::path::PathBuf;

use rife_model::convert::ConvertError;
use rife_model::weights::Store;

/// The published checkpoint of a version (`4.6`, `4.26`), downloaded if necessary.
pub fn real_checkpoint(version: &str) -> PathBuf {
    Store::locate(None)
        .and_then(|s| s.fetch_checkpoint(version.parse().unwrap(), &mut |line| eprintln!("{line}")))
        .unwrap_or_else(|e| panic!("{e}"))
}

/// A fixture written by `tools/convert_fixtures.py`.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/convert")).join(name)
}

/// The messages of an error and its sources, joined. They must be one escaped line of limited
/// length, and no message may repeat that of its source.
pub fn one_line(error: &ConvertError) -> String {
    let chain: Vec<_> =
        std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source())
            .map(ToString::to_string)
            .collect();
    for pair in chain.windows(2) {
        assert!(!pair[0].contains(&pair[1]), "{chain:?}");
    }
    let message = chain.join(": ");
    assert!(!message.is_empty());
    assert!(!message.chars().any(char::is_control), "control characters: {message:?}");
    assert!(message.len() < 2000, "{} bytes: {message}", message.len());
    message
}
