//! Selects the library among the candidates.

use std::fs;
use std::path::{Path, PathBuf};

use super::find::{self, Candidate, Environment};

/// The first version that compiles for every GPU that the kernels support. An older one is used
/// only if no newer one is found.
const NEW_ENOUGH: (i32, i32) = (12, 8);

/// Returns the first candidate that loads and is new enough, else the newest that loads.
///
/// # Errors
/// Why each candidate that exists does not load.
pub(super) fn choose<T>(
    candidates: impl Iterator<Item = Candidate>,
    mut open: impl FnMut(&Candidate) -> Result<Option<((i32, i32), T)>, String>,
) -> Result<T, Vec<String>> {
    let mut newest: Option<((i32, i32), T)> = None;
    let mut broken = Vec::new();
    for candidate in candidates {
        match open(&candidate) {
            Ok(Some((version, opened))) if version >= NEW_ENOUGH => return Ok(opened),
            Ok(Some((version, opened))) => {
                if newest.as_ref().is_none_or(|(best, _)| *best < version) {
                    newest = Some((version, opened));
                }
            }
            Ok(None) => {}
            Err(reason) => broken.push(match candidate {
                Candidate::Named(name) => format!("{name}: {reason}"),
                // The loader's message usually contains the path.
                Candidate::File(path) if reason.contains(&*path.to_string_lossy()) => reason,
                Candidate::File(path) => format!("{}: {reason}", path.display()),
            }),
        }
    }
    newest.map(|(_, opened)| opened).ok_or(broken)
}

/// The places that were searched, for the error message.
pub(super) fn searched(environment: &Environment) -> Vec<String> {
    let folders = |names: &[&str], set: &[PathBuf]| match set {
        [] => format!("{} (not set)", names.join(" or ")),
        set => {
            let set: Vec<_> = set.iter().map(|folder| folder.display().to_string()).collect();
            format!("{} ({})", names.join(" or "), set.join(", "))
        }
    };
    vec![
        format!("{} (not set)", find::ENV),
        format!("the loader's path ({})", find::NAMES.join(", ")),
        folders(&find::TOOLKIT_ENVS, &environment.toolkits),
        environment.installs.join("cuda*").display().to_string(),
        folders(&find::PYTHON_ENVS, &environment.pythons),
        "the Python package nvidia".to_owned(),
    ]
}

/// The compiler's builtins in the folder of the library. If there are none and the library is a
/// link, those in the folder of its target.
pub(super) fn builtins_beside(library: &Path) -> Vec<PathBuf> {
    let is_builtins = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libnvrtc-builtins.so")
            || (name.starts_with("nvrtc-builtins64_") && !name.contains(".alt"))
    };
    let builtins_near = |library: &Path| -> Vec<PathBuf> {
        let entries = library.parent().and_then(|folder| fs::read_dir(folder).ok());
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(is_builtins).collect()
    };
    let found = builtins_near(library);
    if !found.is_empty() {
        return found;
    }
    fs::canonicalize(library).map(|library| builtins_near(&library)).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::CompileError;
    use super::*;

    fn try_versions(
        versions: &[Result<Option<(i32, i32)>, &str>],
    ) -> (Result<(i32, i32), Vec<String>>, usize) {
        let mut tried = 0;
        let candidates = (0..versions.len()).map(|i| Candidate::File(format!("file{i}").into()));
        let chosen = choose(candidates, |_| {
            tried += 1;
            versions[tried - 1].map(|v| v.map(|v| (v, v))).map_err(str::to_owned)
        });
        (chosen, tried)
    }

    #[test]
    fn first_new_enough_candidate_is_chosen_else_the_newest() {
        let (old, older) = (Ok(Some((12, 4))), Ok(Some((11, 8))));
        assert_eq!(
            try_versions(&[Ok(None), Ok(Some((12, 8))), Ok(Some((13, 0)))]),
            (Ok((12, 8)), 2)
        );
        assert_eq!(try_versions(&[old, Err("broken"), Ok(Some((13, 0)))]), (Ok((13, 0)), 3));
        assert_eq!(try_versions(&[older, old, Err("broken"), older]), (Ok((12, 4)), 4));
        let (chosen, _) = try_versions(&[Ok(None), Err("broken"), Err("file2 is broken")]);
        assert_eq!(chosen, Err(vec!["file1: broken".into(), "file2 is broken".into()]));
        assert_eq!(try_versions(&[]), (Err(vec![]), 0));
    }

    #[test]
    fn builtins_are_found_beside_the_library_or_its_link_target() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let library = file("libnvrtc.so.13");
        let builtins = file("libnvrtc-builtins.so.13.0");
        file("libnvrtc-builtins.alt.so.13.0");
        assert_eq!(builtins_beside(&library).as_slice(), std::slice::from_ref(&builtins));
        #[cfg(unix)]
        {
            let elsewhere = tempfile::tempdir().unwrap();
            let link = elsewhere.path().join("libnvrtc.so");
            std::os::unix::fs::symlink(&library, &link).unwrap();
            let real = fs::canonicalize(builtins).unwrap();
            assert_eq!(builtins_beside(&link), [real]);
        }
    }

    #[test]
    fn missing_library_is_reported_with_searched_places_and_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let error = CompileError::Missing {
            searched: searched(&empty_environment(dir.path())),
            broken: vec!["libnvrtc.so.12: it is broken".into()],
        };
        let message = error.to_string();
        for part in [
            "pip install nvidia-cuda-nvrtc",
            "CUDA toolkit",
            "RIFE_NVRTC (not set)",
            "CUDA_HOME or CUDA_PATH (not set)",
            "VIRTUAL_ENV or CONDA_PREFIX or RIFE_PYTHON_PREFIX (not set)",
            "the loader's path",
            "cuda*",
            "; libnvrtc.so.12: it is broken",
        ] {
            assert!(message.contains(part), "{part:?} is missing from {message}");
        }
    }

    /// An environment in which no library is found.
    pub(in super::super) fn empty_environment(installs: &Path) -> Environment {
        Environment {
            named: None,
            toolkits: Vec::new(),
            installs: installs.to_owned(),
            pythons: Vec::new(),
            query_python: Vec::new,
        }
    }
}
