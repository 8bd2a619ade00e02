//! How fast each configuration is, and what it takes.

use super::note_failure;
use crate::measure::{Measurement, Run};
use crate::record::Record;
use crate::report::facts::{
    at_size, device_fps, end_to_end_fps, engine_mib, find, latency_fps, missing, ram_mib, ratio,
    size_of,
};
use crate::report::figures::{NOTHING, known, quartiles, times};
use crate::report::grid::Grid;
use crate::stats::Spread;
use crate::subject::{Device, Engine, Precision};

/// Every configuration at one precision, or at all. With F32 stands TF32, which is F32 to whoever
/// calls it.
pub fn of(record: &Record, precision: Option<Precision>) -> Grid {
    let factor = record.settings.factor;
    let output = format!("{factor}x job, fps");
    let (caption, wanted): (_, &[Precision]) = match precision {
        None => ("Speed and memory".into(), &[]),
        Some(Precision::F32) => {
            ("Speed and memory in f32".into(), &[Precision::F32, Precision::Tf32])
        }
        Some(ref one) => (format!("Speed and memory in {one}"), std::slice::from_ref(one)),
    };
    let mut grid = Grid::new(caption).words(&["model", "engine", "type", "size"]).figures(&[
        "fps",
        &output,
        "ms",
        "p25-p75 ms",
        "1% low fps",
        "end-to-end fps",
        "device fps",
        "device ms",
        "engine MiB",
        "GPU MiB",
        "RAM MiB",
        "GPU %",
        "GPU %, end to end",
        "CPU %",
        "vs baseline",
    ]);
    let of_type = |m: &&Measurement| wanted.is_empty() || wanted.contains(&m.case.precision);
    for m in record.measurements.iter().filter(of_type) {
        grid.row(cells(record, m));
        note_failure(&mut grid, m);
    }
    grid.without_empty_columns()
}

fn cells(record: &Record, m: &Measurement) -> Vec<String> {
    let case = m.case;
    let mut cells =
        vec![case.model.to_string(), case.engine.to_string(), case.precision.to_string()];
    cells.push(at_size(m));
    if m.runs.is_empty() {
        cells.push(missing(m.error.as_ref()).into());
        return cells;
    }
    let (summary, device) = (m.summary.as_ref(), m.device.as_ref());
    let on_gpu = matches!(record.settings.device, Device::Cuda(_));
    let fps = latency_fps(m);
    cells.extend([
        known(fps),
        // Fed ahead where that was measured.
        known(end_to_end_fps(m).or(fps).and_then(|fps| output_fps(fps, record.settings.factor))),
        known(summary.map(|s| s.frame_ms.median)),
        quartiles(summary.map(|s| &s.frame_ms)),
        known(summary.map(|s| s.low_1_percent_fps)),
        known(end_to_end_fps(m)),
        known(device_fps(m)),
        known(device.map(|d| d.frame_ms.median)),
        known(engine_mib(m)),
        known(m.peak_gpu_mib()),
        // Of a GPU's run it is mostly the frames and the libraries.
        if on_gpu { NOTHING.into() } else { known(ram_mib(m)) },
        known(summary.and_then(|s| s.gpu_percent)),
        known(fed_percent(m)),
        known(summary.map(|s| s.cpu_percent)),
        times(over_baseline(record, m)),
    ]);
    cells
}

/// Mean utilisation of the GPU while the engine was fed ahead, in %.
fn fed_percent(m: &Measurement) -> Option<f64> {
    let percent = |run: &Run| run.gpu.as_ref()?.utilisation_fed_percent;
    Spread::of(&m.runs.iter().filter_map(percent).collect::<Vec<_>>()).map(|spread| spread.mean)
}

/// Frames a second that come out of a job that makes `factor` of one: of these one is not made.
pub fn output_fps(fps: f64, factor: usize) -> Option<f64> {
    (factor > 1).then(|| fps * factor as f64 / (factor - 1) as f64)
}

/// How many times as fast as the baseline of the same model in the same precision; in F32 where
/// there is none in TF32.
pub fn over_baseline(record: &Record, m: &Measurement) -> Option<f64> {
    let precision = match m.case.precision {
        Precision::Tf32 => Precision::F32,
        other => other,
    };
    let size = size_of(record, m);
    let baseline = find(record, size, (m.case.model, Engine::Baseline, precision))?;
    if m.case.engine == Engine::Baseline {
        return None;
    }
    ratio(latency_fps(m), latency_fps(baseline))
        .or_else(|| ratio(end_to_end_fps(m), end_to_end_fps(baseline)))
}

/// Frames a second at the slower and at the faster quartile of frames.
pub fn fps_quartiles(ms: &Spread) -> (f64, f64) {
    (1000.0 / ms.p75, 1000.0 / ms.p25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_puts_out_what_is_made_and_what_is_there() {
        assert_eq!(output_fps(10.0, 2), Some(20.0));
        assert_eq!(output_fps(30.0, 4), Some(40.0));
        assert_eq!((output_fps(30.0, 1), output_fps(30.0, 0)), (None, None));
    }
}
