//! RGB to YUV. Luma and horizontally subsampled chroma are computed row by row; vertically
//! subsampled chroma is computed when all rows are available.

use super::axis::{Axis, AxisSiting};
use super::decode::PIECE;
use super::{Sample, Scale, YuvFormat};
use crate::FrameSize;
use crate::frame::rounding::INTEGERS;

/// Converts RGB to the samples of a YUV frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoder {
    pub(crate) across: Axis,
    pub(crate) down: Axis,
    /// Whether the format has chroma.
    pub(crate) has_chroma: bool,
    scale: Scale,
}

/// Rounds to the nearest sample; NaN becomes 0.
#[inline]
fn nearest<T: Sample>(v: f32, most: f32) -> T {
    T::low_bits(v.max(0.0).min(most) + INTEGERS)
}

/// The weighted sum of red, green and blue.
#[inline]
fn weighted([r, g, b]: [f32; 3], by: [f32; 3]) -> f32 {
    r * by[0] + g * by[1] + b * by[2]
}

impl Encoder {
    pub(crate) fn new(size: FrameSize, format: YuvFormat) -> Self {
        let (across, down) = format.axes(size);
        let has_chroma = format.chroma_size(size).pixels() > 0;
        Self { across, down, has_chroma, scale: Scale::of(format) }
    }

    /// Whether chroma is subsampled vertically.
    pub(crate) fn is_subsampled_vertically(&self) -> bool {
        self.has_chroma && self.down.siting != AxisSiting::Every
    }

    /// The luma of a row of pixels.
    pub(crate) fn luma<T: Sample>(&self, [r, g, b]: [&[f32]; 3], to: &mut [T]) {
        let Scale { luma_zero: zero, luma_one: one, most, to_yuv: [by, ..], .. } = self.scale;
        for (to, ((r, g), b)) in to.iter_mut().zip(r.iter().zip(g).zip(b)) {
            *to = nearest(weighted([*r, *g, *b], by) * one + zero, most);
        }
    }

    /// The horizontally subsampled chroma of a row of pixels, in pieces: plane U (0) or V (1),
    /// first column, values.
    pub(crate) fn chroma(&self, rgb: [&[f32]; 3], mut take: impl FnMut(usize, usize, &[f32])) {
        let w = self.across.luma;
        let [r, g, b] = rgb.map(|row| &row[..w]);
        let of = |from: usize, until: usize, by: [f32; 3], to: &mut [f32]| {
            let colours = r[from..until].iter().zip(&g[from..until]).zip(&b[from..until]);
            for (to, ((r, g), b)) in to.iter_mut().zip(colours) {
                *to = weighted([*r, *g, *b], by);
            }
        };
        for x in (0..w).step_by(PIECE) {
            let n = PIECE.min(w - x);
            for (plane, by) in [self.scale.to_yuv[1], self.scale.to_yuv[2]].into_iter().enumerate()
            {
                // Include two columns before the piece and two after it, repeated at the border.
                let mut padded = [0.0; PIECE + 4];
                if self.across.siting == AxisSiting::Every {
                    of(x, x + n, by, &mut padded);
                    take(plane, x, &padded[..n]);
                    continue;
                }
                let (from, until) = (x.saturating_sub(2), (x + n + 2).min(w));
                let own = 2 + from - x..2 + until - x;
                of(from, until, by, &mut padded[own.clone()]);
                let (first, last) = (padded[own.start], padded[own.end - 1]);
                padded[..own.start].fill(first);
                padded[own.end..].fill(last);
                let subsampled = self.subsample(&padded, x + n == w);
                take(plane, x / 2, &subsampled[..n.div_ceil(2)]);
            }
        }
    }

    /// The chroma of every second column of a piece, see [`Axis::down`].
    fn subsample(&self, padded: &[f32; PIECE + 4], ends: bool) -> [f32; PIECE / 2] {
        // Split into even and odd columns, so that the loops below vectorize.
        let (mut even, mut odd) = ([0.0; PIECE / 2 + 2], [0.0; PIECE / 2 + 2]);
        for (pair, (even, odd)) in
            padded.as_chunks::<2>().0.iter().zip(even.iter_mut().zip(&mut odd))
        {
            (*even, *odd) = (pair[0], pair[1]);
        }
        let mut subsampled = [0.0; PIECE / 2];
        match self.across.siting {
            AxisSiting::Between => {
                for (i, to) in subsampled.iter_mut().enumerate() {
                    *to = odd[i] * -0.25
                        + even[i + 1] * 0.75
                        + odd[i + 1] * 0.75
                        + even[i + 2] * -0.25;
                }
                if ends && self.across.luma % 2 == 1 {
                    let i = self.across.luma % PIECE / 2;
                    subsampled[i] = odd[i] * -0.5 + even[i + 1] * 1.5;
                }
            }
            _ => {
                for (i, to) in subsampled.iter_mut().enumerate() {
                    *to = even[i] * -0.125
                        + odd[i] * 0.25
                        + even[i + 1] * 0.75
                        + odd[i + 1] * 0.25
                        + even[i + 2] * -0.125;
                }
            }
        }
        subsampled
    }

    /// Chroma samples from chroma values.
    pub(crate) fn samples<T: Sample>(&self, from: &[f32], to: &mut [T]) {
        let Scale { chroma_zero: zero, chroma_one: one, most, .. } = self.scale;
        to.iter_mut().zip(from).for_each(|(to, v)| *to = nearest(v * one + zero, most));
    }

    /// Row `i` of chroma samples, from consecutive rows of chroma values.
    pub(crate) fn subsampled_row<T: Sample>(&self, i: usize, rows: &[f32], to: &mut [T]) {
        let width = self.across.chroma();
        let Scale { chroma_zero: zero, chroma_one: one, most, .. } = self.scale;
        let taps = self.down.down(i);
        let [a, b, c, d, e] = taps.map(|(y, _)| &rows[y * width..][..width]);
        let by = taps.map(|(_, weight)| weight);
        let rows = a.iter().zip(b).zip(c).zip(d).zip(e);
        for (to, ((((a, b), c), d), e)) in to.iter_mut().zip(rows) {
            let sum = a * by[0] + b * by[1] + c * by[2] + d * by[3] + e * by[4];
            *to = nearest(sum * one + zero, most);
        }
    }
}
