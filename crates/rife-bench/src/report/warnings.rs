//! What a reader of a record must be told before trusting it, each with its remedy.

use crate::measure::ablation::Ablation;
use crate::measure::gpu::GpuUse;
use crate::measure::{Measurement, Run};
use crate::record::Record;
use crate::stats::Spread;
use crate::subject::{Device, Engine, Optimization};

/// Measured frames from which on quartiles mean something.
const FRAMES_FOR_QUARTILES: usize = 20;
/// Measured frames from which on the slowest hundredth is more than one frame's luck.
const FRAMES_FOR_LOW: usize = 300;
/// Interquartile range, as a share of the median, above which frames vary suspiciously.
const WIDE_IQR: f64 = 0.1;
/// Distance between the runs' medians, as a share of the median, that one machine should not show.
const WIDE_RUNS: f64 = 0.05;

/// Utilisation of a card, in %, before anything was loaded, that tells of somebody else.
pub const BUSY_PERCENT: f64 = 10.0;
/// The lower quartile of the clock over its highest below which it fell.
const FALLEN: f64 = 0.85;

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is wrong, and with which configurations.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// All warnings about a record, the gravest first.
pub fn warnings(record: &Record) -> Vec<Warning> {
    let mut all = Vec::new();
    if record.build.debug_assertions {
        all.push(Warning {
            what: "this is a debug build: every figure is too slow".into(),
            remedy: "run with --release",
        });
    }
    if record.settings.stopped {
        all.push(Warning {
            what: "somebody ended the measuring early: not all was measured".into(),
            remedy: "let it run to its end, or narrow what it measures",
        });
    }
    if record.settings.gpu_busy_before_percent.is_some_and(|percent| percent > BUSY_PERCENT) {
        all.push(Warning {
            what: "somebody else kept the GPU busy before anything was measured".into(),
            remedy: "every figure may be too low: wait until the card is free",
        });
    }
    let ablated: Vec<_> = record.ablations.iter().flat_map(Ablation::seen).collect();
    let mut about = |what: &str, remedy, concerns: &dyn Fn(&Measurement) -> bool| {
        let concerned = record.measurements.iter().filter(|m| concerns(m));
        let cases: Vec<_> = concerned.map(Measurement::name).collect();
        let all_of_them = cases.len() > 1 && cases.len() == record.measurements.len();
        let mut whom = match cases.len() {
            0 => Vec::new(),
            _ if all_of_them => vec!["every configuration".into()],
            _ => cases,
        };
        // Dozens of them: who wants to know which reads the record.
        let further = ablated.iter().filter(|m| concerns(m)).count();
        if further > 0 {
            whom.push(format!("{further} of {} in ablations", ablated.len()));
        }
        if !whom.is_empty() {
            all.push(Warning { what: format!("{what}: {}", whom.join(", ")), remedy });
        }
    };
    about(
        "some samples are not finite",
        "do not use this configuration; report it with the record",
        &|m| m.fidelity.as_ref().is_some_and(|fidelity| fidelity.non_finite > 0),
    );
    about(
        "frame times spread widely",
        "close other programs, fix the clock speed, or take more --frames",
        &|m| {
            m.summary.as_ref().is_some_and(|s| s.frame_ms.relative_iqr() > WIDE_IQR)
                || m.device.as_ref().is_some_and(|d| d.frame_ms.relative_iqr() > WIDE_IQR)
        },
    );
    about(
        "the runs differ from each other",
        "the machine was busy or throttling: repeat when it is quiet, or take more --repeats",
        &|m| {
            m.summary.as_ref().is_some_and(|s| differ(&s.run_median_ms))
                || m.device.as_ref().is_some_and(|d| differ(&d.run_fps))
                || m.end_to_end.as_ref().is_some_and(|e| differ(&e.run_fps))
        },
    );
    let frames = |m: &Measurement| m.summary.as_ref().map(|s| s.frame_ms.samples);
    let by_device = |m: &Measurement| m.device.as_ref().map(|d| d.frame_ms.samples);
    about(
        "too few frames for a spread",
        "the quartiles say little: take more with --frames",
        &|m| frames(m).into_iter().chain(by_device(m)).any(|few| few < FRAMES_FOR_QUARTILES),
    );
    about(
        "too few frames for a 1% low",
        "it rests on one or two frames: take more with --frames",
        &|m| frames(m).is_some_and(|n| (FRAMES_FOR_QUARTILES..FRAMES_FOR_LOW).contains(&n)),
    );
    about(
        "the GPU held its clock back",
        "see what of (power cap, heat): cool it, or measure when it does less",
        &|m| gpus(m).any(|gpu| !gpu.throttled.is_empty()),
    );
    about(
        "the GPU's clock fell while it was measured",
        "warm up longer (--warmup), or fix the clock",
        &|m| gpus(m).any(|gpu| gpu.clock_mhz.is_some_and(|mhz| mhz.p25 < FALLEN * mhz.max)),
    );
    about(
        "the time budget cut runs short",
        "ask for all frames with --frames, or raise --budget",
        &|m| m.runs.iter().any(cut),
    );
    let on_gpu = matches!(record.settings.device, Device::Cuda(_));
    about(
        "end-to-end frames could not be page-locked",
        "they are slower than need be: raise the limit of locked memory (ulimit -l)",
        &|m| {
            let mut runs = m.runs.iter().filter_map(|run| run.end_to_end.as_ref());
            let pinned = m.case.without.optimizations().has(Optimization::PinnedMemory);
            let wanted = on_gpu && m.case.engine == Engine::Optimized && pinned;
            wanted && runs.any(|run| !run.page_locked)
        },
    );
    about(
        "memory peaks are the whole process's, not each run's",
        "measure one configuration at a time",
        &|m| m.runs.iter().any(|run| !run.peak_rss_is_of_run),
    );
    all.extend(beside(record));
    all
}

