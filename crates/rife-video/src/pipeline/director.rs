//! Lays out the output: classifies pairs, and distributes them to the devices.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use rife_runtime::Frame;

use super::messages::{FrameSource, OutputItem, PairJob};
use crate::Result;
use crate::holds::{Decision, HoldPlanner};
use crate::progress::{Progress, timed};
use crate::queues::CHUNK;
use crate::scene::{Classification, PairKind, SceneDetector};
use crate::settings::{CutMode, Settings};
use crate::stream::SourceFrame;
use crate::timeline::{OutputFrame, Position, Timeline, timestep_within};

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

/// A source frame, the next one, and the output frames from the first up to the second.
struct Pair {
    index: u64,
    earlier: SourceFrame,
    later: SourceFrame,
    outputs: Vec<OutputFrame>,
    /// Number of the first output frame.
    number: i64,
    score: f64,
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
    let scenes = &settings.scenes;
    let mut detector = SceneDetector::new(scenes.cut_threshold, scenes.still_threshold);
    if scenes.longest_hold > 1 {
        detector = detector.with_held_drawings();
    }
    let mut planner = HoldPlanner::new(scenes.longest_hold);
    // The pairs that are not decided.
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    let sender = Sender { devices, items, settings, progress };
    let mut frames = LookAhead { frames, buffered: VecDeque::new(), waited_ns: 0 };
    let mut earlier = first;
    let mut index = 0u64;
    loop {
        let number = timeline.frame_count();
        let Some(later) = frames.next() else {
            for decision in planner.finish() {
                if !sender.send(&mut pairs, decision) {
                    return Ok(());
                }
            }
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
        let Classification { kind, difference, score } = classification;
        tracing::debug!("frame {index}: {kind:?}, difference {difference:.3} %, score {score:.3}");
        let (earlier_of_pair, frame) = (earlier, later.frame.clone());
        earlier = later.clone();
        pairs.push_back(Pair { index, earlier: earlier_of_pair, later, outputs, number, score });
        let decisions = planner.push(kind, difference == 0.0, || {
            let first = pairs.front().map(|pair| &pair.earlier.frame);
            timed(&progress.scenes_ns, || {
                first.is_some_and(|first| !detector.is_still(first, &frame))
            })
        });
        for decision in decisions {
            if !sender.send(&mut pairs, decision) {
                return Ok(());
            }
        }
        // Output frames before the first pair that is not decided.
        let sent = pairs.front().map_or_else(|| timeline.frame_count(), |pair| pair.number);
        if settings.until.is_some_and(|until| sent >= until) {
            return Ok(());
        }
        index += 1;
    }
}

/// Whether an output frame is to be written.
fn is_wanted(settings: &Settings, number: i64) -> bool {
    number >= settings.skip && settings.until.is_none_or(|until| number < until)
}

/// Sends decided pairs to the next stages.
struct Sender<'a> {
    devices: &'a [SyncSender<PairJob>],
    items: &'a SyncSender<OutputItem>,
    settings: &'a Settings,
    progress: &'a Progress,
}

impl Sender<'_> {
    /// Sends the pairs that a decision is about. Returns whether the receivers still exist.
    fn send(&self, pairs: &mut VecDeque<Pair>, decision: Decision) -> bool {
        let count = match decision {
            Decision::Pair(_) => 1,
            Decision::Hold(pairs) => pairs,
        };
        let decided: Vec<Pair> = pairs.drain(..count.min(pairs.len())).collect();
        let [first, last] = match &decided[..] {
            [] => return true,
            [one] => [one, one],
            [first, .., last] => [first, last],
        };
        let progress = self.progress;
        match decision {
            Decision::Pair(PairKind::Cut) => {
                progress.cuts.fetch_add(1, Ordering::Relaxed);
                tracing::info!("cut after frame {}, score {:.1}", first.index, first.score);
            }
            Decision::Pair(PairKind::Still) => {
                _ = progress.stills.fetch_add(1, Ordering::Relaxed);
            }
            Decision::Pair(PairKind::Motion) => {}
            Decision::Hold(frames) => {
                let replaced = frames.saturating_sub(1) as u64;
                progress.held.fetch_add(replaced, Ordering::Relaxed);
                tracing::debug!("frames {} to {} are one drawing", first.index, last.index);
            }
        }
        let device = (first.index / CHUNK) as usize % self.devices.len().max(1);
        // The output frames with their pairs, and with their timesteps if they are interpolated.
        let mut shown = Vec::new();
        for pair in &decided {
            let wanted = pair.outputs.iter().zip(pair.number..);
            let wanted = wanted.filter(|(_, number)| is_wanted(self.settings, *number));
            shown.extend(wanted.map(|(output, number)| {
                let timestep = match (decision, output.position) {
                    (Decision::Pair(PairKind::Motion), Position::Between(t)) => Some(t),
                    (Decision::Hold(_), Position::Frame) if pair.index == first.index => None,
                    (Decision::Hold(_), _) => Some(timestep_within(
                        [first.earlier.time, last.later.time],
                        [pair.earlier.time, pair.later.time],
                        output.fraction,
                    )),
                    _ => None,
                };
                (pair, *output, number, timestep)
            }));
        }
        let job = PairJob {
            indices: [first.index, last.index + 1],
            earlier: first.earlier.frame.clone(),
            later: last.later.frame.clone(),
            timesteps: shown.iter().filter_map(|(.., timestep)| *timestep).collect(),
        };
        if !job.timesteps.is_empty()
            && self.devices.get(device).is_none_or(|to| to.send(job).is_err())
        {
            return false;
        }
        for (pair, output, number, timestep) in shown {
            let blends = self.settings.scenes.cut_mode == CutMode::Blend;
            let source = match (timestep, output.position, decision) {
                (Some(_), ..) => FrameSource::Interpolated(device),
                (None, Position::Between(t), Decision::Pair(PairKind::Cut)) if blends => {
                    FrameSource::Blended(pair.later.frame.clone(), t)
                }
                _ => FrameSource::Source(pair.earlier.frame.clone()),
            };
            let left = pair.earlier.frame.clone();
            if self.items.send(OutputItem { output, number, source, left }).is_err() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
