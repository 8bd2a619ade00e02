//! Finds a Chromium browser.

use std::env;
use std::path::PathBuf;

/// Environment variable with the browser's path.
pub const ENV: &str = "CHROMIUM";
const NAMES: [&str; 3] = ["chromium", "chromium-headless-shell", "google-chrome"];

/// The browser in [`ENV`], else the first known name in PATH.
pub fn find() -> Option<PathBuf> {
    let named = env::var_os(ENV).filter(|name| !name.is_empty()).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |name: PathBuf| {
        // Joining an absolute path yields that path.
        env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
    };
    match named {
        Some(name) if name.is_file() => Some(name),
        Some(name) => on_path(name),
        None => NAMES.into_iter().find_map(|name| on_path(name.into())),
    }
}
