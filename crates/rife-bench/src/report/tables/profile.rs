//! Where the time of a frame goes, by stage and by kernel.

use crate::measure::kernels::FrameTimes;
use crate::report::figures::{NOTHING, known, share, three};
use crate::report::grid::{Grid, figure, word};
use crate::report::kernels::rows::{Row, grouped, total};
use crate::report::kernels::stages::{Bottleneck, stages, transfer_ms};
use crate::subject::Ceilings;

/// Groups of similar launches, the slowest first.
pub fn kernels(frame: &FrameTimes) -> Vec<Row> {
    let mut rows = grouped(&frame.launches, frame.ceilings);
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    rows
}

/// Sum of all launches in ms.
pub fn sum_ms(frame: &FrameTimes) -> f64 {
    total(&frame.launches, None).ms
}

/// The stages.
pub fn by_stage(frame: &FrameTimes) -> Grid {
    let caption = format!("By stage: {} at {}", frame.config, frame.size);
    fill(Grid::new(caption), frame, &stages(frame), false)
}

/// The slowest kernels, at most this many.
pub fn by_kernel(frame: &FrameTimes, most: usize) -> Grid {
    let caption = format!("By kernel: {} at {}", frame.config, frame.size);
    let rows = kernels(frame);
    let mut grid = fill(Grid::new(caption), frame, rows.get(..most).unwrap_or(&rows), true);
    if let Some(rest) = rows.get(most..).filter(|rest| !rest.is_empty()) {
        let ms: f64 = rest.iter().map(|row| row.ms).sum();
        grid.note(format!("{} more rows take {} ms in total.", rest.len(), three(ms)));
    }
    grid
}

fn fill(mut grid: Grid, frame: &FrameTimes, rows: &[Row], kernel: bool) -> Grid {
    let all = sum_ms(frame);
    for row in rows {
        let mut cells = vec![word(if kernel { "layers" } else { "stage" }, &row.name)];
        if kernel {
            cells.push(word("kernel", &row.kernel));
        }
        cells.extend([
            figure("launches", row.launches.to_string()),
            figure("ms", three(row.ms)),
            figure("share %", share(Some(row.ms / all))),
            figure("roofline ms", known(row.roofline_ms)),
            figure("of roofline %", share(row.share_of_roofline())),
            word("bound by", bound(row, frame.ceilings).unwrap_or(NOTHING)),
        ]);
        grid.row(cells);
    }
    grid.without_empty_columns()
}

/// Which roof limits a row.
fn bound(row: &Row, ceilings: Option<Ceilings>) -> Option<&'static str> {
    let ceilings = ceilings.filter(|_| row.flops > 0.0 || row.bytes > 0.0)?;
    let compute = row.flops / ceilings.flops > row.bytes / ceilings.bytes;
    Some(if compute { "compute" } else { "memory" })
}

/// The bottleneck of a frame, in a few sentences.
pub fn bottleneck(frame: &FrameTimes) -> String {
    let all = sum_ms(frame);
    let mut sentences = Vec::new();
    let finite = |b: &Bottleneck| [b.share, b.compute, b.memory].iter().all(|v| v.is_finite());
    match (Bottleneck::of(frame).filter(finite), kernels(frame).first()) {
        (Some(bottleneck), _) => sentences.push(bottleneck.words()),
        (None, Some(row)) => sentences.push(format!(
            "Largest part: {} ({}% of the launches); the device's peak throughput is unknown.",
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
            "Copying an 8-bit frame takes {} ms in each direction, in parallel with computation \
             where copies overlap.",
            three(ms)
        ));
    }
    sentences.join(" ")
}
