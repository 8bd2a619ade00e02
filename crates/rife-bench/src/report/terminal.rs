//! The report on the terminal: plain text of at most 100 columns.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::warnings::warnings;
use crate::clip::Origin;
use crate::measure::fidelity::Fidelity;
use crate::measure::{Measurement, Summary};
use crate::metrics::Psnr;
use crate::record::Record;

const WIDTH: usize = 100;
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('-').junction('-'));

/// A record as text, for people.
pub fn render(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}\n\n{}", heading(record), speed(record));
    let _ = writeln!(
        text,
        "RAM is the process's peak, of which the frames to interpolate between are {:.0} MiB.",
        record.settings.clip_mib
    );
    if let Some(table) = fidelity(record) {
        let _ = writeln!(text, "\nAgainst baseline f32 of the same model\n{table}");
    }
    let notes = notes(record);
    if !notes.is_empty() {
        let _ = writeln!(text, "\n{}", notes.join("\n"));
    }
    // The tables pad their last column too.
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

fn heading(record: &Record) -> String {
    let (machine, settings) = (&record.machine, &record.settings);
    let source = match settings.clip {
        Origin::Scene { seed } => format!("rendered scene, seed {seed}"),
        Origin::Pictures { given } => format!("{given} pictures"),
    };
    let mut processor = format!("{}, {} cores", machine.cpu, machine.cores);
    if let Some(mib) = machine.ram_mib {
        let _ = write!(processor, ", {:.0} GiB RAM", mib / 1024.0);
    }
    let _ = write!(processor, ", {}", machine.os);
    for gpu in &machine.gpus {
        let _ = write!(processor, "; {}", gpu.name);
    }
    let budget = settings.budget_s.map(|s| format!(", {s} s each")).unwrap_or_default();
    let how = format!(
        "{} on {}, {source}, {} x {} frames after {} to warm up{budget}",
        settings.size, settings.device, settings.repeats, settings.frames, settings.warmup
    );
    format!("{}\n{}", wrap(&processor), wrap(&how))
}

fn speed(record: &Record) -> Table {
    let has_gpu = record.measurements.iter().flat_map(|m| &m.runs).any(|run| run.gpu.is_some());
    let mut headings = vec![
        "model",
        "engine",
        "type",
        "frames",
        "fps",
        "1%\nlow\nfps",
        "median\nms",
        "p25-p75\nms",
        "first\nms",
        "load\nms",
        "RAM\nMiB",
        "CPU\n%",
    ];
    if has_gpu {
        headings.extend(["GPU\nMiB", "GPU\n%"]);
    }
    let mut table = table(&headings);
    for m in &record.measurements {
        let mut row = names(m);
        match &m.summary {
            Some(summary) => row.extend(speed_cells(summary, has_gpu)),
            None => row.push("failed".into()),
        }
        table.add_row(row);
    }
    table
}

fn speed_cells(s: &Summary, has_gpu: bool) -> Vec<String> {
    let ms = &s.frame_ms;
    let mut cells = vec![
        ms.samples.to_string(),
        figure(s.fps),
        figure(s.low_1_percent_fps),
        figure(ms.median),
        format!("{}-{}", figure(ms.p25), figure(ms.p75)),
        figure(s.first_frame_ms.median),
        figure(s.load_ms.median),
        format!("{:.0}", s.peak_rss_mib),
        format!("{:.0}", s.cpu_percent),
    ];
    if has_gpu {
        let whole = |v: Option<f64>| v.map_or_else(|| "-".into(), |v| format!("{v:.0}"));
        cells.extend([whole(s.peak_gpu_mib), whole(s.gpu_percent)]);
    }
    cells
}

fn fidelity(record: &Record) -> Option<Table> {
    let mut table = table(&[
        "model",
        "engine",
        "type",
        "frames",
        "PSNR\ndB",
        "worst\ndB",
        "SSIM",
        "max error\n1/255",
        "mean error\n1/255",
        "8-bit pixels\nthat differ, %",
    ]);
    let compared = record.measurements.iter().filter_map(|m| Some((m, m.fidelity.as_ref()?)));
    let mut any = false;
    for (m, f) in compared {
        any = true;
        table.add_row(names(m).into_iter().chain(fidelity_cells(f)).collect::<Vec<_>>());
    }
    any.then_some(table)
}

fn fidelity_cells(f: &Fidelity) -> [String; 7] {
    let db = |psnr: Psnr| format!("{:.2}", psnr.0);
    [
        f.frames.len().to_string(),
        db(f.psnr_db),
        db(f.worst_frame_psnr_db),
        format!("{:.6}", f.ssim),
        format!("{:.3}", f.max_error * 255.0),
        format!("{:.5}", f.mean_error * 255.0),
        format!("{:.3}", f.differing_8_bit_share * 100.0),
    ]
}

fn names(m: &Measurement) -> Vec<String> {
    vec![m.case.model.to_string(), m.case.engine.to_string(), m.case.precision.to_string()]
}

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if index >= 3 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Errors, what engines say of themselves, and warnings.
fn notes(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    for m in &record.measurements {
        if let Some(error) = &m.error {
            lines.push(format!("failed: {}: {error}", m.case));
        }
    }
    for m in &record.measurements {
        if let Some(note) = m.subject.as_ref().and_then(|subject| subject.note.as_ref()) {
            let line = format!("note: {}: {note}", m.case.model);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    let mut cut = record.measurements.iter().map(|m| &m.case.without);
    if let Some(without) = cut.find(|without| !without.is_nothing()) {
        lines.push(format!("note: the optimized engine ran without {without}"));
    }
    for warning in warnings(record) {
        lines.push(format!("warning: {}; {}", warning.what, warning.remedy));
    }
    lines.iter().map(|line| wrap(line)).collect()
}

/// Breaks a line at spaces; what follows is indented.
fn wrap(line: &str) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in line.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            text.push_str("\n    ");
            column = 4;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}

/// About three significant digits.
fn figure(v: f64) -> String {
    let decimals = if v < 10.0 { 2 } else { usize::from(v < 100.0) };
    format!("{v:.decimals$}")
}
