//! How cost grows, as a table.

use crate::measure::scaling::{Axis, ScalingPoint};
use crate::report::facts::missing;
use crate::report::facts::ratio;
use crate::report::figures::{NOTHING, known, quartiles, times};
use crate::report::grid::Grid;

/// What grows, in a word.
pub fn name(axis: Axis) -> &'static str {
    match axis {
        Axis::Size => "size",
        Axis::Threads => "threads",
        Axis::Batch => "batch",
        Axis::Pairs => "pairs",
    }
}

/// Every point, axis by axis as they were measured.
pub fn of(points: &[ScalingPoint]) -> Grid {
    let mut grid =
        Grid::new("How cost grows").words(&["over", "model", "engine", "type", "size"]).figures(&[
            "threads",
            "at once",
            "fps",
            "runs p25-p75",
            "device fps",
            "vs first",
            "engine MiB",
            "GPU MiB",
            "RAM MiB",
        ]);
    for point in points {
        let case = point.case;
        let mut row = vec![
            name(point.axis).into(),
            case.model.to_string(),
            case.engine.to_string(),
            case.precision.to_string(),
            point.size.to_string(),
            point.threads.map_or_else(|| NOTHING.into(), |threads| threads.to_string()),
            point.batch.to_string(),
        ];
        let first = points.iter().find(|other| (other.axis, other.case) == (point.axis, case));
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
            grid.note(format!("Failed: {case} at {}: {error}", point.size));
        }
    }
    grid.without_empty_columns()
}
