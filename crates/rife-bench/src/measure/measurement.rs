//! Results of one configuration: the raw samples of its runs, and their summary.

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fidelity::Fidelity;
use super::gpu::GpuUse;
use super::throughput::{DeviceRun, EndToEnd, EndToEndRun, OnDevice};
use crate::stats::{Spread, low_1_percent_fps};
use crate::subject::{Config, EngineMemory, Size, SubjectInfo};

/// Results of one configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// Configuration.
    #[serde(rename = "case")]
    pub config: Config,
    /// Frame size. Absent if the record has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Description of the loaded engine; `null` if it did not load.
    pub subject: Option<SubjectInfo>,
    /// Error message if the configuration failed. Results before the failure are kept.
    pub error: Option<String>,
    /// Summary of the runs; `null` without latency measurements.
    pub summary: Option<Summary>,
    /// Device times. Absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<OnDevice>,
    /// End-to-end throughput. Absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<EndToEnd>,
    /// Largest engine memory of the runs. Absent if the engine does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<EngineMemory>,
    /// Fidelity to the reference; `null` for the reference itself.
    pub fidelity: Option<Fidelity>,
    /// Raw samples of each run.
    pub runs: Vec<Run>,
}

impl Measurement {
    /// A configuration without results yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            size: None,
            subject: None,
            error: None,
            summary: None,
            device: None,
            end_to_end: None,
            memory: None,
            fidelity: None,
            runs: Vec::new(),
        }
    }

    /// The configuration, with its size if the record has several.
    pub fn name(&self) -> String {
        let config = self.config;
        self.size.map_or_else(|| config.to_string(), |size| format!("{config} at {size}"))
    }

    /// Device throughput of each run.
    pub(crate) fn device_run_fps(&self) -> Option<Spread> {
        Some(self.device.as_ref()?.run_fps)
    }

    /// End-to-end throughput of each run.
    pub(crate) fn end_to_end_run_fps(&self) -> Option<Spread> {
        Some(self.end_to_end.as_ref()?.run_fps)
    }

    /// Highest peak of GPU memory in MiB, see [`Summary::peak_gpu_mib`].
    pub fn peak_gpu_mib(&self) -> Option<f64> {
        peak_gpu_mib(&self.runs)
    }

    pub(super) fn add(&mut self, run: Result<(SubjectInfo, Run)>) {
        match run {
            Ok((subject, run)) => {
                self.subject = Some(subject);
                self.runs.push(run);
            }
            Err(error) => self.error = Some(format!("{error:#}")),
        }
    }

    /// Computes the summaries from the runs.
    pub(crate) fn summarize(&mut self, factor: usize) {
        self.summary = Summary::of(&self.runs);
        self.device = OnDevice::of(&self.runs);
        self.end_to_end = EndToEnd::of(&self.runs, self.device.as_ref().filter(|_| factor == 2));
        let memories = self.runs.iter().filter_map(|run| run.memory);
        self.memory = memories.max_by(|a, b| a.device_mib.total_cmp(&b.device_mib));
    }
}

fn peak_gpu_mib(runs: &[Run]) -> Option<f64> {
    runs.iter().filter_map(|run| Some(run.gpu.as_ref()?.peak_mib())).reduce(f64::max)
}

