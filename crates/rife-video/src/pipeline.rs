//! The pipeline: reading, scene detection, interpolation and writing run in threads of their own,
//! connected by bounded queues, so that the devices stay busy.

mod device;
mod director;
mod messages;
mod writer;

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use rife_runtime::Frame;

pub use device::DeviceWorker;

use crate::pool::Pool;
use crate::progress::{Progress, timed};
use crate::queues::Queues;
use crate::settings::Settings;
use crate::stream::{Sink, Source, SourceFrame};
use crate::timeline::Timeline;
use crate::{Error, Result};
use device::run_device;
use director::dispatch;
use messages::{OutputItem, PairJob};
use writer::write_output;

/// Reads `source`, interpolates, and writes the output frames to `sink` in order. The timeline is
/// computed on the fly, pair by pair.
///
/// # Errors
/// The error of the first stage that failed. Frames written before stay in the sink.
pub fn run(
    source: &mut dyn Source,
    timeline: &mut Timeline,
    workers: &[DeviceWorker],
    sink: &mut dyn Sink,
    settings: &Settings,
    progress: &Progress,
) -> Result<()> {
    let pinning = workers.first().map(|worker| &worker.interpolator);
    let source_pool = Pool::new(settings.size, settings.input, pinning);
    let separate_pool = Pool::new(settings.size, settings.format, pinning);
    let (source_pool, output_pool) = (
        &source_pool,
        if settings.input == settings.format { &source_pool } else { &separate_pool },
    );
    // A stage that ends closes its queues. The stages before it then fail to send and end without
    // an error, so that the result is the error of the stage that ended first.
    std::thread::scope(|scope| {
        let first = match timed(&progress.decode_ns, || source.next(source_pool))? {
            None => return Err(Error::Refused("the input has no frames".into())),
            Some(frame) => frame,
        };
        progress.read.fetch_add(1, Ordering::Relaxed);
        progress.first.get_or_init(|| first.time);
        let queues = Queues::new(settings, workers.len(), sink.buffered());
        let (read_in, read_out) = sync_channel::<SourceFrame>(queues.read);
        let (items_in, items_out) = sync_channel::<OutputItem>(queues.items);
        let reader = scope.spawn(move || -> Result<()> {
            while let Some(frame) = timed(&progress.decode_ns, || source.next(source_pool))? {
                progress.read.fetch_add(1, Ordering::Relaxed);
                if read_in.send(frame).is_err() {
                    break;
                }
            }
            Ok(())
        });

        let mut jobs = Vec::new();
        let mut frames = Vec::new();
        let mut handles = Vec::new();
        for worker in workers {
            let (jobs_in, jobs_out) = sync_channel::<PairJob>(queues.work);
            let (frames_in, frames_out) = sync_channel::<Frame>(queues.interpolated);
            jobs.push(jobs_in);
            frames.push(frames_out);
            handles.push(scope.spawn(move || {
                run_device(worker, &jobs_out, &frames_in, output_pool, settings.format, progress)
            }));
        }

        let director = scope.spawn(move || {
            dispatch(first, &read_out, timeline, &jobs, &items_in, settings, progress)
        });
        let written =
            write_output(&items_out, &frames, sink, settings, [source_pool, output_pool], progress);
        // Closing the queues ends the stages that wait to send.
        drop((items_out, frames));
        let join = |handle: std::thread::ScopedJoinHandle<'_, Result<()>>| match handle.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // In stream order: an upstream failure ends everything after it.
        let mut results = vec![join(reader)];
        results.extend(handles.into_iter().map(join));
        results.push(join(director));
        results.push(written);
        let shared = std::ptr::eq(source_pool, output_pool);
        let allocated = source_pool.allocated() + if shared { 0 } else { output_pool.allocated() };
        progress.pooled_bytes.store(allocated, Ordering::Relaxed);
        results.into_iter().collect()
    })
}
