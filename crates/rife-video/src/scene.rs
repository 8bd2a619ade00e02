//! Where a scene ends, and which frames are the same.

use std::collections::VecDeque;

use rife_runtime::Frame;

/// Pairs that say what motion is usual.
const USUAL: usize = 8;

/// What a pair of frames is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The same picture: there is nothing to make between.
    Still,
    /// One picture after another.
    Motion,
    /// A cut: what lies between is neither's.
    Cut,
}

/// What was seen of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// What it is.
    pub kind: Kind,
    /// Mean absolute difference of luma, % of its range.
    pub difference: f64,
    /// How much more that is than usual, in the same unit: what the threshold is held against.
    pub score: f64,
}

/// Judges the pairs of a stream, one after the other.
#[derive(Clone, Debug)]
pub struct Scenes {
    cut: f64,
    still: f64,
    usual: VecDeque<f64>,
}

impl Scenes {
    /// Scores at and above `cut` are cuts, differences at and below `still` are none, both in % of
    /// the range of luma.
    pub fn new(cut: f64, still: f64) -> Self {
        Self { cut, still, usual: VecDeque::new() }
    }

    /// Judges the pair of a frame and the next of the same stream.
    pub fn judge(&mut self, earlier: &Frame, later: &Frame) -> Judgement {
        let difference = difference(earlier, later);
        let mut usual: Vec<f64> = self.usual.iter().copied().collect();
        usual.sort_by(f64::total_cmp);
        let usual = usual.get(usual.len() / 2).copied().unwrap_or(0.0);
        let score = (difference - usual).max(0.0);
        let kind = if difference <= self.still && (self.still > 0.0 || earlier == later) {
            Kind::Still
        } else if score >= self.cut {
            Kind::Cut
        } else {
            Kind::Motion
        };
        if kind == Kind::Motion {
            if self.usual.len() == USUAL {
                self.usual.pop_front();
            }
            self.usual.push_back(difference);
        }
        Judgement { kind, difference, score }
    }
}

/// Mean absolute difference of luma, or of all colours where there is none, % of the range.
fn difference(a: &Frame, b: &Frame) -> f64 {
    let luma = a.size().pixels();
    let eight = |frame: &Frame| frame.as_rgb8().map(<[u8]>::len);
    if let (Some(x), Some(y)) = (a.as_yuv8(), b.as_yuv8()) {
        let luma = luma.min(x.len()).min(y.len());
        return mean8(&x[..luma], &y[..luma]);
    }
    if let (Some(x), Some(y)) = (a.as_yuv16(), b.as_yuv16()) {
        let luma = luma.min(x.len()).min(y.len());
        let depth = match a.format() {
            rife_runtime::PixelFormat::Yuv(format) => format.depth,
            _ => 16,
        };
        return mean16(&x[..luma], &y[..luma], depth);
    }
    if eight(a).is_some()
        && let (Some(x), Some(y)) = (a.as_rgb8(), b.as_rgb8())
    {
        return mean8(x, y);
    }
    match (a.as_rgb16(), b.as_rgb16()) {
        (Some(x), Some(y)) => mean16(x, y, 16),
        _ => 0.0,
    }
}

fn mean8(a: &[u8], b: &[u8]) -> f64 {
    // In pieces whose sum fits 32 bits, which vectorises.
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
