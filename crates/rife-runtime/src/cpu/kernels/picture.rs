//! Kernels on pictures: the inputs of a block, and the final blending. Both sample frames and
//! estimates, which are pixels of interleaved channels, so that a pixel is one vector.

mod blend;
mod inputs;

use super::super::lanes::{Four, Isa, Lanes};
use super::super::tensor::BLOCK;
use crate::MAX_FLOW_PX;

pub(crate) use blend::{Blend, blend};
pub(crate) use inputs::{Inputs, inputs};

/// Floats of a pixel of an [`Estimates`].
pub(crate) const ESTIMATE: usize = 8;

/// The two samples of a linear interpolation along one axis, for one position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tap {
    /// The two samples.
    pub(crate) first: u32,
    pub(crate) second: u32,
    /// The weight of the second sample. The weight of the first one is 1 minus this.
    pub(crate) weight: f32,
}

/// Bilinear resampling along one axis from `from` samples to `to`, like PyTorch's `interpolate`
/// with `align_corners=False`.
pub(crate) fn taps(from: usize, to: usize) -> Vec<Tap> {
    let step = from as f64 / to as f64;
    let tap = |i: usize| {
        let at = ((i as f64 + 0.5) * step - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        let weight = (at - first as f64) as f32;
        // Do not read a sample with weight 0: it may be NaN or outside.
        let second = if weight == 0.0 { first } else { (first + 1).min(from - 1) };
        Tap { first: first as u32, second: second as u32, weight }
    };
    (0..to).map(tap).collect()
}

/// The estimate of a block, 8 floats per pixel: flow to each frame in px of the frame, the mask,
/// and three zeros; or its feature.
#[derive(Clone, Copy)]
pub(crate) struct Estimates<'a> {
    /// The first pixel of row 0. The row need not exist if no tap reads it.
    pub(crate) at: *const f32,
    /// Floats from row to row.
    pub(crate) row: usize,
    /// Taps for each row and each column of the frame.
    pub(crate) down: &'a [Tap],
    pub(crate) across: &'a [Tap],
    /// The factor of each lane.
    pub(crate) keep: [f32; ESTIMATE],
}

/// The two frames: pixels of `lanes` floats, RGB first, zeros in the padding, and one float after
/// the last pixel.
#[derive(Clone, Copy)]
pub(crate) struct Frames {
    pub(crate) at: [*const f32; 2],
    /// Floats from row to row.
    pub(crate) row: usize,
    /// 3, and a multiple of 4 for features: one less than the vector that a pixel is loaded as.
    pub(crate) lanes: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Floats of scratch memory for a row of `columns` pixels and sources (estimates and the feature)
/// of `widths`.
pub(crate) fn scratch_len(widths: impl Iterator<Item = usize>, columns: usize) -> usize {
    let rows: usize = widths.map(|w| 2 * ESTIMATE * w).sum();
    rows + 9 * columns.next_multiple_of(BLOCK)
}

/// The most sources: estimates and a feature.
const MAX_SOURCES: usize = 8;

/// Interpolates between the two rows of a source around row `y` of the frame, from the first sample
/// of column `left` to the last of column `right`, into scratch memory, which it advances.
///
/// # Safety
/// Same as for [`inputs`].
#[inline(always)]
unsafe fn mix_rows<I: Isa>(
    source: &Estimates<'_>,
    y: usize,
    left: usize,
    right: usize,
    scratch: &mut *mut f32,
) -> *const f32 {
    let (first, last) = (source.across[left].first as usize, source.across[right].second as usize);
    let tap = source.down[y];
    // SAFETY: guaranteed by the caller; taps point into the picture.
    unsafe {
        let row = |y: u32| source.at.wrapping_add(y as usize * source.row + first * ESTIMATE);
        let (above, below) = (row(tap.first), row(tap.second));
        let (keep, weight) = (I::V8::load(source.keep.as_ptr()), I::V8::splat(tap.weight));
        let to = *scratch;
        for i in 0..=last - first {
            let (a, b) =
                (I::V8::load(above.add(i * ESTIMATE)), I::V8::load(below.add(i * ESTIMATE)));
            b.sub(a).mul_add(weight, a).mul(keep).store(to.add(i * ESTIMATE));
        }
        *scratch = to.add((last - first + 1) * ESTIMATE);
        to
    }
}

/// Interpolates between the two samples of a line of [`mix_rows`] around column `x` of the frame.
///
/// # Safety
/// Same as for [`inputs`]; the line was computed for columns from `left` to at least `x`.
#[inline(always)]
unsafe fn mix_columns<I: Isa>(
    source: &Estimates<'_>,
    line: *const f32,
    x: usize,
    left: usize,
) -> I::V8 {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let base = source.across.get_unchecked(left).first;
        let tap = source.across.get_unchecked(x);
        let a = I::V8::load(line.add((tap.first - base) as usize * ESTIMATE));
        let b = I::V8::load(line.add((tap.second - base) as usize * ESTIMATE));
        b.sub(a).mul_add(I::V8::splat(tap.weight), a)
    }
}

