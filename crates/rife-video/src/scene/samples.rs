//! The samples of a frame of any format.

use half::f16;
use rife_runtime::{Frame, FrameSize, PixelFormat};

/// A plane within the samples.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    /// Index of the first sample.
    pub(super) start: usize,
    pub(super) size: FrameSize,
    /// Distance between samples of a row.
    pub(super) step: usize,
}

/// The samples of a frame.
#[derive(Clone, Copy)]
pub(super) enum Samples<'a> {
    Eight(&'a [u8]),
    Sixteen(&'a [u16]),
    Half(&'a [f16]),
    Single(&'a [f32]),
}

impl<'a> Samples<'a> {
    pub(super) fn of(frame: &'a Frame) -> Option<Self> {
        use PixelFormat as F;
        match frame.format() {
            F::Yuv(format) if format.depth <= 8 => frame.as_yuv8().map(Self::Eight),
            F::Yuv(_) => frame.as_yuv16().map(Self::Sixteen),
            F::Rgb8 => frame.as_rgb8().map(Self::Eight),
            F::Planar8 => frame.as_planar8().map(Self::Eight),
            F::Rgb16 => frame.as_rgb16().map(Self::Sixteen),
            F::Planar16 => frame.as_planar16().map(Self::Sixteen),
            F::RgbF16 => frame.as_rgb_f16().map(Self::Half),
            F::PlanarF16 => frame.as_planar_f16().map(Self::Half),
            F::RgbF32 => frame.as_rgb_f32().map(Self::Single),
            F::PlanarF32 => frame.as_planar_f32().map(Self::Single),
        }
    }

    /// Bits of an integer sample of a frame with this format; floats are read as 16 bits.
    pub(super) fn depth(self, format: PixelFormat) -> u8 {
        match (self, format) {
            (_, PixelFormat::Yuv(format)) => format.depth.clamp(8, 16),
            (Self::Eight(_), _) => 8,
            _ => 16,
        }
    }
}

/// The planes of red, green and blue of an RGB frame.
pub(super) fn rgb_planes(size: FrameSize, format: PixelFormat) -> [Plane; 3] {
    use PixelFormat as F;
    match format {
        F::Planar8 | F::Planar16 | F::PlanarF16 | F::PlanarF32 => {
            [0, 1, 2].map(|plane| Plane { start: plane * size.pixels(), size, step: 1 })
        }
        _ => [0, 1, 2].map(|start| Plane { start, size, step: 3 }),
    }
}

/// A float sample as an integer of 16 bits, as the engines read it: clamped to [0, 1], NaN as 0.
pub(super) fn level(sample: f32) -> u16 {
    // The conversion of NaN is 0.
    (sample.clamp(0.0, 1.0) * 65535.0).round() as u16
}
