//! Scaling with frame size, threads and batch size.

use crate::measure::scaling::{Axis, ScalingPoint};
use crate::report::facts::{config_cells, missing, ratio};
use crate::report::figures::{NOTHING, known, quartiles, times};
use crate::report::grid::Grid;

fn name(axis: Axis) -> &'static str {
    match axis {
        Axis::Size => "size",
        Axis::Threads => "threads",
        Axis::Batch => "batch",
        Axis::Pairs => "pairs",
    }
}

/// Every point, axis by axis as measured.
pub fn grid(points: &[ScalingPoint]) -> Grid {
    let mut grid =
        Grid::new("Scaling").words(&["axis", "model", "engine", "type", "size"]).figures(&[
            "threads",
            "batch",
            "fps",
            "runs p25-p75",
            "device fps",
            "vs first",
            "engine MiB",
            "GPU MiB",
            "RAM MiB",
        ]);
    for point in points {
        let mut row = vec![name(point.axis).into()];
        row.extend(config_cells(point.config));
        row.extend([
            point.size.to_string(),
            point.threads.map_or_else(|| NOTHING.into(), |threads| threads.to_string()),
            point.batch.to_string(),
        ]);
        let same = |other: &&ScalingPoint| (other.axis, other.config) == (point.axis, point.config);
        let first = points.iter().find(same);
        let fps = |point: &ScalingPoint| point.fps.or(point.device_fps);
        if point.error.is_some() && fps(point).is_none() {
            row.push(missing(point.error.as_ref()).into());
        } else {
            row.extend([
                known(point.fps),
                quartiles(point.run_fps.as_ref()),
                known(point.device_fps),
                times(ratio(fps(point), first.and_then(fps))),
                known(point.memory.map(|memory| memory.device_mib)),
                known(point.peak_gpu_mib),
                known(point.peak_rss_mib),
            ]);
        }
        grid.row(row);
        if let Some(error) = &point.error {
            grid.note(format!("Failed: {} at {}: {error}", point.config, point.size));
        }
    }
    grid.without_empty_columns()
}
