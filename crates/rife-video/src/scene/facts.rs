//! The features of a pair that scene detection uses, and the decision based on them.
//!
//! Everything here depends on a bounded number of frames, so that the result for a pair is the same
//! in sequential reading and after a seek.

use super::structure::dissimilarity;
use super::thumbnail::Thumbnail;
use super::{PairKind, SceneDetector};

/// Number of recent pairs whose median dissimilarity is the baseline.
const COUNTED: usize = 8;

/// Maximum dissimilarity of two frames of the same scene.
const SAME_SCENE: f32 = 0.45;

/// Dissimilarity above which two frames rarely show the same scene.
const ANOTHER_SCENE: f32 = 0.7;

/// Share of the baseline that is subtracted from the range of scores: where much content is lost in
/// every pair, a cut cannot add as much.
const USUAL_SHARE: f32 = 0.5;

/// Minimum brightness difference between a flash and both its neighbours, relative to the brighter
/// frame.
const FLASH: f32 = 0.12;

/// A fade may explain the dissimilarity if the contrast or brightness of one frame, relative to the
/// other, is below this.
const FADE_CONTRAST: f32 = 0.65;

/// Minimum size of a fade step relative to the previous one.
const FADE_STEP: f32 = 0.35;

/// What scene detection knows about a pair, from its two frames and their neighbours.
///
/// ```
/// use rife_runtime::{Frame, FrameSize, PixelFormat};
/// use rife_video::{PairFacts, PairKind, SceneDetector, Thumbnail};
///
/// # fn main() -> rife_runtime::Result<()> {
/// let frame = Frame::black(FrameSize::new(640, 360), PixelFormat::Rgb8)?;
/// let (earlier, later) = (Thumbnail::new(&frame), Thumbnail::new(&frame));
/// let facts = PairFacts::new(&earlier, &later);
/// // For most pairs, their own two frames are enough.
/// assert!(!facts.may_be_cut(SceneDetector::DEFAULT_CUT));
/// assert_eq!(facts.verdict(SceneDetector::DEFAULT_CUT, &[]).0, PairKind::Motion);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairFacts {
    /// Whether the frames are identical.
    still: bool,
    /// Share of the earlier frame that is not found in the later one, from 0 to 1.
    missing: f32,
    /// The smallest `missing` of up to two following pairs; 0 if they are not taken into account.
    after: f32,
    /// Whether a flash or a fade explains the missing content.
    excused: bool,
}

impl PairFacts {
    /// A pair of identical frames.
    pub const STILL: Self = Self { still: true, missing: 0.0, after: 0.0, excused: false };

    /// The facts of a pair of different frames, without their neighbours.
    pub fn new(earlier: &Thumbnail, later: &Thumbnail) -> Self {
        Self { missing: dissimilarity(earlier, later), ..Self::DIFFERENT }
    }

    const DIFFERENT: Self = Self { still: false, missing: 0.0, after: 0.0, excused: false };

    /// Whether the pair may be a cut; `threshold` is in percent. If it returns false, neither
    /// [`Self::with_neighbours`] nor earlier pairs can make it a cut.
    pub fn may_be_cut(&self, threshold: f64) -> bool {
        !self.still && self.score(0.0) >= threshold
    }

    /// Takes the neighbouring frames into account, for a pair that may be a cut. `before` are the
    /// frames before `earlier`, the latest first; `after` are the frames after `later`. At most
    /// [`SceneDetector::LOOK_AHEAD`] frames of each are used. Pass fewer only at the start and at
    /// the end of the stream.
    #[must_use]
    pub fn with_neighbours(
        self,
        before: &[&Thumbnail],
        [earlier, later]: [&Thumbnail; 2],
        after: &[&Thumbnail],
    ) -> Self {
        let most = SceneDetector::LOOK_AHEAD;
        let around = Surroundings {
            past: before.get(..most).unwrap_or(before),
            a: earlier,
            b: later,
            upcoming: after.get(..most).unwrap_or(after),
        };
        let excused = around.is_flash() || around.is_fade();
        let after = if excused { 0.0 } else { around.dissimilarity_after() };
        Self { after, excused, ..self }
    }

