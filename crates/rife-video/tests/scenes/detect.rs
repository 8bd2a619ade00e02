//! Detectors, and what they find.

use std::sync::Arc;

use rife_runtime::{Frame, PixelFormat};
use rife_video::{PairKind, SceneDetector};

/// What a detector found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Frames after which another scene begins.
    pub cuts: Vec<usize>,
    /// The score of each pair.
    pub scores: Vec<f64>,
}

pub fn by_structure(frames: &[Frame]) -> Found {
    let frames: Vec<_> = frames.iter().cloned().map(Arc::new).collect();
    let mut scenes = SceneDetector::new(SceneDetector::DEFAULT_CUT, 0.0);
    let mut found = Found { cuts: vec![], scores: vec![] };
    for (i, pair) in frames.windows(2).enumerate() {
        let ahead = |number: usize| {
            assert!(number < SceneDetector::LOOK_AHEAD);
            frames.get(i + 2 + number).cloned()
        };
        let judgement = scenes.classify(&pair[0], &pair[1], ahead);
        found.scores.push(judgement.score);
        if judgement.kind == PairKind::Cut {
            found.cuts.push(i);
        }
    }
    found
}

/// The mean difference of luma above the median of the eight pairs before, of which 10 % is a cut:
/// what is compared with.
pub fn by_luma_difference(frames: &[Frame]) -> Found {
    let mut usual: Vec<f64> = Vec::new();
    let mut found = Found { cuts: vec![], scores: vec![] };
    for (i, pair) in frames.windows(2).enumerate() {
        let difference = difference(&pair[0], &pair[1]);
        let mut sorted = usual.clone();
        sorted.sort_by(f64::total_cmp);
        let score = difference - sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        found.scores.push(score.max(0.0));
        if score >= 10.0 {
            found.cuts.push(i);
        } else if pair[0] != pair[1] {
            if usual.len() == 8 {
                usual.remove(0);
            }
            usual.push(difference);
        }
    }
    found
}

/// Mean difference of luma of 8 bits, %.
fn difference(a: &Frame, b: &Frame) -> f64 {
    assert!(matches!(a.format(), PixelFormat::Yuv(_)));
    let luma = |frame: &Frame| frame.as_yuv8().unwrap()[..frame.size().pixels()].to_vec();
    let (a, b) = (luma(a), luma(b));
    let sum: u64 = a.iter().zip(&b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    100.0 * sum as f64 / (255.0 * a.len() as f64)
}
