//! The final blending.

use super::{Corners, ESTIMATE, Estimates, Frames, MAX_SOURCES, mix_rows, sum_of};
use crate::cpu::lanes::{Eight, Isa, Lanes};
use crate::cpu::tensor::BLOCK;

/// Computes a row of the interpolated frame.
pub(crate) struct Blend<'a> {
    pub(crate) frames: Frames,
    pub(crate) estimates: &'a [Estimates<'a>],
    pub(crate) y: usize,
    /// The number of columns, from the left.
    pub(crate) columns: usize,
    /// Red, green and blue, each `columns` floats rounded up to 16.
    pub(crate) to: *mut f32,
    /// [`super::scratch_len`] floats.
    pub(crate) scratch: *mut f32,
}

/// # Safety
/// Same as for [`super::inputs`], for row `y`.
#[inline(always)]
pub(crate) unsafe fn blend<I: Isa>(args: &Blend<'_>) {
    let Blend { frames, estimates, y, columns, to, .. } = *args;
    let padded = columns.next_multiple_of(BLOCK);
    // SAFETY: guaranteed by the caller.
    unsafe {
        // Both samples of each pixel, then the masks.
        let samples = args.scratch;
        let masks = samples.add(8 * padded);
        let mut scratch = masks.add(padded);
        let mut lines = [std::ptr::null::<f32>(); MAX_SOURCES];
        for (line, source) in lines.iter_mut().zip(estimates) {
            *line = mix_rows::<I>(source, y, 0, columns - 1, &mut scratch);
        }
        for x in 0..columns {
            let sum = sum_of::<I>(estimates, &lines, x, 0);
            let corners = Corners::new::<I>(sum.low(), x, y, &frames);
            for side in 0..2 {
                let at = frames.at[side];
                let sample: I::V4 = corners.sample(at, frames.row, frames.lanes, side);
                sample.store(samples.add(8 * x + 4 * side));
            }
            let mut lanes = [0.0; ESTIMATE];
            sum.store(lanes.as_mut_ptr());
            masks.add(x).write(lanes[4]);
        }
        masks.add(columns).write_bytes(0, padded - columns);
        for x0 in (0..columns).step_by(BLOCK) {
            let mut weights = [0.0; BLOCK];
            sigmoid(I::V16::load(masks.add(x0))).store(weights.as_mut_ptr());
            for (x, weight) in (x0..columns.min(x0 + BLOCK)).zip(weights) {
                let first = I::V4::load(samples.add(8 * x));
                let second = I::V4::load(samples.add(8 * x + 4));
                let mut pixel = [0.0; 4];
                let mixed = first.sub(second).mul_add(I::V4::splat(weight), second);
                mixed.store(pixel.as_mut_ptr());
                for (channel, v) in pixel.into_iter().take(3).enumerate() {
                    to.add(channel * padded + x).write(v);
                }
            }
        }
    }
}

/// The logistic function, accurate to a few units in the last place.
#[inline(always)]
pub(crate) fn sigmoid<V: Lanes>(x: V) -> V {
    // exp(-x) as 2^n · exp(r), with |r| at most ln(2) / 2.
    const LIMIT: f32 = 87.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // SAFETY: a value of the type exists, so the CPU supports its instructions.
    let (zero, half, one, limit) =
        unsafe { (V::splat(0.0), V::splat(0.5), V::splat(1.0), V::splat(LIMIT)) };
    // SAFETY: as above.
    let (per_ln_2, high, low, mut e) = unsafe {
        let per_ln_2 = V::splat(std::f32::consts::LOG2_E);
        (per_ln_2, V::splat(-LN_2_HIGH), V::splat(-LN_2_LOW), V::splat(1.0 / 5040.0))
    };
    let x = zero.sub(x);
    let x = zero.sub(limit).max(limit.min(x));
    let n = x.mul_add(per_ln_2, half).floor();
    let r = n.mul_add(low, n.mul_add(high, x));
    // Taylor series in Horner's form; the next term is below 1e-8.
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        // SAFETY: as above.
        e = e.mul_add(r, unsafe { V::splat(c) });
    }
    one.div(e.mul_add(n.exp2_of_integer(), one))
}
