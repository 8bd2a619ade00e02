//! HEAD pipeline

mod device;
mod director;
mod messages;
mod writer;

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use rife_runtime::Frame;

pub use device::Maker;

use crate::pool::Pool;
use crate::progress::{Progress, timed};
use crate::queues::Queues;
use crate::settings::Settings;
use crate::stream::{Sink, Source, SourceFrame};
use crate::timeline::Timeline;
use crate::{Error, Result};
use device::device;
use director::direct;
use messages::{Item, Work};
use writer::collect;

/// Makes the output of a source, frame by frame. The timeline is laid out as frames come.
///
/// # Errors
/// The first thing that failed. What was put into the sink before stays there.
pub fn run(
    source: &mut dyn Source,
    timeline: &mut Timeline,
    devices: &[Maker],
    sink: &mut dyn Sink,
    settings: &Settings,
    progress: &Progress,
) -> Result<()> {
    let locks = devices.first().map(|maker| &maker.rife);
    let given = Pool::new(settings.size, settings.input, locks);
    let other = Pool::new(settings.size, settings.format, locks);
    let (given, out) = (&given, if settings.input == settings.format { &given } else { &other });
    // A queue of a stage that nobody waits for any more is closed: who writes to it ends quietly,
    // and the error is that of the stage that ended first.
    std::thread::scope(|scope| {
        let first = match timed(&progress.reading_ns, || source.next(given))? {
            None => return Err(Error::Refused("there is no frame in the input".into())),
            Some(frame) => frame,
        };
        progress.read.fetch_add(1, Ordering::Relaxed);
        progress.first.get_or_init(|| first.time);
        let queues = Queues::new(settings, devices.len(), sink.buffered());
        let (read_in, read_out) = sync_channel::<SourceFrame>(queues.read);
        let (items_in, items_out) = sync_channel::<Item>(queues.items);
        let reader = scope.spawn(move || -> Result<()> {
            while let Some(frame) = timed(&progress.reading_ns, || source.next(given))? {
                progress.read.fetch_add(1, Ordering::Relaxed);
                if read_in.send(frame).is_err() {
                    break;
                }
            }
            Ok(())
        });

        let mut work = Vec::new();
        let mut made = Vec::new();
        let mut workers = Vec::new();
        for maker in devices {
            let (work_in, work_out) = sync_channel::<Work>(queues.work);
            let (made_in, made_out) = sync_channel::<Frame>(queues.made);
            work.push(work_in);
            made.push(made_out);
            workers.push(
                scope.spawn(move || {
                    device(maker, &work_out, &made_in, out, settings.format, progress)
                }),
            );
        }

        let director = scope.spawn(move || {
            direct(first, &read_out, timeline, &work, &items_in, settings, progress)
        });
        let written = collect(&items_out, &made, sink, settings, [given, out], progress);
        // Whoever waits to hand something over finds nobody, and ends.
        drop((items_out, made));
        let join = |handle: std::thread::ScopedJoinHandle<'_, Result<()>>| match handle.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // Upstream comes first: what ends it ends everything after it.
        let mut results = vec![join(reader)];
        results.extend(workers.into_iter().map(join));
        results.push(join(director));
        results.push(written);
        let shared = std::ptr::eq(given, out);
        let allocated = given.allocated() + if shared { 0 } else { out.allocated() };
        progress.pooled_bytes.store(allocated, Ordering::Relaxed);
        results.into_iter().collect()
    })
}
