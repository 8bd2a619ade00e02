//! The report on a terminal: plain text of at most 100 columns.

use std::fmt::Write;

use super::facts::{cpu, settings};
use super::pairs::pairs;
use super::tables::{ablation, fidelity, gpu, peers, profile, quality, scaling, speed, start};
use super::text::{clean_lines, wrap};
use super::warnings::{Warning, engine_notes, warnings};
use crate::record::Record;

/// A record as text.
pub fn render(record: &Record) -> String {
    let mut parts = vec![heading(record)];
    parts.extend([
        speed::grid(record, None).terminal(),
        start::grid(record).terminal(),
        fidelity::grid(record).terminal(),
        gpu::summary(record).map(|line| wrap(&line)).unwrap_or_default(),
    ]);
    if !record.peers.is_empty() {
        parts.push(peers::grid(&record.peers).without("version").terminal());
    }
    parts.extend(record.ablations.iter().map(|one| ablation::grid(one).terminal()));
    if !record.ablations.is_empty() {
        parts.push(wrap(ablation::LEGEND));
    }
    for frame in &record.profiles {
        parts.push(profile::by_stage(frame).terminal());
        parts.push(profile::by_kernel(frame, usize::MAX).terminal());
        parts.push(wrap(&profile::bottleneck(frame)));
    }
    parts.extend(record.quality.iter().map(|quality| quality::grid(quality).terminal()));
    if !record.scaling.is_empty() {
        parts.push(scaling::grid(&record.scaling).terminal());
    }
    parts.push(summary(record));
    parts.push(notes(record));
    let parts: Vec<_> =
        parts.iter().map(|part| part.trim_end()).filter(|p| !p.is_empty()).collect();
    clean_lines(&parts.join("\n\n"))
}

/// The beginning of the report: the machine, and the first table.
pub fn sample(record: &Record) -> String {
    let table = speed::grid(record, None).terminal();
    clean_lines(&format!("{}\n\n{}", heading(record), table.trim_end()))
}

fn heading(record: &Record) -> String {
    let machine = &record.header.machine;
    let mut hardware = format!("{}, {}", cpu(&record.header), machine.os);
    for gpu in &machine.gpus {
        // Writing to a string cannot fail.
        let _ = write!(hardware, "; {}", gpu.name);
    }
    let mut threads: Vec<_> =
        record.measurements.iter().filter_map(|m| m.subject.as_ref()?.threads).collect();
    threads.dedup();
    // Engines with different numbers of threads are described by the record only.
    let threads = match threads[..] {
        [1] => " (1 thread)".into(),
        [threads] => format!(" ({threads} threads)"),
        _ => String::new(),
    };
    format!("{}\n{}", wrap(&hardware), wrap(&format!("{}{threads}", settings(record))))
}

/// The three main comparisons.
fn summary(record: &Record) -> String {
    let several = record.settings.sizes().len() > 1;
    let lines = pairs(record).into_iter().map(|pair| {
        let at = if several { format!(" at {}", pair.size) } else { String::new() };
        let from = pair.from.config;
        let to = pair.to.config;
        let from = format!("{} {}", from.engine, from.precision);
        wrap(&format!("{to}{at} vs {from}: {}", pair.words()))
    });
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() { String::new() } else { format!("Summary\n{}", lines.join("\n")) }
}

/// Notes of the engines, and warnings. Failures are notes of the tables.
fn notes(record: &Record) -> String {
    let mut lines: Vec<_> =
        engine_notes(record).into_iter().map(|note| format!("note: {note}")).collect();
    let mut disabled = record.measurements.iter().map(|m| &m.config.without);
    if let Some(disabled) = disabled.find(|disabled| !disabled.is_none()) {
        lines.push(format!("note: the optimized engine ran without {disabled}"));
    }
    lines.extend(warnings(record).iter().map(Warning::text).map(|text| format!("warning: {text}")));
    lines.iter().map(|line| wrap(line)).collect::<Vec<_>>().join("\n")
}
