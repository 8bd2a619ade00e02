//! YUV to RGB, in pieces of a row that stay in the L1 cache, without allocation.

use super::axis::{Axis, AxisSiting};
use super::{Sample, Scale, YuvFormat};
use crate::FrameSize;
use crate::frame::rounding::unit;

/// Columns per piece. Even, so that a piece has its own chroma samples.
pub(crate) const PIECE: usize = 256;

/// Reads a YUV frame as RGB.
pub(crate) struct Decoder<'a, T> {
    size: FrameSize,
    across: Axis,
    down: Axis,
    scale: Scale,
    luma: &'a [T],
    /// U and V; empty if the frame is gray.
    chroma: [&'a [T]; 2],
}

impl<'a, T: Sample> Decoder<'a, T> {
    /// # Panics
    /// If there are too few samples for the frame.
    pub(crate) fn new(size: FrameSize, format: YuvFormat, samples: &'a [T]) -> Self {
        let (luma, chroma) = samples.split_at(size.pixels());
        let plane = format.chroma_size(size).pixels();
        let (u, v) = chroma[..2 * plane].split_at(plane);
        let (across, down) = format.axes(size);
        Self { size, across, down, scale: Scale::of(format), luma, chroma: [u, v] }
    }

    /// Writes row `y` as red, green and blue in [0, 1].
    ///
    /// # Panics
    /// If the frame has no such row, or the given rows are too short.
    pub(crate) fn row(&self, y: usize, rgb: [&mut [f32]; 3]) {
        let w = self.size.width;
        let [r, g, b] = rgb.map(|row| row[..w].chunks_mut(PIECE));
        for (i, ((r, g), b)) in r.zip(g).zip(b).enumerate() {
            self.piece(y, PIECE * i, [r, g, b]);
        }
    }

    /// Writes row `y` to the first three lanes of pixels of `lanes` floats.
    ///
    /// # Panics
    /// If the frame has no such row, or `pixels` is not as wide as the frame.
    pub(crate) fn pixels(&self, y: usize, pixels: &mut [f32], lanes: usize) {
        assert_eq!(pixels.len(), self.size.width * lanes, "the row does not fit the frame");
        let [mut r, mut g, mut b] = [[0.0; PIECE]; 3];
        for (i, pixels) in pixels.chunks_mut(PIECE * lanes).enumerate() {
            let n = pixels.len() / lanes;
            self.piece(y, PIECE * i, [&mut r[..n], &mut g[..n], &mut b[..n]]);
            let colours = r.iter().zip(&g).zip(&b);
            for (to, ((r, g), b)) in pixels.chunks_exact_mut(lanes).zip(colours) {
                (to[0], to[1], to[2]) = (*r, *g, *b);
            }
        }
    }

    /// Writes the columns from `x` on, at most [`PIECE`].
    fn piece(&self, y: usize, x: usize, rgb: [&mut [f32]; 3]) {
        let [r, g, b] = rgb;
        let n = r.len();
        let luma = &self.luma[y * self.size.width + x..][..n];
        let Scale { luma_zero, per_luma, to_rgb: [red, green, blue], .. } = self.scale;
        if self.chroma[0].is_empty() {
            for (((r, g), b), luma) in r.iter_mut().zip(g).zip(b).zip(luma) {
                let v = unit((luma.float() - luma_zero) * per_luma);
                (*r, *g, *b) = (v, v, v);
            }
            return;
        }
        let (mut u, mut v) = ([0.0; PIECE], [0.0; PIECE]);
        self.chroma_of(self.chroma[0], y, x, &mut u[..n]);
        self.chroma_of(self.chroma[1], y, x, &mut v[..n]);
        let pixels = r.iter_mut().zip(g).zip(b).zip(luma).zip(u.iter().zip(&v));
        for ((((r, g), b), luma), (u, v)) in pixels {
            let luma = (luma.float() - luma_zero) * per_luma;
            *r = unit(luma + (red[0] * u + red[1] * v));
            *g = unit(luma + (green[0] * u + green[1] * v));
            *b = unit(luma + (blue[0] * u + blue[1] * v));
        }
    }

    /// Chroma at the columns from `x` on, in samples from its zero. Exact: the weights are
    /// quarters, so a sample has at most four binary places.
    fn chroma_of(&self, plane: &[T], y: usize, x: usize, to: &mut [f32]) {
        let width = self.across.chroma();
        let zero = self.scale.chroma_zero;
        let [(above, over), (below, under)] = self.down.up(y);
        let row = |y: usize| &plane[y * width..][..width];
        let (above, below) = (row(above), row(below));
        if self.across.siting == AxisSiting::Every {
            // Chroma that is not subsampled horizontally is not subsampled vertically either.
            let above = &above[x..][..to.len()];
            to.iter_mut().zip(above).for_each(|(to, v)| *to = v.float() - zero);
            return;
        }
        // Include one column before the piece and one after it, repeated at the border.
        let mut padded = [0.0; PIECE / 2 + 2];
        let (first, n) = (x / 2, to.len().div_ceil(2));
        let (from, until) = (first.saturating_sub(1), (first + n + 1).min(width));
        let own = &mut padded[1 + from - first..1 + until - first];
        let rows = above[from..until].iter().zip(&below[from..until]);
        if under == 0.0 {
            own.iter_mut().zip(rows).for_each(|(to, (v, _))| *to = v.float() - zero);
        } else {
            own.iter_mut()
                .zip(rows)
                .for_each(|(to, (a, b))| *to = (a.float() * over + b.float() * under) - zero);
        }
        if first == 0 {
            padded[0] = padded[1];
        }
        if until == first + n {
            padded[n + 1] = padded[n];
        }
        let (before, own, after) = (&padded[..n], &padded[1..=n], &padded[2..n + 2]);
        let around = before.iter().zip(own).zip(after);
        let (pairs, last) = to.as_chunks_mut::<2>();
        match self.across.siting {
            AxisSiting::Between => {
                for (to, ((before, own), after)) in pairs.iter_mut().zip(around) {
                    *to = [0.25 * before + 0.75 * own, 0.75 * own + 0.25 * after];
                }
                if let [last] = last {
                    *last = 0.25 * before[n - 1] + 0.75 * own[n - 1];
                }
            }
            _ => {
                for (to, ((_, own), after)) in pairs.iter_mut().zip(around) {
                    *to = [*own, 0.5 * (own + after)];
                }
                if let [last] = last {
                    *last = own[n - 1];
                }
            }
        }
    }
}
