//! How cost grows with the work: frames a second and memory against size, threads and batch.

use serde::{Deserialize, Serialize};

use crate::stats::Spread;
use crate::subject::{Case, EngineMemory, Size};

/// What grows from point to point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The frames' size.
    Size,
    /// The threads of a CPU's engine.
    Threads,
    /// The generated frames that are asked for at once, between the same two.
    Batch,
}

/// One configuration at one place of an axis; the other two stay what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingPoint {
    /// What grows.
    pub axis: Axis,
    /// What was measured.
    pub case: Case,
    /// Size of the frames.
    pub size: Size,
    /// Threads of a CPU's engine; `None` where it has none to choose.
    pub threads: Option<usize>,
    /// Frames asked for at once.
    pub batch: usize,
    /// Generated frames a second from host memory to host memory, one call after the other: the
    /// median run's. `None` where it failed.
    pub fps: Option<f64>,
    /// The runs' own.
    pub run_fps: Option<Spread>,
    /// The same by the device's own clock, for a frame at a time; `None` where it has none.
    pub device_fps: Option<f64>,
    /// Memory that the engine held by its own account.
    pub memory: Option<EngineMemory>,
    /// Peak of the process's resident memory, in MiB.
    pub peak_rss_mib: Option<f64>,
    /// Peak of GPU memory by NVML, in MiB.
    pub peak_gpu_mib: Option<f64>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}
