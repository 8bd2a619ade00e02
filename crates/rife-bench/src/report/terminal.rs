//! The report on the terminal: plain text of at most 100 columns.

use std::fmt::Write;

use comfy_table::Table;

use super::facts::missing;
use super::layout::{figure, known, percent, table, trim_lines, whole, wrap};
use super::tables::{gpu, speed::output_fps};
use super::warnings::warnings;
use super::{ablation, further, layout, peers, verdicts};
use crate::measure::ablation::Ablation;
use crate::measure::fidelity::Fidelity;
use crate::measure::{Measurement, Summary};
use crate::metrics::Psnr;
use crate::mode::Mode;
use crate::record::Record;
use crate::subject::{Case, Device, Size};

/// A record as text, for people.
pub fn render(record: &Record) -> String {
    let mut text = String::new();
    let sizes = record.settings.sizes();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", heading(record));
    for (size, clip_mib) in &sizes {
        let of_size = |m: &&Measurement| m.size.unwrap_or(record.settings.size) == *size;
        let measurements: Vec<_> = record.measurements.iter().filter(of_size).collect();
        if sizes.len() > 1 {
            let _ = writeln!(text, "\n{}", underlined(*size));
        }
        of_one_size(&mut text, record, &measurements, *clip_mib);
        let peers = peers::of(&record.peers, *size);
        if !peers.is_empty() {
            let _ = writeln!(text, "\n{}", peers.trim_end());
        }
        for ablation in record.ablations.iter().filter(|a| of_size(&&a.all)) {
            let case = ablation.all.case;
            let _ = writeln!(text, "\n{case}: what each optimization is worth");
            let _ = writeln!(text, "{}", ablation::of(ablation));
            if let Some(alone) = &ablation.alone {
                let _ = writeln!(text, "\n{}", ablation::alone(alone));
            }
        }
    }
    if let Some(line) = gpu::in_short(record) {
        let _ = writeln!(text, "\n{}", wrap(&line));
    }
    if !record.ablations.is_empty() {
        let _ = writeln!(text, "\n{}", wrap(&ablation::legend(&record.ablations)));
    }
    text.push_str(&further::of(record));
    let verdicts = verdicts::of(record);
    if !verdicts.is_empty() {
        let _ = writeln!(text, "\nWhat it comes down to");
    }
    for verdict in verdicts {
        let at = if sizes.len() > 1 { format!(" at {}", verdict.size) } else { String::new() };
        let line =
            format!("{}{at}, against {}: {}", verdict.to, short(verdict.from), verdict.words());
        let _ = writeln!(text, "{}", wrap(&line));
    }
    let notes = notes(record);
    if !notes.is_empty() {
        let _ = writeln!(text, "\n{}", notes.join("\n"));
    }
    trim_lines(&text)
}

fn short(case: Case) -> String {
    format!("{} {}", case.engine, case.precision)
}

fn underlined(size: Size) -> String {
    let size = size.to_string();
    format!("{size}\n{}", "=".repeat(size.len()))
}

fn of_one_size(text: &mut String, record: &Record, measurements: &[&Measurement], clip_mib: f64) {
    if record.settings.modes.contains(&Mode::Latency) {
        let _ = writeln!(text, "\n{}", speed(measurements));
        let _ = writeln!(
            text,
            "RAM is the process's peak, of which the frames to interpolate between are {clip_mib:.0} \
             MiB."
        );
    }
    if let Some(table) = throughput(measurements) {
        let what = match record.settings.device {
            Device::Cpu => "By the engine's own clock, and fed ahead",
            Device::Cuda(_) => "On the device alone, and from host memory to host memory",
        };
        let _ = writeln!(text, "\n{what}\n{table}");
    }
    if let Some(line) = output(measurements, record.settings.factor) {
        let _ = writeln!(text, "\n{}", wrap(&line));
    }
    for reference in references(measurements) {
        let Case { engine, precision, .. } = reference;
        let _ = writeln!(text, "\nAgainst {engine} {precision} of the same model");
        let _ = writeln!(text, "{}", fidelity(measurements, reference));
    }
}

fn heading(record: &Record) -> String {
    let (machine, settings) = (&record.machine, &record.settings);
    let source = &settings.clip;
    let mut processor = format!("{}, {} cores", machine.cpu, machine.cores);
    if let Some(mib) = machine.ram_mib {
        let _ = write!(processor, ", {:.0} GiB RAM", mib / 1024.0);
    }
    let _ = write!(processor, ", {}", machine.os);
    for gpu in &machine.gpus {
        let _ = write!(processor, "; {}", gpu.name);
    }
    let budget = settings.budget_s.map(|s| format!(", {s} s each")).unwrap_or_default();
    let sizes: Vec<_> = settings.sizes().iter().map(|(size, _)| size.to_string()).collect();
    let mut threads: Vec<_> =
        record.measurements.iter().filter_map(|m| m.subject.as_ref()?.threads).collect();
    threads.dedup();
    // Engines that differ in it say so in the record alone.
    let threads = match threads[..] {
        [1] => " (1 thread)".into(),
        [threads] => format!(" ({threads} threads)"),
        _ => String::new(),
    };
    let how = format!(
        "{} on {}{threads}, {source}, {} x {} frames after {} to warm up{budget}",
        sizes.join(", "),
        settings.device,
        settings.repeats,
        settings.frames,
        settings.warmup
    );
    format!("{}\n{}", wrap(&processor), wrap(&how))
}

