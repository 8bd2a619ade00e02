//! How far a job is, for people and for programs.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rife_video::Progress;
use serde_json::json;

/// How often people are told, and programs.
const EVERY: Duration = Duration::from_millis(200);
const EVERY_JSON: Duration = Duration::from_secs(1);

/// Where JSON goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    People,
    ProgramsByOutput,
    ProgramsByError,
}

impl Told {
    pub(crate) fn line(self, value: &serde_json::Value) {
        // A reader that has gone away is not the job's business.
        let _ = match self {
            Self::People => Ok(()),
            Self::ProgramsByOutput => writeln!(std::io::stdout(), "{value}"),
            Self::ProgramsByError => writeln!(std::io::stderr(), "{value}"),
        };
    }
}

/// Tells how far a job is until it is done.
pub(crate) fn tell(
    told: Told,
    progress: &Progress,
    total: Option<u64>,
    before: u64,
    done: &AtomicBool,
) {
    let bar = match (told, total) {
        (Told::People, Some(total)) => ProgressBar::new(total),
        (Told::People, None) => ProgressBar::new_spinner(),
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
    let mut last = start;
    while !done.load(Ordering::Relaxed) {
        std::thread::park_timeout(EVERY);
        let written = progress.written.load(Ordering::Relaxed);
        let fps = written.saturating_sub(before) as f64 / start.elapsed().as_secs_f64();
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
        if told != Told::People && last.elapsed() >= EVERY_JSON {
            last = Instant::now();
            told.line(&json!({
                "event": "progress",
                "frames": written,
                "total": total,
                "fps": fps,
                "left_s": left.map(|left| left.as_secs_f64()),
                "slowest": slowest,
                "stages_s": stages(progress),
            }));
        }
    }
    bar.finish_and_clear();
}

/// What each stage spent at work, s.
pub(crate) fn stages(progress: &Progress) -> serde_json::Value {
    let times = progress.stages().named();
    times.into_iter().map(|(name, time)| (name.to_owned(), json!(time.as_secs_f64()))).collect()
}
