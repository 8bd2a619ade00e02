//! Where this machine has a Chromium, if it has one.

use std::env;
use std::path::PathBuf;

/// Names the program.
pub const ENV: &str = "CHROMIUM";
const NAMES: [&str; 3] = ["chromium", "chromium-headless-shell", "google-chrome"];

/// The program that [`ENV`] names, else the first of its names that is on the path.
pub fn find() -> Option<PathBuf> {
    let named = env::var_os(ENV).filter(|name| !name.is_empty()).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |name: PathBuf| {
        // A path with folders is one already; joined to an absolute one it stays what it is.
        env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
    };
    match named {
        Some(name) if name.is_file() => Some(name),
        Some(name) => on_path(name),
        None => NAMES.into_iter().find_map(|name| on_path(name.into())),
    }
}
