//! Kernels on pictures: the inputs of a block, and the final blending. Frames and estimates are
//! pixels of interleaved channels, so that a pixel is one vector.

use std::ops::Range;

use super::super::lanes::{Eight, Four, Isa, Lanes};
use super::super::tensor::BLOCK;
use crate::MAX_FLOW_PX;

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

/// Bilinear resampling along one axis from `from` samples to `to`, as PyTorch's `interpolate`
/// without `align_corners`.
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
    /// 3, or 7 with features: one less than the vector that a pixel is loaded as.
    pub(crate) lanes: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Computes a part of the input of a block: both frames, warped if there is flow, with the timestep
/// in the last lane of the first and the mask in the last lane of the second; then the feature and
/// the flow.
pub(crate) struct Inputs<'a> {
    pub(crate) frames: Frames,
    /// The estimates of the earlier blocks, which are summed.
    pub(crate) estimates: &'a [Estimates<'a>],
    /// The feature of the previous block, if any.
    pub(crate) feature: Option<Estimates<'a>>,
    /// Taps for each row and each column of the block's picture.
    pub(crate) down: &'a [Tap],
    pub(crate) across: &'a [Tap],
    pub(crate) timestep: f32,
    /// The factor of the flow.
    pub(crate) flow_scale: f32,
    /// Whether the frames are swapped.
    pub(crate) swapped: bool,
    /// The rows and columns to compute. Outside of the block's picture, the input is 0.
    pub(crate) rows: Range<isize>,
    pub(crate) columns: Range<isize>,
    pub(crate) to: *mut f32,
    /// Floats from row to row, and from pixel to pixel.
    pub(crate) to_row: usize,
    pub(crate) to_pixel: usize,
    /// [`scratch_len`] floats.
    pub(crate) scratch: *mut f32,
}

/// Computes a row of the interpolated frame.
pub(crate) struct Blend<'a> {
    pub(crate) frames: Frames,
    pub(crate) estimates: &'a [Estimates<'a>],
    pub(crate) y: usize,
    /// The number of columns, from the left.
    pub(crate) columns: usize,
    /// Red, green and blue, each `columns` floats rounded up to 16.
    pub(crate) to: *mut f32,
    /// [`scratch_len`] floats.
    pub(crate) scratch: *mut f32,
}

/// Floats of scratch memory for a frame of that width and for the given widths of the estimates,
/// including the feature.
pub(crate) fn scratch_len(widths: impl Iterator<Item = usize>, columns: usize) -> usize {
    let rows: usize = widths.map(|w| 2 * ESTIMATE * w).sum();
    rows + 9 * columns.next_multiple_of(BLOCK)
}

/// # Safety
/// The CPU supports the instructions of `I`. Estimates, taps and frames are as documented
/// on their fields and readable; no other thread accesses `scratch` and the part's pixels at `to`. `to_pixel` has room for the vectors of both frames, 8 more with a feature, and 4 more
/// with estimates.
#[inline(always)]
pub(crate) unsafe fn inputs<I: Isa>(args: &Inputs<'_>) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if args.frames.lanes < I::V4::N {
            inputs_of::<I, I::V4>(args);
        } else {
            inputs_of::<I, I::V8>(args);
        }
    }
}

