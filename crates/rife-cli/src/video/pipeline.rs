//! Interpolates all frames of a job into a sink.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use rife_video::{
    DeviceWorker, Orientation, Progress, Queues, RotatingSink, Settings, Sink, Source, Timeline,
};

use super::cancel::CancellableSink;
use super::job::Job;
use super::progress;
use super::side_by_side::SideBySide;
use crate::host::Host;

/// A part of the output.
pub(super) struct Part {
    /// The source frames that it needs.
    pub(super) source: Box<dyn Source>,
    /// The timeline at the first of them.
    pub(super) timeline: Timeline,
    /// Number of the first output frame.
    pub(super) skip: i64,
    /// Number of the output frame after the last one; `None` for the end.
    pub(super) until: Option<i64>,
    /// The number in progress reports that counts as complete, if known.
    pub(super) total: Option<u64>,
}

/// Interpolates all frames after the first `skip` output frames, and reports progress.
pub(super) fn interpolate(
    job: &mut Job,
    engines: &[DeviceWorker],
    sink: &mut dyn Sink,
    skip: i64,
) -> Result<Progress> {
    let programs = job.programs().ok().cloned();
    let source = job.input.start(programs.as_ref())?;
    let (timeline, total) = (job.timeline.clone(), job.total_frames);
    interpolate_part(job, engines, sink, Part { source, timeline, skip, until: None, total })
}

/// Interpolates a part of the output, and reports progress.
pub(super) fn interpolate_part(
    job: &Job,
    engines: &[DeviceWorker],
    sink: &mut dyn Sink,
    part: Part,
) -> Result<Progress> {
    let Part { mut source, mut timeline, skip, until, total } = part;
    let settings = Settings { until, ..job.pipeline_settings(skip) };
    let compare = job.args.video.compare;
    let buffered = match compare {
        true => SideBySide::buffered_with(sink.buffered()),
        false => sink.buffered(),
    };
    warn_about_memory(&job.host, &settings, engines.len(), buffered);
    let progress = Progress::default();
    let host = &job.host;
    let finished = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        let reporter = scope.spawn(|| {
            progress::report_until_finished(host, &progress, total, skip.max(0) as u64, &finished);
        });
        let mut cancellable = CancellableSink { inner: sink, host: &job.host };
        let sink: &mut dyn Sink = &mut cancellable;
        let mut side_by_side;
        let sink: &mut dyn Sink = match compare {
            true => {
                side_by_side = SideBySide { inner: sink };
                &mut side_by_side
            }
            false => sink,
        };
        let mut turned;
        let sink: &mut dyn Sink = match job.orientation {
            Orientation::IDENTITY => sink,
            by => {
                turned = RotatingSink { sink, orientation: by };
                &mut turned
            }
        };
        let result =
            rife_video::run(&mut *source, &mut timeline, engines, sink, &settings, &progress);
        finished.store(true, Ordering::Relaxed);
        reporter.thread().unpark();
        result
    });
    result?;
    Ok(progress)
}

/// Reports that the frames need more memory than --max-memory.
fn warn_about_memory(host: &Host, settings: &Settings, devices: usize, buffered: usize) {
    let needed = Queues::new(settings, devices, buffered).bytes;
    if needed > settings.memory {
        let limit = match settings.memory {
            bytes if bytes < 1 << 10 => bytes.to_string(),
            bytes if bytes < 1 << 20 => format!("{}K", bytes >> 10),
            bytes => format!("{}M", bytes >> 20),
        };
        host.say(&format!(
            "note: --max-memory {limit} is too small for frames of {}: using {}M, the minimum",
            settings.size,
            needed.div_ceil(1 << 20)
        ));
    }
}
