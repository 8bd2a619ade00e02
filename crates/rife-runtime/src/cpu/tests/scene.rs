//! Frames and estimates for the picture kernels, and the definition of sampling them.

use super::super::kernels::picture::{ESTIMATE, Estimates, Frames, Tap, taps};
use super::super::tensor::Floats;
use super::{Expected, Kind, Numbers, rounded};

/// The estimate of one block, or its feature.
pub(super) struct Source {
    floats: Floats,
    height: usize,
    width: usize,
    down: Vec<Tap>,
    across: Vec<Tap>,
    keep: [f32; ESTIMATE],
}

/// Two frames, the blocks' estimates, and a feature.
pub(super) struct Scene {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) lanes: usize,
    frames: [Floats; 2],
    pub(super) sources: Vec<Source>,
    pub(super) feature: Option<Source>,
}

/// The kind of flow and mask.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flow {
    /// A few pixels, across every border.
    Usual,
    Zero,
    /// Many times the width of the frame.
    Far,
    /// Some values are infinite or NaN.
    NotFinite,
    /// Whole pixels, without interpolation.
    Whole,
}

impl Flow {
    pub(super) const ALL: [Self; 5] =
        [Self::Usual, Self::Zero, Self::Far, Self::NotFinite, Self::Whole];

    fn value(self, numbers: &mut Numbers, lane: usize) -> f32 {
        let mask = lane >= 4;
        match self {
            Self::Usual => numbers.unit() * if mask { 4.0 } else { 12.0 },
            Self::Zero => 0.0,
            Self::Far => numbers.unit().signum() * if mask { 1e4 } else { 1e9 },
            Self::NotFinite => match numbers.below(12) {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => f32::NEG_INFINITY,
                _ => numbers.unit(),
            },
            Self::Whole => (numbers.unit() * 9.0).round(),
        }
    }
}

/// The position at which PyTorch samples a picture of `from` samples for sample `i` of `to`,
/// bilinearly and without `align_corners`.
pub(super) fn position(from: usize, to: usize, i: usize) -> [(usize, f64); 2] {
    let at = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
    let first = (at.floor() as usize).min(from - 1);
    let weight = at - first as f64;
    [(first, 1.0 - weight), ((first + 1).min(from - 1), weight)]
}

impl Source {
    fn new(numbers: &mut Numbers, scene: (usize, usize), divisor: f64, flow: Flow) -> Self {
        let part = |side: usize| (side as f64 / divisor) as usize;
        let (height, width) = (part(scene.0), part(scene.1));
        let mut floats = Floats::zeros(height * width * ESTIMATE).unwrap();
        for (i, v) in floats.as_mut_slice().iter_mut().enumerate() {
            *v = flow.value(numbers, i % ESTIMATE);
        }
        Self {
            floats,
            height,
            width,
            down: taps(height, scene.0),
            across: taps(width, scene.1),
            keep: [1.0; ESTIMATE],
        }
    }

    /// The argument for the kernels.
    pub(super) fn estimates(&self) -> Estimates<'_> {
        Estimates {
            at: self.floats.as_ptr(),
            row: self.width * ESTIMATE,
            down: &self.down,
            across: &self.across,
            keep: self.keep,
        }
    }

    /// A lane at a pixel of the frame, and the sum of its terms' magnitudes.
    fn at(&self, scene: &Scene, (y, x): (usize, usize), lane: usize) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for (sy, wy) in position(self.height, scene.height, y) {
            for (sx, wx) in position(self.width, scene.width, x) {
                // Values with weight 0 are ignored, even NaN.
                if wy * wx == 0.0 {
                    continue;
                }
                let v = self.floats.as_slice()[(sy * self.width + sx) * ESTIMATE + lane];
                let v = f64::from(v) * f64::from(self.keep[lane]);
                sums.1 += v.abs();
                // The interpolation of an infinite sample with adjacent ones may give any value,
                // even NaN.
                sums.0 += if v.is_infinite() { 0.0 } else { wy * wx * v };
            }
        }
        sums
    }
}

