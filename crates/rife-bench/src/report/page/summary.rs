//! The summary of a record: headline figures and the three main comparisons.

use maud::{Markup, html};

use crate::measure::Measurement;
use crate::record::Record;
use crate::report::facts::{device_fps, end_to_end_fps, engine_mib, latency_fps, models, peak_mib};
use crate::report::figures::three;
use crate::report::pairs::pairs;

/// Headline figures and comparisons.
pub fn section(record: &Record) -> Markup {
    let headlines = headlines(record);
    let pairs = pairs(record);
    let several = record.settings.sizes().len() > 1;
    html! {
        @if !headlines.is_empty() || !pairs.is_empty() { h3 { "Summary" } }
        @if !headlines.is_empty() {
            ul.headlines {
                @for headline in &headlines {
                    li {
                        strong { (headline.figure) }
                        @for line in &headline.lines { span { (line) } }
                    }
                }
            }
        }
        @if !pairs.is_empty() {
            ol.verdicts {
                @for pair in &pairs {
                    li {
                        strong { (pair.to.config.model) ", " (pair.name()) }
                        @if several { " at " (pair.size) }
                        ": " (pair.words()) "."
                    }
                }
            }
        }
    }
}

struct Headline {
    figure: String,
    lines: Vec<String>,
}

/// The fastest configuration of each model at each size.
fn headlines(record: &Record) -> Vec<Headline> {
    let mut headlines = Vec::new();
    for (size, _) in record.settings.sizes() {
        for model in models(record) {
            let of = record.measurements.iter();
            let of = of.filter(|m| m.config.model == model && record.size_of(m) == size);
            let timed = of.filter_map(|m| Some((m, best_fps(m)?)));
            let fastest = timed.max_by(|a, b| a.1.0.total_cmp(&b.1.0));
            let Some((m, (fps, how))) = fastest else { continue };
            let mut lines = vec![format!("{} at {size}", m.config), how.to_owned()];
            let memory = engine_mib(m).map(|mib| (mib, "engine memory"));
            let memory = memory.or_else(|| Some((peak_mib(record, m)?, "peak memory")));
            if let Some((mib, what)) = memory.filter(|(mib, _)| mib.is_finite()) {
                lines.push(format!("{} MiB {what}", three(mib)));
            }
            headlines.push(Headline { figure: format!("{} fps", three(fps)), lines });
        }
    }
    headlines
}

/// Speed of an application, end to end if measured.
fn best_fps(m: &Measurement) -> Option<(f64, &'static str)> {
    let end_to_end = end_to_end_fps(m).map(|fps| (fps, "end to end"));
    let latency = || latency_fps(m).map(|fps| (fps, "latency mode"));
    let device = || device_fps(m).map(|fps| (fps, "device mode"));
    end_to_end.or_else(latency).or_else(device).filter(|(fps, _)| fps.is_finite())
}
