//! The header of every record: format version, time, command, machine, build and commit.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::path::Path;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::checkout;
use crate::files::redact_paths;
use crate::measure::gpu::{self, GpuFacts};
use crate::plan::cores;

/// Format version of all records that this program writes.
pub const SCHEMA: u32 = 1;

/// The header of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Format version: 1.
    pub schema: u32,
    /// When measuring ended, UTC, RFC 3339.
    pub time_utc: String,
    /// The command, quoted for a POSIX shell, without the folder of the program.
    pub command: String,
    /// Machine.
    pub machine: Machine,
    /// Build of the program.
    pub build: Build,
    /// Commit that the program was built from, or else of the checkout in the working folder;
    /// `null` if unknown.
    pub git: Option<Git>,
}

impl Header {
    /// The header of a record that is written now.
    pub fn now() -> Self {
        Self {
            schema: SCHEMA,
            time_utc: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            command: command_line(),
            machine: Machine::this(),
            build: Build::this(),
            git: Git::of_project(),
        }
    }
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// CPU model; may be empty.
    pub cpu: String,
    /// Physical cores.
    pub physical_cores: Option<usize>,
    /// Logical cores that the process may use. CPU utilisation is relative to these.
    pub cores: usize,
    /// Memory.
    pub ram_mib: Option<f64>,
    /// Operating system and version.
    pub os: String,
    /// Version of the NVIDIA driver; `null` without NVML.
    pub gpu_driver: Option<String>,
    /// GPUs in NVML's order; empty without NVML.
    pub gpus: Vec<GpuFacts>,
    /// Environment variables that affect threads, devices and the choice of kernels, if set:
    /// `CANDLE_NUM_THREADS`, `CUDA_DEVICE_ORDER`, `CUDA_VISIBLE_DEVICES`, `NVIDIA_TF32_OVERRIDE`,
    /// `OMP_NUM_THREADS`, `RAYON_NUM_THREADS`, `RIFE_CPU`, `RIFE_TUNE`.
    pub environment: BTreeMap<String, String>,
}

const VARIABLES: [&str; 8] = [
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
    /// This machine.
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
            cores: cores(),
            ram_mib: system.as_ref().map(|s| s.total_memory() as f64 / (1 << 20) as f64),
            os: System::long_os_version().unwrap_or_else(|_| env::consts::OS.into()),
            gpu_driver,
            gpus: gpus.unwrap_or_default(),
            environment: VARIABLES
                .into_iter()
                .filter_map(|key| Some((key.to_owned(), env::var(key).ok()?)))
                .collect(),
        }
    }
}

/// A build of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Program version.
    pub version: String,
    /// Compiler version.
    pub rustc: String,
    /// Compiler flags from the environment.
    pub rustflags: String,
    /// Target triple.
    pub target: String,
    /// Whether debug assertions are compiled in, which makes the build slower.
    pub debug_assertions: bool,
    /// Version of candle-core.
    pub candle: String,
}

impl Build {
    /// The running build.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Git {
    /// Commit hash.
    pub commit: String,
    /// Whether tracked sources differ from the commit.
    pub dirty: bool,
}

impl Git {
    /// The commit that the program was built from, or else that of the checkout in the working
    /// folder; `None` if neither is known.
    ///
    /// Sources edited after a commit do not rerun the build script, so changes in a checkout of the
    /// same commit also mark the build as dirty.
    pub fn of_project() -> Option<Self> {
        match (Self::of_build(), Self::of_checkout()) {
            (Some(build), Some(checkout)) if checkout.commit == build.commit => {
                Some(Self { dirty: build.dirty || checkout.dirty, ..build })
            }
            (build, checkout) => build.or(checkout),
        }
    }

    fn of_build() -> Option<Self> {
        let commit = env!("RIFE_BENCH_COMMIT");
        let dirty = env!("RIFE_BENCH_DIRTY") == "true";
        (!commit.is_empty()).then(|| Self { commit: commit.to_owned(), dirty })
    }

    fn of_checkout() -> Option<Self> {
        let root = checkout::git(&["rev-parse", "--show-toplevel"])?;
        if !Path::new(&root).join("crates/rife-bench/Cargo.toml").is_file() {
            return None;
        }
        let (commit, dirty) = checkout::state()?;
        Some(Self { commit, dirty })
    }
}

/// The command line, without local folders.
fn command_line() -> String {
    let mut words: Vec<String> = env::args_os().map(|w| w.to_string_lossy().into_owned()).collect();
    if let Some(program) = words.first_mut()
        && let Some(name) = Path::new(program).file_name().and_then(OsStr::to_str)
    {
        *program = name.to_owned();
    }
    let words: Vec<String> = words.iter().map(|word| redact_paths(word)).collect();
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