    /// The kind of the pair and its [score](super::Classification::score), in percent, for a
    /// `threshold` in percent.
    ///
    /// `before` are the facts of the earlier pairs, the latest last. At most
    /// [`SceneDetector::HISTORY`] of them are used; pass fewer only at the start of the stream. For
    /// this pair and each earlier one that [may be a cut](Self::may_be_cut),
    /// [`Self::with_neighbours`] must have been called.
    pub fn verdict(&self, threshold: f64, before: &[Self]) -> (PairKind, f64) {
        if self.still {
            return (PairKind::Still, 0.0);
        }
        // Cuts do not count towards the baseline. Whether an earlier pair is a cut is decided
        // without the pairs before it; otherwise, a verdict would depend on the whole stream.
        let counts = |pair: &&Self| !pair.still && pair.judged_by(0.0, threshold) < threshold;
        let usual = before
            .iter()
            .rev()
            .take(SceneDetector::HISTORY)
            .filter(counts)
            .map(|pair| pair.missing);
        let mut usual: Vec<f32> = usual.take(COUNTED).collect();
        usual.sort_by(f32::total_cmp);
        let usual = usual.get(usual.len() / 2).copied().unwrap_or(0.0);
        let score = self.judged_by(usual, threshold);
        (if score >= threshold { PairKind::Cut } else { PairKind::Motion }, score)
    }

    /// The score, in percent: the dissimilarity above the baseline `usual`; 0 for a flash or a
    /// fade.
    fn judged_by(&self, usual: f32, threshold: f64) -> f64 {
        let score = self.score(usual);
        match () {
            () if score < threshold => score,
            () if self.excused => 0.0,
            // If the next pairs are just as dissimilar, it is fast motion or noise rather than a
            // cut.
            () => self.score(usual.max(self.after)),
        }
    }

    /// How much more content is missing than `usual`, in percent.
    fn score(&self, usual: f32) -> f64 {
        100.0 * f64::from((self.missing - usual).max(0.0) / (1.0 - USUAL_SHARE * usual))
    }
}

/// A pair and the frames next to it.
struct Surroundings<'a> {
    /// Frames before the pair, the latest first.
    past: &'a [&'a Thumbnail],
    a: &'a Thumbnail,
    b: &'a Thumbnail,
    /// Frames after the pair.
    upcoming: &'a [&'a Thumbnail],
}

impl Surroundings<'_> {
    /// The smallest dissimilarity of the next two pairs; 0 if it is not meaningful.
    fn dissimilarity_after(&self) -> f32 {
        let mut frame = self.b;
        let mut repeated = false;
        let mut next = Vec::new();
        for later in self.upcoming {
            // Animation often repeats each drawing for two or three frames.
            match later.levels == frame.levels {
                true => repeated = true,
                false => next.push(dissimilarity(frame, later)),
            }
            frame = later;
        }
        let after = next.into_iter().take(2).reduce(f32::min);
        // After repeated drawings, the next change may itself be a cut.
        after.filter(|after| !repeated || *after < ANOTHER_SCENE).unwrap_or(0.0)
    }

    /// Whether a flash or a short blackout starts or ends between the two frames: the scene of the
    /// first frame returns within a few frames, or that of the second was visible a few frames
    /// before.
    fn is_flash(&self) -> bool {
        let (dark, bright) = (self.a.brightness(), self.b.brightness());
        let differs = |from: f32, to: f32| (from - to).abs() > FLASH * from.max(to).max(1.0);
        if !differs(dark, bright) {
            return false;
        }
        let same = |x: &Thumbnail, y: &Thumbnail| dissimilarity(x, y) < SAME_SCENE;
        let returns = |t: &&Thumbnail| differs(bright, t.brightness()) && same(self.a, t);
        let returned = |t: &&Thumbnail| differs(dark, t.brightness()) && same(t, self.b);
        self.upcoming.iter().any(returns) || self.past.iter().any(returned)
    }

    /// Whether the pair is part of a fade: brightness changes in the same direction before or after
    /// the pair, or contrast does while brightness stays about the same.
    fn is_fade(&self) -> bool {
        let fades = |of: fn(&Thumbnail) -> f32, faded: f32| {
            let (from, to) = (of(self.a), of(self.b));
            let (low, high, beyond) = match from < to {
                true => (from, to, self.upcoming),
                false => (to, from, self.past),
            };
            let step = FADE_STEP * (high - low);
            low < faded * high
                && beyond.first().is_some_and(|t| of(t) - high >= step / 2.0)
                && beyond.iter().zip(1..).any(|(t, steps)| of(t) - high >= step * steps as f32)
        };
        let (from, to) = (self.a.brightness(), self.b.brightness());
        let even = (from - to).abs() < 0.1 * from.max(to);
        // In a fade to white, brightness increases while contrast decreases.
        fades(Thumbnail::brightness, FADE_CONTRAST)
            || fades(Thumbnail::contrast, FADE_CONTRAST)
                && (even || self.brightness_keeps_changing(from, to))
    }

    /// Whether brightness changes in the same direction in the previous or the next pair.
    fn brightness_keeps_changing(&self, from: f32, to: f32) -> bool {
        let step = FADE_STEP * (to - from);
        let more = |change: f32| change * step.signum() >= step.abs();
        self.past.first().is_some_and(|t| more(from - t.brightness()))
            || self.upcoming.first().is_some_and(|t| more(t.brightness() - to))
    }
}