/// Of what was measured beside the configurations.
fn beside(record: &Record) -> Vec<Warning> {
    let mut all = Vec::new();
    let mut about = |what: &str, remedy, whom: Vec<String>| {
        if !whom.is_empty() {
            all.push(Warning { what: format!("{what}: {}", whom.join(", ")), remedy });
        }
    };
    let results = record.quality.iter().flat_map(|quality| &quality.results);
    let broken = results.filter(|result| {
        let frames = result.truth.iter().flat_map(|truth| &truth.frames);
        frames.map(|frame| frame.non_finite).sum::<u64>() > 0
    });
    about(
        "some samples of the frames made again are not finite",
        "do not use this configuration; report it with the record",
        broken.map(|result| result.case.to_string()).collect(),
    );
    let wide = record.peers.iter().filter(|peer| {
        peer.frame_ms.is_some_and(|ms| ms.samples > 1 && ms.relative_iqr() > WIDE_IQR)
    });
    about(
        "frame times of peers spread widely",
        "close other programs, or take more --repeats",
        wide.map(|peer| format!("{}, {}", peer.name, peer.model)).collect(),
    );
    // The same configuration, measured twice: what differs is the machine.
    let differing = record.ablations.iter().filter(|ablation| {
        let same = |m: &&Measurement| (m.case, m.size) == (ablation.all.case, ablation.all.size);
        let other = record.measurements.iter().find(same);
        let (a, b) = (ablation.all.device.as_ref(), other.and_then(|m| m.device.as_ref()));
        a.zip(b).is_some_and(|(a, b)| {
            let (a, b) = (a.run_fps, b.run_fps);
            let apart = a.max < b.min || b.max < a.min;
            apart && (a.median / b.median - 1.0).abs() > WIDE_RUNS
        })
    });
    about(
        "an ablation's figures with everything on are not those that were measured before it",
        "the machine was busy or throttling in one of them: repeat when it is quiet",
        differing.map(|ablation| ablation.all.name()).collect(),
    );
    all
}

fn gpus(m: &Measurement) -> impl Iterator<Item = &GpuUse> {
    m.runs.iter().filter_map(|run| run.gpu.as_ref())
}

/// Whether runs are further apart than one machine should show.
fn differ(runs: &Spread) -> bool {
    (runs.max - runs.min) / runs.median > WIDE_RUNS
}

fn cut(run: &Run) -> bool {
    run.cut_by_budget
        || run.device.as_ref().is_some_and(|run| run.cut_by_budget)
        || run.end_to_end.as_ref().is_some_and(|run| run.cut_by_budget)
}
