//! One timed run of one configuration.

use std::time::Instant;

use anyhow::{Context, Result};

use super::gpu::{GpuSampler, Phase};
use super::host::{CpuClock, PeakMemory};
use super::{Run, Setup, round_ms, throughput};
use crate::mode::Mode;
use crate::subject::{Config, Stream, SubjectInfo, cuda_ordinal};

/// Loads an engine, warms it up, measures it in each mode and drops it.
pub(super) fn run(setup: Setup<'_>, config: Config, modes: &[Mode]) -> Result<(SubjectInfo, Run)> {
    let Setup { plan, clip, engines, .. } = setup;
    let mut out = vec![0; clip.size.samples()];
    let mut memory = PeakMemory::start();
    let gpu = cuda_ordinal(plan.device).and_then(GpuSampler::start);

    let clock = Instant::now();
    let subject = engines.load(config, plan.device)?;
    let load_ms = round_ms(clock.elapsed());

    let clock = Instant::now();
    let mut stream = subject.session(clip.size).context("cannot open a session")?;
    stream.push(clip.frame(0))?;
    generate(setup, stream.as_mut(), 0, 0, &mut out)?;
    let first_frame_ms = round_ms(clock.elapsed());

    let enter = |phase| gpu.as_slice().iter().for_each(|gpu| gpu.enter(phase));
    let latency = if modes.contains(&Mode::Latency) {
        latency(setup, stream.as_mut(), &mut out, &mut memory, &enter)?
    } else {
        Latency::default()
    };
    // Before the pinned frames, which belong to the benchmark.
    let (peak_rss_mib, steady_rss_mib) = (memory.peak_mib(), memory.now_mib());

    let device = if modes.contains(&Mode::Device) {
        throughput::on_device(setup, stream.as_mut(), &enter).context("device mode")?
    } else {
        None
    };
    let mut engine_memory = stream.memory();
    drop(stream);
    let end_to_end = if modes.contains(&Mode::EndToEnd) {
        let result = throughput::end_to_end(setup, subject.as_ref(), &enter);
        let (run, memory) = result.context("end-to-end mode")?;
        engine_memory = memory.or(engine_memory);
        Some(run)
    } else {
        None
    };

    let run = Run {
        load_ms,
        first_frame_ms,
        cut_by_budget: plan.budget.is_some()
            && modes.contains(&Mode::Latency)
            && latency.frame_ms.len() < plan.frames,
        warmup_ms: latency.warmup_ms,
        frame_ms: latency.frame_ms,
        cpu_percent: latency.cpu_percent,
        rss_before_mib: memory.before_mib(),
        peak_rss_is_of_run: memory.is_of_run(),
        peak_rss_mib,
        steady_rss_mib: Some(steady_rss_mib),
        gpu: gpu.map(GpuSampler::finish),
        device,
        end_to_end,
        memory: engine_memory,
    };
    Ok((subject.info(), run))
}

/// Latency of frames; empty if not measured.
#[derive(Default)]
struct Latency {
    warmup_ms: Vec<f64>,
    frame_ms: Vec<f64>,
    cpu_percent: f64,
}

fn latency(
    setup: Setup<'_>,
    stream: &mut dyn Stream,
    out: &mut [u8],
    memory: &mut PeakMemory,
    enter: &dyn Fn(Phase),
) -> Result<Latency> {
    let Setup { plan, clip, watcher, .. } = setup;
    let budget = plan.run_budget();
    let spent = |clock: Instant| budget.is_some_and(|budget| clock.elapsed() >= budget);

    let clock = Instant::now();
    let mut warmup_ms = Vec::with_capacity(plan.warmup);
    while warmup_ms.len() < plan.warmup && !spent(clock) {
        let frame = Instant::now();
        generate(setup, stream, warmup_ms.len(), 1, out)?;
        warmup_ms.push(round_ms(frame.elapsed()));
    }

    // The measured frames start at the clip's start regardless of the warm-up: the same pairs that
    // the fidelity pass compares.
    stream.push(clip.frame(0))?;
    enter(Phase::Latency);
    let mut frame_ms = Vec::with_capacity(plan.frames);
    let cpu = CpuClock::start();
    let clock = Instant::now();
    while frame_ms.len() < plan.frames
        && !watcher.stopped()
        && (frame_ms.len() < plan.min_run_frames() || !spent(clock))
    {
        let frame = Instant::now();
        generate(setup, stream, frame_ms.len(), 0, out)?;
        frame_ms.push(round_ms(frame.elapsed()));
        memory.observe();
        watcher.frame();
    }
    let cpu_percent = cpu.percent_of_all_cores();
    enter(Phase::Idle);
    Ok(Latency { warmup_ms, frame_ms, cpu_percent })
}

/// Interpolates frame `index` on a stream that was given frame `first` of the clip, pushing the next
/// clip frame if this is the first frame of its pair.
fn generate(
    setup: Setup<'_>,
    stream: &mut dyn Stream,
    index: usize,
    first: usize,
    out: &mut [u8],
) -> Result<()> {
    let position = setup.plan.position(index);
    if position.first_of_pair {
        stream.push(setup.clip.frame(first + position.pair + 1))?;
    }
    stream.at_rgb8(position.timestep, out)
}
