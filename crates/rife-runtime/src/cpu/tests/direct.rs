//! Validates direct convolutions with their definition.

use std::ops::Range;

use super::super::kernels::direct::{Direct, Epilogue, Pixels, Place};
use super::super::kernels::{Kernels, group};
use super::super::pack::TAPS;
use super::super::tensor::{BLOCK, Floats};
use super::{Expected, Kind, Numbers, Output, each_level, leaky, or_under_miri, rounded};

/// The epilogue.
#[derive(Clone, Copy, Debug, PartialEq)]
enum To {
    Leaky,
    Residual,
    Quarters,
    QuartersAndEights,
    Whole,
    Singles,
}

/// A convolution and its random data.
#[derive(Clone, Debug)]
struct Case {
    to: To,
    vectors: usize,
    /// Channels of a segment, and floats of a pixel.
    len: usize,
    pixel: usize,
    planes: usize,
    taps: usize,
    stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    kind: Kind,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            to: To::Leaky,
            vectors: 1,
            len: or_under_miri(BLOCK, 3),
            pixel: BLOCK,
            planes: 1,
            taps: or_under_miri(9, 2),
            stride: 1,
            rows: 0..2,
            columns: 0..5,
            kind: Kind::Usual,
        }
    }
}

/// Reorders published weights `[output][segment][channel]` for the kernel.
pub(super) fn ordered(
    weights: &[f32],
    segments: usize,
    len: usize,
    vectors: usize,
    most: usize,
) -> Floats {
    let of_a_group = group(most, vectors);
    let mut all = Floats::zeros(weights.len()).unwrap();
    let mut to = all.as_mut_slice().iter_mut();
    for first in (0..vectors).step_by(of_a_group) {
        for (segment, channel) in (0..segments).flat_map(|s| (0..len).map(move |c| (s, c))) {
            for output in first * BLOCK..(first + of_a_group) * BLOCK {
                *to.next().unwrap() = weights[(output * segments + segment) * len + channel];
            }
        }
    }
    all
}

impl Case {
    fn check(&self, kernels: &Kernels) {
        let mut numbers = Numbers(self.vectors as u64 * 1000 + self.columns.end as u64);
        let (rows, columns, stride) = (&self.rows, &self.columns, self.stride);
        // The source has a margin of one pixel, and everything that the last output reads.
        let src_columns = stride * columns.end + 2;
        let src_row = src_columns * self.pixel;
        let src_plane = (stride * rows.end + 2) * src_row;
        let src = numbers.floats(self.planes * src_plane, self.kind);
        let origin = src_row + self.pixel;
        let segments: Vec<isize> = TAPS[..self.taps]
            .iter()
            .map(|(y, x)| y * src_row as isize + x * self.pixel as isize)
            .flat_map(|tap| (0..self.planes).map(move |p| tap + (p * src_plane) as isize))
            .collect();
        let outputs = self.vectors * BLOCK;
        let finite = match self.kind {
            Kind::NotFinite | Kind::Denormal => Kind::Usual,
            kind => kind,
        };
        let published = numbers.floats(outputs * segments.len() * self.len, finite);
        let published = published.as_slice();
        let weights = ordered(
            published,
            segments.len(),
            self.len,
            self.vectors,
            kernels.level.most_vectors(),
        );
        let bias = numbers.floats(outputs, finite);

        // Output memory with gaps between rows and planes.
        let place = Place {
            at: std::ptr::null_mut(),
            row: (columns.end + 1) * BLOCK,
            plane: (rows.end + 1) * (columns.end + 1) * BLOCK,
        };
        let add = numbers.floats(self.vectors * place.plane, self.kind);
        let step = if self.to == To::Singles { 4 } else { 2 };
        let pixel = if self.to == To::Whole { self.vectors * BLOCK + 3 } else { 8 };
        let pixels =
            Pixels { at: std::ptr::null_mut(), row: (step * columns.end + 1) * pixel, pixel, step };
        let of_pixels = (step * rows.end + 1) * pixels.row;
        let in_maps = matches!(self.to, To::Leaky | To::Residual);
        let mut out = Output::new(if in_maps { self.vectors * place.plane } else { of_pixels });
        let mut eights = Output::new(of_pixels);

        let place = Place { at: out.at(), ..place };
        let quarters = Pixels { at: out.at(), ..pixels };
        let args = Direct {
            src: src.as_ptr().wrapping_add(origin),
            src_row: stride * src_row,
            src_column: stride * self.pixel,
            segments: &segments,
            len: self.len,
            weights: weights.as_ptr(),
            bias: bias.as_ptr(),
            vectors: self.vectors,
            rows: rows.clone(),
            columns: columns.clone(),
            to: match self.to {
                To::Leaky => Epilogue::Leaky(place),
                To::Residual => Epilogue::Residual { place, add: add.as_ptr() },
                To::Quarters => Epilogue::Quarters(quarters),
                To::QuartersAndEights => {
                    let eights = Pixels { at: eights.at(), ..pixels };
                    Epilogue::QuartersAndEights { quarters, eights }
                }
                To::Singles => Epilogue::Singles(quarters),
                To::Whole => Epilogue::Whole(quarters),
            },
        };
        // SAFETY: the source has a margin for every tap, and the output memory has room for every
        // output.
        unsafe { (kernels.direct)(&args) };

        for (y, x, output) in rows.clone().flat_map(|y| {
            columns.clone().flat_map(move |x| (0..outputs).map(move |output| (y, x, output)))
        }) {
            let at = origin + stride * (y * src_row + x * self.pixel);
            let mut sum = f64::from(bias.as_slice()[output]);
            let mut magnitude = sum.abs();
            for (s, segment) in segments.iter().enumerate() {
                for c in 0..self.len {
                    let v = src.as_slice()[at.wrapping_add_signed(*segment) + c];
                    let w = published[(output * segments.len() + s) * self.len + c];
                    let product = f64::from(v) * f64::from(w);
                    sum += product;
                    magnitude += product.abs();
                }
            }
            let (vector, lane) = (output / BLOCK, output % BLOCK);
            let in_map = y * place.row + x * BLOCK + vector * place.plane + lane;
            if self.to == To::Residual {
                let added = f64::from(add.as_slice()[in_map]);
                sum += added;
                magnitude += added.abs();
            }
            // A product and a sum per term, and the epilogue.
            let tolerance = rounded(2 * segments.len() * self.len + 3, magnitude);
            let of_pixel = |dy: usize, dx: usize| {
                (step * y + dy) * pixels.row + (step * x + dx) * pixels.pixel
            };
            match (self.to, vector) {
                (To::Leaky | To::Residual, _) => {
                    out.expect(in_map, Expected::new(leaky(sum), tolerance));
                }
                (To::Quarters, _) | (To::QuartersAndEights, 0) => {
                    let at = of_pixel(lane / 8, lane / 4 % 2) + 4 * vector + lane % 4;
                    out.expect(at, Expected::new(sum, tolerance));
                }
                (To::QuartersAndEights, _) => {
                    let at = of_pixel(vector - 1, lane / 8) + lane % 8;
                    eights.expect(at, Expected::new(sum, tolerance));
                }
                (To::Whole, _) => {
                    out.expect(of_pixel(0, 0) + output, Expected::new(sum, tolerance));
                }
                (To::Singles, _) => {
                    let at = of_pixel(lane / 4, lane % 4);
                    out.expect(at, Expected::new(sum, tolerance));
                    (1..4).for_each(|i| out.expect(at + i, Expected::exactly(0.0)));
                }
            }
        }
        let what = format!("{} {self:?}", kernels.level);
        out.check(&what);
        eights.check(&what);
    }
}

