//! The program as a user runs it.

mod comparing;
#[cfg(unix)]
mod interrupting;
mod measuring;
#[cfg(unix)]
mod peers;
mod usage;

use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn bench(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("rife-bench"));
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

/// Absolute, as the program runs in another folder.
fn weights() -> PathBuf {
    let store = rife_model::weights::Store::locate(None).expect("a folder for weights");
    std::path::absolute(store.dir()).expect("an absolute path")
}

/// A file of the folder as JSON.
fn read_json(folder: &Path, name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join(name)).expect("a record");
    serde_json::from_str(&text).expect("JSON")
}
