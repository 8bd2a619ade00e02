//! Detects cuts and still pairs, for frames requested in any order.
//!
//! [`rife_video::PairFacts`] depend only on a few frames around a pair. For most pairs, their own
//! two frames are enough. For a pair that may be a cut, the surrounding frames are requested as
//! well. Facts are cached, so that sequential reading only requests frames that it needs soon
//! anyway.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use rife_video::{PairFacts, PairKind, SceneDetector, Thumbnail};

use crate::args::Cuts;
use crate::cache::{LruCache, PackedFrame, SourceFrames, lock};

/// Pairs whose facts are cached.
const CACHED_PAIRS: usize = 256;

/// Earlier pairs that the classification of a pair depends on.
const HISTORY: i32 = SceneDetector::HISTORY as i32;

/// Frames on each side of a pair that its facts depend on.
const NEIGHBOURS: i32 = SceneDetector::LOOK_AHEAD as i32;

/// The source frames that VapourSynth has delivered for a request, by frame number.
pub(crate) type AvailableFrames = BTreeMap<i32, Arc<PackedFrame>>;

/// The result of a classification.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Kind(PairKind),
    /// The pair may be a cut. These source frames are needed to decide.
    Needs(RangeInclusive<i32>),
}

/// The cached facts of a pair.
#[derive(Clone, Copy, Debug)]
struct CachedFacts {
    facts: PairFacts,
    /// Whether the facts include the neighbouring frames, or do not depend on them.
    complete: bool,
}

/// Classifies the pairs of a clip.
pub(crate) struct Scenes {
    cuts: Cuts,
    last_frame: i32,
    cached: Mutex<LruCache<CachedFacts>>,
}

impl Scenes {
    pub(crate) fn new(cuts: Cuts, source_frames: i32) -> Self {
        Self {
            cuts,
            last_frame: source_frames - 1,
            cached: Mutex::new(LruCache::new(CACHED_PAIRS)),
        }
    }

    /// The source frames that a classification of the pair from `number` to the next may need.
    pub(crate) fn window(&self, number: i32) -> RangeInclusive<i32> {
        let first = (number - HISTORY - NEIGHBOURS).max(0);
        first..=(number + 1 + NEIGHBOURS).min(self.last_frame)
    }

    /// Whether a pair of frames that differ is classified by their thumbnails. `scene_change` is what
    /// the frame properties say.
    pub(crate) fn needs_thumbnails(&self, scene_change: Option<bool>) -> bool {
        match self.cuts {
            Cuts::Ignored => false,
            Cuts::FromProps => scene_change.is_none(),
            _ => true,
        }
    }

    /// Classifies the pair of source frames `number` and `number + 1`, which must be in `frames`.
    /// `scene_change` states whether frame properties declare a cut between them; `None` if no
    /// property is set.
    ///
    /// # Errors
    /// If one of the two frames is not in `frames`.
    pub(crate) fn classify(
        &self,
        number: i32,
        scene_change: Option<bool>,
        frames: &AvailableFrames,
        source: &SourceFrames,
    ) -> Result<Verdict, String> {
        let (Some(earlier), Some(later)) = (frames.get(&number), frames.get(&(number + 1))) else {
            return Err(format!("source frame {number} or {} is missing", number + 1));
        };
        let threshold = self.cuts.threshold();
        let classifier = Classifier { scenes: self, frames, source, threshold };
        let still = || earlier.frame == later.frame;
        if earlier.frame.size() != later.frame.size() {
            return Ok(Verdict::Kind(PairKind::Cut));
        }
        let kind = match (self.cuts, scene_change) {
            (Cuts::FromProps, Some(true)) if !still() => Some(PairKind::Cut),
            (Cuts::FromProps, Some(false)) | (Cuts::Ignored, _) if !still() => {
                Some(PairKind::Motion)
            }
            _ => classifier.verdict(number),
        };
        Ok(kind.map_or_else(|| Verdict::Needs(classifier.needed(number)), Verdict::Kind))
    }
}

