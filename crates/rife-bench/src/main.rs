//! `rife-bench`: args -> plan -> measurements -> record -> report.

#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use rife_bench::args::{Args, CommandLine, CompareArgs, KernelArgs, Other, ReportArgs, VideoArgs};
use rife_bench::compare::Compared;
use rife_bench::kernels::{KernelPlan, KernelRecord};
use rife_bench::measure::host::share_one_heap;
use rife_bench::measure::{Watcher, measure_all};
use rife_bench::plan::Plan;
use rife_bench::progress::{INTERRUPTED, Progress};
use rife_bench::record::Record;
use rife_bench::report;
use rife_bench::streaming;
use rife_bench::subject::runtime::RuntimeEngines;
use rife_model::weights::{Store, WeightsError};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    share_one_heap();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let line = match CommandLine::parse_line() {
        Ok(line) => line,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let done = match &line.command {
        Some(Other::Kernels(args)) => kernels(args),
        Some(Other::Video(args)) => video(args),
        // A record that cannot be read is no regression: another exit code.
        Some(Other::Compare(args)) => compare(args).or_else(|error| {
            eprintln!("error: {}", describe(&error));
            Ok(ExitCode::from(2))
        }),
        Some(Other::Report(args)) => reports(args),
        None => bench(&line.args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", describe(&error));
        if let Some(hint) = WeightsError::hint_in(error.as_ref()) {
            eprintln!("hint: {hint}");
        }
        ExitCode::FAILURE
    })
}

/// An error and its causes on one line. Some crates repeat a cause in the text of what it caused:
/// it is said once.
fn describe(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(|c| c.to_string().lines().collect::<Vec<_>>().join(" ")) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// Succeeds where every configuration did. Where all fail there is nothing to record.
fn bench(args: &Args) -> Result<ExitCode> {
    let mut engines = RuntimeEngines::new(Store::locate(args.weights.as_deref())?, args.threads);
    let plan = Plan::new(args, &engines)?;
    engines.prepare(&plan.models(), &mut |line| eprintln!("{line}"))?;
    let progress = Progress::new(plan.quiet);
    progress.stop_when_told()?;
    let measured = measure_all(&plan, &engines, &progress)?;
    let stopped = progress.stopped();
    drop(progress);

    if measured.measurements.iter().all(|m| m.runs.is_empty())
        && let Some(error) = measured.measurements.iter().find_map(|m| m.error.as_deref())
    {
        bail!("{error}");
    }
    let failed = measured.failed();
    let record = Record::new(&plan, measured);
    record.write(&plan.output, plan.overwrite)?;
    let report = report::terminal::render(&record);
    print(&format!("{report}\nrecord: {}\n", plan.output.display()))?;
    Ok(match (stopped, failed) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

/// The launches of a frame.
fn kernels(args: &KernelArgs) -> Result<ExitCode> {
    let mut engines = RuntimeEngines::new(Store::locate(args.weights.as_deref())?, args.threads);
    let plan = KernelPlan::new(args, &engines)?;
    engines.prepare(&plan.models(), &mut |line| eprintln!("{line}"))?;
    let record = KernelRecord::measure(&plan, &engines)?;
    if let Some(json) = &plan.json {
        record.write(json, plan.overwrite)?;
    }
    print(&report::kernels::render(&record, args.each))?;
    Ok(ExitCode::SUCCESS)
}

/// Video through pipes.
fn video(args: &VideoArgs) -> Result<ExitCode> {
    let record = streaming::measure(args)?;
    print(&streaming::render(&record))?;
    Ok(ExitCode::SUCCESS)
}

/// Reports of records that are there.
fn reports(args: &ReportArgs) -> Result<ExitCode> {
    let sources = report::sources::read(&args.records)?;
    let fix = args.that_writes();
    ensure!(
        !args.check || args.html.is_some() || !args.readme.is_empty(),
        "--check needs what is to be checked: --html or --readme"
    );
    if let Some(html) = &args.html {
        let same = |other: &std::path::PathBuf| {
            html.canonicalize().ok().is_some_and(|path| other.canonicalize().ok() == Some(path))
        };
        ensure!(
            !args.records.iter().chain(&args.readme).any(same),
            "{} is what the page is made from: name another file",
            html.display()
        );
        report::page::update(html, &sources, args.check, &fix)?;
    }
    for readme in &args.readme {
        report::readme::update(readme, &sources, args.check, &fix)?;
    }
    if args.html.is_none() && args.readme.is_empty() {
        let texts: Vec<_> = sources.iter().map(|s| report::terminal::render(&s.record)).collect();
        print(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails where something became worse and that is asked for.
fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let compared = Compared::of(&Record::read(&args.before)?, &Record::read(&args.after)?);
    print(&report::compare::render(&compared))?;
    if args.fail_on_regression {
        // Who asks whether it became worse is not told that it did not by figures that cannot say.
        ensure!(!compared.rows.is_empty(), "the records have no figure in common");
        ensure!(
            compared.incomparable.is_empty(),
            "the records say nothing of each other: {}",
            compared.incomparable.join("; ")
        );
    }
    let fails = args.fail_on_regression && compared.is_regression();
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints a report. What it was made from is written: a reader who has gone away takes nothing
/// with it.
fn print(report: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(report.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
