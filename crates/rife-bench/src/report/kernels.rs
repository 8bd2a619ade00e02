//! The launches of a frame as tables on the terminal.

use std::fmt::Write;

use super::layout::{known, percent, table, trim_lines, wrap};
use crate::kernels::rows::{self, Row};
use crate::kernels::stages::{self, Bottleneck};
use crate::kernels::{FrameTimes, KernelRecord};
use crate::subject::Device;

/// Columns that a kernel's description may take beside the figures.
const KERNEL_WIDTH: usize = 26;

/// A record of launches as text, for people; `each` on a row of its own, or grouped.
pub fn render(record: &KernelRecord, each: bool) -> String {
    let of_frame = |frame| of_frame(frame, Unit::of(record.device), each);
    let tables: Vec<_> = record.frames.iter().map(of_frame).collect();
    trim_lines(&tables.join("\n"))
}

/// What rates are given in.
#[derive(Clone, Copy)]
struct Unit {
    prefix: char,
    per: f64,
}

impl Unit {
    fn of(device: Device) -> Self {
        match device {
            Device::Cpu => Self { prefix: 'G', per: 1e9 },
            Device::Cuda(_) => Self { prefix: 'T', per: 1e12 },
        }
    }
}

fn of_frame(frame: &FrameTimes, unit: Unit, each: bool) -> String {
    let (launches, ceilings) = (&frame.launches, frame.ceilings);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let subject = &frame.subject;
    let what = format!("{} at {} on {}", frame.case, frame.size, subject.device);
    let _ = writeln!(text, "{}", wrap(&what));
    if let Some(ceilings) = ceilings {
        let _ = writeln!(
            text,
            "The device gives {:.0} {p}FLOP/s and {:.2} {p}B/s at most.",
            ceilings.flops / unit.per,
            ceilings.bytes / unit.per,
            p = unit.prefix
        );
    }
    let rates = ["FLOP/s", "B/s"].map(|rate| format!("{}{rate}", unit.prefix));
    let mut headings =
        vec!["launch", "ms", "share\n%", &rates[0], &rates[1], "floor\nms", "floor/ms\n%"];
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
        let mut cells = cells(row, unit, total.ms);
        if each {
            cells.push(row.kernel.chars().take(KERNEL_WIDTH).collect());
        }
        table.add_row(cells);
    }
    let _ = writeln!(text, "{table}");
    let _ = writeln!(text, "{}", wrap(&whole(frame, &total)));
    if launches.iter().any(|launch| launch.kernel.contains("winograd")) {
        let _ = writeln!(
            text,
            "{}",
            wrap(
                "Rates and floors are of the arithmetic as published: Winograd's convolutions \
                 multiply a quarter as often, and may go below their floor."
            )
        );
    }
    text
}

/// A frame's time by stage and by launch, and what it is bound by.
pub(super) fn profile(frame: &FrameTimes, device: Device) -> String {
    let unit = Unit::of(device);
    let total = rows::total(&frame.launches, frame.ceilings);
    let mut table = table(1, &["stage", "launches", "ms", "share\n%", "floor\nms", "floor/ms\n%"]);
    for row in stages::stages(frame).iter().chain([&total]) {
        table.add_row([
            row.name.clone(),
            row.launches.to_string(),
            format!("{:.4}", row.ms),
            percent(row.ms / total.ms),
            known(row.floor_ms, |floor| format!("{floor:.4}")),
            known(row.share_of_floor(), percent),
        ]);
    }
    let mut text = of_frame(frame, unit, false);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n{table}");
    if let Some(bottleneck) = Bottleneck::of(frame) {
        let _ = writeln!(text, "{}", wrap(&bottleneck.words()));
    }
    if let Some(ms) = stages::transfer_ms(frame) {
        let what = format!(
            "An 8-bit frame takes {ms:.4} ms to the device and as long from it, beside the \
             computing where copies overlap."
        );
        let _ = writeln!(text, "{}", wrap(&what));
    }
    text.trim_end().to_owned()
}

fn cells(row: &Row, unit: Unit, sum_ms: f64) -> Vec<String> {
    // A launch without arithmetic, or with nothing known of it, has no rate.
    let rate = |v: f64, decimals: usize| match v {
        0.0 => "-".into(),
        v => format!("{v:.decimals$}"),
    };
    vec![
        row.name.clone(),
        format!("{:.4}", row.ms),
        percent(row.ms / sum_ms),
        rate(row.flops_a_second() / unit.per, 1),
        rate(row.bytes_a_second() / unit.per, 2),
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
