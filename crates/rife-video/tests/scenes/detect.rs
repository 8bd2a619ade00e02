//! The detector under test and a simple one to compare with.

use std::sync::Arc;

use rife_runtime::{Frame, PixelFormat};
use rife_video::{PairKind, SceneDetector};

/// Results of a detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Indices of the frames after which another scene starts.
    pub cuts: Vec<usize>,
    /// The score of each pair.
    pub scores: Vec<f64>,
}

/// The detector of the pipeline.
pub fn by_structure(frames: &[Frame]) -> Detection {
    let frames: Vec<_> = frames.iter().cloned().map(Arc::new).collect();
    detect(&frames, SceneDetector::new(SceneDetector::DEFAULT_CUT, 0.0)).0
}

/// The results of a detector, and its still pairs.
pub fn detect(frames: &[Arc<Frame>], mut scenes: SceneDetector) -> (Detection, Vec<usize>) {
    let mut still = Vec::new();
    let mut detection = Detection { cuts: vec![], scores: vec![] };
    for (i, pair) in frames.windows(2).enumerate() {
        let ahead = |number: usize| {
            assert!(number < SceneDetector::LOOK_AHEAD);
            frames.get(i + 2 + number).cloned()
        };
        let judgement = scenes.classify(&pair[0], &pair[1], ahead);
        detection.scores.push(judgement.score);
        match judgement.kind {
            PairKind::Cut => detection.cuts.push(i),
            PairKind::Still => still.push(i),
            PairKind::Motion => {}
        }
    }
    (detection, still)
}

/// A simple detector to compare with. The score is the mean luma difference minus the median of the
/// previous eight pairs; 10 % is a cut.
pub fn by_luma_difference(frames: &[Frame]) -> Detection {
    let mut recent: Vec<f64> = Vec::new();
    let mut detection = Detection { cuts: vec![], scores: vec![] };
    for (i, pair) in frames.windows(2).enumerate() {
        let difference = luma_difference(&pair[0], &pair[1]);
        let mut sorted = recent.clone();
        sorted.sort_by(f64::total_cmp);
        let score = difference - sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        detection.scores.push(score.max(0.0));
        if score >= 10.0 {
            detection.cuts.push(i);
        } else if pair[0] != pair[1] {
            if recent.len() == 8 {
                recent.remove(0);
            }
            recent.push(difference);
        }
    }
    detection
}

/// Mean difference of 8-bit luma, in percent.
fn luma_difference(a: &Frame, b: &Frame) -> f64 {
    assert!(matches!(a.format(), PixelFormat::Yuv(_)));
    let luma = |frame: &Frame| frame.as_yuv8().unwrap()[..frame.size().pixels()].to_vec();
    let (a, b) = (luma(a), luma(b));
    let sum: u64 = a.iter().zip(&b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    100.0 * sum as f64 / (255.0 * a.len() as f64)
}
