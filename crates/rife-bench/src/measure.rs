//! Runs a plan and returns the results. Prints nothing.
//!
//! Speed and fidelity are measured separately, so that neither the reference nor the comparison
//! affects timings.

pub mod ablation;
pub mod fidelity;
pub mod gpu;
pub mod host;
pub mod kernels;
pub mod peers;
pub mod quality;
pub mod scaling;
pub mod throughput;
mod timing;
pub mod video;
pub mod worst_frame;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clip::{Clip, ClipFacts};
use crate::plan::{Plan, default_kernel_runs};
use crate::stats::{Spread, low_1_percent_fps};
use crate::subject::{
    Config, Engine, EngineMemory, Engines, Precision, Size, SubjectInfo, cuda_ordinal,
};
use ablation::Ablation;
use fidelity::{Candidate, Comparison, Fidelity};
use gpu::GpuUse;
use kernels::FrameTimes;
use peers::Peer;
use quality::Quality;
use scaling::ScalingPoint;
use throughput::{DeviceRun, EndToEnd, EndToEndRun, OnDevice};

/// Time of interpolated frames between their neighbours, unless the factor determines it.
pub const TIMESTEP: f32 = 0.5;

/// Observes progress and requests stops.
pub trait Watcher {
    /// A step with this number of frames begins.
    fn step(&self, name: &str, frames: usize);
    /// A frame of the step is complete.
    fn frame(&self);
    /// Whether to stop measuring. Results so far are kept.
    fn stopped(&self) -> bool {
        false
    }
}

