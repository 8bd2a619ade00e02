//! HEAD writer

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use rife_runtime::Frame;

use super::messages::{Item, What};
use crate::pool::Pool;
use crate::progress::{Progress, timed};
use crate::settings::Settings;
use crate::stream::Sink;
use crate::{Result, blend};

/// Writes the output in order.
pub(super) fn collect(
    items: &Receiver<Item>,
    made: &[Receiver<Frame>],
    sink: &mut dyn Sink,
    settings: &Settings,
    [given, out]: [&Pool<'_>; 2],
    progress: &Progress,
) -> Result<()> {
    progress.written.store(settings.skip.max(0) as u64, Ordering::Relaxed);
    for Item { output, number, what, left } in items {
        let in_format = |frame: &Frame| frame.format() == settings.format;
        // A frame that was made for this output alone.
        let mut fresh = None;
        let shared: Arc<Frame>;
        let frame = match what {
            What::Given(frame) => {
                shared = frame;
                &*shared
            }
            What::Made(device) => match made.get(device).map(Receiver::recv) {
                Some(Ok(frame)) => &*fresh.insert(frame),
                _ => return Ok(()),
            },
            What::Blended(later, t) => &*fresh.insert(blend::blend(&left, &later, t)?),
        };
        timed(&progress.writing_ns, || -> Result<()> {
            let frames = [frame, &*left];
            let mut both = Vec::new();
            for frame in frames {
                if !in_format(frame) {
                    both.push(frame.converted(settings.format)?);
                }
            }
            match &both[..] {
                [] => sink.put(number, output.ticks, frame, &left),
                [one] if in_format(frame) => sink.put(number, output.ticks, frame, one),
                [one] => sink.put(number, output.ticks, one, &left),
                [one, two, ..] => sink.put(number, output.ticks, one, two),
            }
        })?;
        progress.written.fetch_add(1, Ordering::Relaxed);
        if let Some(frame) = fresh {
            out.put(frame);
        }
        given.put_shared(left);
    }
    Ok(())
}