#[test]
fn any_number_of_vectors_and_columns_matches() {
    for kernels in each_level() {
        for vectors in 1..=or_under_miri(12, 2) {
            for columns in 1..=or_under_miri(27, 4) {
                let (planes, len, taps) = (1, 3, 2);
                let case =
                    Case { vectors, planes, len, taps, columns: 0..columns, ..Case::default() };
                case.check(&kernels);
            }
        }
    }
}

#[test]
fn every_epilogue_matches_for_every_kind_of_numbers() {
    let tos = [
        (To::Leaky, 2),
        (To::Residual, 4),
        (To::Quarters, 1),
        (To::Quarters, 2),
        (To::QuartersAndEights, 3),
        (To::Singles, 1),
        (To::Whole, 1),
        (To::Whole, 2),
    ];
    for kernels in each_level() {
        for (to, vectors) in tos {
            for kind in Kind::ALL.into_iter().take(or_under_miri(Kind::ALL.len(), 1)) {
                let (planes, columns) = if cfg!(miri) { (1, 0..3) } else { (3, 0..13) };
                Case { to, vectors, kind, planes, columns, ..Case::default() }.check(&kernels);
            }
        }
    }
}

#[test]
fn any_stride_pixel_size_and_range_matches() {
    for kernels in each_level() {
        let all =
            [(2, 8, 3), (2, 4, 3), (1, 16, 16), (2, 16, 16), (2, 8, 8), (2, 12, 12), (2, 28, 28)];
        for (stride, pixel, len) in all.into_iter().take(or_under_miri(all.len(), 1)) {
            for columns in [0..7, 3..10, 5..6] {
                let case = Case { stride, pixel, len, columns, rows: 1..3, ..Case::default() };
                Case { vectors: or_under_miri(6, 1), ..case }.check(&kernels);
            }
        }
    }
}

#[test]
fn empty_range_writes_nothing() {
    for kernels in each_level() {
        Case { rows: 2..2, ..Case::default() }.check(&kernels);
        Case { columns: 3..3, ..Case::default() }.check(&kernels);
    }
}

#[test]
fn group_is_the_largest_divisor_that_fits() {
    for most in 1..=4 {
        for vectors in 1..=24 {
            let largest = (1..=most).filter(|g| vectors % g == 0).max();
            assert_eq!(Some(group(most, vectors)), largest, "{vectors} vectors, {most} at most");
        }
    }
}
