//! One run of one configuration, by the clock.

use std::time::Instant;

use anyhow::{Context, Result};

use super::gpu::GpuSampler;
use super::host::{CpuClock, PeakMemory};
use super::{Run, TIMESTEP, Watcher, round_ms};
use crate::clip::Clip;
use crate::plan::Plan;
use crate::subject::{Case, Device, Engines, Stream, SubjectInfo};

/// Loads an engine, warms it up, measures it and drops it.
pub(super) fn run(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    case: Case,
    watcher: &dyn Watcher,
) -> Result<(SubjectInfo, Run)> {
    let mut out = vec![0; clip.size.samples()];
    let mut memory = PeakMemory::start();
    let gpu = match plan.device {
        Device::Cuda(ordinal) => GpuSampler::start(ordinal),
        Device::Cpu => None,
    };

    let clock = Instant::now();
    let subject = engines.load(case, plan.device)?;
    let load_ms = round_ms(clock.elapsed());

    let clock = Instant::now();
    let mut stream = subject.session(clip.size).context("opening a session")?;
    stream.push(clip.frame(0))?;
    next(stream.as_mut(), clip.frame(1), &mut out)?;
    let first_frame_ms = round_ms(clock.elapsed());

    let budget = plan.run_budget();
    let spent = |clock: Instant| budget.is_some_and(|budget| clock.elapsed() >= budget);

    let clock = Instant::now();
    let mut warmup_ms = Vec::with_capacity(plan.warmup);
    while warmup_ms.len() < plan.warmup && !spent(clock) {
        let frame = Instant::now();
        next(stream.as_mut(), clip.frame(warmup_ms.len() + 2), &mut out)?;
        warmup_ms.push(round_ms(frame.elapsed()));
    }

    // The measured frames begin at the clip's start in every run, whatever the warm-up: the same
    // pairs that the fidelity pass compares.
    stream.push(clip.frame(0))?;
    if let Some(gpu) = &gpu {
        gpu.count_utilisation(true);
    }
    let mut frame_ms = Vec::with_capacity(plan.frames);
    let cpu = CpuClock::start();
    let clock = Instant::now();
    while frame_ms.len() < plan.frames && (frame_ms.len() < plan.min_run_frames() || !spent(clock))
    {
        let frame = Instant::now();
        next(stream.as_mut(), clip.frame(frame_ms.len() + 1), &mut out)?;
        frame_ms.push(round_ms(frame.elapsed()));
        memory.observe();
        watcher.frame();
    }
    let cpu_percent = cpu.percent_of_all_cores();
    if let Some(gpu) = &gpu {
        gpu.count_utilisation(false);
    }
    drop(stream);

    let run = Run {
        load_ms,
        first_frame_ms,
        warmup_ms,
        cut_by_budget: frame_ms.len() < plan.frames,
        frame_ms,
        cpu_percent,
        rss_before_mib: memory.before_mib(),
        peak_rss_is_of_run: memory.is_of_run(),
        peak_rss_mib: memory.peak_mib(),
        gpu: gpu.map(GpuSampler::finish),
    };
    Ok((subject.info(), run))
}

/// One frame in, one generated frame out.
fn next(stream: &mut dyn Stream, frame: &[u8], out: &mut [u8]) -> Result<()> {
    stream.push(frame)?;
    stream.at_rgb8(TIMESTEP, out)
}
