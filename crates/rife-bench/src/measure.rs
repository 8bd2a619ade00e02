//! Carries out a plan and returns what was seen. Nothing is printed here.
//!
//! Speed and fidelity are measured apart, so that neither the reference nor the comparison is
//! anywhere near the clock.

pub mod ablation;
pub mod fidelity;
pub mod gpu;
pub mod host;
pub mod peers;
pub mod pictures;
pub mod quality;
pub mod scaling;
pub mod throughput;
mod timing;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::clip::{Clip, ClipFacts};
use crate::kernels::{self, Defaults, FrameTimes};
use crate::plan::Plan;
use crate::stats::{Spread, low_1_percent_fps};
use crate::subject::{Case, Device, Engine, EngineMemory, Engines, Precision, Size, SubjectInfo};
use ablation::Ablation;
use fidelity::{Candidate, Comparison, Fidelity};
use gpu::GpuUse;
use peers::Peer;
use quality::Quality;
use scaling::ScalingPoint;
use throughput::{DeviceRun, EndToEnd, EndToEndRun, OnDevice};

/// Time of every generated frame between the two around it.
pub const TIMESTEP: f32 = 0.5;

/// Told how far measuring has come.
pub trait Watcher {
    /// A step begins, of so many frames.
    fn step(&self, name: &str, frames: usize);
    /// One of its frames is done.
    fn frame(&self);
    /// Whether somebody wants it to end: what was measured by then counts.
    fn stopped(&self) -> bool {
        false
    }
}

/// Watches nothing.
impl Watcher for () {
    fn step(&self, _name: &str, _frames: usize) {}
    fn frame(&self) {}
}

/// Everything seen of one configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What was measured.
    pub case: Case,
    /// Size of its frames, where the record has more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// What the engine says of itself; `None` where it did not load.
    pub subject: Option<SubjectInfo>,
    /// Why the configuration failed, if it did. What was seen before that is kept.
    pub error: Option<String>,
    /// What the runs come down to, frame by frame; `None` where there is none, or no latency was
    /// measured.
    pub summary: Option<Summary>,
    /// Frames by the device's own clock; absent where they were not so measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<OnDevice>,
    /// Frames with the engine fed ahead; absent where they were not so measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<EndToEnd>,
    /// Most memory that the engine held by its own account; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<EngineMemory>,
    /// How far the frames are from the reference's; `None` of the reference itself.
    pub fidelity: Option<Fidelity>,
    /// The raw samples, run by run.
    pub runs: Vec<Run>,
}

