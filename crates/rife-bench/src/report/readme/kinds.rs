//! The kinds of generated tables.

use std::fmt::Display;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rife_model::ModelVersion;

use crate::args::parse_precision;
use crate::measure::kernels::FrameTimes;
use crate::measure::peers::Peer;
use crate::record::Record;
use crate::report::grid::{Grid, escape};
use crate::report::records::NamedRecord;
use crate::report::tables::{
    ablation, brief, comparisons, fidelity, gpu, machine, peers, profile, quality, scaling, speed,
    start,
};
use crate::report::terminal;
use crate::report::warnings::notes;
use crate::subject::{Config, Precision, Size};

/// Number of kernel rows in a profile.
const KERNELS: usize = 10;

/// A kind of table.
struct Kind {
    name: &'static str,
    /// The words after the name; those in brackets are optional.
    usage: &'static str,
    /// What a record lacks if it has no such table.
    content: &'static str,
    render: fn(&Request<'_>) -> Option<String>,
}

const KINDS: [Kind; 19] = [
    kind("machine", "RECORD", "machine", |r| Some(machine::markdown(r.record()))),
    kind("speed", "RECORD PRECISION", "results", |r| {
        with_notes(speed::grid(r.record(), r.precision), r.record())
    }),
    kind("start", "RECORD", "results", |r| markdown(&start::grid(r.record()))),
    kind("gpu", "RECORD", "GPU", |r| markdown(&gpu::grid(r.record()))),
    kind("fidelity", "RECORD", "fidelity", |r| with_notes(fidelity::grid(r.record()), r.record())),
    kind("comparisons", "RECORD", "configurations to compare", |r| {
        with_notes(comparisons::grid(r.record()), r.record())
    }),
    kind("ablation", "RECORD MODEL PRECISION", "ablation", |r| {
        let of = r.record().ablations.iter().filter(|one| r.selects(one.all.config));
        let tables: Vec<_> = of.map(|one| with_size(one.all.size, &ablation::grid(one))).collect();
        let legend = || format!("{}\n{}\n", tables.join("\n"), escape(ablation::LEGEND));
        (!tables.is_empty()).then(legend)
    }),
    kind("optimizations", "RECORD [RECORD]", "ablation", |r| {
        markdown(&ablation::overview(&r.records))
    }),
    kind("profile", "RECORD MODEL PRECISION", "profile", |r| {
        let of = r.record().profiles.iter().filter(|frame| r.selects(frame.config));
        let tables: Vec<_> = of.map(profile).collect();
        (!tables.is_empty()).then(|| tables.join("\n"))
    }),
    kind("quality", "RECORD", "quality", |r| {
        r.record().quality.as_ref().map(|quality| quality::grid(quality).markdown())
    }),
    kind("scaling", "RECORD", "scaling", |r| markdown(&scaling::grid(&r.record().scaling))),
    kind("peers", "RECORD [MODEL]", "peers", |r| {
        let selected = |peer: &&Peer| r.model.is_none_or(|model| peer.model == model);
        let peers: Vec<_> = r.record().peers.iter().filter(selected).cloned().collect();
        markdown(&peers::grid(&peers))
    }),
    kind("printed", "RECORD", "results", |r| Some(printed(r.record()))),
    kind("headline", "RECORD [RECORD]", "peers", |r| {
        Some(brief::headline(&r.records)).filter(|text| !text.is_empty())
    }),
    kind("summary", "RECORD", "results", |r| markdown(&brief::summary(r.record()))),
    kind("comparisons-brief", "RECORD", "configurations to compare", |r| {
        markdown(&brief::comparisons(r.record()))
    }),
    kind("peers-brief", "RECORD", "peers", |r| markdown(&brief::peers(r.record()))),
    kind("optimizations-brief", "RECORD [RECORD]", "ablation", |r| {
        markdown(&brief::optimizations(&r.records))
    }),
    kind("sample", "RECORD [MODEL]", "results", |r| {
        let mut record = r.record().clone();
        record.measurements.retain(|m| r.model.is_none_or(|model| m.config.model == model));
        (!record.measurements.is_empty()).then(|| code_block(&terminal::sample(&record)))
    }),
];

const fn kind(
    name: &'static str,
    usage: &'static str,
    content: &'static str,
    render: fn(&Request<'_>) -> Option<String>,
) -> Kind {
    Kind { name, usage, content, render }
}

/// The words of a marker after its kind.
#[derive(Default)]
struct Request<'a> {
    records: Vec<&'a Record>,
    model: Option<ModelVersion>,
    precision: Option<Precision>,
}

impl<'a> Request<'a> {
    fn parse(kind: &Kind, args: &[&str], records: &'a [NamedRecord]) -> Result<Self> {
        let Kind { name, usage, .. } = kind;
        let words: Vec<&str> = usage.split(' ').collect();
        let required = words.iter().filter(|word| !word.starts_with('[')).count();
        let allowed = required..=words.len();
        ensure!(allowed.contains(&args.len()), "table {name}: expected {name} {usage}");
        let mut request = Self::default();
        for (word, arg) in words.iter().zip(args) {
            let context = || format!("table {name}");
            match word.trim_matches(['[', ']']) {
                "MODEL" => request.model = Some(argument(name, arg, arg.parse())?),
                "PRECISION" => request.precision = Some(argument(name, arg, parse_precision(arg))?),
                _ => request.records.push(find(arg, records).with_context(context)?),
            }
        }
        Ok(request)
    }

