//! Runs the program on test images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use rife_model::weights::Store;
use rife_testkit::lines;
use tempfile::TempDir;

/// The weights folder of the checkout. The program downloads missing weights into it.
pub fn weights() -> PathBuf {
    // Absolute, because the program runs in other folders.
    std::path::absolute(Store::locate(None).unwrap().dir()).unwrap()
}

pub fn rife() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rife"));
    command.env("RIFE_WEIGHTS", weights()).env_remove("RIFE_LOG");
    command
}

/// The program with `folder` as its working directory.
pub fn rife_in(folder: &Path, args: &[&str]) -> Command {
    let mut command = rife();
    command.current_dir(folder).args(args);
    command
}

/// A test image, panned by `pan` px.
pub fn rgb8(w: u32, h: u32, pan: i64) -> RgbImage {
    let (n, planar) = ((w * h) as usize, lines(w as usize, h as usize, pan, 0));
    RgbImage::from_fn(w, h, |x, y| Rgb([0, 1, 2].map(|c| planar[c * n + (y * w + x) as usize])))
}

/// A folder with `a.png` and `b.png`.
pub fn pair() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    rgb8(80, 50, 0).save(folder.path().join("a.png")).unwrap();
    rgb8(80, 50, 2).save(folder.path().join("b.png")).unwrap();
    folder
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Asserts that the program fails, see [`assert_refused_by`], before it looks for weights: none
/// exist and none can be downloaded.
pub fn assert_refused(folder: &Path, args: &[&str], kept: &[&str], text: &str) {
    let empty = tempfile::tempdir().unwrap();
    let mut command = rife_in(folder, args);
    command.env("RIFE_WEIGHTS", empty.path().join("none")).env("PATH", empty.path());
    assert_refused_by(command, folder, kept, text);
}

/// Asserts that a command fails with one error line that contains `text` and at most one hint,
/// prints nothing on standard output, and leaves only the files `kept`.
pub fn assert_refused_by(mut command: Command, folder: &Path, kept: &[&str], text: &str) {
    let assert = command.assert().failure().stdout("");
    let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    let stderr = stderr.trim_end();
    let (error, hint) = stderr.split_once('\n').unwrap_or((stderr, "hint: "));
    assert!(hint.starts_with("hint: ") && !hint.contains('\n'), "{error}\n{hint}");
    assert!(error.starts_with("error: ") && error.contains(text), "{text}: {error}");
    // No cause is repeated.
    let clauses: Vec<_> = error.trim().split(": ").collect();
    assert_eq!(clauses.iter().collect::<HashSet<_>>().len(), clauses.len(), "{error}");
    assert_eq!(names(folder), kept, "{text}");
}
