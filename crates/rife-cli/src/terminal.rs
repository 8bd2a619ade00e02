//! Reports a job on a terminal: for people on standard error, for programs as JSON lines.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rife_video::StageTimes;
use serde_json::json;

use crate::args::InterpolateArgs;
use crate::host::{Observer, Snapshot, Summary};
use crate::{say, video};

/// Interval of JSON lines.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// Where progress is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// A progress bar and a summary on standard error.
    Text,
    /// JSON lines on standard output.
    JsonOnStdout,
    /// JSON lines on standard error, because standard output contains the video.
    JsonOnStderr,
}

/// Reports a job of the `rife` command.
pub(crate) struct Terminal {
    output: Output,
    bar: Mutex<Option<ProgressBar>>,
    last_json: Mutex<Instant>,
}

impl Terminal {
    /// Messages and progress as text.
    pub(crate) fn text() -> Self {
        Self::new(Output::Text)
    }

    /// As the arguments of a video choose it.
    pub(crate) fn from_args(args: &InterpolateArgs) -> Self {
        let stdout_is_video = args.video.pattern.is_none() && video::is_stdout(&args.output);
        Self::new(match args.video.json {
            false => Output::Text,
            true if stdout_is_video => Output::JsonOnStderr,
            true => Output::JsonOnStdout,
        })
    }

    /// Messages as text, and progress as text or as JSON lines.
    pub(crate) fn reporting(json: bool) -> Self {
        Self::new(if json { Output::JsonOnStdout } else { Output::Text })
    }

    fn new(output: Output) -> Self {
        Self { output, bar: Mutex::new(None), last_json: Mutex::new(Instant::now()) }
    }

    /// Writes a JSON line, unless progress is reported as text.
    fn json_line(&self, value: &serde_json::Value) {
        // A closed pipe must not stop the job.
        let _ = match self.output {
            Output::Text => Ok(()),
            Output::JsonOnStdout => writeln!(std::io::stdout(), "{value}"),
            Output::JsonOnStderr => writeln!(std::io::stderr(), "{value}"),
        };
    }

    /// Runs `with` on the progress bar, which `new` creates if there is none.
    fn with_bar(&self, new: impl FnOnce() -> ProgressBar, with: impl FnOnce(&ProgressBar)) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        with(bar.get_or_insert_with(new));
    }

    fn clear_bar(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Terminal {
    fn message(&self, line: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match &*bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    fn download(&self, done: u64, total: u64) {
        self.with_bar(download_bar, |bar| {
            bar.set_length(total);
            bar.set_position(done);
        });
        if done >= total {
            self.clear_bar();
        }
    }

    fn progress(&self, progress: &Snapshot) {
        let Snapshot { frames, total, fps, left, stages } = progress;
        let slowest = stages.slowest();
        if self.output == Output::Text {
            let left = left.map(|left| format!(", {} left", indicatif::HumanDuration(left)));
            self.with_bar(
                || frame_bar(*total),
                |bar| {
                    bar.set_position(*frames);
                    let left = left.unwrap_or_default();
                    bar.set_message(format!("{fps:.1} fps{left}, slowest: {slowest}"));
                },
            );
            return;
        }
        let mut last = self.last_json.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= JSON_INTERVAL {
            *last = Instant::now();
            self.json_line(&json!({
                "event": "progress",
                "frames": frames,
                "total": total,
                "fps": fps,
                "left_s": left.map(|left| left.as_secs_f64()),
                "slowest": slowest,
                "stages_s": stage_times(stages),
            }));
        }
    }

    fn progress_ended(&self) {
        self.clear_bar();
    }

    fn done(&self, summary: &Summary) {
        let Summary { output, frames, read, interpolated, cuts, stills, held, .. } = summary;
        let seconds = summary.elapsed.as_secs_f64();
        if self.output != Output::Text {
            self.json_line(&json!({
                "event": "done",
                "output": output,
                "frames": frames,
                "read": read,
                "made": interpolated,
                "cuts": cuts,
                "stills": stills,
                "held": held,
                "frame_bytes": summary.frame_bytes,
                "seconds": seconds,
                "fps": *frames as f64 / seconds,
                "stages_s": stage_times(&summary.stages),
            }));
            return;
        }
        let count = |n: u64, one: &str, many: &str| match n {
            0 => String::new(),
            1 => format!(", 1 {one}"),
            n => format!(", {n} {many}"),
        };
        let network = summary.stages.network.as_secs_f64();
        say(&format!(
            "{output}: {frames} frames, {interpolated} interpolated{}{}{}, {seconds:.1} s (network \
             busy {:.0} %)",
            count(*cuts, "cut", "cuts"),
            count(*stills, "still", "stills"),
            count(*held, "held frame replaced", "held frames replaced"),
            100.0 * network / seconds / summary.devices.max(1) as f64,
        ));
    }

    fn failed(&self, message: &str) {
        self.json_line(&json!({ "event": "error", "message": message }));
    }
}

fn frame_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{wide_bar} {pos}/{len} frames, {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} frames, {msg}"),
    };
    styled(bar, template)
}

fn download_bar() -> ProgressBar {
    let template = "{bar:30} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}";
    styled(ProgressBar::new(0), template)
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Busy time of each stage, s.
fn stage_times(stages: &StageTimes) -> serde_json::Value {
    let times = stages.named();
    times.into_iter().map(|(name, time)| (name.to_owned(), json!(time.as_secs_f64()))).collect()
}
