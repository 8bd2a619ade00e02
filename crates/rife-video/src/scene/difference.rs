//! Mean difference of two frames.

use rife_runtime::{Frame, FrameSize, PixelFormat};

use super::samples::{Samples, level};

/// Mean absolute difference of luma (of all samples for RGB), in percent of the range; 0 if the
/// formats differ.
pub(super) fn difference(a: &Frame, b: &Frame) -> f64 {
    let count = match a.format() {
        PixelFormat::Yuv(_) => a.size().pixels(),
        _ => 3 * a.size().pixels(),
    };
    measure(a, b, &Mean(count))
}

/// The largest [`difference`] of a block: a small part may change much although the mean hardly
/// changes.
pub(super) fn largest_difference(a: &Frame, b: &Frame) -> f64 {
    measure(a, b, &Largest(Blocks::of(a.size(), a.format())))
}

/// A measure of how far samples are apart, in percent of the range of `depth` bits.
trait Measure {
    fn of<T: Copy>(&self, a: &[T], b: &[T], depth: u8, apart: impl Fn(T, T) -> u32 + Copy) -> f64;
}

fn measure(a: &Frame, b: &Frame, measure: &impl Measure) -> f64 {
    let (Some(x), Some(y)) = (Samples::of(a), Samples::of(b)) else { return 0.0 };
    let depth = x.depth(a.format());
    match (x, y) {
        (Samples::Eight(x), Samples::Eight(y)) => {
            measure.of(x, y, depth, |x, y| u32::from(x.abs_diff(y)))
        }
        (Samples::Sixteen(x), Samples::Sixteen(y)) => {
            measure.of(x, y, depth, |x, y| u32::from(x.abs_diff(y)))
        }
        (Samples::Half(x), Samples::Half(y)) => {
            measure.of(x, y, depth, |x, y| u32::from(level(x.to_f32()).abs_diff(level(y.to_f32()))))
        }
        (Samples::Single(x), Samples::Single(y)) => {
            measure.of(x, y, depth, |x, y| u32::from(level(x).abs_diff(level(y))))
        }
        _ => 0.0,
    }
}

fn percent(sum: u64, count: usize, depth: u8) -> f64 {
    100.0 * sum as f64 / (count.max(1) as f64 * f64::from((1u32 << depth) - 1))
}

/// Mean over the first samples, of this number.
struct Mean(usize);

impl Measure for Mean {
    fn of<T: Copy>(&self, a: &[T], b: &[T], depth: u8, apart: impl Fn(T, T) -> u32 + Copy) -> f64 {
        // In chunks whose sum fits 32 bits, which vectorizes.
        const CHUNK: usize = 1 << 15;
        let count = self.0.min(a.len()).min(b.len());
        let (a, b) = (a[..count].chunks(CHUNK), b[..count].chunks(CHUNK));
        let chunks =
            a.zip(b).map(|(a, b)| a.iter().zip(b).map(|(x, y)| apart(*x, *y)).sum::<u32>());
        percent(chunks.map(u64::from).sum(), count, depth)
    }
}

/// Largest mean of a block.
struct Largest(Blocks);

/// A division of the samples into blocks of about the same size.
struct Blocks {
    /// Samples per row, and number of rows.
    row: usize,
    rows: usize,
    columns: usize,
    lines: usize,
}

impl Blocks {
    /// Blocks along the shorter side of a large frame.
    const ALONG_SIDE: usize = 45;

    /// Minimum side of a block, in px, so that noise averages out.
    const MIN_SIDE_PX: usize = 8;

    fn of(size: FrameSize, format: PixelFormat) -> Self {
        use PixelFormat as F;
        let side = (size.width.min(size.height) / Self::ALONG_SIDE).max(Self::MIN_SIDE_PX);
        let blocks = |px: usize| (px / side).max(1);
        let (columns, lines) = (blocks(size.width), blocks(size.height));
        let (row, rows, lines) = match format {
            F::Yuv(_) => (size.width, size.height, lines),
            F::Planar8 | F::Planar16 | F::PlanarF16 | F::PlanarF32 => {
                (size.width, 3 * size.height, 3 * lines)
            }
            F::Rgb8 | F::Rgb16 | F::RgbF16 | F::RgbF32 => (3 * size.width, size.height, lines),
        };
        Self { row, rows, columns, lines }
    }
}

