//! Records: JSON documents from which all reports are computed. They keep every sample.
//!
//! `docs/record.md` describes the format; it is generated from these types. Within schema 1, fields
//! may be added, but never removed or redefined.

mod checkout;
mod header;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clip::{ClipFacts, Origin};
use crate::measure::Measurement;
use crate::measure::ablation::Ablation;
use crate::measure::fidelity::Comparison;
use crate::measure::kernels::FrameTimes;
use crate::measure::peers::Peer;
use crate::measure::quality::Quality;
use crate::measure::scaling::ScalingPoint;
use crate::measure::video::Job;
use crate::mode::Mode;
use crate::plan::KernelPlan;
use crate::subject::{Device, Size};

pub use crate::files::write_json as write;
pub use header::{Build, Git, Header, Machine, SCHEMA};

/// Record of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Header.
    #[serde(flatten)]
    pub header: Header,
    /// Settings.
    pub settings: Settings,
    /// Results of each configuration, size by size.
    pub measurements: Vec<Measurement>,
    /// Effects of optimizations. Absent without `--ablate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablations: Vec<Ablation>,
    /// Comparisons with configurations other than the reference: the optimized engine below F32
    /// with the baseline in the same precision, and with itself in F32. Absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// Profiles. Absent without `--profile`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<FrameTimes>,
    /// Quality against ground truth. Absent without `--quality`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// Scaling. Absent without `--scaling`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<ScalingPoint>,
    /// Other implementations. Absent without `--peers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
}

/// Settings of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Frame size; the first if there are several.
    pub size: Size,
    /// Device: `"cpu"`, or `{"cuda": N}` with CUDA's ordinal.
    #[schemars(with = "serde_json::Value")]
    pub device: Device,
    /// Frames to interpolate per run and mode.
    pub frames: usize,
    /// Runs of each configuration.
    pub repeats: usize,
    /// Warm-up frames per run.
    pub warmup: usize,
    /// Whether measuring was interrupted. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// GPU utilisation before anything ran, caused by other programs. Absent on a CPU or without
    /// NVML; missing in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_busy_before_percent: Option<f64>,
    /// Time budget of a configuration over all its runs and modes; `null` if there is none.
    pub budget_s: Option<f64>,
    /// Time of interpolated frames between their neighbours, in (0, 1); the first if there are
    /// several.
    pub timestep: f32,
    /// Output frames per input frame. Missing in older records, where it is 2.
    #[serde(default = "default_factor")]
    pub factor: usize,
    /// Origin of the frames.
    pub clip: Origin,
    /// Number of distinct frames. They are played forwards and backwards.
    pub clip_frames: usize,
    /// Memory used by the frames, which is part of every memory peak.
    pub clip_mib: f64,
    /// Clips of the other sizes; only one is in memory at a time. Absent if there is one size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_clips: Vec<ClipFacts>,
    /// Speed modes. Missing in older records, where it is `["latency"]`.
    #[serde(default = "Mode::legacy_default")]
    pub modes: Vec<Mode>,
}

fn default_factor() -> usize {
    2
}

impl Settings {
    /// Each frame size, with the memory of its clip in MiB.
    pub fn sizes(&self) -> Vec<(Size, f64)> {
        let further = self.further_clips.iter().map(|clip| (clip.size, clip.mib));
        [(self.size, self.clip_mib)].into_iter().chain(further).collect()
    }
}

impl Record {
    /// Frame size of a measurement.
    pub fn size_of(&self, m: &Measurement) -> Size {
        m.size.unwrap_or(self.settings.size)
    }

    /// Whether any part failed.
    pub fn failed(&self) -> bool {
        let quality = self.quality.iter().flat_map(|quality| &quality.results);
        let ablated = self.ablations.iter().flat_map(Ablation::all_measurements);
        self.measurements.iter().chain(ablated).any(|m| m.error.is_some())
            || quality.into_iter().any(|result| result.error.is_some())
            || self.scaling.iter().any(|point| point.error.is_some())
            || self.peers.iter().any(|peer| peer.error.is_some())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the file cannot be read or is not a record of this schema.
    pub fn read(path: &Path) -> Result<Self> {
        /// Common to all schemas.
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let name = path.display();
        let failed = || format!("cannot read {name} as a record");
        let file = File::open(path).with_context(failed)?;
        let text = std::io::read_to_string(file).with_context(failed)?;
        // Reported first: with another schema, fields would be missing.
        if let Ok(Version { schema }) = serde_json::from_str(&text) {
            ensure!(
                schema == SCHEMA,
                "cannot read {name}: unsupported schema (expected {SCHEMA}, got {schema})"
            );
        }
        let mut record: Self = serde_json::from_str(&text).with_context(failed)?;
        // The current rule applies to all records, whenever they were written.
        record.ablations.iter_mut().for_each(Ablation::judge);
        Ok(record)
    }
}

/// Record of kernel timings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelRecord {
    /// Header.
    #[serde(flatten)]
    pub header: Header,
    /// Device: `"cpu"`, or `{"cuda": N}` with CUDA's ordinal.
    #[schemars(with = "serde_json::Value")]
    pub device: Device,
    /// Runs of each launch and of the whole frame.
    pub runs: usize,
    /// Each configuration, size by size.
    pub frames: Vec<FrameTimes>,
}

impl KernelRecord {
    /// Combines results with a header for this machine and program.
    pub fn new(plan: &KernelPlan, frames: Vec<FrameTimes>) -> Self {
        Self { header: Header::now(), device: plan.device, runs: plan.runs, frames }
    }
}

/// Record of video jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VideoRecord {
    /// Header.
    #[serde(flatten)]
    pub header: Header,
    /// One job per model.
    pub jobs: Vec<Job>,
}

impl VideoRecord {
    /// Combines results with a header for this machine and program.
    pub fn new(jobs: Vec<Job>) -> Self {
        Self { header: Header::now(), jobs }
    }
}
