//! RGB frames in host memory: constructors and accessors for each format.

use half::f16;

use super::layout::check_layout;
use super::samples::OwnedSamples;
use super::{
    Frame, FrameSize, FrameView, FrameViewMut, Memory, PixelFormat, RgbLayout, Samples, SamplesMut,
    Stride,
};
use crate::{Error, Result};

macro_rules! rgb {
    ($(
        $name:ident, $borrow:ident, $into:ident: $format:ident, $variant:ident, $layout:ident,
        $sample:ty, $doc:literal;
    )*) => {
        impl<'a> FrameView<'a> {
            $(
                #[doc = concat!($doc, ".")]
                ///
                /// Floats outside [0, 1] are clamped; NaN is read as 0.
                ///
                /// # Errors
                /// [`Error::Frame`] if the size is out of range, rows or planes overlap, or the
                /// buffer is too short.
                pub fn $name(size: FrameSize, data: &'a [$sample], stride: Stride) -> Result<Self> {
                    check_layout(size, PixelFormat::$format, stride, data.len())?;
                    let samples = Samples::$variant(RgbLayout::$layout, data);
                    Ok(Self { size, memory: Memory::Host { samples, stride, pinned: false } })
                }
            )*
        }

        impl<'a> FrameViewMut<'a> {
            $(
                #[doc = concat!($doc, ".")]
                ///
                /// # Errors
                /// Same as for the constructor of [`FrameView`].
                pub fn $name(
                    size: FrameSize,
                    data: &'a mut [$sample],
                    stride: Stride,
                ) -> Result<Self> {
                    check_layout(size, PixelFormat::$format, stride, data.len())?;
                    let samples = SamplesMut::$variant(RgbLayout::$layout, data);
                    Ok(Self { size, memory: Memory::Host { samples, stride, pinned: false } })
                }
            )*
        }

        impl Frame {
            $(
                #[doc = concat!($doc, ".")]
                ///
                /// # Errors
                /// [`Error::Frame`] if the size is out of range, or `data` is not exactly one
                /// packed frame.
                pub fn $name(size: FrameSize, data: Vec<$sample>) -> Result<Self> {
                    check_packed(size, data.len())?;
                    let samples = OwnedSamples::$variant(RgbLayout::$layout, data);
                    Ok(Self { size, pin: None, samples })
                }

                #[doc = concat!("Borrows the samples of ", $doc, "; `None` for other formats.")]
                pub fn $borrow(&self) -> Option<&[$sample]> {
                    match &self.samples {
                        OwnedSamples::$variant(RgbLayout::$layout, data) => Some(data),
                        _ => None,
                    }
                }

                #[doc = concat!("Takes the samples of ", $doc, "; `None` for other formats.")]
                pub fn $into(mut self) -> Option<Vec<$sample>> {
                    self.pin = None;
                    match self.samples {
                        OwnedSamples::$variant(RgbLayout::$layout, data) => Some(data),
                        _ => None,
                    }
                }
            )*
        }
    };
}

rgb! {
    rgb8, as_rgb8, into_rgb8: Rgb8, U8, Interleaved, u8, "8-bit interleaved RGB";
    rgb16, as_rgb16, into_rgb16: Rgb16, U16, Interleaved, u16, "16-bit interleaved RGB";
    rgb_f16, as_rgb_f16, into_rgb_f16: RgbF16, F16, Interleaved, f16, "interleaved F16 RGB in [0, 1]";
    rgb_f32, as_rgb_f32, into_rgb_f32: RgbF32, F32, Interleaved, f32, "interleaved F32 RGB in [0, 1]";
    planar8, as_planar8, into_planar8: Planar8, U8, Planar, u8, "8-bit planar RGB";
    planar16, as_planar16, into_planar16: Planar16, U16, Planar, u16, "16-bit planar RGB";
    planar_f16, as_planar_f16, into_planar_f16: PlanarF16, F16, Planar, f16, "planar F16 RGB in [0, 1]";
    planar_f32, as_planar_f32, into_planar_f32: PlanarF32, F32, Planar, f32, "planar F32 RGB in [0, 1]";
}

/// Checks that `len` samples are exactly one packed RGB frame.
fn check_packed(size: FrameSize, len: usize) -> Result<()> {
    let expected = 3 * size.check("frame")?.pixels();
    if len == expected {
        return Ok(());
    }
    let expected = format!("{expected} samples for {size}");
    Err(Error::Frame { op: "frame", expected, got: len.to_string() })
}
