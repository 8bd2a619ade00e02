//! The samples of a frame, as slices or vectors of the type of each format.

use std::ops::{Deref, DerefMut};

use super::{PixelFormat, YuvFormat};

/// The samples of a frame in a buffer of 8-bit, 16-bit or F32 samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SampleBuffer<B8, B16, F> {
    Rgb8(B8),
    Rgb16(B16),
    PlanarF32(F),
    Yuv8(YuvFormat, B8),
    Yuv16(YuvFormat, B16),
}

/// Borrowed samples.
pub(crate) type Samples<'a> = SampleBuffer<&'a [u8], &'a [u16], &'a [f32]>;
/// Mutably borrowed samples.
pub(crate) type SamplesMut<'a> = SampleBuffer<&'a mut [u8], &'a mut [u16], &'a mut [f32]>;
/// Owned samples.
pub(super) type OwnedSamples = SampleBuffer<Vec<u8>, Vec<u16>, Vec<f32>>;

impl<B8, B16, F> SampleBuffer<B8, B16, F> {
    /// The format of the samples.
    pub(crate) fn format(&self) -> PixelFormat {
        match self {
            Self::Rgb8(_) => PixelFormat::Rgb8,
            Self::Rgb16(_) => PixelFormat::Rgb16,
            Self::PlanarF32(_) => PixelFormat::PlanarF32,
            Self::Yuv8(format, _) | Self::Yuv16(format, _) => PixelFormat::Yuv(*format),
        }
    }
}

impl<B8, B16, F> SampleBuffer<B8, B16, F>
where
    B8: Deref<Target = [u8]>,
    B16: Deref<Target = [u16]>,
    F: Deref<Target = [f32]>,
{
    pub(super) fn borrow(&self) -> Samples<'_> {
        match self {
            Self::Rgb8(data) => Samples::Rgb8(data),
            Self::Rgb16(data) => Samples::Rgb16(data),
            Self::PlanarF32(data) => Samples::PlanarF32(data),
            Self::Yuv8(format, data) => Samples::Yuv8(*format, data),
            Self::Yuv16(format, data) => Samples::Yuv16(*format, data),
        }
    }

    /// The samples as bytes in native order.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.borrow().into_bytes()
    }
}

impl<B8, B16, F> SampleBuffer<B8, B16, F>
where
    B8: DerefMut<Target = [u8]>,
    B16: DerefMut<Target = [u16]>,
    F: DerefMut<Target = [f32]>,
{
    pub(super) fn borrow_mut(&mut self) -> SamplesMut<'_> {
        match self {
            Self::Rgb8(data) => SamplesMut::Rgb8(data),
            Self::Rgb16(data) => SamplesMut::Rgb16(data),
            Self::PlanarF32(data) => SamplesMut::PlanarF32(data),
            Self::Yuv8(format, data) => SamplesMut::Yuv8(*format, data),
            Self::Yuv16(format, data) => SamplesMut::Yuv16(*format, data),
        }
    }

    /// Like [`SampleBuffer::as_bytes`], mutable.
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Rgb8(data) | Self::Yuv8(_, data) => data,
            Self::Rgb16(data) | Self::Yuv16(_, data) => bytemuck::cast_slice_mut(data),
            Self::PlanarF32(data) => bytemuck::cast_slice_mut(data),
        }
    }
}

impl<'a> Samples<'a> {
    /// The samples as bytes in native order.
    pub(crate) fn into_bytes(self) -> &'a [u8] {
        match self {
            Self::Rgb8(data) | Self::Yuv8(_, data) => data,
            Self::Rgb16(data) | Self::Yuv16(_, data) => bytemuck::cast_slice(data),
            Self::PlanarF32(data) => bytemuck::cast_slice(data),
        }
    }
}
