//! Scaling: throughput and memory against frame size, CPU threads and batch size.

use std::time::{Duration, Instant};

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gpu::GpuSampler;
use super::host::PeakMemory;
use super::{Setup, TIMESTEP, Watcher};
use crate::clip::{Clip, ClipSource};
use crate::plan::{Plan, cores};
use crate::stats::Spread;
use crate::subject::{
    Config, EngineMemory, Engines, LoadOptions, Size, Stream, Subject, cuda_ordinal,
};

/// Frame sizes, 360p to 2160p.
pub const SIZES: [Size; 6] = [
    Size { width: 640, height: 360 },
    Size { width: 960, height: 540 },
    Size { width: 1280, height: 720 },
    Size { width: 1920, height: 1080 },
    Size { width: 2560, height: 1440 },
    Size { width: 3840, height: 2160 },
];
/// Batch sizes.
const BATCHES: [usize; 4] = [1, 2, 4, 8];
/// Number of distinct input frames.
const FRAMES: usize = 3;
/// Duration of a run, after at least [`MIN_CALLS`].
const RUN: Duration = Duration::from_millis(500);
const MIN_CALLS: usize = 2;
/// Number of frames timed on a GPU.
const DEVICE_FRAMES: usize = 20;

/// The quantity that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Frame size.
    Size,
    /// Threads of a CPU engine.
    Threads,
    /// Frames interpolated per call between the same pair.
    Batch,
    /// Pairs per call, one interpolated frame each.
    Pairs,
}

/// One configuration at one point of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScalingPoint {
    /// The quantity that varies.
    pub axis: Axis,
    /// Configuration.
    #[serde(rename = "case")]
    pub config: Config,
    /// Frame size.
    pub size: Size,
    /// Threads of a CPU engine; `null` on a GPU.
    pub threads: Option<usize>,
    /// Frames or pairs per call.
    pub batch: usize,
    /// Interpolated frames per second from host memory to host memory, one call at a time, of the
    /// median run; `null` if it failed.
    pub fps: Option<f64>,
    /// Frames per second of each run.
    pub run_fps: Option<Spread>,
    /// Interpolated frames per second in device time, one frame at a time; `null` without a device
    /// clock and for pairs.
    pub device_fps: Option<f64>,
    /// Engine memory; `null` for pairs.
    pub memory: Option<EngineMemory>,
    /// Peak resident memory of the process.
    pub peak_rss_mib: Option<f64>,
    /// Peak GPU memory as reported by NVML.
    pub peak_gpu_mib: Option<f64>,
    /// Error message if it failed.
    pub error: Option<String>,
}

impl ScalingPoint {
    /// A point without results yet.
    pub fn new(axis: Axis, config: Config, size: Size) -> Self {
        Self {
            axis,
            config,
            size,
            threads: None,
            batch: 1,
            fps: None,
            run_fps: None,
            device_fps: None,
            memory: None,
            peak_rss_mib: None,
            peak_gpu_mib: None,
            error: None,
        }
    }
}

/// Measures every optimized configuration of the plan along each axis. Failures are recorded.
pub(crate) fn measure(
    plan: &Plan,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> Result<Vec<ScalingPoint>> {
    let optimized: Vec<Config> = plan.optimized().collect();
    let mut points = Vec::new();
    for size in SIZES {
        let clip = &clip(size)?;
        let setup = Setup { plan, clip, engines, watcher };
        for &config in &optimized {
            let point = ScalingPoint::new(Axis::Size, config, size);
            points.extend(at(setup, point));
            if watcher.stopped() {
                return Ok(points);
            }
        }
    }
    let Some(size) = plan.sources.first().map(|source| source.size) else { return Ok(points) };
    let clip = &clip(size)?;
    let setup = Setup { plan, clip, engines, watcher };
    for &config in &optimized {
        let on_gpu = cuda_ordinal(plan.device).is_some();
        let threads = if on_gpu { Vec::new() } else { thread_counts(cores()) };
        for threads in threads {
            let point = ScalingPoint::new(Axis::Threads, config, size);
            let point = ScalingPoint { threads: Some(threads), ..point };
            points.extend(at(setup, point));
        }
        for axis in [Axis::Batch, Axis::Pairs] {
            for batch in BATCHES {
                let point = ScalingPoint { batch, ..ScalingPoint::new(axis, config, size) };
                points.extend(at(setup, point));
            }
        }
    }
    Ok(points)
}

fn clip(size: Size) -> Result<Clip> {
    ClipSource::scene(size, 1).load(FRAMES - 1)
}

/// Powers of two below the number of cores, and all cores.
fn thread_counts(cores: usize) -> Vec<usize> {
    let mut counts: Vec<usize> =
        std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|n| *n < cores).collect();
    counts.push(cores);
    counts
}

