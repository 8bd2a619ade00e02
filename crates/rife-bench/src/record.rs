//! Records: JSON documents from which all reports are computed. They keep every sample.
//!
//! `docs/record.md` describes the format; it is generated from these types. Within schema 1, fields
//! may be added, but never removed or redefined.

mod header;
mod kernels;
mod video;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clip::{ClipFacts, Origin};
use crate::files::write_json;
use crate::measure::ablation::Ablation;
use crate::measure::fidelity::Comparison;
use crate::measure::kernels::FrameTimes;
use crate::measure::peers::Peer;
use crate::measure::quality::Quality;
use crate::measure::scaling::ScalingPoint;
use crate::measure::{Measurement, Results};
use crate::mode::Mode;
use crate::plan::Plan;
use crate::subject::{Device, Size};

pub use header::{Build, Git, Header, Machine, SCHEMA};
pub use kernels::KernelRecord;
pub use video::VideoRecord;

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
    /// Combines results with a header for this machine and program.
    ///
    /// # Errors
    /// When the results contain no clip.
    pub fn new(plan: &Plan, results: Results) -> Result<Self> {
        let Results {
            clips,
            measurements,
            stopped,
            gpu_busy_before_percent,
            ablations,
            comparisons,
            profiles,
            quality,
            scaling,
            peers,
        } = results;
        let mut clips = clips.into_iter();
        let clip = clips.next().context("no input frames")?;
        Ok(Self {
            header: Header::now(),
            settings: Settings {
                size: clip.size,
                device: plan.device,
                frames: plan.frames,
                repeats: plan.repeats,
                warmup: plan.warmup,
                stopped,
                gpu_busy_before_percent,
                budget_s: plan.budget.map(|budget| budget.as_secs_f64()),
                timestep: plan.position(0).timestep,
                factor: plan.factor,
                clip: clip.origin,
                clip_frames: clip.frames,
                clip_mib: clip.mib,
                further_clips: clips.collect(),
                modes: plan.modes.clone(),
            },
            measurements,
            ablations,
            comparisons,
            profiles,
            quality,
            scaling,
            peers,
        })
    }

    /// Writes the record. The file appears only once it is complete.
    ///
    /// # Errors
    /// When the file cannot be written, or exists and `overwrite` is not set.
    pub fn write(&self, path: &Path, overwrite: bool) -> Result<()> {
        write_json(self, path, overwrite)
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