/// One run: load the engine, first frame, warm-up, measured frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Time to load the weights and prepare the engine.
    pub load_ms: f64,
    /// Time from the loaded engine to its first interpolated frame in host memory.
    pub first_frame_ms: f64,
    /// Warm-up frames after the first frame; not part of any other figure.
    pub warmup_ms: Vec<f64>,
    /// Latency of each measured frame: one frame in, one interpolated frame out, host memory to
    /// host memory. Empty if latency was not measured.
    pub frame_ms: Vec<f64>,
    /// Whether the time budget cut the latency measurement short.
    pub cut_by_budget: bool,
    /// CPU time of the process relative to wall time on all cores, during the latency
    /// measurement; 0 if latency was not measured.
    pub cpu_percent: f64,
    /// Resident memory of the process before loading: the clip, the benchmark, and memory that the
    /// allocator kept from earlier runs.
    pub rss_before_mib: f64,
    /// Peak resident memory of the process up to the end of the latency measurement.
    pub peak_rss_mib: f64,
    /// Resident memory at the end of the latency measurement. Missing in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_rss_mib: Option<f64>,
    /// Whether the peak belongs to this run. If false, the system could not reset it, and it is
    /// the peak of the whole process.
    pub peak_rss_is_of_run: bool,
    /// GPU usage; `null` on a CPU or without NVML.
    pub gpu: Option<GpuUse>,
    /// Device times. Absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceRun>,
    /// End-to-end throughput. Absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<EndToEndRun>,
    /// Engine memory. Absent if the engine does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<EngineMemory>,
}

impl Run {
    /// The largest number of frames measured in any mode.
    pub(super) fn frames(&self) -> usize {
        let device = self.device.as_ref().map_or(0, |run| run.frame_ms.len());
        let end_to_end = self.end_to_end.as_ref().map_or(0, |run| run.frames);
        self.frame_ms.len().max(device).max(end_to_end)
    }

    /// Whether the time budget cut any mode short.
    pub fn is_cut(&self) -> bool {
        self.cut_by_budget
            || self.device.as_ref().is_some_and(|run| run.cut_by_budget)
            || self.end_to_end.as_ref().is_some_and(|run| run.cut_by_budget)
    }
}

/// Summary of the runs of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Latency of all measured frames of all runs.
    pub frame_ms: Spread,
    /// Interpolated frames per second at the median latency.
    pub fps: f64,
    /// Frames per second over the slowest 1% of the frames.
    pub low_1_percent_fps: f64,
    /// Median latency of each run.
    pub run_median_ms: Spread,
    /// Load times.
    pub load_ms: Spread,
    /// First-frame times.
    pub first_frame_ms: Spread,
    /// Highest peak of resident memory.
    pub peak_rss_mib: f64,
    /// Mean CPU utilisation over all cores.
    pub cpu_percent: f64,
    /// Highest peak of GPU memory: of the process if NVML reports it, else the increase of the
    /// whole card.
    pub peak_gpu_mib: Option<f64>,
    /// Mean GPU utilisation.
    pub gpu_percent: Option<f64>,
}

impl Summary {
    /// Of the runs of one configuration; `None` without latency measurements.
    pub fn of(runs: &[Run]) -> Option<Self> {
        let over = |f: &dyn Fn(&Run) -> f64| runs.iter().map(f).collect::<Vec<_>>();
        let frames: Vec<f64> = runs.iter().flat_map(|run| run.frame_ms.iter().copied()).collect();
        let medians: Vec<f64> =
            runs.iter().filter_map(|run| Some(Spread::of(&run.frame_ms)?.median)).collect();
        let frame_ms = Spread::of(&frames)?;
        let gpus: Vec<&GpuUse> = runs.iter().filter_map(|run| run.gpu.as_ref()).collect();
        let gpu_percent: Vec<f64> =
            gpus.iter().filter_map(|gpu| gpu.utilisation_mean_percent).collect();
        Some(Self {
            frame_ms,
            fps: 1000.0 / frame_ms.median,
            low_1_percent_fps: low_1_percent_fps(&frames)?,
            run_median_ms: Spread::of(&medians)?,
            load_ms: Spread::of(&over(&|run| run.load_ms))?,
            first_frame_ms: Spread::of(&over(&|run| run.first_frame_ms))?,
            peak_rss_mib: Spread::of(&over(&|run| run.peak_rss_mib))?.max,
            cpu_percent: Spread::of(&over(&|run| run.cpu_percent))?.mean,
            peak_gpu_mib: peak_gpu_mib(runs),
            gpu_percent: Spread::of(&gpu_percent).map(|spread| spread.mean),
        })
    }
}
