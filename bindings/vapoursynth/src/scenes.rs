//! Cuts and still pairs, for any order of requests.
//!
//! [`rife_video::PairFacts`] are a function of a few frames around a pair. Most pairs need only their
//! own two frames. A pair that may be a cut needs those around it, which are requested then; facts
//! that earlier requests established are remembered, so that sequential reading requests only the
//! frames that it will need anyway.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use rife_video::{PairFacts, PairKind, SceneDetector, Thumbnail};

use crate::args::Cuts;
use crate::cache::{Packed, Recent, SourceFrames, lock};

/// Pairs whose facts are remembered.
const REMEMBERED: usize = 256;

const HISTORY: i32 = SceneDetector::HISTORY as i32;
const BESIDE: i32 = SceneDetector::LOOK_AHEAD as i32;

/// The source frames that are at hand while a pair is classified.
pub(crate) type AtHand = BTreeMap<i32, Arc<Packed>>;

/// The result of a classification.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Kind(PairKind),
    /// The pair may be a cut: these source frames decide it.
    Needs(RangeInclusive<i32>),
}

/// What is remembered about a pair.
#[derive(Clone, Copy, Debug)]
struct Known {
    facts: PairFacts,
    /// Whether the frames next to the pair are taken into account, or need not be.
    complete: bool,
}

/// Classifies the pairs of a clip.
pub(crate) struct Scenes {
    cuts: Cuts,
    last_frame: i32,
    known: Mutex<Recent<Known>>,
}

impl Scenes {
    pub(crate) fn new(cuts: Cuts, source_frames: i32) -> Self {
        Self { cuts, last_frame: source_frames - 1, known: Mutex::new(Recent::new(REMEMBERED)) }
    }

    /// The source frames that a classification of the pair from `number` to the next may need.
    pub(crate) fn window(&self, number: i32) -> RangeInclusive<i32> {
        let first = (number - HISTORY - BESIDE).max(0);
        first..=(number + 1 + BESIDE).min(self.last_frame)
    }

    /// Classifies the pair from source frame `number` to the next. Both must be at hand. `marked` is
    /// what the properties of the two frames say about a cut between them.
    ///
    /// # Errors
    /// If the two frames are not at hand.
    pub(crate) fn classify(
        &self,
        number: i32,
        marked: Option<bool>,
        frames: &AtHand,
        source: &SourceFrames,
    ) -> Result<Verdict, String> {
        let (Some(earlier), Some(later)) = (frames.get(&number), frames.get(&(number + 1))) else {
            return Err(format!("source frames {number} and {} are not ready", number + 1));
        };
        let threshold = self.cuts.threshold();
        let view = View { scenes: self, frames, source, threshold };
        let still = || earlier.frame == later.frame;
        if earlier.frame.size() != later.frame.size() {
            return Ok(Verdict::Kind(PairKind::Cut));
        }
        let kind = match (self.cuts, marked) {
            (Cuts::FromProps, Some(true)) if !still() => Some(PairKind::Cut),
            (Cuts::FromProps, Some(false)) | (Cuts::Ignored, _) if !still() => {
                Some(PairKind::Motion)
            }
            _ => view.verdict(number),
        };
        Ok(kind.map_or_else(|| Verdict::Needs(view.needed(number)), Verdict::Kind))
    }
}

/// The frames at hand, and what is remembered.
struct View<'a> {
    scenes: &'a Scenes,
    frames: &'a AtHand,
    source: &'a SourceFrames,
    /// In percent.
    threshold: f64,
}

impl View<'_> {
    /// The kind of a pair; `None` if too little is known.
    fn verdict(&self, number: i32) -> Option<PairKind> {
        let facts = self.facts(number)?;
        let before: Vec<_> = match facts.may_be_cut(self.threshold) {
            true => self.history(number).map(|pair| self.facts(pair)).collect::<Option<_>>()?,
            false => Vec::new(),
        };
        Some(facts.verdict(self.threshold, &before).0)
    }

    /// The pairs before one that its classification depends on.
    fn history(&self, number: i32) -> std::ops::Range<i32> {
        (number - HISTORY).max(0)..number
    }

    /// The frames next to a pair that its facts depend on: before, the latest first, and after.
    fn beside(&self, number: i32) -> [Vec<i32>; 2] {
        let inside = |frame: &i32| (0..=self.scenes.last_frame).contains(frame);
        let beside = 1..=BESIDE;
        [
            beside.clone().map(|back| number - back).filter(inside).collect(),
            beside.map(|ahead| number + 1 + ahead).filter(inside).collect(),
        ]
    }

    /// The complete facts of a pair: remembered, or from the frames at hand.
    fn facts(&self, number: i32) -> Option<PairFacts> {
        let known = lock(&self.scenes.known).get(number);
        if let Some(Known { facts, complete: true }) = known {
            return Some(facts);
        }
        let facts = match known {
            Some(known) => known.facts,
            None => self.alone(number)?,
        };
        if !facts.may_be_cut(self.threshold) {
            return Some(self.remember(number, facts, true));
        }
        self.remember(number, facts, false);
        let [before, after] = self.beside(number);
        let (before, after) = (self.thumbnails(&before)?, self.thumbnails(&after)?);
        let pair = [self.thumbnail(number)?, self.thumbnail(number + 1)?];
        let before: Vec<_> = before.iter().map(AsRef::as_ref).collect();
        let after: Vec<_> = after.iter().map(AsRef::as_ref).collect();
        let facts = facts.with_neighbours(&before, pair.each_ref().map(AsRef::as_ref), &after);
        Some(self.remember(number, facts, true))
    }

    fn remember(&self, number: i32, facts: PairFacts, complete: bool) -> PairFacts {
        lock(&self.scenes.known).insert(number, Known { facts, complete });
        facts
    }

    /// What the frames of a pair say by themselves, if both are at hand.
    fn alone(&self, number: i32) -> Option<PairFacts> {
        let (earlier, later) = (self.frames.get(&number)?, self.frames.get(&(number + 1))?);
        if earlier.frame == later.frame {
            return Some(PairFacts::STILL);
        }
        let earlier = self.source.thumbnail(number, earlier);
        let later = self.source.thumbnail(number + 1, later);
        Some(PairFacts::new(&earlier, &later))
    }

    fn thumbnail(&self, number: i32) -> Option<Arc<Thumbnail>> {
        match self.frames.get(&number) {
            Some(frame) => Some(self.source.thumbnail(number, frame)),
            None => self.source.known_thumbnail(number),
        }
    }

    fn thumbnails(&self, numbers: &[i32]) -> Option<Vec<Arc<Thumbnail>>> {
        numbers.iter().map(|number| self.thumbnail(*number)).collect()
    }

    /// The source frames that complete what is remembered about a pair and those before it. As few
    /// as possible: players keep only a few past frames.
    fn needed(&self, number: i32) -> RangeInclusive<i32> {
        let (mut first, mut last) = (number, number + 1);
        for pair in self.history(number).chain([number]) {
            let known = lock(&self.scenes.known).get(pair);
            let own = match known {
                Some(Known { complete: true, .. }) => continue,
                Some(_) => Vec::new(),
                None => vec![pair, pair + 1],
            };
            let beside = self.beside(pair).concat();
            let beside = beside.into_iter().chain([pair, pair + 1]);
            let unknown = beside.filter(|frame| self.thumbnail(*frame).is_none());
            for frame in own.into_iter().chain(unknown) {
                (first, last) = (first.min(frame), last.max(frame));
            }
        }
        first..=last
    }
}
