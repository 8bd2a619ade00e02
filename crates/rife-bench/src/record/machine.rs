//! The circumstances of a record.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::measure::gpu::{self, GpuFacts};
use crate::measure::host;

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The CPU's name for itself.
    pub cpu: String,
    /// Physical cores of the machine.
    pub physical_cores: Option<usize>,
    /// Logical cores that the process may use: utilisation is in % of these.
    pub cores: usize,
    /// Memory, in MiB.
    pub ram_mib: Option<f64>,
    /// Operating system and version.
    pub os: String,
    /// Version of the NVIDIA driver.
    pub gpu_driver: Option<String>,
    /// The machine's GPUs, as NVML counts them.
    pub gpus: Vec<GpuFacts>,
    /// Variables that steer threads, devices and the choice of kernels, where they are set.
    pub environment: BTreeMap<String, String>,
}

const STEERING_VARIABLES: [&str; 8] = [
    "CANDLE_NUM_THREADS",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "RIFE_CPU",
    "RIFE_TUNE",
];

impl Machine {
    /// The machine that this runs on.
    pub fn this() -> Self {
        let system = System::new_with_specifics(
            RefreshKind::nothing()
                .with_cpu(CpuRefreshKind::nothing())
                .with_memory(MemoryRefreshKind::nothing().with_ram()),
        )
        .ok();
        let (gpu_driver, gpus) = gpu::facts().unzip();
        Self {
            cpu: system
                .as_ref()
                .and_then(|s| s.cpus().first())
                .map_or_else(String::new, |cpu| cpu.brand().trim().to_owned()),
            physical_cores: System::physical_core_count().ok(),
            cores: host::cores(),
            ram_mib: system.as_ref().map(|s| s.total_memory() as f64 / (1 << 20) as f64),
            os: System::long_os_version().unwrap_or_else(|_| env::consts::OS.into()),
            gpu_driver,
            gpus: gpus.unwrap_or_default(),
            environment: STEERING_VARIABLES
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), env::var(key).ok()?)))
                .collect(),
        }
    }
}

/// A build of this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of the program.
    pub version: String,
    /// The compiler.
    pub rustc: String,
    /// Flags that the compiler was given by the environment.
    pub rustflags: String,
    /// The target's triple.
    pub target: String,
    /// Whether debug assertions are compiled in: such a build is slower.
    pub debug_assertions: bool,
    /// Version of candle-core.
    pub candle: String,
}

impl Build {
    /// The build that is running.
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            rustc: env!("RIFE_BENCH_RUSTC").into(),
            rustflags: env!("RIFE_BENCH_RUSTFLAGS").into(),
            target: env!("RIFE_BENCH_TARGET").into(),
            debug_assertions: cfg!(debug_assertions),
            candle: env!("RIFE_BENCH_CANDLE").into(),
        }
    }
}

/// A state of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit's hash.
    pub commit: String,
    /// Whether tracked files that a program is built from differ from it.
    pub dirty: bool,
}

impl Git {
    /// What the program was built from. Where its build knew no repository, the checkout that it was
    /// started in; `None` where that is none either.
    ///
    /// Sources edited after a commit do not reach a build script: a checkout of the same commit that
    /// was changed makes the build one of changed sources, too.
    pub fn of_project() -> Option<Self> {
        match (Self::of_build(), Self::of_checkout()) {
            (Some(build), Some(here)) if here.commit == build.commit => {
                Some(Self { dirty: build.dirty || here.dirty, ..build })
            }
            (build, here) => build.or(here),
        }
    }

    fn of_build() -> Option<Self> {
        let commit = env!("RIFE_BENCH_COMMIT");
        let dirty = env!("RIFE_BENCH_DIRTY") == "true";
        (!commit.is_empty()).then(|| Self { commit: commit.to_owned(), dirty })
    }

    fn of_checkout() -> Option<Self> {
        let root = git(&["rev-parse", "--show-toplevel"])?;
        if !Path::new(&root).join("crates/rife-bench/Cargo.toml").is_file() {
            return None;
        }
        // From the root, whichever folder it was started in. Records that were written over, texts
        // and what tests read are in no build.
        let sources = [
            ":/crates",
            ":/weights",
            ":/Cargo.toml",
            ":/Cargo.lock",
            ":(top,exclude)crates/*/tests",
        ];
        let changes = git(&[
            &["status", "--porcelain", "--untracked-files=no", "--"],
            &sources[..],
        ]
        .concat())?;
        Some(Self { commit: git(&["rev-parse", "HEAD"])?, dirty: !changes.is_empty() })
    }
}

fn git(args: &[&str]) -> Option<String> {
    let out = Command::new("git").args(args).stderr(Stdio::null()).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// The command as typed. The program's folder says nothing and would only tell of the machine.
pub(crate) fn command_line() -> String {
    let mut words: Vec<String> = env::args_os().map(|w| w.to_string_lossy().into_owned()).collect();
    if let Some(program) = words.first_mut()
        && let Some(name) = Path::new(program).file_name().and_then(OsStr::to_str)
    {
        *program = name.to_owned();
    }
    let words: Vec<String> = words.iter().map(|word| without_places(word)).collect();
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

/// A text whose paths begin at the working folder or at the user's own, as a person would give
/// them, and are the last name alone where they lie elsewhere: where is the machine's business.
pub(crate) fn without_places(text: &str) -> String {
    let home = env::home_dir();
    let places = [(env::current_dir().ok(), ""), (home, "~/")];
    let text = places.into_iter().fold(text.to_owned(), |text, (place, instead)| match place {
        Some(place) if place.components().count() > 1 => {
            text.replace(&format!("{}/", place.display()), instead)
        }
        _ => text,
    });
    let words: Vec<String> = text.split(' ').map(named).collect();
    words.join(" ")
}

/// A word whose path lies elsewhere on the machine, by its last name alone; `--flag=path`, too. A
/// name right below the root tells nothing.
fn named(word: &str) -> String {
    let (flag, path) = match word.split_once('=') {
        Some((flag, path)) if flag.starts_with('-') => (&word[..=flag.len()], path),
        _ => ("", word),
    };
    match Path::new(path).file_name() {
        Some(name) if Path::new(path).is_absolute() && Path::new(path).components().count() > 2 => {
            format!("{flag}{}", name.to_string_lossy())
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_does_not_tell_where_folders_lie() {
        let here = env::current_dir().unwrap();
        let text = format!("not in {}/weights, nor in /elsewhere or /far/away", here.display());
        assert_eq!(without_places(&text), "not in weights, nor in /elsewhere or away");
        let words = ["--python", "/far/away/bin/python", "--output=/far/r.json", "a/b", "--x=y"];
        let named = words.map(named);
        assert_eq!(named, ["--python", "python", "--output=r.json", "a/b", "--x=y"]);
    }
}
