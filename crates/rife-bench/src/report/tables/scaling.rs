//! Scaling with frame size, threads and batch size.

use crate::measure::scaling::{Axis, ScalingPoint};
use crate::report::facts::{missing, name_cells, ratio};
use crate::report::figures::{NOTHING, known, quartiles, times};
use crate::report::grid::{Grid, figure, without_figures, word};

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
    let mut grid = Grid::new("Scaling");
    let fps = |point: &ScalingPoint| point.fps.or(point.device_fps);
    for point in points {
        let same = |other: &&ScalingPoint| (other.axis, other.config) == (point.axis, point.config);
        let first = points.iter().find(same);
        let threads = point.threads.map_or_else(|| NOTHING.into(), |count| count.to_string());
        let mut cells = vec![word("axis", name(point.axis))];
        cells.extend(name_cells(point.config, Some(point.size)));
        // The number of threads and the batch are known even if the measurement failed.
        let figures = vec![
            figure("fps", known(point.fps)),
            figure("runs p25-p75", quartiles(point.run_fps.as_ref())),
            figure("device fps", known(point.device_fps)),
            figure("vs first", times(ratio(fps(point), first.and_then(fps)))),
            figure("engine MiB", known(point.memory.map(|memory| memory.device_mib))),
            figure("GPU MiB", known(point.peak_gpu_mib)),
            figure("RAM MiB", known(point.peak_rss_mib)),
        ];
        cells.extend([figure("threads", threads), figure("batch", point.batch.to_string())]);
        cells.extend(if point.error.is_some() && fps(point).is_none() {
            without_figures(figures, missing(point.error.as_ref()))
        } else {
            figures
        });
        grid.row(cells);
        if let Some(error) = &point.error {
            grid.note(format!("Failed: {} at {}: {error}", point.config, point.size));
        }
    }
    grid.without_empty_columns()
}