/// Classifies pairs from the available frames and the cached facts.
struct Classifier<'a> {
    scenes: &'a Scenes,
    frames: &'a AvailableFrames,
    source: &'a SourceFrames,
    /// In percent.
    threshold: f64,
}

impl Classifier<'_> {
    /// The kind of a pair; `None` if frames are missing.
    fn verdict(&self, number: i32) -> Option<PairKind> {
        let facts = self.facts(number)?;
        let before: Vec<_> = match facts.may_be_cut(self.threshold) {
            true => self.history(number).map(|pair| self.facts(pair)).collect::<Option<_>>()?,
            false => Vec::new(),
        };
        Some(facts.verdict(self.threshold, &before).0)
    }

    /// The earlier pairs that the classification of a pair depends on.
    fn history(&self, number: i32) -> std::ops::Range<i32> {
        (number - HISTORY).max(0)..number
    }

    /// The frames that the facts of a pair depend on: those before it, the latest first, and those
    /// after it.
    fn neighbours(&self, number: i32) -> [Vec<i32>; 2] {
        let inside = |frame: &i32| (0..=self.scenes.last_frame).contains(frame);
        let distances = 1..=NEIGHBOURS;
        [
            distances.clone().map(|back| number - back).filter(inside).collect(),
            distances.map(|ahead| number + 1 + ahead).filter(inside).collect(),
        ]
    }

    /// The complete facts of a pair, from the cache or from the available frames; `None` if frames
    /// are missing.
    fn facts(&self, number: i32) -> Option<PairFacts> {
        let cached = lock(&self.scenes.cached).get(number);
        if let Some(CachedFacts { facts, complete: true }) = cached {
            return Some(facts);
        }
        let facts = match cached {
            Some(cached) => cached.facts,
            None => self.pair_facts(number)?,
        };
        if !facts.may_be_cut(self.threshold) {
            return Some(self.store(number, facts, true));
        }
        self.store(number, facts, false);
        let [before, after] = self.neighbours(number);
        let (before, after) = (self.thumbnails(&before)?, self.thumbnails(&after)?);
        let pair = [self.thumbnail(number)?, self.thumbnail(number + 1)?];
        let before: Vec<_> = before.iter().map(AsRef::as_ref).collect();
        let after: Vec<_> = after.iter().map(AsRef::as_ref).collect();
        let facts = facts.with_neighbours(&before, pair.each_ref().map(AsRef::as_ref), &after);
        Some(self.store(number, facts, true))
    }

    fn store(&self, number: i32, facts: PairFacts, complete: bool) -> PairFacts {
        lock(&self.scenes.cached).insert(number, CachedFacts { facts, complete });
        facts
    }

    /// The facts of a pair without its neighbours; `None` if one of its frames is missing.
    fn pair_facts(&self, number: i32) -> Option<PairFacts> {
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
            None => self.source.cached_thumbnail(number),
        }
    }

    fn thumbnails(&self, numbers: &[i32]) -> Option<Vec<Arc<Thumbnail>>> {
        numbers.iter().map(|number| self.thumbnail(*number)).collect()
    }

    /// The source frames that are missing to classify a pair. As few as possible, because players
    /// keep only a few past frames.
    fn needed(&self, number: i32) -> RangeInclusive<i32> {
        let (mut first, mut last) = (number, number + 1);
        for pair in self.history(number).chain([number]) {
            let cached = lock(&self.scenes.cached).get(pair);
            let own = match cached {
                Some(CachedFacts { complete: true, .. }) => continue,
                Some(_) => Vec::new(),
                None => vec![pair, pair + 1],
            };
            let around = self.neighbours(pair).concat().into_iter().chain([pair, pair + 1]);
            let missing = around.filter(|frame| self.thumbnail(*frame).is_none());
            for frame in own.into_iter().chain(missing) {
                (first, last) = (first.min(frame), last.max(frame));
            }
        }
        first..=last
    }
}
