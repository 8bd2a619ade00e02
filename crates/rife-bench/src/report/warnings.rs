//! Warnings about a record, each with a remedy, and notes of the engines.

use super::facts::is_gpu;
use crate::distinct::distinct;
use crate::measure::ablation::Ablation;
use crate::measure::gpu::GpuUse;
use crate::measure::{Measurement, Run};
use crate::record::Record;
use crate::stats::Spread;
use crate::subject::Optimization;

/// Number of frames from which quartiles are meaningful.
const FRAMES_FOR_QUARTILES: usize = 20;
/// Number of frames from which the 1% low does not depend on a single frame.
const FRAMES_FOR_LOW: usize = 300;
/// Interquartile range relative to the median above which frame times vary suspiciously.
const WIDE_IQR: f64 = 0.1;
/// Range of the runs relative to the median that is suspicious on one machine.
const WIDE_RUNS: f64 = 0.05;
/// GPU utilisation in % before anything runs that indicates other programs.
const BUSY_PERCENT: f64 = 10.0;
/// Lower quartile of the clock relative to its maximum that indicates a drop.
const CLOCK_DROP: f64 = 0.85;

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The problem and the affected configurations.
    pub what: String,
    /// The remedy.
    pub remedy: &'static str,
}

impl Warning {
    /// A problem of these configurations; `None` if there are none.
    fn about(what: &str, remedy: &'static str, names: &[String]) -> Option<Self> {
        let what = || format!("{what}: {}", names.join(", "));
        (!names.is_empty()).then(|| Self { what: what(), remedy })
    }

    /// The warning and its remedy as one sentence.
    pub fn text(&self) -> String {
        format!("{}; {}", self.what, self.remedy)
    }
}

/// All warnings about a record, the most serious first.
pub fn warnings(record: &Record) -> Vec<Warning> {
    let mut all = general(record);
    let ablated: Vec<_> = record.ablations.iter().flat_map(Ablation::all_measurements).collect();
    let mut about = |what: &str, remedy, concerns: &dyn Fn(&Measurement) -> bool| {
        let concerned = record.measurements.iter().filter(|m| concerns(m));
        let cases: Vec<_> = concerned.map(Measurement::name).collect();
        let all_of_them = cases.len() > 1 && cases.len() == record.measurements.len();
        let mut names = match cases.len() {
            0 => Vec::new(),
            _ if all_of_them => vec!["every configuration".into()],
            _ => cases,
        };
        // There can be dozens; the record has the details.
        let further = ablated.iter().filter(|m| concerns(m)).count();
        if further > 0 {
            names.push(format!("{further} of {} ablation variants", ablated.len()));
        }
        all.extend(Warning::about(what, remedy, &names));
    };
    about(
        "results are wrong: some samples are not finite",
        "do not use this configuration; please report it with the record",
        &|m| m.fidelity.as_ref().is_some_and(|fidelity| fidelity.non_finite > 0),
    );
    about(
        "frame times vary widely",
        "close other programs, fix the clock frequency, or measure more --frames",
        &|m| {
            m.summary.as_ref().is_some_and(|s| s.frame_ms.relative_iqr() > WIDE_IQR)
                || m.device.as_ref().is_some_and(|d| d.frame_ms.relative_iqr() > WIDE_IQR)
        },
    );
    about(
        "runs differ from each other",
        "the machine was busy or throttled; repeat when it is idle, or use more --repeats",
        &|m| {
            m.summary.as_ref().is_some_and(|s| differ(&s.run_median_ms))
                || m.device.as_ref().is_some_and(|d| differ(&d.run_fps))
                || m.end_to_end.as_ref().is_some_and(|e| differ(&e.run_fps))
        },
    );
    let frames = |m: &Measurement| m.summary.as_ref().map(|s| s.frame_ms.samples);
    let by_device = |m: &Measurement| m.device.as_ref().map(|d| d.frame_ms.samples);
    about("quartiles are unreliable: too few frames", "measure more with --frames", &|m| {
        frames(m).into_iter().chain(by_device(m)).any(|few| few < FRAMES_FOR_QUARTILES)
    });
    about("the 1% low is unreliable: too few frames", "measure more with --frames", &|m| {
        frames(m).is_some_and(|n| (FRAMES_FOR_QUARTILES..FRAMES_FOR_LOW).contains(&n))
    });
    about("speed is too low: the GPU was throttled", "check power cap and temperature", &|m| {
        gpus(m).any(|gpu| !gpu.throttled.is_empty())
    });
    about(
        "speed is too low: the GPU's clock dropped while measuring",
        "use a longer --warmup, or fix the clock frequency",
        &|m| gpus(m).any(|gpu| gpu.clock_mhz.is_some_and(|mhz| mhz.p25 < CLOCK_DROP * mhz.max)),
    );
    about(
        "fewer frames than requested: the time budget cut runs short",
        "set --frames, or raise --budget",
        &|m| m.runs.iter().any(Run::is_cut),
    );
    let on_gpu = is_gpu(record);
    about(
        "end-to-end speed is too low: frames could not be pinned",
        "raise the limit of locked memory (ulimit -l)",
        &|m| {
            let mut runs = m.runs.iter().filter_map(|run| run.end_to_end.as_ref());
            let pinned = m.config.without.enabled().has(Optimization::PinnedMemory);
            let expected = on_gpu && m.config.is_optimized() && pinned;
            expected && runs.any(|run| !run.page_locked)
        },
    );
    about(
        "memory peaks belong to the whole process instead of each run",
        "measure one configuration at a time",
        &|m| m.runs.iter().any(|run| !run.peak_rss_is_of_run),
    );
    all.extend(further(record));
    all
}

