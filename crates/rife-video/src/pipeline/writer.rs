//! Writes the output frames in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use rife_runtime::Frame;

use super::messages::{FrameSource, OutputItem};
use crate::pool::Pool;
use crate::progress::{Progress, timed};
use crate::settings::Settings;
use crate::stream::Sink;
use crate::{Result, blend};

/// Collects the output frames from their sources and writes them in order.
pub(super) fn write_output(
    items: &Receiver<OutputItem>,
    devices: &[Receiver<Frame>],
    sink: &mut dyn Sink,
    settings: &Settings,
    [source_pool, output_pool]: [&Pool<'_>; 2],
    progress: &Progress,
) -> Result<()> {
    progress.written.store(settings.skip.max(0) as u64, Ordering::Relaxed);
    for OutputItem { output, number, source, left } in items {
        let in_format = |frame: &Frame| frame.format() == settings.format;
        // A frame that belongs to this output frame alone, and can be recycled.
        let mut fresh = None;
        let shared: Arc<Frame>;
        let frame = match source {
            FrameSource::Source(frame) => {
                shared = frame;
                &*shared
            }
            FrameSource::Interpolated(device) => match devices.get(device).map(Receiver::recv) {
                Some(Ok(frame)) => &*fresh.insert(frame),
                _ => return Ok(()),
            },
            FrameSource::Blended(later, t) => &*fresh.insert(blend::blend(&left, &later, t)?),
        };
        timed(&progress.encode_ns, || -> Result<()> {
            let frames = [frame, &*left];
            let mut converted = Vec::new();
            for frame in frames {
                if !in_format(frame) {
                    converted.push(frame.converted(settings.format)?);
                }
            }
            match &converted[..] {
                [] => sink.put(number, output.ticks, frame, &left),
                [one] if in_format(frame) => sink.put(number, output.ticks, frame, one),
                [one] => sink.put(number, output.ticks, one, &left),
                [one, two, ..] => sink.put(number, output.ticks, one, two),
            }
        })?;
        progress.written.fetch_add(1, Ordering::Relaxed);
        if let Some(frame) = fresh {
            output_pool.recycle(frame);
        }
        source_pool.recycle_shared(left);
    }
    Ok(())
}