/// Observes nothing and never stops.
impl Watcher for () {
    fn step(&self, _name: &str, _frames: usize) {}
    fn frame(&self) {}
}

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

    /// Highest peak of GPU memory in MiB, see [`Summary::peak_gpu_mib`].
    pub fn peak_gpu_mib(&self) -> Option<f64> {
        peak_gpu_mib(&self.runs)
    }

    fn add(&mut self, run: Result<(SubjectInfo, Run)>) {
        match run {
            Ok((subject, run)) => {
                self.subject = Some(subject);
                self.runs.push(run);
            }
            Err(error) => self.error = Some(format!("{error:#}")),
        }
    }

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
    fn frames(&self) -> usize {
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

/// All results of a plan.
#[derive(Clone, Debug)]
pub struct Results {
    /// Description of the clips, in the order of the plan's sources.
    pub clips: Vec<ClipFacts>,
    /// Every configuration, size by size.
    pub measurements: Vec<Measurement>,
    /// Whether measuring was interrupted.
    pub stopped: bool,
    /// GPU utilisation in % before anything ran.
    pub gpu_busy_before_percent: Option<f64>,
    /// Effects of optimizations.
    pub ablations: Vec<Ablation>,
    /// Comparisons between configurations other than the reference.
    pub comparisons: Vec<Comparison>,
    /// Profiles.
    pub profiles: Vec<FrameTimes>,
    /// Quality against ground truth.
    pub quality: Option<Quality>,
    /// Scaling.
    pub scaling: Vec<ScalingPoint>,
    /// Other implementations.
    pub peers: Vec<Peer>,
}

impl Results {
    /// Whether any part failed.
    pub fn failed(&self) -> bool {
        let quality = self.quality.iter().flat_map(|quality| &quality.results);
        let ablated = self.ablations.iter().flat_map(Ablation::all_measurements);
        self.measurements.iter().chain(ablated).any(|m| m.error.is_some())
            || quality.into_iter().any(|result| result.error.is_some())
            || self.scaling.iter().any(|point| point.error.is_some())
            || self.peers.iter().any(|peer| peer.error.is_some())
    }
}

/// Runs a plan. Only the frames of one size are in memory at a time.
///
/// # Errors
/// When input cannot be read. Failures of an engine are recorded with its results.
pub fn measure_all(plan: &Plan, engines: &dyn Engines, watcher: &dyn Watcher) -> Result<Results> {
    let (mut clips, mut measurements, mut ablations) = (Vec::new(), Vec::new(), Vec::new());
    let (mut comparisons, mut profiles, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    let gpu_busy_before_percent = cuda_ordinal(plan.device).and_then(gpu::busy_percent);
    let several = plan.sources.len() > 1;
    for source in &plan.sources {
        let clip = source.load(plan.pairs(plan.frames))?;
        let size = several.then_some(clip.size);
        let (mut measured, mut pairs) = measure(plan, &clip, engines, watcher);
        measured.iter_mut().for_each(|m| m.size = size);
        pairs.iter_mut().for_each(|pair| pair.size = size);
        comparisons.extend(pairs);
        if plan.profile && !watcher.stopped() {
            profiles.extend(profile(plan, &clip, engines, &mut measured, watcher));
        }
        measurements.extend(measured);
        if plan.ablate && !watcher.stopped() {
            for config in plan.optimized() {
                let mut ablation = ablation::ablate(plan, &clip, engines, config, watcher);
                ablation.all_measurements_mut().for_each(|m| m.size = size);
                ablations.push(ablation);
            }
        }
        if let Some(peers_plan) = &plan.peers
            && !watcher.stopped()
        {
            peers.extend(peers::measure(plan, peers_plan, &clip, engines, watcher)?);
        }
        clips.push(clip.facts());
    }
    let quality = match &plan.quality {
        Some(clip) if !watcher.stopped() => Some(quality::measure(plan, clip, engines, watcher)?),
        _ => None,
    };
    let scaling = if plan.scaling && !watcher.stopped() {
        scaling::measure(plan, engines, watcher)?
    } else {
        Vec::new()
    };
    Ok(Results {
        clips,
        measurements,
        stopped: watcher.stopped(),
        gpu_busy_before_percent,
        ablations,
        comparisons,
        profiles,
        quality,
        scaling,
        peers,
    })
}

/// Profiles every optimized configuration. A failure is recorded with its measurement.
fn profile(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    measurements: &mut [Measurement],
    watcher: &dyn Watcher,
) -> Vec<FrameTimes> {
    let runs = default_kernel_runs(plan.device);
    let optimized =
        measurements.iter_mut().filter(|m| m.config.is_optimized() && m.error.is_none());
    let times = optimized.take_while(|_| !watcher.stopped()).filter_map(|m| {
        watcher.step(&format!("{}, profile", m.config), runs);
        match kernels::frame_times(engines, m.config, plan.device, clip, runs) {
            Ok(times) => Some(times),
            Err(error) => {
                m.error = Some(format!("cannot profile: {error:#}"));
                None
            }
        }
    });
    times.collect()
}

/// Measures every configuration of a plan on one clip. A failure is recorded and does not affect
/// the other configurations.
///
/// The configurations take turns, so that a machine that slows down or becomes busy affects all of
/// them equally.
fn measure(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> (Vec<Measurement>, Vec<Comparison>) {
    let mut comparisons = Vec::new();
    let mut all: Vec<_> = plan.configs.iter().map(|config| Measurement::new(*config)).collect();
    for repeat in 1..=plan.repeats {
        for measurement in all.iter_mut().filter(|m| m.error.is_none()) {
            if watcher.stopped() {
                break;
            }
            let config = measurement.config;
            let name = format!("{config}, run {repeat} of {}", plan.repeats);
            watcher.step(&name, plan.frames * plan.modes.len());
            measurement.add(timing::run(plan, clip, engines, config, &plan.modes, watcher));
        }
    }

    for model in plan.models() {
        if watcher.stopped() {
            break;
        }
        let reference = plan.reference.config(model);
        let mut measured: Vec<_> = all
            .iter_mut()
            .filter(|m| m.config.model == model && m.config != reference && m.error.is_none())
            .collect();
        if measured.is_empty() {
            continue;
        }
        // Beyond these the clip repeats, and so would the differences.
        let distinct = (plan.factor - 1).saturating_mul(clip.distinct_pairs());
        let configs: Vec<_> = measured.iter().map(|m| m.config).collect();
        let candidates: Vec<_> = measured
            .iter()
            .map(|m| Candidate {
                config: m.config,
                frames: m.runs.iter().map(Run::frames).max().unwrap_or(0).min(distinct),
                also_with: also_compared_with(m.config, &configs),
            })
            .collect();
        let most = candidates.iter().map(|one| one.frames).max().unwrap_or(0);
        watcher.step(&format!("{model}, fidelity"), most);
        match fidelity::compare_all(plan, clip, engines, reference, &candidates, watcher) {
            Ok((fidelities, pairs)) => {
                comparisons.extend(pairs);
                for (m, fidelity) in measured.iter_mut().zip(fidelities) {
                    m.fidelity = Some(fidelity);
                }
            }
            Err(error) => {
                for m in &mut measured {
                    m.error = Some(format!("cannot compare with {reference}: {error:#}"));
                }
            }
        }
    }

    all.iter_mut().for_each(|m| m.summarize(plan.factor));
    (all, comparisons)
}

/// Indices of the configurations that one is compared with in addition to the reference: the
/// optimized engine below F32 with the baseline in the same precision, and with itself in F32.
fn also_compared_with(config: Config, configs: &[Config]) -> Vec<usize> {
    if !config.is_optimized() || config.precision == Precision::F32 {
        return Vec::new();
    }
    [(Engine::Baseline, config.precision), (Engine::Optimized, Precision::F32)]
        .into_iter()
        .filter_map(|wanted| configs.iter().position(|one| (one.engine, one.precision) == wanted))
        .collect()
}

/// Rounds to 0.1 µs: finer digits are noise, and make records long.
fn round_ms(elapsed: std::time::Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e7).round() / 1e4
}
