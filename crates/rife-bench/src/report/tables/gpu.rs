//! What the GPU did meanwhile, as NVML has it.

use crate::measure::Measurement;
use crate::measure::gpu::GpuUse;
use crate::record::Record;
use crate::report::facts::at_size;
use crate::report::figures::{NOTHING, known, three};
use crate::report::grid::Grid;
use crate::stats::Spread;

/// Every configuration that ran on a GPU; no rows where none did.
pub fn of(record: &Record) -> Grid {
    let mut grid = Grid::new("The GPU meanwhile").words(&["model", "engine", "type", "size"]);
    grid = grid.figures(&[
        "busy %, one at a time",
        "at most %",
        "busy %, end to end",
        "clock MHz",
        "power W",
        "at most W",
        "\u{b0}C",
        "steady MiB",
        "peak MiB",
    ]);
    for m in &record.measurements {
        let gpus = gpus(m);
        if gpus.is_empty() {
            continue;
        }
        let case = m.case;
        let mut row =
            vec![case.model.to_string(), case.engine.to_string(), case.precision.to_string()];
        row.push(at_size(m));
        row.extend([
            known(mean(&gpus, |gpu| gpu.utilisation_mean_percent)),
            known(most(&gpus, |gpu| gpu.utilisation_max_percent)),
            known(mean(&gpus, |gpu| gpu.utilisation_fed_percent)),
            clock(&gpus),
            known(mean(&gpus, |gpu| Some(gpu.power_w?.mean))),
            known(most(&gpus, |gpu| Some(gpu.power_w?.max))),
            known(most(&gpus, |gpu| Some(gpu.temperature_c?.max))),
            known(most(&gpus, |gpu| gpu.steady_mib)),
            known(m.peak_gpu_mib()),
        ]);
        grid.row(row);
    }
    grid.without_empty_columns()
}

/// The same of all configurations together, in one line; `None` where nothing is known of it.
pub fn in_short(record: &Record) -> Option<String> {
    let gpus: Vec<&GpuUse> = record.measurements.iter().flat_map(gpus).collect();
    let mut parts = Vec::new();
    if gpus.iter().any(|gpu| gpu.clock_mhz.is_some()) {
        parts.push(format!("clock {} MHz", clock(&gpus)));
    }
    let figures = [
        (most(&gpus, |gpu| Some(gpu.power_w?.max)), "W"),
        (most(&gpus, |gpu| Some(gpu.temperature_c?.max)), "\u{b0}C"),
    ];
    let known = figures.into_iter().filter_map(|(figure, unit)| Some((figure?, unit)));
    parts.extend(known.map(|(figure, unit)| format!("at most {} {unit}", three(figure))));
    (!parts.is_empty()).then(|| format!("The GPU meanwhile: {}", parts.join(", ")))
}

fn gpus(m: &Measurement) -> Vec<&GpuUse> {
    m.runs.iter().filter_map(|run| run.gpu.as_ref()).collect()
}

fn mean(gpus: &[&GpuUse], of: impl Fn(&GpuUse) -> Option<f64>) -> Option<f64> {
    let seen: Vec<_> = gpus.iter().filter_map(|gpu| of(gpu)).collect();
    Spread::of(&seen).map(|spread| spread.mean)
}

fn most(gpus: &[&GpuUse], of: impl Fn(&GpuUse) -> Option<f64>) -> Option<f64> {
    gpus.iter().filter_map(|gpu| of(gpu)).reduce(f64::max)
}

/// One figure where the clock stood still, else from the least to the most.
fn clock(gpus: &[&GpuUse]) -> String {
    let clocks = || gpus.iter().filter_map(|gpu| gpu.clock_mhz);
    let least = clocks().map(|mhz| mhz.min).reduce(f64::min);
    match least.zip(clocks().map(|mhz| mhz.max).reduce(f64::max)) {
        None => NOTHING.into(),
        Some((least, most)) if least == most => three(most),
        Some((least, most)) => format!("{}-{}", three(least), three(most)),
    }
}