    /// The first record, which every kind requires.
    fn record(&self) -> &'a Record {
        self.records[0]
    }

    /// Whether a configuration is of the optimized engine and of the requested model and precision.
    fn selects(&self, config: Config) -> bool {
        config.is_optimized()
            && (Some(config.model), Some(config.precision)) == (self.model, self.precision)
    }
}

/// Renders the table of a marker as Markdown.
pub fn render(spec: &[&str], records: &[NamedRecord]) -> Result<String> {
    let expected = || {
        let [names @ .., last] = KINDS.each_ref().map(|kind| kind.name);
        format!("expected {} or {last}", names.join(", "))
    };
    let [name, args @ ..] = spec else { bail!("table: {}", expected()) };
    let kind = KINDS.iter().find(|kind| kind.name == *name);
    let kind = kind.with_context(|| format!("table {name}: {}", expected()))?;
    let request = Request::parse(kind, args, records)?;
    (kind.render)(&request).with_context(|| {
        let model = request.model.map(|model| format!(" of {model}")).unwrap_or_default();
        let precision = request.precision.map(|one| format!(" in {one}")).unwrap_or_default();
        format!("{} has no {}{model}{precision}", args[0], kind.content)
    })
}

/// A table; `None` if it has no rows.
fn markdown(grid: &Grid) -> Option<String> {
    (!grid.rows.is_empty()).then(|| grid.markdown())
}

/// A table with the notes that apply to all its figures.
fn with_notes(mut grid: Grid, record: &Record) -> Option<String> {
    notes(record).into_iter().for_each(|note| grid.note(note));
    markdown(&grid)
}

/// The report on a terminal without profiles, which are long and have their own tables.
fn printed(record: &Record) -> String {
    let record = Record { profiles: Vec::new(), ..record.clone() };
    // Nothing in the text may end the code block or the table.
    let text = terminal::render(&record).replace('`', "'").replace('<', "\u{2039}");
    code_block(&text.replace("NaN", "  -"))
}

fn code_block(text: &str) -> String {
    format!("```text\n{}\n```\n", text.trim_end())
}

fn profile(frame: &FrameTimes) -> String {
    format!(
        "At {}. {}\n\n{}\n{}",
        frame.size,
        escape(&profile::bottleneck(frame)),
        profile::by_stage(frame).markdown(),
        profile::by_kernel(frame, KERNELS).markdown()
    )
}

/// A table with its frame size above, if the record has several.
fn with_size(size: Option<Size>, grid: &Grid) -> String {
    let size = size.map_or_else(String::new, |size| format!("At {size}:\n\n"));
    size + &grid.markdown()
}

fn find<'a>(name: &str, records: &'a [NamedRecord]) -> Result<&'a Record> {
    let record = records.iter().find(|record| record.name == name).ok_or_else(|| {
        let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
        anyhow!("record {name:?} was not given; available are {}", names.join(", "))
    })?;
    Ok(&record.record)
}

fn argument<T, E: Display>(kind: &str, word: &str, parsed: Result<T, E>) -> Result<T> {
    parsed.map_err(|error| anyhow!("table {kind}: invalid {word:?}: {error}"))
}
