//! Detects scene cuts and still pairs.
//!
//! A cut is a pair where the later frame contains far less of the earlier one than usual nearby,
//! and neither a flash nor a fade explains it. Frames are compared by structure instead of
//! brightness, so that cuts between dark scenes score the same as cuts between bright ones.

mod structure;
mod thumbnail;

use std::collections::VecDeque;
use std::sync::Arc;

use rife_runtime::{Frame, PixelFormat};

use self::structure::dissimilarity;
use self::thumbnail::Thumbnail;

/// Number of recent pairs whose median is "usual".
const HISTORY: usize = 8;

/// Maximum dissimilarity of two frames of the same scene.
const SAME_SCENE: f32 = 0.45;

/// Dissimilarity above which two frames hardly show the same scene.
const ANOTHER_SCENE: f32 = 0.7;

/// Share of the usual dissimilarity that is taken off the range of scores: where much is missing
/// anyway, a cut cannot add as much.
const USUAL_SHARE: f32 = 0.5;

/// Minimum brightness difference of a flash from both neighbours, relative to the brighter one.
const FLASH: f32 = 0.12;

/// Maximum contrast of the flatter frame, relative to the other one, at which a fade may explain
/// the dissimilarity.
const FADE_CONTRAST: f32 = 0.65;

/// Minimum size of a fade step relative to the previous one.
const FADE_STEP: f32 = 0.35;

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
#[derive(Clone, Debug)]
pub struct SceneDetector {
    cut_threshold: f64,
    still_threshold: f64,
    recent: VecDeque<f32>,
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

    /// Default cut threshold, in percent.
    pub const DEFAULT_CUT: f64 = 50.0;

    /// A pair is a cut if [`Classification::score`] is at least `cut_threshold`, in percent;
    /// infinity disables cuts. It is still if [`Classification::difference`] is at most
    /// `still_threshold`, in percent; with 0, only identical frames are still.
    pub fn new(cut_threshold: f64, still_threshold: f64) -> Self {
        Self {
            cut_threshold,
            still_threshold,
            recent: VecDeque::new(),
            past: VecDeque::new(),
            current: None,
            upcoming: VecDeque::new(),
        }
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
        let still =
            difference <= self.still_threshold && (self.still_threshold > 0.0 || earlier == later);
        if self.cut_threshold.is_infinite() {
            let kind = if still { PairKind::Still } else { PairKind::Motion };
            return Classification { kind, difference, score: 0.0 };
        }
        let a = self.current.take().unwrap_or_else(|| Thumbnail::new(earlier));
        let b = self.upcoming.pop_front().unwrap_or_else(|| Thumbnail::new(later));
        let difference = if exact { difference } else { a.difference(&b) };
        let (kind, score) = match still {
            true => (PairKind::Still, 0.0),
            false => {
                let missing = dissimilarity(&a, &b);
                let score = self.score(missing, &a, &b, &mut ahead);
                let kind =
                    if score >= self.cut_threshold { PairKind::Cut } else { PairKind::Motion };
                if kind == PairKind::Motion {
                    if self.recent.len() == HISTORY {
                        self.recent.pop_front();
                    }
                    self.recent.push_back(missing);
                }
                (kind, score)
            }
        };
        self.past.push_front(a);
        self.past.truncate(Self::LOOK_AHEAD);
        self.current = Some(b);
        Classification { kind, difference, score }
    }

    /// The score, in percent: how unusual the pair is; 0 for a flash or a fade.
    fn score(
        &mut self,
        missing: f32,
        a: &Thumbnail,
        b: &Thumbnail,
        ahead: &mut dyn FnMut(usize) -> Option<Arc<Frame>>,
    ) -> f64 {
        let mut usual: Vec<f32> = self.recent.iter().copied().collect();
        usual.sort_by(f32::total_cmp);
        let usual = usual.get(usual.len() / 2).copied().unwrap_or(0.0);
        let above = |usual: f32| {
            100.0 * f64::from((missing - usual).max(0.0) / (1.0 - USUAL_SHARE * usual))
        };
        if above(usual) < self.cut_threshold {
            return above(usual);
        }
        while self.upcoming.len() < Self::LOOK_AHEAD
            && let Some(frame) = ahead(self.upcoming.len())
        {
            self.upcoming.push_back(Thumbnail::new(&frame));
        }
        if self.is_flash(a, b) || self.is_fade(a, b) {
            return 0.0;
        }
        // If the next pairs are as dissimilar, it is fast motion or noise rather than a cut.
        let mut frame = b;
        let mut repeated = false;
        let mut next = Vec::new();
        for later in &self.upcoming {
            // Animation repeats each drawing for two or three frames.
            match later.levels == frame.levels {
                true => repeated = true,
                false => next.push(dissimilarity(frame, later)),
            }
            frame = later;
        }
        let after = next.into_iter().take(2).reduce(f32::min);
        // Another cut may follow repeated drawings.
        let after = after.filter(|after| !repeated || *after < ANOTHER_SCENE).unwrap_or(0.0);
        above(usual.max(after))
    }

