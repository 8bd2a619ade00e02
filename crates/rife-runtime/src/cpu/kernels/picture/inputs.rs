//! The input of a block.

use std::ops::Range;

use super::{
    Corners, ESTIMATE, Estimates, Frames, MAX_SOURCES, Tap, mix_columns, mix_rows, sum_of,
};
use crate::cpu::lanes::{Eight, Isa, Joined, Lanes};

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
    /// [`super::scratch_len`] floats.
    pub(crate) scratch: *mut f32,
}

/// # Safety
/// The CPU supports the instructions of `I`. Estimates, taps and frames are as documented on their
/// fields and readable; no other thread accesses `scratch` and the part's pixels at `to`.
/// `to_pixel` has room for the vectors of both frames, 8 more with a feature, and 4 more with
/// estimates.
#[inline(always)]
pub(crate) unsafe fn inputs<I: Isa>(args: &Inputs<'_>) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        match args.frames.lanes + 1 {
            4 => inputs_of::<I, I::V4>(args),
            8 => inputs_of::<I, I::V8>(args),
            12 => inputs_of::<I, Joined<I::V8, I::V4>>(args),
            16 => inputs_of::<I, I::V16>(args),
            20 => inputs_of::<I, Joined<I::V16, I::V4>>(args),
            lanes => unreachable!("no vector of {lanes} lanes; see `pack::MAX_FEATURES`"),
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
            // SAFETY: the pixels are within the part.
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
            let mut lines = [[std::ptr::null::<f32>(); MAX_SOURCES]; 2];
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
                            let sum = sum_of::<I>(args.estimates, lines, *x, left);
                            let corners = Corners::new::<I>(sum.low(), *x, *y, &args.frames);
                            let weight = I::V8::splat(weight);
                            estimate = sum.mul_add(weight, estimate);
                            if let Some(source) = &args.feature {
                                let line = lines[args.estimates.len()];
                                let value = mix_columns::<I>(source, line, *x, left);
                                feature = value.mul_add(weight, feature);
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
