//! HEAD director

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use rife_runtime::Frame;

use super::messages::{Item, What, Work};
use crate::Result;
use crate::progress::{Progress, timed};
use crate::queues::CHUNK;
use crate::scene::{Kind, Scenes};
use crate::settings::{AtCut, Settings};
use crate::stream::SourceFrame;
use crate::timeline::{At, Timeline};

/// Source frames, of which some are looked at before it is their turn: no more than
/// [`Scenes::LOOK_AHEAD`], and only where a pair may be a cut.
struct Ahead<'a> {
    frames: &'a Receiver<SourceFrame>,
    taken: VecDeque<SourceFrame>,
    /// Spent in [`Self::peek`] waiting for frames, ns.
    waited_ns: u64,
}

impl Ahead<'_> {
    fn next(&mut self) -> Option<SourceFrame> {
        self.taken.pop_front().or_else(|| self.frames.recv().ok())
    }

    /// The frame that [`Self::next`] gives after `number` others.
    fn peek(&mut self, number: usize) -> Option<Arc<Frame>> {
        let start = Instant::now();
        while self.taken.len() <= number {
            self.taken.push_back(self.frames.recv().ok()?);
        }
        self.waited_ns += start.elapsed().as_nanos() as u64;
        self.taken.get(number).map(|taken| taken.frame.clone())
    }
}

/// Reads frames, judges pairs, and says what is made by whom and in which order it is written.
pub(super) fn direct(
    first: SourceFrame,
    frames: &Receiver<SourceFrame>,
    timeline: &mut Timeline,
    work: &[SyncSender<Work>],
    items: &SyncSender<Item>,
    settings: &Settings,
    progress: &Progress,
) -> Result<()> {
    let mut scenes = Scenes::new(settings.scenes.cut, settings.scenes.still);
    let mut frames = Ahead { frames, taken: VecDeque::new(), waited_ns: 0 };
    let mut earlier = first;
    let mut index = 0u64;
    loop {
        let number = timeline.made();
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
                let what = What::Given(earlier.frame.clone());
                let left = earlier.frame.clone();
                if number >= settings.skip
                    && items.send(Item { output, number, what, left }).is_err()
                {
                    break;
                }
            }
            return Ok(());
        };
        let outputs = timeline.pair(earlier.time, later.time);
        let judgement = timed(&progress.judging_ns, || {
            scenes.judge(&earlier.frame, &later.frame, |number| frames.peek(number))
        });
        // Waiting for a frame is no work of this stage.
        progress.judging_ns.fetch_sub(std::mem::take(&mut frames.waited_ns), Ordering::Relaxed);
        tracing::debug!(
            "frame {index}: {:?}, difference {:.3} %, score {:.3}",
            judgement.kind,
            judgement.difference,
            judgement.score
        );
        match judgement.kind {
            Kind::Cut => {
                progress.cuts.fetch_add(1, Ordering::Relaxed);
                tracing::info!("cut after frame {index}, score {:.1}", judgement.score);
            }
            Kind::Still => _ = progress.stills.fetch_add(1, Ordering::Relaxed),
            Kind::Motion => {}
        }
        let wanted = outputs.iter().zip(number..).filter(|(_, number)| *number >= settings.skip);
        let device = (index / CHUNK) as usize % work.len().max(1);
        if judgement.kind == Kind::Motion {
            let at: Vec<f32> = wanted
                .clone()
                .filter_map(|(output, _)| match output.at {
                    At::Between(t) => Some(t),
                    _ => None,
                })
                .collect();
            let pair =
                Work { index, earlier: earlier.frame.clone(), later: later.frame.clone(), at };
            if !pair.at.is_empty() && work.get(device).is_none_or(|to| to.send(pair).is_err()) {
                return Ok(());
            }
        }
        for (output, number) in wanted {
            let held = || What::Given(earlier.frame.clone());
            let what = match (output.at, judgement.kind) {
                (At::Between(_), Kind::Motion) => What::Made(device),
                (At::Between(t), Kind::Cut) if settings.scenes.at_cut == AtCut::Blend => {
                    What::Blended(later.frame.clone(), t)
                }
                _ => held(),
            };
            let left = earlier.frame.clone();
            if items.send(Item { output: *output, number, what, left }).is_err() {
                return Ok(());
            }
        }
        earlier = later;
        index += 1;
    }
}
