//! The kinds of generated tables.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rife_model::ModelVersion;

use crate::args::parse_precision;
use crate::measure::kernels::FrameTimes;
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

const KINDS: &str = "machine, speed, start, gpu, fidelity, comparisons, ablation, optimizations, \
                     profile, quality, scaling, peers, printed, headline, summary, comparisons-brief, \
                     peers-brief, optimizations-brief or sample";
/// Number of kernel rows in a profile.
const KERNELS: usize = 10;

/// Renders the table of a marker as Markdown.
pub fn render(spec: &[&str], records: &[NamedRecord]) -> Result<String> {
    let [kind, args @ ..] = spec else { bail!("table: expected {KINDS}") };
    let record = |names: &str, count: std::ops::RangeInclusive<usize>| {
        ensure!(count.contains(&args.len()), "table {kind}: expected {kind} {names}");
        let name = args.first().copied().unwrap_or_default();
        find(name, records).with_context(|| format!("table {kind}"))
    };
    let model = |at| argument(kind, args, at, ModelVersion::from_str);
    let precision = |at| argument(kind, args, at, parse_precision);
    match *kind {
        "machine" => Ok(machine::markdown(record("RECORD", 1..=1)?)),
        "speed" => {
            let record = record("RECORD PRECISION", 2..=2)?;
            let precision = precision(1)?;
            let grid = speed::grid(record, Some(precision));
            not_empty(grid.rows.is_empty(), args, || format!("no results in {precision}"))?;
            Ok(with_notes(grid, record))
        }
        "gpu" => {
            let grid = gpu::grid(record("RECORD", 1..=1)?);
            not_empty(grid.rows.is_empty(), args, || "no GPU".into())?;
            Ok(grid.markdown())
        }
        "start" => {
            let grid = start::grid(record("RECORD", 1..=1)?);
            not_empty(grid.rows.is_empty(), args, || "no results".into())?;
            Ok(grid.markdown())
        }
        "fidelity" => {
            let record = record("RECORD", 1..=1)?;
            let grid = fidelity::grid(record);
            not_empty(grid.rows.is_empty(), args, || "no fidelity".into())?;
            Ok(with_notes(grid, record))
        }
        "comparisons" => {
            let record = record("RECORD", 1..=1)?;
            let grid = comparisons::grid(record);
            not_empty(grid.rows.is_empty(), args, || "no configurations to compare".into())?;
            Ok(with_notes(grid, record))
        }
        "ablation" => {
            let record = record("RECORD MODEL PRECISION", 3..=3)?;
            let (model, precision) = (model(1)?, precision(2)?);
            let of = record.ablations.iter().filter(|a| optimized(a.all.config, model, precision));
            let tables: Vec<_> =
                of.map(|one| with_size(one.all.size, &ablation::grid(one))).collect();
            not_empty(tables.is_empty(), args, || {
                format!("no ablation of {model} in {precision}")
            })?;
            Ok(format!("{}\n{}\n", tables.join("\n"), escape(ablation::LEGEND)))
        }
        "optimizations" => {
            record("RECORD [RECORD]", 1..=2)?;
            let records = args.iter().map(|name| find(name, records));
            let grid = ablation::overview(&records.collect::<Result<Vec<_>>>()?);
            not_empty(grid.rows.is_empty(), args, || "no ablation".into())?;
            Ok(grid.markdown())
        }
        "profile" => {
            let record = record("RECORD MODEL PRECISION", 3..=3)?;
            let (model, precision) = (model(1)?, precision(2)?);
            let of = record.profiles.iter().filter(|f| optimized(f.config, model, precision));
            let tables: Vec<_> = of.map(profile).collect();
            not_empty(tables.is_empty(), args, || format!("no profile of {model} in {precision}"))?;
            Ok(tables.join("\n"))
        }
        "quality" => {
            let quality = record("RECORD", 1..=1)?.quality.as_ref();
            not_empty(quality.is_none(), args, || "no quality".into())?;
            Ok(quality.map(|quality| quality::grid(quality).markdown()).unwrap_or_default())
        }
        "scaling" => {
            let record = record("RECORD", 1..=1)?;
            not_empty(record.scaling.is_empty(), args, || "no scaling".into())?;
            Ok(scaling::grid(&record.scaling).markdown())
        }
        "peers" => {
            let record = record("RECORD [MODEL]", 1..=2)?;
            let model = args.get(1).map(|_| model(1)).transpose()?;
            let peers = record.peers.iter().filter(|peer| model.is_none_or(|m| peer.model == m));
            let peers: Vec<_> = peers.cloned().collect();
            not_empty(peers.is_empty(), args, || match model {
                Some(model) => format!("no peers of {model}"),
                None => "no peers".into(),
            })?;
            Ok(peers::grid(&peers).markdown())
        }
        "headline" => {
            record("RECORD [RECORD]", 1..=2)?;
            let records = args.iter().map(|name| find(name, records));
            let text = brief::headline(&records.collect::<Result<Vec<_>>>()?);
            not_empty(text.is_empty(), args, || "no peers".into())?;
            Ok(text)
        }
        "summary" => {
            let record = record("RECORD", 1..=1)?;
            let grid = brief::summary(record);
            not_empty(grid.rows.is_empty(), args, || "no results".into())?;
            Ok(grid.markdown())
        }
        "comparisons-brief" => {
            let grid = brief::comparisons(record("RECORD", 1..=1)?);
            not_empty(grid.rows.is_empty(), args, || "no configurations to compare".into())?;
            Ok(grid.markdown())
        }
        "peers-brief" => {
            let grid = brief::peers(record("RECORD", 1..=1)?);
            not_empty(grid.rows.is_empty(), args, || "no peers".into())?;
            Ok(grid.markdown())
        }
        "optimizations-brief" => {
            record("RECORD [RECORD]", 1..=2)?;
            let records = args.iter().map(|name| find(name, records));
            let grid = brief::optimizations(&records.collect::<Result<Vec<_>>>()?);
            not_empty(grid.rows.is_empty(), args, || "no ablation".into())?;
            Ok(grid.markdown())
        }
        "sample" => {
            let record = record("RECORD", 1..=1)?;
            Ok(format!("```text\n{}\n```\n", terminal::sample(record).trim_end()))
        }
        "printed" => {
            // Profiles are long, and have their own tables.
            let record = Record { profiles: Vec::new(), ..record("RECORD", 1..=1)?.clone() };
            // Nothing in the text may end the code block or the table.
            let text = terminal::render(&record)
                .replace('`', "'")
                .replace('<', "\u{2039}")
                .replace("NaN", "  -");
            Ok(format!("```text\n{}\n```\n", text.trim_end()))
        }
        _ => bail!("table {kind}: expected {KINDS}"),
    }
}

/// A table with the notes that apply to all its figures.
fn with_notes(mut grid: Grid, record: &Record) -> String {
    notes(record).into_iter().for_each(|note| grid.note(note));
    grid.markdown()
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

fn optimized(config: Config, model: ModelVersion, precision: Precision) -> bool {
    config.is_optimized() && (config.model, config.precision) == (model, precision)
}

fn find<'a>(name: &str, records: &'a [NamedRecord]) -> Result<&'a Record> {
    let record = records.iter().find(|record| record.name == name).ok_or_else(|| {
        let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
        anyhow!("record {name:?} was not given; available are {}", names.join(", "))
    })?;
    Ok(&record.record)
}

fn argument<T, E: Display>(
    kind: &str,
    args: &[&str],
    at: usize,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T> {
    let word = args.get(at).copied().unwrap_or_default();
    parse(word).map_err(|error| anyhow!("table {kind}: invalid {word:?}: {error}"))
}

fn not_empty(empty: bool, args: &[&str], what: impl Fn() -> String) -> Result<()> {
    ensure!(!empty, "{} has {}", args.first().copied().unwrap_or_default(), what());
    Ok(())
}
