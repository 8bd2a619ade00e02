//! Lays out the output: classifies pairs, and distributes them to the devices.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use rife_runtime::Frame;

use super::messages::{FrameSource, OutputItem, PairJob};
use crate::Result;
use crate::progress::{Progress, timed};
use crate::queues::CHUNK;
use crate::scene::{PairKind, SceneDetector};
use crate::settings::{CutMode, Settings};
use crate::stream::SourceFrame;
use crate::timeline::{Position, Timeline};

/// A queue of source frames with lookahead: at most [`SceneDetector::LOOK_AHEAD`] frames, and only
/// if a pair may be a cut.
struct LookAhead<'a> {
    frames: &'a Receiver<SourceFrame>,
    buffered: VecDeque<SourceFrame>,
    /// Time spent waiting in [`Self::peek`], in ns.
    waited_ns: u64,
}

impl LookAhead<'_> {
    fn next(&mut self) -> Option<SourceFrame> {
        self.buffered.pop_front().or_else(|| self.frames.recv().ok())
    }

    /// The frame that [`Self::next`] will return after `number` others.
    fn peek(&mut self, number: usize) -> Option<Arc<Frame>> {
        let start = Instant::now();
        while self.buffered.len() <= number {
            self.buffered.push_back(self.frames.recv().ok()?);
        }
        self.waited_ns += start.elapsed().as_nanos() as u64;
        self.buffered.get(number).map(|next| next.frame.clone())
    }
}

/// Reads source frames, classifies pairs, and sends jobs to the devices and items to the writer.
pub(super) fn dispatch(
    first: SourceFrame,
    frames: &Receiver<SourceFrame>,
    timeline: &mut Timeline,
    devices: &[SyncSender<PairJob>],
    items: &SyncSender<OutputItem>,
    settings: &Settings,
    progress: &Progress,
) -> Result<()> {
    let mut detector =
        SceneDetector::new(settings.scenes.cut_threshold, settings.scenes.still_threshold);
    let mut frames = LookAhead { frames, buffered: VecDeque::new(), waited_ns: 0 };
    let mut earlier = first;
    let mut index = 0u64;
    loop {
        let number = timeline.frame_count();
        let Some(later) = frames.next() else {
            let duration = earlier.duration.unwrap_or(settings.frame_time);
            let outputs = timeline.last(earlier.time, duration);
            if let Some(last) = timeline.last_frame() {
                progress.last.get_or_init(|| last);
            }
            if let Some(shortest) = timeline.shortest_interval() {
                progress.shortest.get_or_init(|| shortest);
            }
            for (output, number) in outputs.into_iter().zip(number..) {
                let source = FrameSource::Source(earlier.frame.clone());
                let left = earlier.frame.clone();
                if is_wanted(settings, number)
                    && items.send(OutputItem { output, number, source, left }).is_err()
                {
                    break;
                }
            }
            return Ok(());
        };
        let outputs = timeline.pair(earlier.time, later.time);
        let classification = timed(&progress.scenes_ns, || {
            detector.classify(&earlier.frame, &later.frame, |number| frames.peek(number))
        });
        // Waiting for the decoder does not count as scene detection.
        progress.scenes_ns.fetch_sub(std::mem::take(&mut frames.waited_ns), Ordering::Relaxed);
        tracing::debug!(
            "frame {index}: {:?}, difference {:.3} %, score {:.3}",
            classification.kind,
            classification.difference,
            classification.score
        );
        match classification.kind {
            PairKind::Cut => {
                progress.cuts.fetch_add(1, Ordering::Relaxed);
                tracing::info!("cut after frame {index}, score {:.1}", classification.score);
            }
            PairKind::Still => _ = progress.stills.fetch_add(1, Ordering::Relaxed),
            PairKind::Motion => {}
        }
        let wanted =
            outputs.iter().zip(number..).filter(|(_, number)| is_wanted(settings, *number));
        let device = (index / CHUNK) as usize % devices.len().max(1);
        if classification.kind == PairKind::Motion {
            let timesteps: Vec<f32> = wanted
                .clone()
                .filter_map(|(output, _)| match output.position {
                    Position::Between(t) => Some(t),
                    _ => None,
                })
                .collect();
            let pair = PairJob {
                index,
                earlier: earlier.frame.clone(),
                later: later.frame.clone(),
                timesteps,
            };
            if !pair.timesteps.is_empty()
                && devices.get(device).is_none_or(|to| to.send(pair).is_err())
            {
                return Ok(());
            }
        }
        for (output, number) in wanted {
            let repeated = || FrameSource::Source(earlier.frame.clone());
            let source = match (output.position, classification.kind) {
                (Position::Between(_), PairKind::Motion) => FrameSource::Interpolated(device),
                (Position::Between(t), PairKind::Cut)
                    if settings.scenes.cut_mode == CutMode::Blend =>
                {
                    FrameSource::Blended(later.frame.clone(), t)
                }
                _ => repeated(),
            };
            let left = earlier.frame.clone();
            if items.send(OutputItem { output: *output, number, source, left }).is_err() {
                return Ok(());
            }
        }
        if settings.until.is_some_and(|until| timeline.frame_count() >= until) {
            return Ok(());
        }
        earlier = later;
        index += 1;
    }
}

/// Whether an output frame is to be written.
fn is_wanted(settings: &Settings, number: i64) -> bool {
    number >= settings.skip && settings.until.is_none_or(|until| number < until)
}