impl Scene {
    /// A frame of that size with `divisors.len()` estimates at lower resolutions.
    pub(super) fn new(
        seed: u64,
        (height, width): (usize, usize),
        lanes: usize,
        divisors: &[f64],
        feature: bool,
        flow: Flow,
    ) -> Self {
        let mut numbers = Numbers(seed);
        let mut frame = || {
            // A pixel is loaded as a vector of one lane more.
            numbers.floats(height * width * lanes + 1, Kind::Usual)
        };
        let frames = [frame(), frame()];
        let mut sources: Vec<_> =
            divisors.iter().map(|d| Source::new(&mut numbers, (height, width), *d, flow)).collect();
        // Like a model whose masks replace the earlier ones.
        if let [first, _, ..] = sources.as_mut_slice() {
            first.keep = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        }
        let feature = feature.then(|| {
            Source::new(
                &mut numbers,
                (height, width),
                *divisors.last().unwrap_or(&1.0),
                Flow::Usual,
            )
        });
        Self { height, width, lanes, frames, sources, feature }
    }

    /// A white frame, a black one, and a row of masks.
    pub(super) fn of_masks(masks: &[f32]) -> Self {
        let mut scene = Self::new(0, (1, masks.len()), 3, &[1.0], false, Flow::Zero);
        scene.frames[0].as_mut_slice().fill(1.0);
        scene.frames[1].as_mut_slice().fill(0.0);
        let pixels = scene.sources[0].floats.as_mut_slice().chunks_exact_mut(ESTIMATE);
        pixels.zip(masks).for_each(|(pixel, mask)| pixel[4] = *mask);
        scene
    }

    /// The argument for the kernels.
    pub(super) fn frames(&self) -> Frames {
        Frames {
            at: self.frames.each_ref().map(Floats::as_ptr),
            row: self.width * self.lanes,
            lanes: self.lanes,
            height: self.height,
            width: self.width,
        }
    }

    /// The widths of all sources, for [`super::super::kernels::picture::scratch_len`].
    pub(super) fn widths(&self) -> impl Iterator<Item = usize> {
        self.sources.iter().chain(&self.feature).map(|s| s.width)
    }

    /// The sum of the estimates: flow of both frames, and the mask in lane 4.
    pub(super) fn estimates_before(&self, at: (usize, usize), lane: usize) -> Expected {
        let (mut value, mut magnitude) = (0.0, 0.0);
        for source in &self.sources {
            let (v, m) = source.at(self, at, lane);
            value += v;
            magnitude += m;
        }
        // Per axis a difference, a product and a sum; the factor; the sum of all.
        Expected::new(value, rounded(8 + self.sources.len(), 2.0 * magnitude))
    }

    /// A lane of the feature.
    pub(super) fn feature(&self, at: (usize, usize), lane: usize) -> Expected {
        let (value, magnitude) = self.feature.as_ref().unwrap().at(self, at, lane);
        Expected::new(value, rounded(8, 2.0 * magnitude))
    }

    /// A lane of one of the frames at its warped position; unwarped if there is no estimate.
    pub(super) fn warped(&self, side: usize, (y, x): (usize, usize), lane: usize) -> Expected {
        let sample = |y: usize, x: usize| {
            f64::from(self.frames[side].as_slice()[(y * self.width + x) * self.lanes + lane])
        };
        if self.sources.is_empty() {
            return Expected::new(sample(y, x), 0.0);
        }
        let along = |lane: usize, at: usize, len: usize| {
            let flow = self.estimates_before((y, x), lane);
            let (at, last) = (at as f64 + flow.value, (len - 1) as f64);
            let clamped = |at: f64| at.clamp(0.0, last);
            match flow.tolerance {
                f64::INFINITY => (clamped(at), f64::INFINITY),
                by => (clamped(at), clamped(at + by) - clamped(at - by)),
            }
        };
        let ((px, off_x), (py, off_y)) =
            (along(2 * side, x, self.width), along(2 * side + 1, y, self.height));
        if px.is_nan() || py.is_nan() {
            return Expected::new(f64::NAN, 0.0);
        }
        let (x0, y0) = (px.floor(), py.floor());
        let (fx, fy) = (px - x0, py - y0);
        let (x0, y0) = (x0 as usize, y0 as usize);
        let (x1, y1) = ((x0 + 1).min(self.width - 1), (y0 + 1).min(self.height - 1));
        let value = (1.0 - fy) * ((1.0 - fx) * sample(y0, x0) + fx * sample(y0, x1))
            + fy * ((1.0 - fx) * sample(y1, x0) + fx * sample(y1, x1));
        // Adjacent samples differ by at most 2, and are interpolated three times.
        Expected::new(value, 2.0 * (off_x + off_y) + rounded(9, 2.0))
    }
}
