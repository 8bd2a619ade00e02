//! Carries out a plan and returns what was seen. Nothing is printed here.
//!
//! Speed and fidelity are measured apart, so that neither the reference nor the comparison is
//! anywhere near the clock.

pub mod fidelity;
pub mod gpu;
pub mod host;
mod timing;

use serde::{Deserialize, Serialize};

use crate::clip::Clip;
use crate::plan::Plan;
use crate::stats::{Spread, low_1_percent_fps};
use crate::subject::{Case, Engines, SubjectInfo};
use fidelity::Fidelity;
use gpu::GpuUse;

/// Time of every generated frame between the two around it.
pub const TIMESTEP: f32 = 0.5;

/// Told how far measuring has come.
pub trait Watcher {
    /// A step begins, of so many frames.
    fn step(&self, name: &str, frames: usize);
    /// One of its frames is done.
    fn frame(&self);
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
    /// What the engine says of itself; `None` where it did not load.
    pub subject: Option<SubjectInfo>,
    /// Why the configuration failed, if it did. What was seen before that is kept.
    pub error: Option<String>,
    /// What the runs come down to; `None` where there is none.
    pub summary: Option<Summary>,
    /// How far the frames are from the reference's; `None` of the reference itself.
    pub fidelity: Option<Fidelity>,
    /// The raw samples, run by run.
    pub runs: Vec<Run>,
}

/// One run: load, first frame, warm-up, measured frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Loading the weights and making the engine ready, in ms.
    pub load_ms: f64,
    /// From the loaded engine to its first generated frame in host memory: opening the session,
    /// two frames in, one out, in ms.
    pub first_frame_ms: f64,
    /// Warm-up frames after the first, in ms each; in no other figure.
    pub warmup_ms: Vec<f64>,
    /// Measured frames, in ms each: one frame in, one generated frame out, from host memory to
    /// host memory.
    pub frame_ms: Vec<f64>,
    /// Whether the time budget ended the run before all its frames were made.
    pub cut_by_budget: bool,
    /// Process CPU time over wall time and cores while frames were measured, in %.
    pub cpu_percent: f64,
    /// Resident memory of the process before loading, in MiB: the clip, the benchmark itself and
    /// what the allocator kept of earlier runs.
    pub rss_before_mib: f64,
    /// High-water mark of the process's resident memory, in MiB.
    pub peak_rss_mib: f64,
    /// Whether that is the mark of this run alone, see [`host::PeakMemory`].
    pub peak_rss_is_of_run: bool,
    /// The GPU meanwhile; `None` where none was used or NVML is absent.
    pub gpu: Option<GpuUse>,
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
            peak_gpu_mib: gpus.iter().map(|gpu| gpu.peak_mib()).reduce(f64::max),
            gpu_percent: Spread::of(&gpu_percent).map(|spread| spread.mean),
        })
    }
}

/// Measures every configuration of a plan. One that fails is reported as failed; the others are
/// measured all the same.
///
/// Runs go round robin, so that a machine that gets slower or busier with time does so to all
/// configurations alike.
pub fn measure(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> Vec<Measurement> {
    let mut all: Vec<Measurement> = plan
        .cases
        .iter()
        .map(|&case| Measurement {
            case,
            subject: None,
            error: None,
            summary: None,
            fidelity: None,
            runs: Vec::new(),
        })
        .collect();

    for repeat in 1..=plan.repeats {
        for measurement in all.iter_mut().filter(|m| m.error.is_none()) {
            let name = format!("{}, run {repeat} of {}", measurement.case, plan.repeats);
            watcher.step(&name, plan.frames);
            match timing::run(plan, clip, engines, measurement.case, watcher) {
                Ok((subject, run)) => {
                    measurement.subject = Some(subject);
                    measurement.runs.push(run);
                }
                Err(error) => measurement.error = Some(format!("{error:#}")),
            }
        }
    }

    for model in plan.models() {
        let reference = Case::reference(model);
        let mut candidates: Vec<_> = all
            .iter_mut()
            .filter(|m| m.case.model == model && m.case != reference && m.error.is_none())
            .collect();
        if !candidates.is_empty() {
            let cases: Vec<_> = candidates
                .iter()
                .map(|m| (m.case, m.runs.iter().map(|run| run.frame_ms.len()).max().unwrap_or(0)))
                .collect();
            watcher.step(&format!("{model}, fidelity"), plan.frames);
            let compared = fidelity::compare_all(plan, clip, engines, reference, &cases, watcher);
            match compared {
                Ok(fidelities) => {
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

    for measurement in &mut all {
        measurement.summary = Summary::of(&measurement.runs);
    }
    all
}

/// Times to 0.1 µs: what is below that is noise, and makes records long.
fn round_ms(elapsed: std::time::Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e7).round() / 1e4
}