    /// Whether a flash or a black moment begins or ends between the two frames: the same scene
    /// appears a few frames later, or appeared a few frames before.
    fn is_flash(&self, a: &Thumbnail, b: &Thumbnail) -> bool {
        let (dark, bright) = (a.brightness(), b.brightness());
        let differs = |from: f32, to: f32| (from - to).abs() > FLASH * from.max(to).max(1.0);
        if !differs(dark, bright) {
            return false;
        }
        let same = |x: &Thumbnail, y: &Thumbnail| dissimilarity(x, y) < SAME_SCENE;
        self.upcoming.iter().any(|frame| differs(bright, frame.brightness()) && same(a, frame))
            || self.past.iter().any(|frame| differs(dark, frame.brightness()) && same(frame, b))
    }

    /// Whether the scene fades in from the first frame or out to the second: brightness changes
    /// alike before or after, or contrast does while brightness stays the same.
    fn is_fade(&self, a: &Thumbnail, b: &Thumbnail) -> bool {
        let fades = |of: fn(&Thumbnail) -> f32, faded: f32| {
            let (from, to) = (of(a), of(b));
            let (low, high, beyond) = match from < to {
                true => (from, to, &self.upcoming),
                false => (to, from, &self.past),
            };
            let step = FADE_STEP * (high - low);
            low < faded * high
                && beyond.front().is_some_and(|t| of(t) - high >= step / 2.0)
                && beyond.iter().zip(1..).any(|(t, steps)| of(t) - high >= step * steps as f32)
        };
        let (from, to) = (a.brightness(), b.brightness());
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
        self.past.front().is_some_and(|t| more(from - t.brightness()))
            || self.upcoming.front().is_some_and(|t| more(t.brightness() - to))
    }
}

/// Mean absolute difference of luma (of all samples for RGB), in percent of the range.
fn difference(a: &Frame, b: &Frame) -> f64 {
    let luma = a.size().pixels();
    if let (Some(x), Some(y)) = (a.as_yuv8(), b.as_yuv8()) {
        let luma = luma.min(x.len()).min(y.len());
        return mean8(&x[..luma], &y[..luma]);
    }
    if let (Some(x), Some(y)) = (a.as_yuv16(), b.as_yuv16()) {
        let luma = luma.min(x.len()).min(y.len());
        let depth = match a.format() {
            PixelFormat::Yuv(format) => format.depth,
            _ => 16,
        };
        return mean16(&x[..luma], &y[..luma], depth);
    }
    if let (Some(x), Some(y)) = (a.as_rgb8(), b.as_rgb8()) {
        return mean8(x, y);
    }
    match (a.as_rgb16(), b.as_rgb16()) {
        (Some(x), Some(y)) => mean16(x, y, 16),
        _ => 0.0,
    }
}

fn mean8(a: &[u8], b: &[u8]) -> f64 {
    // In chunks whose sum fits 32 bits, which vectorizes.
    let sum: u64 = a
        .chunks(1 << 16)
        .zip(b.chunks(1 << 16))
        .map(|(a, b)| {
            u64::from(a.iter().zip(b).map(|(x, y)| u32::from(x.abs_diff(*y))).sum::<u32>())
        })
        .sum();
    100.0 * sum as f64 / (a.len().max(1) as f64 * 255.0)
}

fn mean16(a: &[u16], b: &[u16], depth: u8) -> f64 {
    let sum: u64 = a
        .chunks(1 << 15)
        .zip(b.chunks(1 << 15))
        .map(|(a, b)| {
            u64::from(a.iter().zip(b).map(|(x, y)| u32::from(x.abs_diff(*y))).sum::<u32>())
        })
        .sum();
    100.0 * sum as f64 / (a.len().max(1) as f64 * f64::from((1u32 << depth.min(16)) - 1))
}
