//! `rife-bench`: arguments, plan, measurements, record, report.

#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use rife_bench::args::{
    Args, Command, CommandLine, CompareArgs, EngineArgs, KernelArgs, ReportArgs, VideoArgs,
};
use rife_bench::compare::RecordComparison;
use rife_bench::measure;
use rife_bench::measure::host::share_one_heap;
use rife_bench::plan::{KernelPlan, Plan, check_video};
use rife_bench::progress::{INTERRUPTED, Progress};
use rife_bench::record::{self, KernelRecord, Record, VideoRecord};
use rife_bench::subject::runtime::RuntimeEngines;
use rife_bench::{benchmark, report};
use rife_model::weights::{Store, WeightsError};
use rife_runtime::describe;
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
        Some(Command::Kernels(args)) => kernels(args),
        Some(Command::Video(args)) => video(args),
        // An unreadable record is not a regression, so it has a different exit code.
        Some(Command::Compare(args)) => compare(args).or_else(|error| {
            eprintln!("error: {}", describe(error.as_ref()));
            Ok(ExitCode::from(2))
        }),
        Some(Command::Report(args)) => report(args),
        None => bench(&line.args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", describe(error.as_ref()));
        if let Some(hint) = WeightsError::hint_in(error.as_ref()) {
            eprintln!("hint: {hint}");
        }
        ExitCode::FAILURE
    })
}

fn engines(args: &EngineArgs) -> Result<RuntimeEngines> {
    Ok(RuntimeEngines::new(Store::locate(args.weights.as_deref())?, args.threads))
}

/// Runs the benchmark. Fails if any configuration failed; if all failed, nothing is recorded.
fn bench(args: &Args) -> Result<ExitCode> {
    let mut engines = engines(&args.engine)?;
    let plan = Plan::new(args, &engines)?;
    engines.prepare(&plan.models(), &mut |line| eprintln!("{line}"))?;
    let progress = Progress::new(args.quiet);
    progress.stop_on_signal()?;
    let record = benchmark::run(&plan, &engines, &progress)?;
    drop(progress);

    if record.measurements.iter().all(|m| m.runs.is_empty())
        && let Some(error) = record.measurements.iter().find_map(|m| m.error.as_deref())
    {
        bail!("{error}");
    }
    record::write(&record, &plan.output, args.overwrite)?;
    let report = report::terminal::render(&record);
    print(&format!("{report}\nrecord: {}\n", plan.output.display()))?;
    Ok(match (record.settings.stopped, record.failed()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Times kernel launches.
fn kernels(args: &KernelArgs) -> Result<ExitCode> {
    let mut engines = engines(&args.engine)?;
    let plan = KernelPlan::new(args, &engines)?;
    engines.prepare(&plan.models(), &mut |line| eprintln!("{line}"))?;
    let record = KernelRecord::new(&plan, measure::kernels::measure(&plan, &engines)?);
    if let Some(json) = &args.output.json {
        record::write(&record, json, args.output.overwrite)?;
    }
    print(&report::kernels::render(&record, args.each))?;
    Ok(ExitCode::SUCCESS)
}

/// Measures video jobs.
fn video(args: &VideoArgs) -> Result<ExitCode> {
    check_video(args)?;
    let record = VideoRecord::new(measure::video::measure(args, &mut |line| eprintln!("{line}"))?);
    if let Some(json) = &args.output.json {
        record::write(&record, json, args.output.overwrite)?;
    }
    print(&report::video::render(&record))?;
    Ok(ExitCode::SUCCESS)
}

/// Generates reports from records.
fn report(args: &ReportArgs) -> Result<ExitCode> {
    let records = report::records::read(&args.records)?;
    let fix = args.update_command();
    ensure!(
        !args.check || args.html.is_some() || args.images.is_some() || !args.readme.is_empty(),
        "--check requires --html, --images or --readme"
    );
    if let Some(html) = &args.html {
        let same = |other: &std::path::PathBuf| {
            html.canonicalize().ok().is_some_and(|path| other.canonicalize().ok() == Some(path))
        };
        ensure!(
            !args.records.iter().chain(&args.readme).any(same),
            "cannot write the page to {}: it is an input file; choose another file",
            html.display()
        );
        report::page::update(html, &records, args.check, &fix)?;
    }
    if let Some(images) = &args.images {
        report::images::update(images, &records, args.check, &fix)?;
    }
    for readme in &args.readme {
        report::readme::update(readme, &records, args.check, &fix)?;
    }
    if args.html.is_none() && args.images.is_none() && args.readme.is_empty() {
        let texts: Vec<_> = records.iter().map(|r| report::terminal::render(&r.record)).collect();
        print(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Compares two records. With `--fail-on-regression`, fails on a regression.
fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let compared = RecordComparison::of(&Record::read(&args.before)?, &Record::read(&args.after)?);
    print(&report::compare::render(&compared))?;
    if args.fail_on_regression {
        // Without comparable figures, the absence of regressions means nothing.
        ensure!(!compared.rows.is_empty(), "the records have no figures in common");
        ensure!(
            compared.incomparable.is_empty(),
            "the records are not comparable: {}",
            compared.incomparable.join("; ")
        );
    }
    let fails = args.fail_on_regression && compared.is_regression();
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints a report. A closed pipe is not an error, as the record has been written.
fn print(report: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(report.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
