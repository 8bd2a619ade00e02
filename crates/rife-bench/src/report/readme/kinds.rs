//! The kinds of tables that a text may ask for.

use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rife_model::ModelVersion;

use crate::record::Record;
use crate::report::facts::notes;
use crate::report::grid::{Grid, escape};
use crate::report::sources::Source;
use crate::report::tables::{
    ablation, comparisons, fidelity, gpu, machine, peers, profile, quality, scaling, speed, start,
};
use crate::report::terminal;
use crate::subject::{Case, Engine, Precision};

const KINDS: &str = "machine, speed, start, gpu, fidelity, comparisons, ablation, optimizations, profile, \
                     quality, scaling, peers or printed";
/// Rows of kernels: those that matter.
const KERNELS: usize = 10;

/// What a marker asks for, in Markdown.
pub fn make(words: &[&str], sources: &[Source]) -> Result<String> {
    let [kind, args @ ..] = words else { bail!("table: expected {KINDS}") };
    let arguments = |names: &str, count: std::ops::RangeInclusive<usize>| {
        ensure!(count.contains(&args.len()), "table {kind}: expected {kind} {names}");
        let name = args.first().copied().unwrap_or_default();
        record(name, sources).with_context(|| format!("table {kind}"))
    };
    match *kind {
        "machine" => Ok(machine::markdown(arguments("RECORD", 1..=1)?)),
        "speed" => {
            let record = arguments("RECORD PRECISION", 2..=2)?;
            let precision: Precision = argument(kind, args, 1)?;
            let grid = speed::of(record, Some(precision));
            some(grid.rows.is_empty(), args, || format!("nothing in {precision}"))?;
            Ok(with_notes(grid, record))
        }
        "gpu" => {
            let grid = gpu::of(arguments("RECORD", 1..=1)?);
            some(grid.rows.is_empty(), args, || "no GPU".into())?;
            Ok(grid.markdown())
        }
        "start" => {
            let grid = start::of(arguments("RECORD", 1..=1)?);
            some(grid.rows.is_empty(), args, || "nothing measured".into())?;
            Ok(grid.markdown())
        }
        "fidelity" => {
            let record = arguments("RECORD", 1..=1)?;
            let grid = fidelity::of(record);
            some(grid.rows.is_empty(), args, || "no fidelity".into())?;
            Ok(with_notes(grid, record))
        }
        "comparisons" => {
            let record = arguments("RECORD", 1..=1)?;
            let grid = comparisons::of(record);
            some(grid.rows.is_empty(), args, || "no two configurations to compare".into())?;
            Ok(with_notes(grid, record))
        }
        "ablation" => {
            let record = arguments("RECORD MODEL PRECISION", 3..=3)?;
            let (model, precision) = (argument(kind, args, 1)?, argument(kind, args, 2)?);
            let wanted = |case: Case| optimized(case, model, precision);
            let of = record.ablations.iter().filter(|ablation| wanted(ablation.all.case));
            let tables: Vec<_> =
                of.map(|one| with_size(one.all.size, &ablation::of(one))).collect();
            some(tables.is_empty(), args, || format!("no ablation of {model} in {precision}"))?;
            Ok(format!("{}\n{}\n", tables.join("\n"), escape(ablation::LEGEND)))
        }
        "optimizations" => {
            arguments("RECORD [RECORD]", 1..=2)?;
            let records = args.iter().map(|name| record(name, sources));
            let records = records.collect::<Result<Vec<_>>>()?;
            let grid = ablation::overview(&records);
            some(grid.rows.is_empty(), args, || "no ablation".into())?;
            Ok(grid.markdown())
        }
        "profile" => {
            let record = arguments("RECORD MODEL PRECISION", 3..=3)?;
            let (model, precision) = (argument(kind, args, 1)?, argument(kind, args, 2)?);
            let of = record.profiles.iter().filter(|f| optimized(f.case, model, precision));
            let tables: Vec<_> = of.map(one_profile).collect();
            some(tables.is_empty(), args, || format!("no profile of {model} in {precision}"))?;
            Ok(tables.join("\n"))
        }
        "quality" => {
            let record = arguments("RECORD", 1..=1)?;
            let quality = record.quality.as_ref();
            some(quality.is_none(), args, || "no quality against the truth".into())?;
            Ok(quality.map(|quality| quality::of(quality).markdown()).unwrap_or_default())
        }
        "scaling" => {
            let record = arguments("RECORD", 1..=1)?;
            some(record.scaling.is_empty(), args, || "no scaling".into())?;
            Ok(scaling::of(&record.scaling).markdown())
        }
        "peers" => {
            let record = arguments("RECORD [MODEL]", 1..=2)?;
            let model: Option<ModelVersion> =
                args.get(1).map(|_| argument(kind, args, 1)).transpose()?;
            let wanted = record.peers.iter().filter(|peer| model.is_none_or(|m| peer.model == m));
            let wanted: Vec<_> = wanted.cloned().collect();
            some(wanted.is_empty(), args, || match model {
                Some(model) => format!("no peers of {model}"),
                None => "no peers".into(),
            })?;
            Ok(peers::of(&wanted).markdown())
        }
        "printed" => {
            // Where the time goes fills pages, and has tables of its own.
            let record = Record { profiles: Vec::new(), ..arguments("RECORD", 1..=1)?.clone() };
            // Nothing in it ends the block, or the table.
            let text = terminal::render(&record)
                .replace('`', "'")
                .replace('<', "\u{2039}")
                .replace("NaN", "  -");
            Ok(format!("```text\n{}\n```\n", text.trim_end()))
        }
        _ => bail!("table {kind}: expected {KINDS}"),
    }
}

/// A table and what engines say of themselves: a text shows it without the page around it.
fn with_notes(mut grid: Grid, record: &Record) -> String {
    notes(record).into_iter().for_each(|note| grid.note(note));
    grid.markdown()
}

fn one_profile(frame: &crate::kernels::FrameTimes) -> String {
    format!(
        "At {}. {}\n\n{}\n{}",
        frame.size,
        escape(&profile::bottleneck(frame)),
        profile::by_stage(frame).markdown(),
        profile::by_kernel(frame, KERNELS).markdown()
    )
}

/// A table beneath the size that it is of, where the record has several.
fn with_size(size: Option<crate::subject::Size>, grid: &Grid) -> String {
    let size = size.map_or_else(String::new, |size| format!("At {size}:\n\n"));
    size + &grid.markdown()
}

fn optimized(case: Case, model: ModelVersion, precision: Precision) -> bool {
    (case.model, case.engine, case.precision) == (model, Engine::Optimized, precision)
}

fn record<'a>(name: &str, sources: &'a [Source]) -> Result<&'a Record> {
    let source = sources.iter().find(|source| source.name == name).ok_or_else(|| {
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        anyhow!("no record {name:?} was given: there is {}", names.join(", "))
    })?;
    Ok(&source.record)
}

fn argument<T: FromStr<Err: std::fmt::Display>>(kind: &str, args: &[&str], at: usize) -> Result<T> {
    let word = args.get(at).copied().unwrap_or_default();
    word.parse().map_err(|error| anyhow!("table {kind}: {word:?}: {error}"))
}

fn some(nothing: bool, args: &[&str], what: impl Fn() -> String) -> Result<()> {
    ensure!(!nothing, "{} has {}", args.first().copied().unwrap_or_default(), what());
    Ok(())
}