impl Measure for Largest {
    fn of<T: Copy>(&self, a: &[T], b: &[T], depth: u8, apart: impl Fn(T, T) -> u32 + Copy) -> f64 {
        let Blocks { row, rows, columns, lines } = self.0;
        let mut largest = 0.0f64;
        let mut sums = vec![0u64; columns];
        for line in 0..lines {
            let (top, bottom) = (line * rows / lines, (line + 1) * rows / lines);
            sums.fill(0);
            for y in top..bottom {
                let samples = y * row..(y + 1) * row;
                let (Some(a), Some(b)) = (a.get(samples.clone()), b.get(samples)) else { break };
                for (column, sum) in sums.iter_mut().enumerate() {
                    let part = column * row / columns..(column + 1) * row / columns;
                    let pairs = a[part.clone()].iter().zip(&b[part]);
                    *sum += u64::from(pairs.map(|(x, y)| apart(*x, *y)).sum::<u32>());
                }
            }
            for (column, sum) in sums.iter().enumerate() {
                let width = (column + 1) * row / columns - column * row / columns;
                largest = largest.max(percent(*sum, width * (bottom - top), depth));
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_runtime::{Chroma, Matrix, Siting, YuvFormat};

    #[test]
    fn difference_is_the_same_in_every_rgb_format() {
        let size = FrameSize::new(4, 3);
        let frame = |first: u8| Frame::rgb8(size, (first..first + 36).collect()).unwrap();
        let (a, b) = (frame(10), frame(61));
        for format in PixelFormat::RGB {
            let got = difference(&a.converted(format).unwrap(), &b.converted(format).unwrap());
            assert!((got - 20.0).abs() < 0.01, "{format:?}: {got}");
        }
        assert_eq!(difference(&a, &b.converted(PixelFormat::Rgb16).unwrap()), 0.0);
    }

    #[test]
    fn largest_difference_finds_a_small_change_in_every_format() {
        let size = FrameSize::new(200, 100);
        let format = YuvFormat {
            chroma: Chroma::Yuv420,
            depth: 8,
            matrix: Matrix::Bt709,
            full_range: true,
            siting: Siting::Left,
        };
        let yuv = |samples: Vec<u8>| Frame::yuv8(size, format, samples).unwrap();
        let samples =
            |luma: Vec<u8>| [luma, vec![128; format.samples(size) - size.pixels()]].concat();
        let a = yuv(samples(vec![50; size.pixels()]));
        // A block of 8 x 8 px of another brightness, at the end of a line and of the picture.
        let changed = |left: usize, top: usize| {
            let mut luma = vec![50; size.pixels()];
            for y in top..top + 8 {
                luma[y * 200 + left..y * 200 + left + 8].fill(203);
            }
            yuv(samples(luma))
        };
        for (left, top) in [(0, 0), (192, 8), (96, 64), (192, 92), (61, 37)] {
            let b = changed(left, top);
            assert!(difference(&a, &b) < 0.2);
            let largest = largest_difference(&a, &b);
            // A block that is not aligned is shared by up to four blocks of the measure.
            assert!((14.0..=60.1).contains(&largest), "{left} {top}: {largest}");
            let (a, b) = (a.converted(PixelFormat::Rgb8).unwrap(), b.converted(PixelFormat::Rgb8));
            let b = b.unwrap();
            for format in PixelFormat::RGB {
                let (a, b) = (a.converted(format).unwrap(), b.converted(format).unwrap());
                let got = largest_difference(&a, &b);
                assert!((got - largest).abs() < 0.5, "{format:?}: {got} {largest}");
                assert_eq!(largest_difference(&a, &a), 0.0);
            }
        }
        for side in [1, 7, 9] {
            let samples = |v| vec![v; 3 * side * side];
            let frame = |v| Frame::rgb8(FrameSize::new(side, side), samples(v)).unwrap();
            let got = largest_difference(&frame(0), &frame(51));
            assert!((got - 20.0).abs() < 1e-9, "{side}: {got}");
        }
    }
}
