//! Mean difference of two frames.

use rife_runtime::{Frame, PixelFormat};

/// Mean absolute difference of luma (of all samples for RGB), in percent of the range.
pub(super) fn difference(a: &Frame, b: &Frame) -> f64 {
    let luma = a.size().pixels();
    if let (Some(x), Some(y)) = (a.as_yuv8(), b.as_yuv8()) {
        let luma = luma.min(x.len()).min(y.len());
        return mean8(&x[..luma], &y[..luma]);
    }
    if let (Some(x), Some(y)) = (a.as_yuv16(), b.as_yuv16()) {
        let luma = luma.min(x.len()).min(y.len());
        let depth = match a.format() {
            PixelFormat::Yuv(format) => format.depth,
            _ => 16,
        };
        return mean16(&x[..luma], &y[..luma], depth);
    }
    if let (Some(x), Some(y)) = (a.as_rgb8(), b.as_rgb8()) {
        return mean8(x, y);
    }
    match (a.as_rgb16(), b.as_rgb16()) {
        (Some(x), Some(y)) => mean16(x, y, 16),
        _ => 0.0,
    }
}

fn mean8(a: &[u8], b: &[u8]) -> f64 {
    // In chunks whose sum fits 32 bits, which vectorizes.
    let sum: u64 = a
        .chunks(1 << 16)
        .zip(b.chunks(1 << 16))
        .map(|(a, b)| {
            u64::from(a.iter().zip(b).map(|(x, y)| u32::from(x.abs_diff(*y))).sum::<u32>())
        })
        .sum();
    100.0 * sum as f64 / (a.len().max(1) as f64 * 255.0)
}

fn mean16(a: &[u16], b: &[u16], depth: u8) -> f64 {
    let sum: u64 = a
        .chunks(1 << 15)
        .zip(b.chunks(1 << 15))
        .map(|(a, b)| {
            u64::from(a.iter().zip(b).map(|(x, y)| u32::from(x.abs_diff(*y))).sum::<u32>())
        })
        .sum();
    100.0 * sum as f64 / (a.len().max(1) as f64 * f64::from((1u32 << depth.min(16)) - 1))
}
