//! Where a frame's time goes, by stage and by kernel.

use crate::kernels::FrameTimes;
use crate::kernels::rows::{Row, grouped};
use crate::kernels::stages::{Bottleneck, stages, transfer_ms};
use crate::report::figures::{NOTHING, known, share, three};
use crate::report::grid::Grid;
use crate::subject::Ceilings;

/// Launches that are alike together, those that take longest first.
pub fn kernels(frame: &FrameTimes) -> Vec<Row> {
    let mut rows = grouped(&frame.launches, frame.ceilings);
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    rows
}

/// What all launches take together, in ms.
pub fn sum_ms(frame: &FrameTimes) -> f64 {
    frame.launches.iter().map(|launch| launch.ms).sum()
}

/// The stages as a table.
pub fn by_stage(frame: &FrameTimes) -> Grid {
    let grid = Grid::new(format!("By stage: {} at {}", frame.case, frame.size)).words(&["stage"]);
    fill(grid, frame, &stages(frame), false)
}

/// The kernels as a table, so many of them.
pub fn by_kernel(frame: &FrameTimes, most: usize) -> Grid {
    let grid = Grid::new(format!("By kernel: {} at {}", frame.case, frame.size))
        .words(&["launches of", "kernel"]);
    let rows = kernels(frame);
    let mut grid = fill(grid, frame, rows.get(..most).unwrap_or(&rows), true);
    if let Some(rest) = rows.get(most..).filter(|rest| !rest.is_empty()) {
        let ms: f64 = rest.iter().map(|row| row.ms).sum();
        grid.note(format!("{} further rows take {} ms together.", rest.len(), three(ms)));
    }
    grid
}

fn fill(grid: Grid, frame: &FrameTimes, rows: &[Row], kernel: bool) -> Grid {
    let mut grid =
        grid.figures(&["launches", "ms", "share %", "floor ms", "floor/ms %"]).words(&["bound by"]);
    let all = sum_ms(frame);
    for row in rows {
        let mut cells = vec![row.name.clone()];
        if kernel {
            cells.push(row.kernel.clone());
        }
        cells.extend([
            row.launches.to_string(),
            three(row.ms),
            share(Some(row.ms / all)),
            known(row.floor_ms),
            share(row.share_of_floor()),
            bound(row, frame.ceilings).unwrap_or(NOTHING).into(),
        ]);
        grid.row(cells);
    }
    grid.without_empty_columns()
}

/// What would take longer on the device at its best.
fn bound(row: &Row, ceilings: Option<Ceilings>) -> Option<&'static str> {
    let ceilings = ceilings.filter(|_| row.flops > 0.0 || row.bytes > 0.0)?;
    let arithmetic = row.flops / ceilings.flops > row.bytes / ceilings.bytes;
    Some(if arithmetic { "arithmetic" } else { "memory" })
}

/// What holds a frame up, in a few sentences.
pub fn bottleneck(frame: &FrameTimes) -> String {
    let all = sum_ms(frame);
    let mut sentences = Vec::new();
    let finite = |b: &Bottleneck| [b.share, b.arithmetic, b.memory].iter().all(|v| v.is_finite());
    match (Bottleneck::of(frame).filter(finite), kernels(frame).first()) {
        (Some(bottleneck), _) => sentences.push(bottleneck.words()),
        (None, Some(row)) => sentences.push(format!(
            "Most of it goes to {} ({}% of the launches' time); what the device gives is not known.",
            row.name,
            share(Some(row.ms / all))
        )),
        (None, None) => sentences.push("No launches were recorded.".into()),
    }
    if let Some(whole) = frame.whole_ms.filter(|_| all > 0.0) {
        let difference = whole.median / all - 1.0;
        let than = if difference < 0.0 { "less" } else { "more" };
        sentences.push(format!(
            "The whole frame takes {} ms, {}% {than} than the sum of its launches.",
            three(whole.median),
            share(Some(difference.abs()))
        ));
    }
    if let Some(ms) = transfer_ms(frame) {
        sentences.push(format!(
            "An 8-bit frame takes {} ms to the device and as long from it, beside the computing \
             where copies overlap.",
            three(ms)
        ));
    }
    sentences.join(" ")
}
