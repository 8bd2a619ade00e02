//! Speed and memory of each configuration.

use super::note_failure;
use crate::measure::Measurement;
use crate::record::Record;
use crate::report::facts::{
    device_fps, end_to_end_fps, engine_mib, find, is_gpu, latency_fps, missing, name_cells,
    over_runs, ram_mib, ratio,
};
use crate::report::figures::{known, quartiles, times};
use crate::report::grid::{Cell, Grid, figure, without_figures};
use crate::stats::Spread;
use crate::subject::{Engine, Precision};

/// Every configuration in one precision, or in all. F32 includes TF32, which PyTorch users also call
/// FP32.
pub fn grid(record: &Record, precision: Option<Precision>) -> Grid {
    let (caption, precisions): (_, &[Precision]) = match precision {
        None => ("Speed and memory".into(), &[]),
        Some(Precision::F32) => {
            ("Speed and memory in f32".into(), &[Precision::F32, Precision::Tf32])
        }
        Some(ref one) => (format!("Speed and memory in {one}"), std::slice::from_ref(one)),
    };
    let mut grid = Grid::new(caption);
    let of_type =
        |m: &&Measurement| precisions.is_empty() || precisions.contains(&m.config.precision);
    for m in record.measurements.iter().filter(of_type) {
        grid.row(cells(record, m));
        note_failure(&mut grid, m);
    }
    grid.without_empty_columns()
}

fn cells(record: &Record, m: &Measurement) -> Vec<Cell> {
    let factor = record.settings.factor;
    let (summary, device) = (m.summary.as_ref(), m.device.as_ref());
    let fps = latency_fps(m);
    let output = end_to_end_fps(m).or(fps).and_then(|fps| output_fps(fps, factor));
    let gpu_end_to_end = over_runs(m, |run| run.gpu.as_ref()?.utilisation_fed_percent);
    // On a GPU it is mostly the clip and libraries.
    let ram = ram_mib(m).filter(|_| !is_gpu(record));
    let mut cells = name_cells(m.config, m.size);
    cells.extend([
        figure("fps", known(fps)),
        figure(&format!("{factor}x output fps"), known(output)),
        figure("ms", known(summary.map(|s| s.frame_ms.median))),
        figure("p25-p75 ms", quartiles(summary.map(|s| &s.frame_ms))),
        figure("1% low fps", known(summary.map(|s| s.low_1_percent_fps))),
        figure("end-to-end fps", known(end_to_end_fps(m))),
        figure("device fps", known(device_fps(m))),
        figure("device ms", known(device.map(|d| d.frame_ms.median))),
        figure("engine MiB", known(engine_mib(m))),
        figure("GPU MiB", known(m.peak_gpu_mib())),
        figure("RAM MiB", known(ram)),
        figure("GPU %", known(summary.and_then(|s| s.gpu_percent))),
        figure("GPU %, end to end", known(gpu_end_to_end.map(|percent| percent.mean))),
        figure("CPU %", known(summary.map(|s| s.cpu_percent))),
        figure("vs baseline", times(over_baseline(record, m))),
    ]);
    if m.runs.is_empty() { without_figures(cells, missing(m.error.as_ref())) } else { cells }
}

/// Output frames per second of a job, which include the input frames.
fn output_fps(fps: f64, factor: usize) -> Option<f64> {
    (factor > 1).then(|| fps * factor as f64 / (factor - 1) as f64)
}

/// Speed relative to the baseline of the same model and precision; for TF32, to the baseline in F32.
fn over_baseline(record: &Record, m: &Measurement) -> Option<f64> {
    let precision = match m.config.precision {
        Precision::Tf32 => Precision::F32,
        other => other,
    };
    if !m.config.is_optimized() {
        return None;
    }
    let size = record.size_of(m);
    let baseline = find(record, size, (m.config.model, Engine::Baseline, precision))?;
    ratio(latency_fps(m), latency_fps(baseline))
        .or_else(|| ratio(end_to_end_fps(m), end_to_end_fps(baseline)))
}

/// Frames per second at the slower and the faster quartile of the frame times.
pub fn fps_quartiles(ms: &Spread) -> (f64, f64) {
    (1000.0 / ms.p75, 1000.0 / ms.p25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_includes_input_frames() {
        assert_eq!(output_fps(10.0, 2), Some(20.0));
        assert_eq!(output_fps(30.0, 4), Some(40.0));
        assert_eq!((output_fps(30.0, 1), output_fps(30.0, 0)), (None, None));
    }
}