/// # Safety
/// Same as for [`inputs`], with frames whose pixels have the lanes of `F`.
#[inline(always)]
unsafe fn inputs_of<I: Isa, F: Lanes>(args: &Inputs<'_>) {
    let (height, width) = (args.down.len() as isize, args.across.len() as isize);
    let inside = args.columns.start.max(0)..args.columns.end.min(width);
    for (i, by) in args.rows.clone().enumerate() {
        let to = args.to.wrapping_add(i * args.to_row);
        let zero = |columns: Range<isize>| {
            let at = (columns.start - args.columns.start) as usize * args.to_pixel;
            let len = (columns.end - columns.start) as usize * args.to_pixel;
            // SAFETY: within the part.
            unsafe { to.add(at).write_bytes(0, len) };
        };
        if by < 0 || by >= height || inside.is_empty() {
            zero(args.columns.clone());
            continue;
        }
        zero(args.columns.start..inside.start);
        zero(inside.end..args.columns.end);

        let down = args.down[by as usize];
        let rows = [(down.first as usize, 1.0 - down.weight), (down.second as usize, down.weight)];
        let rows = if down.weight == 0.0 { &rows[..1] } else { &rows[..] };
        let across = &args.across[inside.start as usize..inside.end as usize];
        let (left, right) = (across[0].first as usize, across[across.len() - 1].second as usize);
        // SAFETY: guaranteed by the caller, for the whole block.
        unsafe {
            let mut scratch = args.scratch;
            let sources = args.estimates.iter().chain(&args.feature);
            let mut lines = [[std::ptr::null::<f32>(); MOST_SOURCES]; 2];
            for (line, (y, _)) in lines.iter_mut().zip(rows) {
                for (line, source) in line.iter_mut().zip(sources.clone()) {
                    *line = mix_rows::<I>(source, *y, left, right, &mut scratch);
                }
            }
            for (bx, tap) in inside.clone().zip(across) {
                let zero = F::splat(0.0);
                let (mut first, mut second) = (zero, zero);
                let mut estimate = I::V8::splat(0.0);
                let mut feature = I::V8::splat(0.0);
                let columns =
                    [(tap.first as usize, 1.0 - tap.weight), (tap.second as usize, tap.weight)];
                let columns = if tap.weight == 0.0 { &columns[..1] } else { &columns[..] };
                for ((y, wy), lines) in rows.iter().zip(&lines) {
                    for (x, wx) in columns {
                        let weight = wy * wx;
                        let (a, b) = if args.estimates.is_empty() {
                            let at = y * args.frames.row + x * args.frames.lanes;
                            let [a, b] = args.frames.at;
                            (F::load(a.wrapping_add(at)), F::load(b.wrapping_add(at)))
                        } else {
                            let known = sum_of::<I>(args.estimates, lines, *x, left);
                            let corners = Corners::new::<I>(known.low(), *x, *y, &args.frames);
                            let weight = I::V8::splat(weight);
                            estimate = known.mul_add(weight, estimate);
                            if let Some(source) = &args.feature {
                                let line = lines[args.estimates.len()];
                                let known = mix_columns::<I>(source, line, *x, left);
                                feature = known.mul_add(weight, feature);
                            }
                            let Frames { at, row, lanes, .. } = args.frames;
                            (
                                corners.sample::<F>(at[0], row, lanes, 0),
                                corners.sample::<F>(at[1], row, lanes, 1),
                            )
                        };
                        let weight = F::splat(weight);
                        first = a.mul_add(weight, first);
                        second = b.mul_add(weight, second);
                    }
                }
                let mut to = to.add((bx - args.columns.start) as usize * args.to_pixel);
                let mut lanes = [0.0; ESTIMATE];
                estimate.mul(I::V8::splat(args.flow_scale)).store(lanes.as_mut_ptr());
                let mut mask = lanes[4] * (1.0 / args.flow_scale);
                let mut flow = [lanes[0], lanes[1], lanes[2], lanes[3]];
                let mut timestep = args.timestep;
                if args.swapped {
                    (first, second) = (second, first);
                    flow = [flow[2], flow[3], flow[0], flow[1]];
                    (mask, timestep) = (-mask, 1.0 - timestep);
                }
                first.store(to);
                to.add(F::N - 1).write(timestep);
                to = to.add(F::N);
                second.store(to);
                // Without a mask, no weight reads this lane, but the value of the next pixel must
                // not remain in it.
                to.add(F::N - 1).write(mask);
                to = to.add(F::N);
                if args.estimates.is_empty() {
                    continue;
                }
                if args.feature.is_some() {
                    feature.store(to);
                    to = to.add(ESTIMATE);
                }
                to.cast::<[f32; 4]>().write_unaligned(flow);
            }
        }
    }
}

/// The most estimates, and a feature.
const MOST_SOURCES: usize = 8;

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
    lines: &[*const f32; MOST_SOURCES],
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

    /// The first lanes of the frame at the position, for pixels of `lanes` floats.
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

/// # Safety
/// Same as for [`inputs`], for row `y`.
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
        let mut lines = [std::ptr::null::<f32>(); MOST_SOURCES];
        for (line, source) in lines.iter_mut().zip(estimates) {
            *line = mix_rows::<I>(source, y, 0, columns - 1, &mut scratch);
        }
        for x in 0..columns {
            let known = sum_of::<I>(estimates, &lines, x, 0);
            let corners = Corners::new::<I>(known.low(), x, y, &frames);
            for side in 0..2 {
                let at = frames.at[side];
                let sample: I::V4 = corners.sample(at, frames.row, frames.lanes, side);
                sample.store(samples.add(8 * x + 4 * side));
            }
            let mut lanes = [0.0; ESTIMATE];
            known.store(lanes.as_mut_ptr());
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
