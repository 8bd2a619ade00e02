//! Progress and summary of a job: for people on standard error, for programs as JSON lines.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rife_video::Progress;
use serde_json::json;

use super::output;
use crate::args::InterpolateArgs;
use crate::say;

/// Update intervals of the progress bar and of JSON lines.
const BAR_INTERVAL: Duration = Duration::from_millis(200);
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// Where progress is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgressOutput {
    /// A progress bar and a summary on standard error.
    Text,
    /// JSON lines on standard output.
    JsonOnStdout,
    /// JSON lines on standard error, because standard output contains the video.
    JsonOnStderr,
}

impl ProgressOutput {
    pub(super) fn from_args(args: &InterpolateArgs) -> Self {
        let stdout_is_video = args.video.pattern.is_none() && output::is_stdout(&args.output);
        match args.video.json {
            false => Self::Text,
            true if stdout_is_video => Self::JsonOnStderr,
            true => Self::JsonOnStdout,
        }
    }

    /// Writes a JSON line, unless progress is reported as text.
    pub(super) fn json_line(self, value: &serde_json::Value) {
        // A closed pipe must not stop the job.
        let _ = match self {
            Self::Text => Ok(()),
            Self::JsonOnStdout => writeln!(std::io::stdout(), "{value}"),
            Self::JsonOnStderr => writeln!(std::io::stderr(), "{value}"),
        };
    }
}

/// Reports progress until `finished` is set. `total` is the number of output frames, if known, and
/// `skipped` of them were written by an earlier run.
pub(super) fn show_until_finished(
    output: ProgressOutput,
    progress: &Progress,
    total: Option<u64>,
    skipped: u64,
    finished: &AtomicBool,
) {
    let bar = match (output, total) {
        (ProgressOutput::Text, Some(total)) => ProgressBar::new(total),
        (ProgressOutput::Text, None) => ProgressBar::new_spinner(),
        _ => ProgressBar::hidden(),
    };
    let template = match total {
        Some(_) => "{wide_bar} {pos}/{len} frames, {msg}",
        None => "{spinner} {pos} frames, {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let start = Instant::now();
    let mut last_json = start;
    while !finished.load(Ordering::Relaxed) {
        std::thread::park_timeout(BAR_INTERVAL);
        let written = progress.written.load(Ordering::Relaxed);
        let fps = written.saturating_sub(skipped) as f64 / start.elapsed().as_secs_f64();
        let left = total
            .filter(|_| fps > 0.0)
            .map(|total| Duration::from_secs_f64(total.saturating_sub(written) as f64 / fps));
        let slowest = progress.stages().slowest();
        bar.set_position(written);
        bar.set_message(format!(
            "{fps:.1} fps{}, slowest: {slowest}",
            left.map(|left| format!(", {} left", indicatif::HumanDuration(left)))
                .unwrap_or_default()
        ));
        if output != ProgressOutput::Text && last_json.elapsed() >= JSON_INTERVAL {
            last_json = Instant::now();
            output.json_line(&json!({
                "event": "progress",
                "frames": written,
                "total": total,
                "fps": fps,
                "left_s": left.map(|left| left.as_secs_f64()),
                "slowest": slowest,
                "stages_s": stage_times(progress),
            }));
        }
    }
    bar.finish_and_clear();
}

/// Reports a finished job on `devices` devices.
pub(super) fn print_summary(
    output: ProgressOutput,
    name: &str,
    progress: &Progress,
    start: Instant,
    devices: usize,
) {
    let seconds = start.elapsed().as_secs_f64();
    let [written, interpolated, cuts, stills, read] = [
        &progress.written,
        &progress.interpolated,
        &progress.cuts,
        &progress.stills,
        &progress.read,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    if output != ProgressOutput::Text {
        output.json_line(&json!({
            "event": "done",
            "output": name,
            "frames": written,
            "read": read,
            "made": interpolated,
            "cuts": cuts,
            "stills": stills,
            "frame_bytes": progress.pooled_bytes.load(Ordering::Relaxed),
            "seconds": seconds,
            "fps": written as f64 / seconds,
            "stages_s": stage_times(progress),
        }));
        return;
    }
    let count = |n: u64, one: &str, many: &str| match n {
        0 => String::new(),
        1 => format!(", 1 {one}"),
        n => format!(", {n} {many}"),
    };
    let network = progress.stages().network.as_secs_f64();
    say(&format!(
        "{name}: {written} frames, {interpolated} interpolated{}{}, {seconds:.1} s (network busy \
         {:.0} %)",
        count(cuts, "cut", "cuts"),
        count(stills, "still", "stills"),
        100.0 * network / seconds / devices.max(1) as f64,
    ));
}

/// Busy time of each stage, s.
fn stage_times(progress: &Progress) -> serde_json::Value {
    let times = progress.stages().named();
    times.into_iter().map(|(name, time)| (name.to_owned(), json!(time.as_secs_f64()))).collect()
}
