//! Values that several reports take from a record.

use rife_model::ModelVersion;

use super::figures::{NOTHING, three};
use super::grid::{Cell, word};
use crate::distinct::distinct;
use crate::measure::ablation::Verdict;
use crate::measure::{Measurement, Run};
use crate::record::{Header, Record};
use crate::stats::Spread;
use crate::subject::{Config, Engine, Precision, Size, cuda_ordinal};

/// Interpolated frames per second, one frame at a time.
pub fn latency_fps(m: &Measurement) -> Option<f64> {
    m.summary.as_ref().map(|s| s.fps)
}

/// Interpolated frames per second, end to end.
pub fn end_to_end_fps(m: &Measurement) -> Option<f64> {
    m.end_to_end.as_ref().map(|e| e.fps)
}

/// Interpolated frames per second in device time.
pub fn device_fps(m: &Measurement) -> Option<f64> {
    m.device.as_ref().map(|d| d.fps)
}

/// Device frames per second of the median run, on which gains are based.
pub fn median_run_fps(m: &Measurement) -> Option<f64> {
    m.device_run_fps().map(|fps| fps.median)
}

/// Engine memory in MiB.
pub fn engine_mib(m: &Measurement) -> Option<f64> {
    m.memory.map(|memory| memory.device_mib)
}

/// Peak resident memory of the process in MiB.
pub fn ram_mib(m: &Measurement) -> Option<f64> {
    m.runs.iter().map(|run| run.peak_rss_mib).reduce(f64::max)
}

/// Peak memory in MiB: of the GPU, or of the process on a CPU.
pub fn peak_mib(record: &Record, m: &Measurement) -> Option<f64> {
    if is_gpu(record) { m.peak_gpu_mib() } else { ram_mib(m) }
}

/// Whether the record is of a GPU.
pub fn is_gpu(record: &Record) -> bool {
    cuda_ordinal(record.settings.device).is_some()
}

/// Distribution over the runs of a measurement.
pub fn over_runs(m: &Measurement, of: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
    Spread::of(&m.runs.iter().filter_map(of).collect::<Vec<_>>())
}

/// The measurement of a configuration at a size.
pub fn find(
    record: &Record,
    size: Size,
    (model, engine, precision): (ModelVersion, Engine, Precision),
) -> Option<&Measurement> {
    record.measurements.iter().find(|m| {
        record.size_of(m) == size
            && (m.config.model, m.config.engine, m.config.precision) == (model, engine, precision)
    })
}

/// A ratio; `None` if it is not finite.
pub fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b?).filter(|ratio| ratio.is_finite())
}

/// The models of the measurements, each once, in order.
pub fn models(record: &Record) -> Vec<ModelVersion> {
    distinct(record.measurements.iter().map(|m| m.config.model))
}

/// Cells that identify a configuration: model, engine and precision.
pub fn config_cells(config: Config) -> Vec<Cell> {
    vec![
        word("model", config.model.to_string()),
        word("engine", config.engine.to_string()),
        word("type", config.precision.to_string()),
    ]
}

/// Cells that identify a configuration and, if the record has several, the frame size.
pub fn name_cells(config: Config, size: Option<Size>) -> Vec<Cell> {
    let mut cells = config_cells(config);
    cells.push(word("size", size.map_or_else(|| NOTHING.into(), |size| size.to_string())));
    cells
}

/// Placeholder for the figures of a configuration without results.
pub fn missing(error: Option<&String>) -> &'static str {
    if error.is_some() { "failed" } else { "not measured" }
}

/// Index of a verdict, the best first.
pub fn rank(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Helped => 0,
        Verdict::Neutral => 1,
        Verdict::Hurt => 2,
    }
}

/// CPU, cores and memory.
pub fn cpu(header: &Header) -> String {
    let machine = &header.machine;
    let cpu = if machine.cpu.is_empty() { "unknown" } else { &machine.cpu };
    let ram = machine.ram_mib.map(|mib| format!(", {} GiB RAM", three(mib / 1024.0)));
    format!("{cpu}, {} cores{}", machine.cores, ram.unwrap_or_default())
}

/// Sizes, device, clip, runs and budget.
pub fn settings(record: &Record) -> String {
    let settings = &record.settings;
    let sizes: Vec<_> = settings.sizes().iter().map(|(size, _)| size.to_string()).collect();
    let budget = settings.budget_s.map(|s| format!(", budget {} s each", three(s)));
    format!(
        "{} on {}, {}, {} x {} frames after {} warm-up frames{}",
        sizes.join(", "),
        settings.device,
        settings.clip,
        settings.repeats,
        settings.frames,
        settings.warmup,
        budget.unwrap_or_default()
    )
}
