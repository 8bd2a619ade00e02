//! The checkout of the working folder. The build script includes this file.

use std::process::{Command, Stdio};

/// Sources that affect a build, relative to the root. Records, documentation and tests do not.
const SOURCES: [&str; 5] =
    [":/crates", ":/weights", ":/Cargo.toml", ":/Cargo.lock", ":(top,exclude)crates/*/tests"];

/// The commit, and whether sources differ from it; `None` without a checkout.
pub fn state() -> Option<(String, bool)> {
    let status = ["status", "--porcelain", "--untracked-files=no", "--"];
    let changes = git(&[&status[..], &SOURCES].concat())?;
    Some((git(&["rev-parse", "HEAD"])?, !changes.is_empty()))
}

/// The output of git; `None` if it fails.
pub fn git(args: &[&str]) -> Option<String> {
    let out = Command::new("git").args(args).stderr(Stdio::null()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
