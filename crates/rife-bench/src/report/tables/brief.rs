//! Tables for a text that is read in two minutes: the figures that matter, and no others.

use std::fmt::Write;

use rife_model::ModelVersion;

use crate::distinct::distinct;
use crate::measure::Measurement;
use crate::measure::fidelity::Fidelity;
use crate::measure::peers::Peer;
use crate::record::Record;
use crate::report::facts::{
    config_cells, cpu, device_fps, end_to_end_fps, is_gpu, latency_fps, models, over_runs, peak_mib,
};
use crate::report::figures::{NOTHING, db, fidelity, known, of_255, ssim};
use crate::report::grid::{Grid, escape, figure};
use crate::report::tables::{ablation, comparisons, peers};

/// Speed, memory and fidelity of the baseline and of the optimized engine.
pub fn summary(record: &Record) -> Grid {
    let mut grid = Grid::new("Summary");
    for m in record.measurements.iter().filter(|m| m.error.is_none() && !m.runs.is_empty()) {
        let gpu = over_runs(m, |run| {
            let gpu = run.gpu.as_ref()?;
            gpu.utilisation_fed_percent.or(gpu.utilisation_mean_percent)
        });
        let compared = m.fidelity.as_ref();
        let [psnr, error] = fidelity(compared);
        let mut cells = config_cells(m.config);
        cells.extend([
            figure("fps, one at a time", known(latency_fps(m))),
            figure("fps, pipelined", known(end_to_end_fps(m))),
            figure("fps, device", known(device_fps(m))),
            figure("MiB", known(peak_mib(record, m))),
            figure("GPU %", known(gpu.map(|percent| percent.median))),
            figure("PSNR dB", if compared.is_some() { psnr } else { "reference".into() }),
            figure("SSIM", compared.map_or_else(|| NOTHING.into(), |f| ssim(f.ssim, 6))),
            figure("max error /255", error),
        ]);
        grid.row(cells);
    }
    let memory = if is_gpu(record) { "of the GPU, by NVML" } else { "of the process" };
    let frames = record.measurements.iter().filter_map(frames_compared).min();
    grid.note(format!(
        "MiB: peak {memory}. PSNR, SSIM and max error: against the baseline in F32{}.",
        frames.map(|frames| format!(", over at least {frames} frames")).unwrap_or_default()
    ));
    grid.without_empty_columns()
}

fn frames_compared(m: &Measurement) -> Option<usize> {
    Some(m.fidelity.as_ref()?.frames.len())
}

/// The three comparisons.
pub fn comparisons(record: &Record) -> Grid {
    let grid = comparisons::grid(record);
    ["latency fps", "device", "engine MiB", "verdict"]
        .into_iter()
        .fold(grid, |grid, heading| grid.without(heading))
}

/// Other implementations and ours.
pub fn peers(record: &Record) -> Grid {
    let grid = peers::grid(&record.peers);
    ["size", "version", "p25-p75 ms", "setup s", "RAM MiB"]
        .into_iter()
        .fold(grid, |grid, heading| grid.without(heading))
}

/// The effect of each optimization on top of all others.
pub fn optimizations(records: &[&Record]) -> Grid {
    let mut grid = ablation::overview(records)
        .without("enabled alone, device")
        .without("enabled alone, end to end");
    grid.notes.clear();
    grid.note(
        "Gain in frames per second on top of all other optimizations: the range over models and \
         precisions. Verdicts also count the gain without any other.",
    );
    grid
}

/// A sentence on speed and one on fidelity for each record with other implementations.
pub fn headline(records: &[&Record]) -> String {
    let mut text = String::new();
    let mut accurate = Vec::new();
    for record in records {
        let models = peer_models(record);
        let facts: Vec<_> = models.into_iter().filter_map(|model| fact(record, model)).collect();
        let Some(first) = facts.first() else { continue };
        let speeds = facts.iter().map(|fact| {
            let Fact { model, ours, ratio, best, .. } = fact;
            format!("{} fps with {model}, {ratio:.1}x {best}", known(ours.fps))
        });
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "- **{}**, {}, {}: {}.",
            machine(record),
            first.ours.size,
            first.precision.to_uppercase(),
            speeds.collect::<Vec<_>>().join("; ")
        );
        if first.precision == "f16"
            && let (Some(ours), Some(best)) = (&first.ours.fidelity, first.most_faithful)
        {
            accurate.push((first.model, ours, best));
        }
    }
    for (model, ours, best) in accurate {
        let _ = writeln!(
            text,
            "- **Accurate**: with {model}, F16 differs from F32 by at most {}/255 ({} dB) in the one \
             frame compared; the most accurate other F16 implementation differs by up to {}/255 ({} dB).",
            of_255(ours.max_error),
            db(ours.psnr_db),
            of_255(best.max_error),
            db(best.psnr_db),
        );
    }
    text
}

/// What a record shows about one model.
struct Fact<'a> {
    model: ModelVersion,
    precision: &'a str,
    ours: &'a Peer,
    ratio: f64,
    best: String,
    most_faithful: Option<&'a Fidelity>,
}

/// Our fastest engine of the precision that a device is used in by default, and the fastest other
/// implementation in the same precision.
fn fact(record: &Record, model: ModelVersion) -> Option<Fact<'_>> {
    let precision = if is_gpu(record) { "f16" } else { "f32" };
    let of = || {
        record
            .peers
            .iter()
            .filter(move |p| p.model == model && p.name.ends_with(precision) && p.fps.is_some())
    };
    let fastest = |ours: bool| {
        of().filter(move |p| p.ours == ours)
            .max_by(|a, b| a.fps.unwrap_or_default().total_cmp(&b.fps.unwrap_or_default()))
    };
    let (ours, other) = (fastest(true)?, fastest(false)?);
    let ratio = ours.fps? / other.fps?;
    let best = escape(other.name.trim_end_matches(precision).trim());
    let most_faithful = of()
        .filter(|p| !p.ours)
        .filter_map(|p| p.fidelity.as_ref())
        .max_by(|a, b| a.psnr_db.0.total_cmp(&b.psnr_db.0));
    Some(Fact { model, precision, ours, ratio, best, most_faithful })
}

fn peer_models(record: &Record) -> Vec<ModelVersion> {
    let all = distinct(record.peers.iter().map(|peer| peer.model));
    if all.is_empty() { models(record) } else { all }
}

fn machine(record: &Record) -> String {
    let gpu = record.header.machine.gpus.first().filter(|_| is_gpu(record));
    escape(&gpu.map_or_else(|| cpu(&record.header), |gpu| gpu.name.clone()))
}
