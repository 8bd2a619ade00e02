//! The launches of a frame as tables on the terminal.

use std::fmt::Write;

use super::layout::{known, percent, table, trim_lines, wrap};
use crate::kernels::rows::{self, Row};
use crate::kernels::{FrameTimes, KernelRecord};

/// Columns that a kernel's description may take beside the figures.
const KERNEL_WIDTH: usize = 26;

/// A record of launches as text, for people; `each` on a row of its own, or grouped.
pub fn render(record: &KernelRecord, each: bool) -> String {
    let tables: Vec<_> = record.frames.iter().map(|frame| of_frame(frame, each)).collect();
    trim_lines(&tables.join("\n"))
}

fn of_frame(frame: &FrameTimes, each: bool) -> String {
    let (launches, ceilings) = (&frame.launches, frame.ceilings);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let subject = &frame.subject;
    let what = format!("{} at {} on {}", frame.case, frame.size, subject.device);
    let _ = writeln!(text, "{}", wrap(&what));
    if let Some(ceilings) = ceilings {
        let _ = writeln!(
            text,
            "The device gives {:.0} TFLOP/s and {:.2} TB/s at most.",
            ceilings.flops / 1e12,
            ceilings.bytes / 1e12
        );
    }
    let mut headings =
        vec!["launch", "ms", "share\n%", "TFLOP/s", "TB/s", "floor\nms", "floor/ms\n%"];
    let rows = if each {
        headings.push("kernel");
        rows::each(launches, ceilings)
    } else {
        rows::grouped(launches, ceilings)
    };
    let total = rows::total(launches, ceilings);
    let mut table = table(1, &headings);
    if let Some(kernel) = table.column_mut(7) {
        kernel.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    for row in rows.iter().chain([&total]) {
        let mut cells = cells(row, total.ms);
        if each {
            cells.push(row.kernel.chars().take(KERNEL_WIDTH).collect());
        }
        table.add_row(cells);
    }
    let _ = writeln!(text, "{table}");
    let _ = writeln!(text, "{}", wrap(&whole(frame, &total)));
    text
}

fn cells(row: &Row, sum_ms: f64) -> Vec<String> {
    // A launch without arithmetic, or with nothing known of it, has no rate.
    let rate = |v: f64, decimals: usize| match v {
        0.0 => "-".into(),
        v => format!("{v:.decimals$}"),
    };
    vec![
        row.name.clone(),
        format!("{:.4}", row.ms),
        percent(row.ms / sum_ms),
        rate(row.tflops(), 1),
        rate(row.terabytes(), 2),
        known(row.floor_ms, |floor| format!("{floor:.4}")),
        known(row.share_of_floor(), percent),
    ]
}

/// The frame as a whole: launches that overlap take less than their sum, gaps between them more.
fn whole(frame: &FrameTimes, total: &Row) -> String {
    let Some(whole) = frame.whole_ms else {
        return format!("{} launches; the whole frame was not timed.", total.launches);
    };
    let difference = whole.median / total.ms - 1.0;
    let than = if difference < 0.0 { "less" } else { "more" };
    let floor = total
        .floor_ms
        .map(|floor| format!(" Its floor is {}% of that.", percent(floor / whole.median)));
    format!(
        "{} launches. The whole frame: {:.4} ms (median of {}), {}% {than} than the sum.{}",
        total.launches,
        whole.median,
        whole.samples,
        percent(difference.abs()),
        floor.unwrap_or_default()
    )
}
