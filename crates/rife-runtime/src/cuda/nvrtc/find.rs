//! Where to search for the compiler's library. Also compiled into the build script, which decides
//! whether the tests that compile can run.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The environment variable that names the library's file.
pub(crate) const ENV: &str = "RIFE_NVRTC";

/// The environment variables that name a CUDA toolkit's folder.
pub(crate) const TOOLKIT_ENVS: [&str; 2] = ["CUDA_HOME", "CUDA_PATH"];

/// The environment variables that name a Python environment's folder.
pub(crate) const PYTHON_ENVS: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];

/// The names of the library for the system's loader, newest first.
pub(crate) const NAMES: [&str; 3] = if cfg!(windows) {
    ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]
} else {
    ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"]
};

/// The library folders of a toolkit.
const TOOLKIT_FOLDERS: [&str; 6] =
    ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib", "bin/x64", "bin"];

/// The library folders of a part of the Python package `nvidia`.
const PACKAGE_FOLDERS: [&str; 3] = ["lib", "bin/x86_64", "bin"];

/// Interpreters to ask, in order.
const PYTHONS: [&str; 2] = ["python3", "python"];

/// Something that may be the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// A name, for the system's loader to find.
    Named(&'static str),
    /// A file.
    File(PathBuf),
}

/// What decides where the library is looked for.
pub(crate) struct Surroundings {
    /// The file that the user named.
    pub(crate) named: Option<PathBuf>,
    /// The folders of CUDA toolkits that the environment names.
    pub(crate) toolkits: Vec<PathBuf>,
    /// The folder that toolkits are installed in.
    pub(crate) installs: PathBuf,
    /// The Python environments that are active.
    pub(crate) pythons: Vec<PathBuf>,
    /// Asks Python for the folders of its package `nvidia`: the last resort, for it takes long.
    pub(crate) ask_python: fn() -> Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let folder =
            |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            named: folder(ENV),
            toolkits: TOOLKIT_ENVS.into_iter().filter_map(folder).collect(),
            installs: PathBuf::from("/usr/local"),
            pythons: PYTHON_ENVS.into_iter().filter_map(folder).collect(),
            ask_python,
        }
    }

    /// What may be the library, in the order to try. What the user named is the only one then.
    pub(crate) fn candidates(&self) -> Box<dyn Iterator<Item = Candidate> + '_> {
        if let Some(file) = &self.named {
            return Box::new(std::iter::once(Candidate::File(file.clone())));
        }
        let installs = newest_first(&self.installs, |name| numbers(name.strip_prefix("cuda")?));
        let toolkits = self.toolkits.iter().cloned().chain(installs);
        let files = toolkits
            .flat_map(|root| in_toolkit(&root))
            .chain(self.pythons.iter().flat_map(|root| in_python(root)))
            .chain(std::iter::once_with(self.ask_python).flatten().flat_map(|d| in_package(&d)));
        Box::new(NAMES.into_iter().map(Candidate::Named).chain(files.map(Candidate::File)))
    }
}

fn in_toolkit(root: &Path) -> Vec<PathBuf> {
    TOOLKIT_FOLDERS.iter().flat_map(|folder| in_folder(&root.join(folder))).collect()
}

/// The libraries of a Python environment: those of its packages, and Conda's own.
fn in_python(root: &Path) -> Vec<PathBuf> {
    let versions = newest_first(&root.join("lib"), |name| numbers(name.strip_prefix("python")?));
    let sites = versions.into_iter().chain([root.join("Lib")]);
    let packages = sites.flat_map(|site| in_package(&site.join("site-packages/nvidia")));
    packages.chain(in_toolkit(root)).collect()
}

/// The libraries of the Python package `nvidia`: in `cu13` and the like, in `cuda_nvrtc` before.
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

/// What a folder holds that has a version by its name, newest first; an empty version is last.
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

/// The numbers of `-12.8`, `.so.13`'s `.13`, `130_0` or nothing at all; none of anything else.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let text = text.trim_start_matches(['-', '.']);
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(['.', '_']).map(|number| number.parse().ok()).collect()
}

fn ask_python() -> Vec<PathBuf> {
    // Nothing is to be imported from the working directory.
    let program = "import sys; sys.path = [p for p in sys.path if p]\n\
                   import nvidia; print('\\n'.join(nvidia.__path__))";
    let answer = PYTHONS.iter().find_map(|python| {
        let run = Command::new(python).args(["-c", program]).stdin(Stdio::null()).output().ok()?;
        run.status.success().then_some(run.stdout)
    });
    let answer = answer.unwrap_or_default();
    String::from_utf8_lossy(&answer).lines().map(PathBuf::from).collect()
}