fn speed(measurements: &[&Measurement]) -> Table {
    let has_gpu = measurements.iter().flat_map(|m| &m.runs).any(|run| run.gpu.is_some());
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
    let mut table = table(3, &headings);
    for m in measurements {
        let mut row = names(m);
        match &m.summary {
            Some(summary) => row.extend(speed_cells(summary, has_gpu)),
            None => row.push(missing(m.error.as_ref()).into()),
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
        cells.extend([known(s.peak_gpu_mib, whole), known(s.gpu_percent, whole)]);
    }
    cells
}

/// Frames as fast as they go, and what they take of memory; `None` where neither was
/// measured.
fn throughput(measurements: &[&Measurement]) -> Option<Table> {
    let measured = |m: &&&Measurement| m.device.is_some() || m.end_to_end.is_some();
    measurements.iter().find(measured)?;
    let mut table = table(
        3,
        &[
            "model",
            "engine",
            "type",
            "device\nfps",
            "median\nms",
            "p25-p75\nms",
            "end to\nend\nfps",
            "of\ndevice\n%",
            "latency\nms",
            "engine\nMiB",
            "pinned\nMiB",
            "NVML\nMiB",
        ],
    );
    for m in measurements {
        let (device, end_to_end) = (m.device.as_ref(), m.end_to_end.as_ref());
        let quartiles = device
            .map(|d| format!("{}-{}", layout::fine(d.frame_ms.p25), layout::fine(d.frame_ms.p75)));
        let mut row = names(m);
        if m.runs.is_empty() {
            row.push(missing(m.error.as_ref()).into());
        } else {
            row.extend([
                known(device.map(|d| d.fps), figure),
                known(device.map(|d| d.frame_ms.median), layout::fine),
                quartiles.unwrap_or_else(|| "-".into()),
                known(end_to_end.map(|e| e.fps), figure),
                known(end_to_end.and_then(|e| e.share_of_device), percent),
                known(m.summary.as_ref().map(|s| s.frame_ms.median), figure),
                known(m.memory.map(|memory| memory.device_mib), whole),
                known(m.memory.map(|memory| memory.pinned_host_mib), whole),
                known(m.peak_gpu_mib(), whole),
            ]);
        }
        table.add_row(row);
    }
    Some(table)
}

/// What comes out of a whole job, the frames that were there included, in frames a second: fed
/// ahead where that was measured. `None` where neither that nor latency was.
fn output(measurements: &[&Measurement], factor: usize) -> Option<String> {
    let of = |m: &&Measurement| {
        let fps = m.end_to_end.as_ref().map(|e| e.fps).or(m.summary.as_ref().map(|s| s.fps));
        Some(format!("{} {}", m.case, figure(output_fps(fps?, factor)?)))
    };
    let all: Vec<_> = measurements.iter().filter_map(of).collect();
    (!all.is_empty()).then(|| format!("Output of a {factor}x job, fps: {}", all.join(", ")))
}

/// What frames were compared with, but for the model.
fn references(measurements: &[&Measurement]) -> Vec<Case> {
    let mut references: Vec<Case> = Vec::new();
    for reference in measurements.iter().filter_map(|m| Some(m.fidelity.as_ref()?.reference)) {
        if !references.iter().any(|one| alike(*one, reference)) {
            references.push(reference);
        }
    }
    references
}

fn alike(a: Case, b: Case) -> bool {
    (a.engine, a.precision) == (b.engine, b.precision)
}

fn fidelity(measurements: &[&Measurement], reference: Case) -> Table {
    let mut table = table(
        3,
        &[
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
        ],
    );
    let compared = measurements.iter().filter_map(|m| Some((m, m.fidelity.as_ref()?)));
    for (m, f) in compared.filter(|(_, f)| alike(f.reference, reference)) {
        table.add_row(names(m).into_iter().chain(fidelity_cells(f)).collect::<Vec<_>>());
    }
    table
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

/// Errors, what engines say of themselves, and warnings.
fn notes(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    let ablated = record.ablations.iter().flat_map(Ablation::seen);
    for m in record.measurements.iter().chain(ablated) {
        if let Some(error) = &m.error {
            lines.push(format!("failed: {}: {error}", m.name()));
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
