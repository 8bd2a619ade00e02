//! GPU usage while measuring, as reported by NVML.

use crate::measure::Measurement;
use crate::measure::gpu::GpuUse;
use crate::record::Record;
use crate::report::facts::name_cells;
use crate::report::figures::{NOTHING, known, three};
use crate::report::grid::{Grid, figure};
use crate::stats::Spread;

/// Every configuration that ran on a GPU.
pub fn grid(record: &Record) -> Grid {
    let mut grid = Grid::new("GPU usage");
    for m in &record.measurements {
        let gpus = gpus(m);
        if gpus.is_empty() {
            continue;
        }
        let mut cells = name_cells(m.config, m.size);
        cells.extend([
            figure("mean load %, latency", known(mean(&gpus, |gpu| gpu.utilisation_mean_percent))),
            figure("max load %, latency", known(max(&gpus, |gpu| gpu.utilisation_max_percent))),
            figure(
                "mean load %, end to end",
                known(mean(&gpus, |gpu| gpu.utilisation_fed_percent)),
            ),
            figure("clock MHz", clock(&gpus)),
            figure("mean power W", known(mean(&gpus, |gpu| Some(gpu.power_w?.mean)))),
            figure("max power W", known(max(&gpus, |gpu| Some(gpu.power_w?.max)))),
            figure("\u{b0}C", known(max(&gpus, |gpu| Some(gpu.temperature_c?.max)))),
            figure("steady MiB", known(max(&gpus, |gpu| gpu.steady_mib))),
            figure("peak MiB", known(m.peak_gpu_mib())),
        ]);
        grid.row(cells);
    }
    grid.without_empty_columns()
}

/// All configurations together, on one line; `None` if nothing is known.
pub fn summary(record: &Record) -> Option<String> {
    let gpus: Vec<&GpuUse> = record.measurements.iter().flat_map(gpus).collect();
    let mut parts = Vec::new();
    if gpus.iter().any(|gpu| gpu.clock_mhz.is_some()) {
        parts.push(format!("clock {} MHz", clock(&gpus)));
    }
    let figures = [
        (max(&gpus, |gpu| Some(gpu.power_w?.max)), "W"),
        (max(&gpus, |gpu| Some(gpu.temperature_c?.max)), "\u{b0}C"),
    ];
    let known = figures.into_iter().filter_map(|(figure, unit)| Some((figure?, unit)));
    parts.extend(known.map(|(figure, unit)| format!("max {} {unit}", three(figure))));
    (!parts.is_empty()).then(|| format!("GPU: {}", parts.join(", ")))
}

fn gpus(m: &Measurement) -> Vec<&GpuUse> {
    m.runs.iter().filter_map(|run| run.gpu.as_ref()).collect()
}

fn mean(gpus: &[&GpuUse], of: impl Fn(&GpuUse) -> Option<f64>) -> Option<f64> {
    let known: Vec<_> = gpus.iter().filter_map(|gpu| of(gpu)).collect();
    Spread::of(&known).map(|spread| spread.mean)
}

fn max(gpus: &[&GpuUse], of: impl Fn(&GpuUse) -> Option<f64>) -> Option<f64> {
    gpus.iter().filter_map(|gpu| of(gpu)).reduce(f64::max)
}

/// The clock, or its range if it changed.
fn clock(gpus: &[&GpuUse]) -> String {
    let clocks = || gpus.iter().filter_map(|gpu| gpu.clock_mhz);
    let least = clocks().map(|mhz| mhz.min).reduce(f64::min);
    match least.zip(clocks().map(|mhz| mhz.max).reduce(f64::max)) {
        None => NOTHING.into(),
        Some((least, most)) if least == most => three(most),
        Some((least, most)) => format!("{}-{}", three(least), three(most)),
    }
}
