//! Where to search for libnvrtc. Also compiled into the build script, which enables the tests that
//! need it.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment variable that sets the path of the library.
pub(crate) const ENV: &str = "RIFE_NVRTC";

/// The environment variables with the folder of a CUDA toolkit.
pub(crate) const TOOLKIT_ENVS: [&str; 2] = ["CUDA_HOME", "CUDA_PATH"];

/// The environment variables with the folder of a Python environment. The Python package sets the last
/// one: its environment need not be activated.
pub(crate) const PYTHON_ENVS: [&str; 3] = ["VIRTUAL_ENV", "CONDA_PREFIX", "RIFE_PYTHON_PREFIX"];

/// The file names of the library that the system's loader is tried with, newest first.
pub(crate) const NAMES: [&str; 3] = if cfg!(windows) {
    ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]
} else {
    ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]
};

/// The library folders of a toolkit.
const TOOLKIT_FOLDERS: [&str; 6] =
    ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib", "bin/x64", "bin"];

/// The library folders of a component of the Python package `nvidia`.
const PACKAGE_FOLDERS: [&str; 3] = ["lib", "bin/x86_64", "bin"];

/// Python interpreters, in the order to try.
const PYTHONS: [&str; 2] = ["python3", "python"];

/// A possible location of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// A file name that the system's loader searches for.
    Named(&'static str),
    /// A path.
    File(PathBuf),
}

/// The settings that determine where to search.
pub(crate) struct Environment {
    /// The file in `RIFE_NVRTC`.
    pub(crate) named: Option<PathBuf>,
    /// The folders in [`TOOLKIT_ENVS`].
    pub(crate) toolkits: Vec<PathBuf>,
    /// The folder that contains installed toolkits.
    pub(crate) installs: PathBuf,
    /// The active Python environments, from [`PYTHON_ENVS`].
    pub(crate) pythons: Vec<PathBuf>,
    /// Runs Python to find the folders of its package `nvidia`. The last resort, since it is slow.
    pub(crate) query_python: fn() -> Vec<PathBuf>,
}

impl Environment {
    /// The settings of this process.
    pub(crate) fn of_process() -> Self {
        let folder =
            |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            named: folder(ENV),
            toolkits: TOOLKIT_ENVS.into_iter().filter_map(folder).collect(),
            installs: PathBuf::from("/usr/local"),
            pythons: PYTHON_ENVS.into_iter().filter_map(folder).collect(),
            query_python,
        }
    }

    /// The locations to try, in order. If the user set one, it is the only one.
    pub(crate) fn candidates(&self) -> Box<dyn Iterator<Item = Candidate> + '_> {
        if let Some(file) = &self.named {
            return Box::new(std::iter::once(Candidate::File(file.clone())));
        }
        let installs = newest_first(&self.installs, |name| numbers(name.strip_prefix("cuda")?));
        let toolkits = self.toolkits.iter().cloned().chain(installs);
        let files = toolkits
            .flat_map(|root| in_toolkit(&root))
            .chain(self.pythons.iter().flat_map(|root| in_python(root)))
            .chain(std::iter::once_with(self.query_python).flatten().flat_map(|d| in_package(&d)));
        Box::new(NAMES.into_iter().map(Candidate::Named).chain(files.map(Candidate::File)))
    }
}

fn in_toolkit(root: &Path) -> Vec<PathBuf> {
    TOOLKIT_FOLDERS.iter().flat_map(|folder| in_folder(&root.join(folder))).collect()
}

/// The libraries of a Python environment: those in its packages, then those of Conda.
fn in_python(root: &Path) -> Vec<PathBuf> {
    let versions = newest_first(&root.join("lib"), |name| numbers(name.strip_prefix("python")?));
    let sites = versions.into_iter().chain([root.join("Lib")]);
    let packages = sites.flat_map(|site| in_package(&site.join("site-packages/nvidia")));
    packages.chain(in_toolkit(root)).collect()
}

/// The libraries of the Python package `nvidia`: in `cu13` and later, in `cuda_nvrtc` before.
fn in_package(nvidia: &Path) -> Vec<PathBuf> {
    let parts = newest_first(nvidia, |name| match name {
        "cuda_nvrtc" => Some(Vec::new()),
        _ => numbers(name.strip_prefix("cu")?),
    });
    let folders = parts.iter().flat_map(|part| PACKAGE_FOLDERS.map(|folder| part.join(folder)));
    folders.flat_map(|folder| in_folder(&folder)).collect()
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    newest_first(folder, |name| match name.strip_prefix("nvrtc64_") {
        Some(rest) => numbers(rest.strip_suffix(".dll")?),
        None => numbers(name.strip_prefix("libnvrtc.so")?),
    })
}

/// The entries of a folder whose names have a version, newest first. An empty version is last.
fn newest_first(folder: &Path, version: fn(&str) -> Option<Vec<u32>>) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    found.sort_by_key(|(version, _)| Reverse(version.clone()));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Parses a version such as `-12.8`, `.13`, `130_0`, or the empty string. `None` for anything else.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let text = text.trim_start_matches(['-', '.']);
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(['.', '_']).map(|number| number.parse().ok()).collect()
}

fn query_python() -> Vec<PathBuf> {
    // Do not import from the working directory.
    let program = "import sys; sys.path = [p for p in sys.path if p]\n\
                   import nvidia; print('\\n'.join(nvidia.__path__))";
    let output = PYTHONS.iter().find_map(|python| {
        let run = Command::new(python).args(["-c", program]).stdin(Stdio::null()).output().ok()?;
        run.status.success().then_some(run.stdout)
    });
    let output = output.unwrap_or_default();
    String::from_utf8_lossy(&output).lines().map(PathBuf::from).collect()
}