/// Warnings about the circumstances of the whole record.
fn general(record: &Record) -> Vec<Warning> {
    let busy = record.settings.gpu_busy_before_percent;
    let busy = busy.filter(|percent| *percent > BUSY_PERCENT).map(|percent| Warning {
        what: format!("speed may be too low: the GPU was {percent:.0}% busy before measuring"),
        remedy: "wait until the GPU is idle",
    });
    let debug = record.header.build.debug_assertions.then(|| Warning {
        what: "speed is too low: this is a debug build".into(),
        remedy: "run with --release",
    });
    let stopped = record.settings.stopped.then(|| Warning {
        what: "results are incomplete: measuring was interrupted".into(),
        remedy: "let it finish, or select less to measure",
    });
    [debug, stopped, busy].into_iter().flatten().collect()
}

/// Notes of the engines about their results, each once.
pub fn engine_notes(record: &Record) -> Vec<String> {
    distinct(record.measurements.iter().filter_map(|m| {
        let note = m.subject.as_ref()?.note.as_ref()?;
        Some(format!("{}: {note}", m.config.model))
    }))
}

/// Notes for readers of a single table: warnings about the whole record, and notes of the engines.
pub fn notes(record: &Record) -> Vec<String> {
    let general = general(record).iter().map(Warning::text).collect::<Vec<_>>();
    general.into_iter().chain(engine_notes(record)).collect()
}

/// Warnings about quality, peers and ablations.
fn further(record: &Record) -> Vec<Warning> {
    let results = record.quality.iter().flat_map(|quality| &quality.results);
    let broken = results.filter(|result| {
        let frames = result.truth.iter().flat_map(|truth| &truth.frames);
        frames.map(|frame| frame.non_finite).sum::<u64>() > 0
    });
    let wide = record.peers.iter().filter(|peer| {
        peer.frame_ms.is_some_and(|ms| ms.samples > 1 && ms.relative_iqr() > WIDE_IQR)
    });
    // The same configuration measured twice: any difference is due to the machine.
    let differing = record.ablations.iter().filter(|ablation| {
        let same =
            |m: &&Measurement| (m.config, m.size) == (ablation.all.config, ablation.all.size);
        let other = record.measurements.iter().find(same);
        let (a, b) = (ablation.all.device.as_ref(), other.and_then(|m| m.device.as_ref()));
        a.zip(b).is_some_and(|(a, b)| {
            let (a, b) = (a.run_fps, b.run_fps);
            let apart = a.max < b.min || b.max < a.min;
            apart && (a.median / b.median - 1.0).abs() > WIDE_RUNS
        })
    });
    [
        Warning::about(
            "results are wrong: some interpolated samples are not finite",
            "do not use this configuration; please report it with the record",
            &broken.map(|result| result.config.to_string()).collect::<Vec<_>>(),
        ),
        Warning::about(
            "frame times of peers vary widely",
            "close other programs, or use more --repeats",
            &wide.map(|peer| format!("{}, {}", peer.name, peer.model)).collect::<Vec<_>>(),
        ),
        Warning::about(
            "ablations differ from the measurements of the same configuration before them",
            "the machine was busy or throttled; repeat when it is idle",
            &differing.map(|ablation| ablation.all.name()).collect::<Vec<_>>(),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn gpus(m: &Measurement) -> impl Iterator<Item = &GpuUse> {
    m.runs.iter().filter_map(|run| run.gpu.as_ref())
}

/// Whether runs are further apart than expected on one machine.
fn differ(runs: &Spread) -> bool {
    (runs.max - runs.min) / runs.median > WIDE_RUNS
}