impl Measurement {
    /// Of a configuration of which nothing was seen yet.
    pub fn of(case: Case) -> Self {
        Self {
            case,
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

    /// The configuration, and its size where that is needed to tell it from others.
    pub fn name(&self) -> String {
        self.size.map_or_else(|| self.case.to_string(), |size| format!("{} at {size}", self.case))
    }

    /// Highest peak of GPU memory, in MiB, see [`Summary::peak_gpu_mib`].
    pub fn peak_gpu_mib(&self) -> Option<f64> {
        peak_gpu_mib(&self.runs)
    }

    fn take(&mut self, run: Result<(SubjectInfo, Run)>) {
        match run {
            Ok((subject, run)) => {
                self.subject = Some(subject);
                self.runs.push(run);
            }
            Err(error) => self.error = Some(format!("{error:#}")),
        }
    }

    pub(crate) fn sum_up(&mut self, factor: usize) {
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

/// One run: load, first frame, warm-up, measured frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Loading the weights and making the engine ready, in ms.
    pub load_ms: f64,
    /// From the loaded engine to its first generated frame in host memory: opening the session,
    /// two frames in, one out, in ms.
    pub first_frame_ms: f64,
    /// Warm-up frames after the first, in ms each; in no other figure.
    pub warmup_ms: Vec<f64>,
    /// Measured frames, in ms each; none where latency was not measured: one frame in, one generated frame out, from host memory to
    /// host memory.
    pub frame_ms: Vec<f64>,
    /// Whether the time budget ended the run before all its frames were made.
    pub cut_by_budget: bool,
    /// Process CPU time over wall time and cores while these frames were measured, in %; 0 where
    /// there are none.
    pub cpu_percent: f64,
    /// Resident memory of the process before loading, in MiB: the clip, the benchmark itself and
    /// what the allocator kept of earlier runs.
    pub rss_before_mib: f64,
    /// High-water mark of the process's resident memory until these frames were measured, in MiB.
    pub peak_rss_mib: f64,
    /// Resident memory after the last of these frames, in MiB; absent from older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_rss_mib: Option<f64>,
    /// Whether the mark is that of this run alone, see [`host::PeakMemory`].
    pub peak_rss_is_of_run: bool,
    /// The GPU meanwhile; `None` where none was used or NVML is absent.
    pub gpu: Option<GpuUse>,
    /// Frames by the device's own clock; absent where they were not so measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceRun>,
    /// Frames with the engine fed ahead; absent where they were not so measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end: Option<EndToEndRun>,
    /// Memory that the engine held by its own account; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<EngineMemory>,
}

impl Run {
    /// Frames measured by the mode that measured the most.
    fn frames(&self) -> usize {
        let device = self.device.as_ref().map_or(0, |run| run.frame_ms.len());
        let end_to_end = self.end_to_end.as_ref().map_or(0, |run| run.frames);
        self.frame_ms.len().max(device).max(end_to_end)
    }
}

/// What the runs of a configuration come down to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Measured frames, all runs together, in ms each.
    pub frame_ms: Spread,
    /// Generated frames a second at the median frame.
    pub fps: f64,
    /// Frames a second over the slowest hundredth, see [`low_1_percent_fps`].
    pub low_1_percent_fps: f64,
    /// The runs' own median frames, in ms.
    pub run_median_ms: Spread,
    /// Load times, in ms.
    pub load_ms: Spread,
    /// First-frame latencies, in ms.
    pub first_frame_ms: Spread,
    /// Highest peak of resident memory, in MiB.
    pub peak_rss_mib: f64,
    /// Mean CPU utilisation, in % of all cores.
    pub cpu_percent: f64,
    /// Highest peak of GPU memory, in MiB: the process's own where NVML says it, else the whole
    /// card's growth over what it held before.
    pub peak_gpu_mib: Option<f64>,
    /// Mean GPU utilisation, in %.
    pub gpu_percent: Option<f64>,
}

impl Summary {
    /// Of the runs of one configuration; `None` of none.
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

/// Everything seen of a plan, and what it was seen on.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The frames; of several sizes those of the first.
    pub clip: ClipFacts,
    /// Those of the other sizes.
    pub further_clips: Vec<ClipFacts>,
    /// Every configuration, size by size.
    pub measurements: Vec<Measurement>,
    /// Whether somebody ended it before everything was measured.
    pub stopped: bool,
    /// Utilisation of the GPU before anything ran on it, in %.
    pub gpu_busy_before_percent: Option<f64>,
    /// What each optimization is worth, where that was asked for.
    pub ablations: Vec<Ablation>,
    /// Pairs of configurations, neither of which is the reference.
    pub comparisons: Vec<Comparison>,
    /// Where a frame's time goes, where that was asked for.
    pub profiles: Vec<FrameTimes>,
    /// Fidelity to a real clip, where one was given.
    pub quality: Option<Quality>,
    /// How cost grows, where that was asked for.
    pub scaling: Vec<ScalingPoint>,
    /// The same by others, where that was asked for.
    pub peers: Vec<Peer>,
}

impl Measured {
    /// Whether anything that could run failed, whatever it was for.
    pub fn failed(&self) -> bool {
        let quality = self.quality.iter().flat_map(|quality| &quality.results);
        self.all().any(|m| m.error.is_some())
            || quality.into_iter().any(|result| result.error.is_some())
            || self.scaling.iter().any(|point| point.error.is_some())
            || self.peers.iter().any(|peer| peer.error.is_some())
    }

    /// Every configuration, those without an optimization included.
    pub fn all(&self) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().chain(self.ablations.iter().flat_map(Ablation::seen))
    }
}

/// Carries out a plan. The frames of one size are held at a time.
///
/// # Errors
/// Where a picture cannot be read. What fails in an engine is a measurement that says so.
pub fn measure_all(plan: &Plan, engines: &dyn Engines, watcher: &dyn Watcher) -> Result<Measured> {
    let (mut clips, mut measurements, mut ablations) = (Vec::new(), Vec::new(), Vec::new());
    let (mut comparisons, mut profiles, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    let gpu_busy_before_percent = match plan.device {
        Device::Cuda(ordinal) => gpu::busy_percent(ordinal),
        Device::Cpu => None,
    };
    let several = plan.sources.len() > 1;
    for source in &plan.sources {
        let clip = source.load(plan.pairs(plan.frames))?;
        let size = several.then_some(clip.size);
        let (mut seen, mut pairs) = measure(plan, &clip, engines, watcher);
        seen.iter_mut().for_each(|m| m.size = size);
        pairs.iter_mut().for_each(|pair| pair.size = size);
        let before = measurements.len();
        measurements.extend(seen);
        comparisons.extend(pairs);
        if plan.profile && !watcher.stopped() {
            let new = &mut measurements[before..];
            profiles.extend(profile(plan, &clip, engines, new, watcher));
        }
        if plan.ablate && !watcher.stopped() {
            for case in plan.cases.iter().filter(|case| case.engine == Engine::Optimized) {
                let mut ablation = ablation::ablate(plan, &clip, engines, *case, watcher);
                ablation.seen_mut().for_each(|m| m.size = size);
                ablations.push(ablation);
            }
        }
        if let Some(plan_of_peers) = &plan.peers
            && !watcher.stopped()
        {
            peers.extend(peers::measure(plan, plan_of_peers, &clip, engines, watcher)?);
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
    let mut clips = clips.into_iter();
    let clip = clips.next().context("a plan without frames")?;
    Ok(Measured {
        clip,
        further_clips: clips.collect(),
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

/// Takes apart the frames of every optimized configuration, until it is stopped. One that fails says
/// so where it was measured.
fn profile(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    measurements: &mut [Measurement],
    watcher: &dyn Watcher,
) -> Vec<FrameTimes> {
    let runs = Defaults::of(plan.device).runs;
    let optimized =
        measurements.iter_mut().filter(|m| m.case.engine == Engine::Optimized && m.error.is_none());
    let times = optimized.take_while(|_| !watcher.stopped()).filter_map(|m| {
        watcher.step(&format!("{}, launch by launch", m.case), runs);
        match kernels::frame_times(engines, m.case, plan.device, clip, runs) {
            Ok(times) => Some(times),
            Err(error) => {
                m.error = Some(format!("taking a frame apart: {error:#}"));
                None
            }
        }
    });
    times.collect()
}

/// Measures every configuration of a plan on one clip. One that fails is reported as failed; the
/// others are measured all the same.
///
/// Runs go round robin, so that a machine that gets slower or busier with time does so to all
/// configurations alike.
pub fn measure(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> (Vec<Measurement>, Vec<Comparison>) {
    let mut comparisons = Vec::new();
    let mut all: Vec<_> = plan.cases.iter().map(|case| Measurement::of(*case)).collect();
    for repeat in 1..=plan.repeats {
        for measurement in all.iter_mut().filter(|m| m.error.is_none()) {
            if watcher.stopped() {
                break;
            }
            let name = format!("{}, run {repeat} of {}", measurement.case, plan.repeats);
            watcher.step(&name, plan.frames * plan.modes.len());
            let case = measurement.case;
            measurement.take(timing::run(plan, clip, engines, case, &plan.modes, watcher));
        }
    }

    for model in plan.models() {
        if watcher.stopped() {
            break;
        }
        let reference = plan.reference.case(model);
        let mut candidates: Vec<_> = all
            .iter_mut()
            .filter(|m| m.case.model == model && m.case != reference && m.error.is_none())
            .collect();
        if !candidates.is_empty() {
            // Beyond these the clip repeats itself, and so would the differences.
            let distinct = (plan.factor - 1).saturating_mul(clip.distinct_pairs());
            let cases: Vec<_> = candidates.iter().map(|m| m.case).collect();
            let compared: Vec<_> = candidates
                .iter()
                .map(|m| Candidate {
                    case: m.case,
                    frames: m.runs.iter().map(Run::frames).max().unwrap_or(0).min(distinct),
                    with: compared_with(m.case, &cases),
                })
                .collect();
            let most = compared.iter().map(|one| one.frames).max().unwrap_or(0);
            watcher.step(&format!("{model}, fidelity"), most);
            let seen = fidelity::compare_all(plan, clip, engines, reference, &compared, watcher);
            match seen {
                Ok((fidelities, pairs)) => {
                    comparisons.extend(pairs);
                    for (candidate, fidelity) in candidates.iter_mut().zip(fidelities) {
                        candidate.fidelity = Some(fidelity);
                    }
                }
                Err(error) => {
                    for candidate in &mut candidates {
                        candidate.error = Some(format!("comparing with {reference}: {error:#}"));
                    }
                }
            }
        }
    }

    all.iter_mut().for_each(|m| m.sum_up(plan.factor));
    (all, comparisons)
}

/// Which of the cases, by their places, a case is compared with beside the reference: the
/// optimized engine in less than F32 with the baseline in the same precision, and with itself in
/// F32. (Itself in F32 with the baseline in F32 is what the reference is for.)
fn compared_with(case: Case, cases: &[Case]) -> Vec<usize> {
    if case.engine != Engine::Optimized || case.precision == Precision::F32 {
        return Vec::new();
    }
    let baseline = (Engine::Baseline, case.precision);
    let exact = (Engine::Optimized, Precision::F32);
    [baseline, exact]
        .into_iter()
        .filter_map(|wanted| cases.iter().position(|one| (one.engine, one.precision) == wanted))
        .collect()
}

/// Times to 0.1 µs: what is below that is noise, and makes records long.
fn round_ms(elapsed: std::time::Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e7).round() / 1e4
}
