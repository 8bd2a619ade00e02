//! Report of kernel timings.

pub(super) mod rows;
pub(super) mod stages;

use super::figures::{known, share, three};
use super::grid::{Grid, figure, word};
use super::text::clean_lines;
use crate::measure::kernels::FrameTimes;
use crate::record::KernelRecord;
use crate::subject::{Device, cuda_ordinal};
use rows::Row;

/// A record of kernel timings as text. With `each`, every launch has its own row; otherwise similar
/// launches are grouped.
pub fn render(record: &KernelRecord, each: bool) -> String {
    let unit = Unit::of(record.device);
    let tables: Vec<_> =
        record.frames.iter().map(|frame| grid(frame, unit, each).terminal()).collect();
    clean_lines(&tables.join("\n"))
}

/// Prefix of rates.
#[derive(Clone, Copy)]
struct Unit {
    prefix: char,
    factor: f64,
}

impl Unit {
    fn of(device: Device) -> Self {
        match cuda_ordinal(device) {
            None => Self { prefix: 'G', factor: 1e9 },
            Some(_) => Self { prefix: 'T', factor: 1e12 },
        }
    }
}

fn grid(frame: &FrameTimes, unit: Unit, each: bool) -> Grid {
    let (launches, ceilings) = (&frame.launches, frame.ceilings);
    let rates = ["FLOP/s", "B/s"].map(|rate| format!("{}{rate}", unit.prefix));
    let caption = format!("{} at {} on {}", frame.config, frame.size, frame.subject.device);
    let mut grid = Grid::new(caption);
    let rows =
        if each { rows::each(launches, ceilings) } else { rows::grouped(launches, ceilings) };
    let total = rows::total(launches, ceilings);
    for row in rows.iter().chain([&total]) {
        // Zero means that there is no such work, or that it is unknown.
        let rate = |v: f64| known(Some(v / unit.factor).filter(|v| *v > 0.0));
        let mut cells = vec![
            word("layers", &row.name),
            figure("ms", format!("{:.4}", row.ms)),
            figure("share %", share(Some(row.ms / total.ms))),
            figure(&rates[0], rate(row.flops_per_second())),
            figure(&rates[1], rate(row.bytes_per_second())),
            figure("roofline ms", known(row.roofline_ms)),
            figure("of roofline %", share(row.share_of_roofline())),
        ];
        if each {
            cells.push(word("kernel", &row.kernel));
        }
        grid.row(cells);
    }
    if let Some(ceilings) = ceilings {
        grid.note(format!(
            "Peak throughput of the device: {} {p}FLOP/s and {} {p}B/s.",
            three(ceilings.flops / unit.factor),
            three(ceilings.bytes / unit.factor),
            p = unit.prefix
        ));
    }
    grid.note(whole_frame(frame, &total));
    if launches.iter().any(|launch| launch.kernel.contains("winograd")) {
        grid.note(
            "Rates and rooflines count the layer's operations as published. Winograd convolutions \
             need a quarter of the multiplications and can exceed 100% of the roofline.",
        );
    }
    grid
}

/// The whole frame compared with the sum of its launches: overlap makes it shorter, gaps longer.
fn whole_frame(frame: &FrameTimes, total: &Row) -> String {
    let Some(whole) = frame.whole_ms else {
        return format!("{} launches; the whole frame was not timed.", total.launches);
    };
    let difference = whole.median / total.ms - 1.0;
    let than = if difference < 0.0 { "less" } else { "more" };
    let roofline = total
        .roofline_ms
        .map(|roofline| format!(", {}% of its roofline", share(Some(roofline / whole.median))));
    format!(
        "{} launches. Whole frame: {:.4} ms (median of {}), {}% {than} than the sum{}.",
        total.launches,
        whole.median,
        whole.samples,
        share(Some(difference.abs())),
        roofline.unwrap_or_default()
    )
}
