//! Mean difference of two frames.

use rife_runtime::{Frame, PixelFormat};

use super::samples::{Samples, level};

/// Mean absolute difference of luma (of all samples for RGB), in percent of the range; 0 if the
/// formats differ.
pub(super) fn difference(a: &Frame, b: &Frame) -> f64 {
    let (Some(x), Some(y)) = (Samples::of(a), Samples::of(b)) else { return 0.0 };
    let count = match a.format() {
        PixelFormat::Yuv(_) => a.size().pixels(),
        _ => 3 * a.size().pixels(),
    };
    let depth = x.depth(a.format());
    match (x, y) {
        (Samples::Eight(x), Samples::Eight(y)) => {
            mean(x, y, count, depth, |x, y| u32::from(x.abs_diff(y)))
        }
        (Samples::Sixteen(x), Samples::Sixteen(y)) => {
            mean(x, y, count, depth, |x, y| u32::from(x.abs_diff(y)))
        }
        (Samples::Half(x), Samples::Half(y)) => mean(x, y, count, depth, |x, y| {
            u32::from(level(x.to_f32()).abs_diff(level(y.to_f32())))
        }),
        (Samples::Single(x), Samples::Single(y)) => {
            mean(x, y, count, depth, |x, y| u32::from(level(x).abs_diff(level(y))))
        }
        _ => 0.0,
    }
}

/// Mean of `apart` of the first `count` samples, in percent of the range of `depth` bits.
fn mean<T: Copy>(
    a: &[T],
    b: &[T],
    count: usize,
    depth: u8,
    apart: impl Fn(T, T) -> u32 + Copy,
) -> f64 {
    // In chunks whose sum fits 32 bits, which vectorizes.
    const CHUNK: usize = 1 << 15;
    let count = count.min(a.len()).min(b.len());
    let (a, b) = (a[..count].chunks(CHUNK), b[..count].chunks(CHUNK));
    let chunks = a.zip(b).map(|(a, b)| a.iter().zip(b).map(|(x, y)| apart(*x, *y)).sum::<u32>());
    let sum: u64 = chunks.map(u64::from).sum();
    100.0 * sum as f64 / (count.max(1) as f64 * f64::from((1u32 << depth) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_runtime::FrameSize;

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
}
