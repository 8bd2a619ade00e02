//! Detects scene cuts and still pairs.
//!
//! A cut is a pair where the later frame contains far less of the earlier one than usual nearby,
//! and neither a flash nor a fade explains it. Frames are compared by structure instead of
//! brightness, so that cuts between dark scenes score the same as cuts between bright ones.

mod difference;
mod facts;
mod samples;
mod structure;
mod thumbnail;

use std::collections::VecDeque;
use std::sync::Arc;

use rife_runtime::Frame;

use self::difference::{difference, largest_difference};
pub use self::facts::PairFacts;
pub use self::thumbnail::Thumbnail;

/// Kind of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairKind {
    /// The frames are the same; there is nothing to interpolate.
    Still,
    /// The frames show the same scene.
    Motion,
    /// A new scene begins; an interpolated frame would belong to neither.
    Cut,
}

/// Result for one pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Classification {
    /// Kind of the pair.
    pub kind: PairKind,
    /// Mean absolute difference of luma (of all samples for RGB), in percent of the range. If only
    /// identical frames count as still, it is estimated from thumbnails, which is cheaper.
    pub difference: f64,
    /// How much less of the earlier frame is found in the later one than usual, in percent: from 0
    /// (all of it) to 100 (nothing). Compared with the cut threshold.
    pub score: f64,
}

/// Classifies the pairs of a stream in order.
///
/// The kind of a pair follows from [`PairFacts`], which also classify pairs in any other order, with
/// the same results.
#[derive(Clone, Debug)]
pub struct SceneDetector {
    cut_threshold: f64,
    still_threshold: f64,
    /// Largest difference of a part of a still pair, in percent.
    local_threshold: f64,
    /// Facts of the pairs before, the latest last.
    recent: VecDeque<PairFacts>,
    /// Frames before the pair, the latest first.
    past: VecDeque<Thumbnail>,
    /// The later frame of the previous pair.
    current: Option<Thumbnail>,
    /// Frames after the pair that were looked at already.
    upcoming: VecDeque<Thumbnail>,
}

impl SceneDetector {
    /// Maximum number of frames after a pair that a classification may depend on.
    pub const LOOK_AHEAD: usize = 3;

    /// Maximum number of pairs before a pair that a classification may depend on. Of these, still
    /// pairs and cuts do not count: animation repeats each drawing for two or three frames.
    pub const HISTORY: usize = 16;

    /// Default cut threshold, in percent.
    pub const DEFAULT_CUT: f64 = 50.0;

    /// Default still threshold for held drawings, in percent: above the noise of compression.
    pub const DEFAULT_HELD: f64 = 0.25;

    /// Largest difference of a part of a held drawing, relative to the still threshold.
    pub const LOCAL: f64 = 10.0;

    /// A pair is a cut if [`Classification::score`] is at least `cut_threshold`, in percent;
    /// infinity disables cuts. It is still if [`Classification::difference`] is at most
    /// `still_threshold`, in percent; with 0, only identical frames are still, and below 0 none.
    pub fn new(cut_threshold: f64, still_threshold: f64) -> Self {
        Self {
            cut_threshold,
            still_threshold,
            local_threshold: f64::INFINITY,
            recent: VecDeque::new(),
            past: VecDeque::new(),
            current: None,
            upcoming: VecDeque::new(),
        }
    }

    /// Declares that still pairs are held drawings, which may be replaced: a pair is then still only
    /// if, in addition, no block of about 1/45 of the height differs by more than [`Self::LOCAL`]
    /// times the still threshold. In animation, often only a mouth moves, which hardly changes the
    /// mean of the frame. The cuts are those found with a still threshold of 0.
    #[must_use]
    pub fn with_held_drawings(mut self) -> Self {
        self.local_threshold = Self::LOCAL * self.still_threshold;
        self
    }

    fn holds_drawings(&self) -> bool {
        self.local_threshold.is_finite()
    }

    /// Whether two frames count as equal.
    pub(crate) fn is_still(&self, earlier: &Frame, later: &Frame) -> bool {
        match self.still_threshold > 0.0 {
            true => self.is_near(difference(earlier, later), earlier, later),
            false => self.still_threshold >= 0.0 && earlier == later,
        }
    }

    /// Whether two frames that are `difference` apart count as equal, with a threshold above 0.
    fn is_near(&self, difference: f64, earlier: &Frame, later: &Frame) -> bool {
        difference <= self.still_threshold
            && (!self.holds_drawings()
                || largest_difference(earlier, later) <= self.local_threshold)
    }

    /// Classifies the pair of `earlier`, which was `later` in the previous call, and `later`.
    /// `ahead(n)` returns the frame `n` frames after the one that follows `later`, or `None` at the
    /// end of the stream. It is called only if the pair may be a cut, with `n` below
    /// [`Self::LOOK_AHEAD`].
    pub fn classify(
        &mut self,
        earlier: &Frame,
        later: &Frame,
        mut ahead: impl FnMut(usize) -> Option<Arc<Frame>>,
    ) -> Classification {
        let exact = self.still_threshold > 0.0 || self.cut_threshold.is_infinite();
        let difference = if exact { difference(earlier, later) } else { 0.0 };
        let still = match self.still_threshold > 0.0 {
            true => self.is_near(difference, earlier, later),
            false => self.still_threshold >= 0.0 && difference <= 0.0 && earlier == later,
        };
        if self.cut_threshold.is_infinite() {
            let kind = if still { PairKind::Still } else { PairKind::Motion };
            return Classification { kind, difference, score: 0.0 };
        }
        let a = self.current.take().unwrap_or_else(|| Thumbnail::new(earlier));
        let b = self.upcoming.pop_front().unwrap_or_else(|| Thumbnail::new(later));
        let difference = if exact { difference } else { a.difference(&b) };
        // Held drawings that differ a little count as any other pair, so that the cuts do not depend
        // on the tolerance.
        let alike = still && (!self.holds_drawings() || (difference == 0.0 && earlier == later));
        let mut facts = if alike { PairFacts::STILL } else { PairFacts::new(&a, &b) };
        if facts.may_be_cut(self.cut_threshold) {
            while self.upcoming.len() < Self::LOOK_AHEAD
                && let Some(frame) = ahead(self.upcoming.len())
            {
                self.upcoming.push_back(Thumbnail::new(&frame));
            }
            let past: Vec<_> = self.past.iter().collect();
            let upcoming: Vec<_> = self.upcoming.iter().collect();
            facts = facts.with_neighbours(&past, [&a, &b], &upcoming);
        }
        let (kind, score) = facts.verdict(self.cut_threshold, self.recent.make_contiguous());
        let kind = if still && kind == PairKind::Motion { PairKind::Still } else { kind };
        if self.recent.len() == Self::HISTORY {
            self.recent.pop_front();
        }
        self.recent.push_back(facts);
        self.past.push_front(a);
        self.past.truncate(Self::LOOK_AHEAD);
        self.current = Some(b);
        Classification { kind, difference, score }
    }
}
