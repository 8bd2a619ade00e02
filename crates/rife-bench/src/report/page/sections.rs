//! A record's part of the page, section by section; what the record does not have is left out.

use maud::{Markup, html};

use super::{charts, pictures, summary, table};
use crate::measure::ablation::Ablation;
use crate::record::Record;
use crate::report::facts::{engine_notes, pairs, size_of};
use crate::report::sources::Source;
use crate::report::tables::{
    ablation, comparisons, fidelity, gpu, machine, peers, profile, quality, scaling, speed, start,
};
use crate::report::warnings::warnings;

/// The record of this number on the page.
pub fn of(source: &Source, number: usize) -> Markup {
    let record = &source.record;
    html! {
        section id=(format!("r{number}")) aria-labelledby=(format!("h{number}")) {
            h2 id=(format!("h{number}")) { (source.name) }
            (facts(record))
            (summary::of(record))
            (warned(record))
            (speed_and_memory(record))
            (further(record))
            (optimizations(record))
            (profiles(record))
            (growth(record))
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

fn warned(record: &Record) -> Markup {
    let warnings = warnings(record);
    let notes = engine_notes(record);
    html! {
        @if !warnings.is_empty() || !notes.is_empty() {
            h3 { "Before trusting this" }
            ul.warnings {
                @for note in &notes { li { (note) } }
                @for warning in &warnings { li { (warning.what) "; " (warning.remedy) } }
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
                    record.measurements.iter().filter(|m| size_of(record, m) == size).collect();
                @if !of_size.is_empty() {
                    div.charts {
                        (charts::speed(&of_size, size))
                        (charts::memory(record, &of_size, size))
                    }
                }
            }
            p.note { "Whiskers span the middle half of the frames, or of the runs." }
            // What the GPU was busy with stands in its own table.
            (table(&speed::of(record, None).without("GPU %").without("GPU %, end to end")))
            (table(&gpu::of(record)))
            (table(&start::of(record)))
            // In words they stand above.
            @if !pairs(record).is_empty() { (table(&comparisons::of(record).without("verdict"))) }
        }
    }
}

fn further(record: &Record) -> Markup {
    html! {
        @if !record.peers.is_empty() {
            h3 { "Beside others" }
            div.charts { (charts::peers(&record.peers)) }
            (table(&peers::of(&record.peers)))
        }
    }
}

fn optimizations(record: &Record) -> Markup {
    html! {
        @if !record.ablations.is_empty() {
            h3 { "What each optimization is worth" }
            (table(&ablation::overview(&[record])))
            p.note { (ablation::LEGEND) }
            @for one in &record.ablations { (of_ablation(one)) }
        }
    }
}

fn of_ablation(one: &Ablation) -> Markup {
    html! {
        h4 { (one.all.name()) }
        div.charts { (charts::gains(one)) }
        (table(&ablation::of(one)))
    }
}

fn profiles(record: &Record) -> Markup {
    html! {
        @if !record.profiles.is_empty() {
            h3 { "Where a frame's time goes" }
            @for frame in &record.profiles {
                h4 { (frame.case) " at " (frame.size) }
                p { (profile::bottleneck(frame)) }
                div.charts { (charts::profile(frame)) }
                (table(&profile::by_stage(frame)))
                (table(&profile::by_kernel(frame, usize::MAX)))
            }
        }
    }
}

fn growth(record: &Record) -> Markup {
    html! {
        @if !record.scaling.is_empty() {
            h3 { "How cost grows" }
            div.charts { (charts::scaling(&record.scaling)) }
            (table(&scaling::of(&record.scaling)))
        }
    }
}

fn frames(record: &Record, number: usize) -> Markup {
    let fidelity = fidelity::of(record);
    html! {
        @if !fidelity.rows.is_empty() {
            h3 { "Fidelity" }
            p.note { "Against the reference, over the different frames that were made: all, where no "
                "budget cut the run short; the worst of them is "
                "pictured where the record has pictures." }
            (table(&fidelity))
        }
        (pictures::of(record, number))
        @if let Some(quality) = &record.quality {
            h3 { "Against the truth" }
            div.charts { (charts::quality(quality)) }
            (table(&quality::of(quality)))
        }
    }
}
