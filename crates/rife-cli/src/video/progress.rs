//! Progress and summary of a job.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rife_video::Progress;

use super::job::Job;
use super::preview;
use crate::host::{Host, Snapshot, Summary};

/// Update interval.
const INTERVAL: Duration = Duration::from_millis(200);

/// Reports progress until `finished` is set. `total` is the number of output frames, if known, and
/// `skipped` of them were written by an earlier run.
pub(super) fn report_until_finished(
    host: &Host,
    progress: &Progress,
    total: Option<u64>,
    skipped: u64,
    finished: &AtomicBool,
) {
    let start = Instant::now();
    while !finished.load(Ordering::Relaxed) {
        std::thread::park_timeout(INTERVAL);
        let frames = progress.written.load(Ordering::Relaxed);
        let fps = frames.saturating_sub(skipped) as f64 / start.elapsed().as_secs_f64();
        let left = total
            .filter(|_| fps > 0.0)
            .map(|total| Duration::from_secs_f64(total.saturating_sub(frames) as f64 / fps));
        let stages = progress.stages();
        host.observer().progress(&Snapshot { frames, total, fps, left, stages });
    }
    host.observer().progress_ended();
}

/// Reports a finished job.
pub(super) fn report_summary(job: &Job, output: &str, progress: &Progress, start: Instant) {
    let [frames, interpolated, cuts, stills, held, read, frame_bytes] = [
        &progress.written,
        &progress.interpolated,
        &progress.cuts,
        &progress.stills,
        &progress.held,
        &progress.read,
        &progress.pooled_bytes,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    if let Some(line) = preview::location(&job.args) {
        job.host.say(&line);
    }
    job.host.observer().done(&Summary {
        output: output.to_owned(),
        frames,
        read,
        interpolated,
        cuts,
        stills,
        held,
        frame_bytes,
        elapsed: start.elapsed(),
        devices: job.args.engine.device.len(),
        stages: progress.stages(),
    });
}
