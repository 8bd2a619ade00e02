//! The choice of the weights folder.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::ENV;

/// The first that applies: `given`, the folder named by [`ENV`], `weights/` of the checkout that
/// contains the working directory or the program, the user's cache folder.
pub(super) fn weights_folder(given: Option<&Path>) -> Option<PathBuf> {
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    let candidates = Candidates {
        given,
        env: std::env::var_os(ENV).map(PathBuf::from),
        checkout: starts.iter().flatten().find_map(|start| checkout_weights(start)),
        cache: cache_folder(),
    };
    candidates.first()
}

/// The weights folder in the user's cache folder.
pub(super) fn cache_folder() -> Option<PathBuf> {
    let user = etcetera::choose_base_strategy().ok()?;
    Some(user.cache_dir().join("rife").join("weights"))
}

/// Possible folders, in order of preference.
struct Candidates<'a> {
    given: Option<&'a Path>,
    env: Option<PathBuf>,
    checkout: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Candidates<'_> {
    fn first(self) -> Option<PathBuf> {
        let env = self.env.filter(|dir| !dir.as_os_str().is_empty());
        self.given.map(Path::to_path_buf).or(env).or(self.checkout).or(self.cache)
    }
}

/// `weights/` of the checkout that contains `start`.
fn checkout_weights(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|dir| dir.join("weights"))
        .find(|weights| weights.join("manifest.toml").is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn first_candidate_wins_and_empty_env_is_ignored() {
        let dir = |name: &str| Some(PathBuf::from(name));
        let given = Path::new("given");
        let first = |given, env: &str, checkout, cache| {
            Candidates { given, env: dir(env), checkout, cache }.first()
        };
        assert_eq!(first(Some(given), "env", dir("checkout"), dir("cache")), dir("given"));
        assert_eq!(first(None, "env", dir("checkout"), dir("cache")), dir("env"));
        assert_eq!(first(None, "", dir("checkout"), dir("cache")), dir("checkout"));
        assert_eq!(first(None, "", None, dir("cache")), dir("cache"));
        assert_eq!(first(None, "", None, None), None);
    }

    #[test]
    fn checkout_is_found_from_any_subfolder() {
        let root = tempfile::tempdir().unwrap();
        let (weights, deep) = (root.path().join("weights"), root.path().join("a/b"));
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(&weights).unwrap();
        assert_eq!(checkout_weights(&deep), None);
        fs::write(weights.join("manifest.toml"), "").unwrap();
        assert_eq!(checkout_weights(&deep), Some(weights));
    }
}