/// The sum of the earlier blocks' estimates at a pixel of the frame.
///
/// # Safety
/// Same as for [`mix_columns`], for each estimate and its line.
#[inline(always)]
unsafe fn sum_of<I: Isa>(
    estimates: &[Estimates<'_>],
    lines: &[*const f32; MAX_SOURCES],
    x: usize,
    left: usize,
) -> I::V8 {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut sum = I::V8::splat(0.0);
        for (source, line) in estimates.iter().zip(lines) {
            sum = sum.add(mix_columns::<I>(source, *line, x, left));
        }
        sum
    }
}

/// Linear interpolation from `a` to `b`.
#[inline(always)]
fn mix<V: Lanes>(a: V, b: V, f: V) -> V {
    b.sub(a).mul_add(f, a)
}

/// The pixels around the sampling position in both frames.
struct Corners {
    /// Left, top; left, top.
    near: [i32; 4],
    /// Right, bottom; right, bottom.
    far: [i32; 4],
    /// The distance from the near pixels.
    fraction: [f32; 4],
}

impl Corners {
    /// # Safety
    /// The CPU supports the instructions of `I`.
    #[inline(always)]
    unsafe fn new<I: Isa>(flow: I::V4, x: usize, y: usize, frames: &Frames) -> Self {
        let (x, y) = (x as f32, y as f32);
        let (right, bottom) = ((frames.width - 1) as f32, (frames.height - 1) as f32);
        // SAFETY: guaranteed by the caller.
        unsafe {
            let zero = I::V4::splat(0.0);
            let position = I::V4::load([x, y, x, y].as_ptr());
            let last = I::V4::load([right, bottom, right, bottom].as_ptr());
            // NaN remains in the fraction, and the first pixel is read.
            let flow = I::V4::splat(MAX_FLOW_PX).min(flow);
            let flow = I::V4::splat(-MAX_FLOW_PX).max(flow);
            let whole = flow.floor();
            let pixel = whole.add(position);
            let mut fraction = [0.0; 4];
            flow.sub(whole).zero_where_negative(pixel).store(fraction.as_mut_ptr());
            let near = pixel.max(zero).min(last);
            let far = near.add(I::V4::splat(1.0)).min(last);
            Self { near: near.to_i32(), far: far.to_i32(), fraction }
        }
    }

    /// Samples the first lanes of the frame at the position, for pixels of `lanes` floats.
    ///
    /// # Safety
    /// The frame is readable, and has the size that the corners were computed for.
    #[inline(always)]
    unsafe fn sample<F: Lanes>(&self, at: *const f32, row: usize, lanes: usize, side: usize) -> F {
        let i = 2 * side;
        let (left, right) = (self.near[i] as usize * lanes, self.far[i] as usize * lanes);
        // SAFETY: corners are within the frame.
        unsafe {
            let top = at.add(self.near[i + 1] as usize * row);
            let bottom = at.add(self.far[i + 1] as usize * row);
            let (fx, fy) = (F::splat(self.fraction[i]), F::splat(self.fraction[i + 1]));
            let above = mix(F::load(top.add(left)), F::load(top.add(right)), fx);
            let below = mix(F::load(bottom.add(left)), F::load(bottom.add(right)), fx);
            mix(above, below, fy)
        }
    }
}
