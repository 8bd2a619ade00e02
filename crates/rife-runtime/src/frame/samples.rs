//! The samples of a frame, as slices or vectors of the type of each format.

use std::ops::{Deref, DerefMut};

use half::f16;

use super::layout::{RgbLayout, SampleType};
use super::{PixelFormat, YuvFormat};

/// The samples of a frame, in a buffer of the type of its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SampleBuffer<B8, B16, H, F> {
    U8(RgbLayout, B8),
    U16(RgbLayout, B16),
    F16(RgbLayout, H),
    F32(RgbLayout, F),
    Yuv8(YuvFormat, B8),
    Yuv16(YuvFormat, B16),
}

/// Borrowed samples.
pub(crate) type Samples<'a> = SampleBuffer<&'a [u8], &'a [u16], &'a [f16], &'a [f32]>;
/// Mutably borrowed samples.
pub(crate) type SamplesMut<'a> =
    SampleBuffer<&'a mut [u8], &'a mut [u16], &'a mut [f16], &'a mut [f32]>;
/// Owned samples.
pub(super) type OwnedSamples = SampleBuffer<Vec<u8>, Vec<u16>, Vec<f16>, Vec<f32>>;

impl<B8, B16, H, F> SampleBuffer<B8, B16, H, F> {
    /// The format of the samples.
    pub(crate) fn format(&self) -> PixelFormat {
        match self {
            Self::U8(layout, _) => PixelFormat::of_rgb(SampleType::U8, *layout),
            Self::U16(layout, _) => PixelFormat::of_rgb(SampleType::U16, *layout),
            Self::F16(layout, _) => PixelFormat::of_rgb(SampleType::F16, *layout),
            Self::F32(layout, _) => PixelFormat::of_rgb(SampleType::F32, *layout),
            Self::Yuv8(format, _) | Self::Yuv16(format, _) => PixelFormat::Yuv(*format),
        }
    }
}

impl<B8, B16, H, F> SampleBuffer<B8, B16, H, F>
where
    B8: Deref<Target = [u8]>,
    B16: Deref<Target = [u16]>,
    H: Deref<Target = [f16]>,
    F: Deref<Target = [f32]>,
{
    pub(super) fn borrow(&self) -> Samples<'_> {
        match self {
            Self::U8(layout, data) => Samples::U8(*layout, data),
            Self::U16(layout, data) => Samples::U16(*layout, data),
            Self::F16(layout, data) => Samples::F16(*layout, data),
            Self::F32(layout, data) => Samples::F32(*layout, data),
            Self::Yuv8(format, data) => Samples::Yuv8(*format, data),
            Self::Yuv16(format, data) => Samples::Yuv16(*format, data),
        }
    }

    /// The samples as bytes in native order.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.borrow().into_bytes()
    }
}

impl<B8, B16, H, F> SampleBuffer<B8, B16, H, F>
where
    B8: DerefMut<Target = [u8]>,
    B16: DerefMut<Target = [u16]>,
    H: DerefMut<Target = [f16]>,
    F: DerefMut<Target = [f32]>,
{
    pub(super) fn borrow_mut(&mut self) -> SamplesMut<'_> {
        match self {
            Self::U8(layout, data) => SamplesMut::U8(*layout, data),
            Self::U16(layout, data) => SamplesMut::U16(*layout, data),
            Self::F16(layout, data) => SamplesMut::F16(*layout, data),
            Self::F32(layout, data) => SamplesMut::F32(*layout, data),
            Self::Yuv8(format, data) => SamplesMut::Yuv8(*format, data),
            Self::Yuv16(format, data) => SamplesMut::Yuv16(*format, data),
        }
    }

    /// Like [`SampleBuffer::as_bytes`], mutable.
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::U8(_, data) | Self::Yuv8(_, data) => data,
            Self::U16(_, data) | Self::Yuv16(_, data) => bytemuck::cast_slice_mut(data),
            Self::F16(_, data) => bytemuck::cast_slice_mut(data),
            Self::F32(_, data) => bytemuck::cast_slice_mut(data),
        }
    }
}

impl<'a> Samples<'a> {
    /// The samples as bytes in native order.
    pub(crate) fn into_bytes(self) -> &'a [u8] {
        match self {
            Self::U8(_, data) | Self::Yuv8(_, data) => data,
            Self::U16(_, data) | Self::Yuv16(_, data) => bytemuck::cast_slice(data),
            Self::F16(_, data) => bytemuck::cast_slice(data),
            Self::F32(_, data) => bytemuck::cast_slice(data),
        }
    }
}
