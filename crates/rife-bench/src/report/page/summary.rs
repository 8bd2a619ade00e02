//! What a reader sees first: the best figures, and the verdicts.

use maud::{Markup, html};

use crate::measure::Measurement;
use crate::record::Record;
use crate::report::facts::{
    device_fps, end_to_end_fps, engine_mib, latency_fps, models, pairs, peak_mib, size_of,
};
use crate::report::figures::three;

/// The headline figures and the comparisons.
pub fn of(record: &Record) -> Markup {
    let headlines = headlines(record);
    let pairs = pairs(record);
    let several = record.settings.sizes().len() > 1;
    html! {
        @if !headlines.is_empty() || !pairs.is_empty() { h3 { "In short" } }
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
                        strong { (pair.to.case.model) ", " (pair.name()) }
                        @if several { " at " (pair.verdict.size) }
                        ": " (pair.verdict.words()) "."
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

/// Of each model the fastest configuration at each size.
fn headlines(record: &Record) -> Vec<Headline> {
    let mut headlines = Vec::new();
    for (size, _) in record.settings.sizes() {
        for model in models(record) {
            let of = record.measurements.iter();
            let of = of.filter(|m| m.case.model == model && size_of(record, m) == size);
            let timed = of.filter_map(|m| Some((m, best_fps(m)?)));
            let fastest = timed.max_by(|a, b| a.1.0.total_cmp(&b.1.0));
            let Some((m, (fps, how))) = fastest else { continue };
            let mut lines = vec![format!("{} at {size}", m.case), how.to_owned()];
            let memory = engine_mib(m).map(|mib| (mib, "held by the engine"));
            let memory = memory.or_else(|| Some((peak_mib(record, m)?, "at its peak")));
            if let Some((mib, what)) = memory.filter(|(mib, _)| mib.is_finite()) {
                lines.push(format!("{} MiB {what}", three(mib)));
            }
            headlines.push(Headline { figure: format!("{} fps", three(fps)), lines });
        }
    }
    headlines
}

/// What an application gets: fed ahead where that was measured.
fn best_fps(m: &Measurement) -> Option<(f64, &'static str)> {
    let end_to_end =
        end_to_end_fps(m).map(|fps| (fps, "from host memory to host memory, fed ahead"));
    let latency = || latency_fps(m).map(|fps| (fps, "one frame at a time"));
    let device = || device_fps(m).map(|fps| (fps, "by the device's own clock"));
    end_to_end.or_else(latency).or_else(device).filter(|(fps, _)| fps.is_finite())
}
