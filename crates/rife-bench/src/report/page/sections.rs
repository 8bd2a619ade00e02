//! The sections of a record on the page. Sections without data are omitted.

use maud::{Markup, html};

use super::{charts, pictures, summary, table};
use crate::measure::ablation::Ablation;
use crate::record::Record;
use crate::report::pairs::pairs;
use crate::report::records::NamedRecord;
use crate::report::tables::{
    ablation, comparisons, fidelity, gpu, machine, peers, profile, quality, scaling, speed, start,
};
use crate::report::warnings::{engine_notes, warnings};

/// The record with this number on the page.
pub fn section(named: &NamedRecord, number: usize) -> Markup {
    let record = &named.record;
    html! {
        section id=(format!("r{number}")) aria-labelledby=(format!("h{number}")) {
            h2 id=(format!("h{number}")) { (named.name) }
            (facts(record))
            (summary::section(record))
            (caveats(record))
            (speed_and_memory(record))
            (others(record))
            (optimizations(record))
            (profiles(record))
            (scaling_charts(record))
            (frames(record, number))
        }
    }
}

fn facts(record: &Record) -> Markup {
    html! {
        dl.facts {
            @for fact in machine::facts(record) {
                dt { (fact.what) }
                dd { @if fact.code { code { (fact.value) } } @else { (fact.value) } }
            }
        }
    }
}

fn caveats(record: &Record) -> Markup {
    let warnings = warnings(record);
    let notes = engine_notes(record);
    html! {
        @if !warnings.is_empty() || !notes.is_empty() {
            h3 { "Notes and warnings" }
            ul.warnings {
                @for note in &notes { li { (note) } }
                @for warning in &warnings { li { (warning.text()) } }
            }
        }
    }
}

fn speed_and_memory(record: &Record) -> Markup {
    html! {
        @if !record.measurements.is_empty() {
            h3 { "Speed and memory" }
            @for (size, _) in record.settings.sizes() {
                @let of_size: Vec<_> =
                    record.measurements.iter().filter(|m| record.size_of(m) == size).collect();
                @if !of_size.is_empty() {
                    div.charts {
                        (charts::speed(&of_size, size))
                        (charts::memory(record, &of_size, size))
                    }
                }
            }
            p.note { "Whiskers: interquartile range of the frames or runs." }
            (table(&speed::grid(record, None).without("GPU %").without("GPU %, end to end")))
            (table(&gpu::grid(record)))
            (table(&start::grid(record)))
            // The verdicts are in the summary.
            @if !pairs(record).is_empty() { (table(&comparisons::grid(record).without("verdict"))) }
        }
    }
}

fn others(record: &Record) -> Markup {
    html! {
        @if !record.peers.is_empty() {
            h3 { "Other implementations" }
            div.charts { (charts::peers(&record.peers)) }
            (table(&peers::grid(&record.peers)))
        }
    }
}

fn optimizations(record: &Record) -> Markup {
    html! {
        @if !record.ablations.is_empty() {
            h3 { "Effect of each optimization" }
            (table(&ablation::overview(&[record])))
            p.note { (ablation::LEGEND) }
            @for one in &record.ablations { (one_ablation(one)) }
        }
    }
}

fn one_ablation(one: &Ablation) -> Markup {
    html! {
        h4 { (one.all.name()) }
        div.charts { (charts::gains(one)) }
        (table(&ablation::grid(one)))
    }
}

fn profiles(record: &Record) -> Markup {
    html! {
        @if !record.profiles.is_empty() {
            h3 { "Where a frame's time goes" }
            @for frame in &record.profiles {
                h4 { (frame.config) " at " (frame.size) }
                p { (profile::bottleneck(frame)) }
                div.charts { (charts::profile(frame)) }
                (table(&profile::by_stage(frame)))
                (table(&profile::by_kernel(frame, usize::MAX)))
            }
        }
    }
}

fn scaling_charts(record: &Record) -> Markup {
    html! {
        @if !record.scaling.is_empty() {
            h3 { "Scaling" }
            div.charts { (charts::scaling(&record.scaling)) }
            (table(&scaling::grid(&record.scaling)))
        }
    }
}

fn frames(record: &Record, number: usize) -> Markup {
    let fidelity = fidelity::grid(record);
    html! {
        @if !fidelity.rows.is_empty() {
            h3 { "Fidelity" }
            p.note { "Over all distinct interpolated frames, unless the time budget cut the run "
                "short." }
            (table(&fidelity))
        }
        (pictures::section(record, number))
        @if let Some(quality) = &record.quality {
            h3 { "Quality against ground truth" }
            div.charts { (charts::quality(quality)) }
            (table(&quality::grid(quality)))
        }
    }
}
