//! What a reader of a record must be told before trusting it, each with its remedy.

use crate::measure::{Measurement, Summary};
use crate::record::Record;

/// Measured frames from which on quartiles mean something.
const FRAMES_FOR_QUARTILES: usize = 20;
/// Measured frames from which on the slowest hundredth is more than one frame's luck.
const FRAMES_FOR_LOW: usize = 300;
/// Interquartile range, as a share of the median, above which frames vary suspiciously.
const WIDE_IQR: f64 = 0.1;
/// Distance between the runs' medians, as a share of the median, that one machine should not show.
const WIDE_RUNS: f64 = 0.05;

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is wrong, and with which configurations.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// All warnings about a record, the gravest first.
pub fn warnings(record: &Record) -> Vec<Warning> {
    let mut all = Vec::new();
    if record.build.debug_assertions {
        all.push(Warning {
            what: "this is a debug build: every figure is too slow".into(),
            remedy: "run with --release",
        });
    }
    let mut about = |what: &str, remedy, concerns: &dyn Fn(&Measurement, &Summary) -> bool| {
        let cases: Vec<_> = record
            .measurements
            .iter()
            .filter(|m| m.summary.as_ref().is_some_and(|summary| concerns(m, summary)))
            .map(|m| m.case.to_string())
            .collect();
        if !cases.is_empty() {
            let all_of_them = cases.len() > 1 && cases.len() == record.measurements.len();
            let whom = if all_of_them { "every configuration".into() } else { cases.join(", ") };
            all.push(Warning { what: format!("{what}: {whom}"), remedy });
        }
    };
    about(
        "some samples are not finite",
        "do not use this configuration; report it with the record",
        &|m, _| m.fidelity.as_ref().is_some_and(|fidelity| fidelity.non_finite > 0),
    );
    about(
        "frame times spread widely",
        "close other programs, fix the clock speed, or take more --frames",
        &|_, s| s.frame_ms.relative_iqr() > WIDE_IQR,
    );
    about(
        "the runs differ from each other",
        "the machine was busy or throttling: repeat when it is quiet, or take more --repeats",
        &|_, s| (s.run_median_ms.max - s.run_median_ms.min) / s.run_median_ms.median > WIDE_RUNS,
    );
    about(
        "too few frames for a spread",
        "the quartiles say little: take more with --frames",
        &|_, s| s.frame_ms.samples < FRAMES_FOR_QUARTILES,
    );
    about(
        "too few frames for a 1% low",
        "it rests on one or two frames: take more with --frames",
        &|_, s| (FRAMES_FOR_QUARTILES..FRAMES_FOR_LOW).contains(&s.frame_ms.samples),
    );
    about(
        "the time budget cut runs short",
        "ask for all frames with --frames, or raise --budget",
        &|m, _| m.runs.iter().any(|run| run.cut_by_budget),
    );
    about(
        "memory peaks are the whole process's, not each run's",
        "measure one configuration at a time",
        &|m, _| m.runs.iter().any(|run| !run.peak_rss_is_of_run),
    );
    all
}
