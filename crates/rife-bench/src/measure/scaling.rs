//! How cost grows with the work: frames a second and memory against size, threads and batch.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::gpu::GpuSampler;
use super::host::{PeakMemory, cores};
use super::{TIMESTEP, Watcher};
use crate::clip::{Clip, Source};
use crate::plan::Plan;
use crate::stats::Spread;
use crate::subject::{Case, Device, Engine, EngineMemory, Engines, Size, Stream, Subject, Tuning};

/// The sizes, 360p to 2160p.
pub const SIZES: [Size; 6] = [
    Size { width: 640, height: 360 },
    Size { width: 960, height: 540 },
    Size { width: 1280, height: 720 },
    Size { width: 1920, height: 1080 },
    Size { width: 2560, height: 1440 },
    Size { width: 3840, height: 2160 },
];
/// Frames made at once.
const BATCHES: [usize; 4] = [1, 2, 4, 8];
/// Different frames that a stream is fed.
const FRAMES: usize = 3;
/// Time that a run measures for, once it has made [`LEAST_CALLS`].
const RUN: Duration = Duration::from_millis(500);
const LEAST_CALLS: usize = 2;
/// Frames by the device's own clock.
const ON_DEVICE: usize = 20;

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
    /// The same, each between two of its own.
    Pairs,
}

/// One configuration at one place of an axis; the others stay what they are.
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
    /// The same by the device's own clock, for a frame at a time; `None` where it has none, and of
    /// pairs.
    pub device_fps: Option<f64>,
    /// Memory that the engine held by its own account; `None` of pairs.
    pub memory: Option<EngineMemory>,
    /// Peak of the process's resident memory, in MiB.
    pub peak_rss_mib: Option<f64>,
    /// Peak of GPU memory by NVML, in MiB.
    pub peak_gpu_mib: Option<f64>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl ScalingPoint {
    fn new(axis: Axis, case: Case, size: Size) -> Self {
        Self {
            axis,
            case,
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

/// Measures every optimized configuration of the plan along each axis. What fails is a point that
/// says so.
pub(super) fn measure(
    plan: &Plan,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> Result<Vec<ScalingPoint>> {
    let optimized: Vec<Case> =
        plan.cases.iter().copied().filter(|case| case.engine == Engine::Optimized).collect();
    let mut points = Vec::new();
    for size in SIZES {
        let clip = clip(size)?;
        for &case in &optimized {
            let point = ScalingPoint::new(Axis::Size, case, size);
            points.extend(at(plan, &clip, engines, point, watcher));
            if watcher.stopped() {
                return Ok(points);
            }
        }
    }
    let Some(size) = plan.sources.first().map(Source::size) else { return Ok(points) };
    let clip = clip(size)?;
    for &case in &optimized {
        let threads = if plan.device == Device::Cpu { thread_counts(cores()) } else { Vec::new() };
        for threads in threads {
            let point = ScalingPoint::new(Axis::Threads, case, size);
            let point = ScalingPoint { threads: Some(threads), ..point };
            points.extend(at(plan, &clip, engines, point, watcher));
        }
        for axis in [Axis::Batch, Axis::Pairs] {
            for batch in BATCHES {
                let point = ScalingPoint { batch, ..ScalingPoint::new(axis, case, size) };
                points.extend(at(plan, &clip, engines, point, watcher));
            }
        }
    }
    Ok(points)
}

fn clip(size: Size) -> Result<Clip> {
    Source::Scene { size, seed: 1 }.load(FRAMES - 1)
}

/// 1, 2, 4 and so on, and all.
fn thread_counts(cores: usize) -> Vec<usize> {
    let mut counts: Vec<usize> =
        std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|n| *n < cores).collect();
    counts.push(cores);
    counts
}

/// Measures a point; there is none where it was ended early.
fn at(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    mut point: ScalingPoint,
    watcher: &dyn Watcher,
) -> Option<ScalingPoint> {
    if watcher.stopped() {
        return None;
    }
    let name = match point.axis {
        Axis::Size => format!("{} at {}", point.case, point.size),
        Axis::Threads => format!("{} on {} threads", point.case, point.threads.unwrap_or(0)),
        Axis::Batch => format!("{}, {} at once", point.case, point.batch),
        Axis::Pairs => format!("{}, {} pairs at once", point.case, point.batch),
    };
    watcher.step(&name, plan.repeats);
    if let Err(error) = fill(plan, clip, engines, &mut point, watcher) {
        point.error = Some(format!("{error:#}"));
    }
    (!watcher.stopped()).then_some(point)
}

fn fill(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    point: &mut ScalingPoint,
    watcher: &dyn Watcher,
) -> Result<()> {
    let memory = PeakMemory::start();
    let gpu = match plan.device {
        Device::Cuda(ordinal) => GpuSampler::start(ordinal),
        Device::Cpu => None,
    };
    let tuning = Tuning { threads: point.threads, batch: point.batch };
    let subject = engines.load_tuned(point.case, plan.device, tuning)?;
    point.threads = subject.info().threads;
    let source = match point.axis {
        Axis::Pairs => Maker::Pairs(subject.as_ref()),
        _ => {
            let mut stream = subject.session(clip.size)?;
            stream.push(clip.frame(0))?;
            let at = |i: usize| i as f32 / (point.batch + 1) as f32;
            Maker::Stream(stream, (1..=point.batch).map(at).collect())
        }
    };
    let outs = vec![vec![0; clip.size.samples()]; point.batch];
    let mut feed = Feed { source, clip, next: 1, outs };
    // What the first frames bring about, such as compiling and timing kernels.
    for _ in 0..2 {
        if !watcher.stopped() {
            feed.generate()?;
        }
    }
    let mut runs = Vec::new();
    for _ in 0..plan.repeats {
        let clock = Instant::now();
        let mut calls = 0;
        while (calls < LEAST_CALLS || clock.elapsed() < RUN) && !watcher.stopped() {
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
    if let Maker::Stream(stream, _) = &mut feed.source {
        let frames = if plan.device == Device::Cpu { LEAST_CALLS } else { ON_DEVICE };
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

/// What makes the frames of a call.
enum Maker<'a> {
    /// A stream, at these times: it is fed one frame for each call.
    Stream(Box<dyn Stream + 'a>, Vec<f32>),
    /// An engine that is given pairs.
    Pairs(&'a dyn Subject),
}

/// A clip, and what its frames are handed to.
struct Feed<'a> {
    source: Maker<'a>,
    clip: &'a Clip,
    next: usize,
    outs: Vec<Vec<u8>>,
}

impl Feed<'_> {
    fn generate(&mut self) -> Result<()> {
        match &mut self.source {
            Maker::Stream(stream, timesteps) => {
                stream.push(self.clip.frame(self.next))?;
                self.next += 1;
                stream.at_many_rgb8(timesteps, &mut self.outs)
            }
            Maker::Pairs(subject) => {
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
    fn threads_double_and_end_at_all() {
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(thread_counts(2), [1, 2]);
        assert_eq!(thread_counts(6), [1, 2, 4, 6]);
        assert_eq!(thread_counts(16), [1, 2, 4, 8, 16]);
    }
}
