//! What reports ask of a record time and again.

use crate::measure::Measurement;
use crate::measure::ablation::Verdict as Judged;
use crate::record::Record;
use crate::report::verdicts::{self, Verdict};
use crate::report::warnings::BUSY_PERCENT;
use crate::subject::{Case, Device, Engine, Precision, Size};
use rife_model::ModelVersion;

/// Generated frames a second, one at a time.
pub fn latency_fps(m: &Measurement) -> Option<f64> {
    m.summary.as_ref().map(|s| s.fps)
}

/// Generated frames a second, fed ahead.
pub fn end_to_end_fps(m: &Measurement) -> Option<f64> {
    m.end_to_end.as_ref().map(|e| e.fps)
}

/// Generated frames a second by the device's own clock.
pub fn device_fps(m: &Measurement) -> Option<f64> {
    m.device.as_ref().map(|d| d.fps)
}

/// The median run's frames a second by the device's own clock: what gains are of.
pub fn median_run_fps(m: &Measurement) -> Option<f64> {
    m.device.as_ref().map(|d| d.run_fps.median)
}

/// Memory by the engine's own account, in MiB.
pub fn engine_mib(m: &Measurement) -> Option<f64> {
    m.memory.map(|memory| memory.device_mib)
}

/// Peak of the process's resident memory, in MiB.
pub fn ram_mib(m: &Measurement) -> Option<f64> {
    m.runs.iter().map(|run| run.peak_rss_mib).reduce(f64::max)
}

/// Peak of memory on what it ran on, in MiB: of the GPU by NVML, else of the process.
pub fn peak_mib(record: &Record, m: &Measurement) -> Option<f64> {
    match record.settings.device {
        Device::Cpu => ram_mib(m),
        Device::Cuda(_) => m.peak_gpu_mib(),
    }
}

/// Size of a measurement's frames.
pub fn size_of(record: &Record, m: &Measurement) -> Size {
    m.size.unwrap_or(record.settings.size)
}

/// A configuration's measurement at a size.
pub fn find(
    record: &Record,
    size: Size,
    (model, engine, precision): (ModelVersion, Engine, Precision),
) -> Option<&Measurement> {
    record.measurements.iter().find(|m| {
        size_of(record, m) == size
            && (m.case.model, m.case.engine, m.case.precision) == (model, engine, precision)
    })
}

/// One of several, over another; `None` of nothing.
pub fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b?).filter(|ratio| ratio.is_finite())
}

/// The models of the measurements, each once, in order.
pub fn models(record: &Record) -> Vec<ModelVersion> {
    let mut models = Vec::new();
    for m in &record.measurements {
        if !models.contains(&m.case.model) {
            models.push(m.case.model);
        }
    }
    models
}

/// The size of the frames, where the record has more than one: else the reader knows it.
pub fn at_size(m: &Measurement) -> String {
    m.size.map_or_else(|| super::figures::NOTHING.into(), |size| size.to_string())
}

/// Two configurations that a reader wants to see beside each other.
pub struct Pair<'a> {
    /// What it comes down to.
    pub verdict: Verdict,
    /// What it was before.
    pub from: &'a Measurement,
    /// What it became.
    pub to: &'a Measurement,
}

impl Pair<'_> {
    /// What is compared, without the model.
    pub fn name(&self) -> String {
        let Verdict { from, to, .. } = self.verdict;
        format!("{} {} vs {} {}", from.engine, from.precision, to.engine, to.precision)
    }
}

/// The three comparisons of every model at every size, as far as they are there.
pub fn pairs(record: &Record) -> Vec<Pair<'_>> {
    let here = |size, case: Case| find(record, size, (case.model, case.engine, case.precision));
    let pair = |mut verdict: Verdict| {
        verdict.speed = verdict.speed.filter(|speed| speed.is_finite());
        verdict.memory = verdict.memory.filter(|memory| memory.is_finite());
        verdict.fidelity = verdict.fidelity.filter(|fidelity| !fidelity.psnr_db.0.is_nan());
        let (from, to) = here(verdict.size, verdict.from).zip(here(verdict.size, verdict.to))?;
        Some(Pair { verdict, from, to })
    };
    verdicts::of(record).into_iter().filter_map(pair).collect()
}

/// What a reader of the figures has to know: how the record came about, and what engines say, each
/// once.
pub fn notes(record: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    if record.settings.stopped {
        notes.push("Somebody ended the measuring early: not all was measured.".into());
    }
    let busy = record.settings.gpu_busy_before_percent;
    if let Some(percent) = busy.filter(|percent| *percent > BUSY_PERCENT) {
        notes.push(format!("Somebody else kept the GPU busy before, at {percent:.0} %."));
    }
    if record.build.debug_assertions {
        notes.push("A debug build: every figure is too slow.".into());
    }
    notes.extend(engine_notes(record));
    notes
}

/// What engines say that a reader of their figures has to know, each once.
pub fn engine_notes(record: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    for m in &record.measurements {
        if let Some(note) = m.subject.as_ref().and_then(|subject| subject.note.as_ref()) {
            let note = format!("{}: {note}", m.case.model);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

/// What stands for the figures of what has none: a stop comes before some configurations begin.
pub fn missing(error: Option<&String>) -> &'static str {
    if error.is_some() { "failed" } else { "not measured" }
}

/// A verdict's number among the three, the best first.
pub fn rank(verdict: Judged) -> usize {
    match verdict {
        Judged::Helped => 0,
        Judged::Neutral => 1,
        Judged::Hurt => 2,
    }
}