/// Measures one point; `None` if interrupted.
fn at(setup: Setup<'_>, mut point: ScalingPoint) -> Option<ScalingPoint> {
    let Setup { plan, watcher, .. } = setup;
    if watcher.stopped() {
        return None;
    }
    let name = match point.axis {
        Axis::Size => format!("{} at {}", point.config, point.size),
        Axis::Threads => format!("{}, {} threads", point.config, point.threads.unwrap_or(0)),
        Axis::Batch => format!("{}, batch {}", point.config, point.batch),
        Axis::Pairs => format!("{}, {} pairs", point.config, point.batch),
    };
    watcher.step(&name, plan.args.repeats);
    if let Err(error) = fill(setup, &mut point) {
        point.error = Some(format!("{error:#}"));
    }
    (!watcher.stopped()).then_some(point)
}

fn fill(setup: Setup<'_>, point: &mut ScalingPoint) -> Result<()> {
    let Setup { plan, clip, engines, watcher } = setup;
    let memory = PeakMemory::start();
    let gpu = cuda_ordinal(plan.device).and_then(GpuSampler::start);
    let options = LoadOptions { threads: point.threads, batch: point.batch };
    let subject = engines.load_with(point.config, plan.device, options)?;
    point.threads = subject.info().threads;
    let workload = match point.axis {
        Axis::Pairs => Workload::Pairs(subject.as_ref()),
        _ => {
            let mut stream = subject.session(clip.size)?;
            stream.push(clip.frame(0))?;
            let at = |i: usize| i as f32 / (point.batch + 1) as f32;
            Workload::Stream(stream, (1..=point.batch).map(at).collect())
        }
    };
    let outs = vec![vec![0; clip.size.samples()]; point.batch];
    let mut feed = Feed { workload, clip, next: 1, outs };
    // Warm-up: the first frames may compile and tune kernels.
    for _ in 0..2 {
        if !watcher.stopped() {
            feed.generate()?;
        }
    }
    let mut runs = Vec::new();
    for _ in 0..plan.args.repeats {
        let clock = Instant::now();
        let mut calls = 0;
        while (calls < MIN_CALLS || clock.elapsed() < RUN) && !watcher.stopped() {
            feed.generate()?;
            calls += 1;
        }
        runs.push((calls * point.batch) as f64 / clock.elapsed().as_secs_f64());
        watcher.frame();
    }
    point.run_fps = Spread::of(&runs);
    point.fps = point.run_fps.map(|fps| fps.median);
    if watcher.stopped() {
        return Ok(());
    }
    if let Workload::Stream(stream, _) = &mut feed.workload {
        let frames = if cuda_ordinal(plan.device).is_some() { DEVICE_FRAMES } else { MIN_CALLS };
        let times = stream.time_on_device(TIMESTEP, frames)?.unwrap_or_default();
        let times: Vec<f64> = times.into_iter().map(f64::from).collect();
        point.device_fps = Spread::of(&times).map(|ms| 1000.0 / ms.median);
        point.memory = stream.memory();
    }
    point.peak_rss_mib = Some(memory.peak_mib());
    drop(feed);
    point.peak_gpu_mib = gpu.map(|gpu| gpu.finish().peak_mib());
    Ok(())
}

/// How the frames of a call are interpolated.
enum Workload<'a> {
    /// A stream, at these times. Each call pushes one frame.
    Stream(Box<dyn Stream + 'a>, Vec<f32>),
    /// An engine that is given pairs.
    Pairs(&'a dyn Subject),
}

/// Feeds a clip to a workload.
struct Feed<'a> {
    workload: Workload<'a>,
    clip: &'a Clip,
    next: usize,
    outs: Vec<Vec<u8>>,
}

impl Feed<'_> {
    fn generate(&mut self) -> Result<()> {
        match &mut self.workload {
            Workload::Stream(stream, timesteps) => {
                stream.push(self.clip.frame(self.next))?;
                self.next += 1;
                stream.at_many_rgb8(timesteps, &mut self.outs)
            }
            Workload::Pairs(subject) => {
                let clip = self.clip;
                let pair = |i| (clip.frame(self.next + i), clip.frame(self.next + i + 1));
                let pairs: Vec<_> = (0..self.outs.len()).map(pair).collect();
                self.next += pairs.len();
                subject.pairs_rgb8(clip.size, &pairs, TIMESTEP, &mut self.outs)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_counts_double_up_to_all_cores() {
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(thread_counts(2), [1, 2]);
        assert_eq!(thread_counts(6), [1, 2, 4, 6]);
        assert_eq!(thread_counts(16), [1, 2, 4, 8, 16]);
    }
}
