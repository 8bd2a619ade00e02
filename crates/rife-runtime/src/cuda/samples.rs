//! Frames as packed bytes, as copied to and from the GPU, and where kernels read and write them.

use crate::frame::FormatKind;
use crate::{DeviceSamples, FrameSize, FrameView, FrameViewMut, PixelFormat, SampleType, Stride};

/// The format in which the network writes a frame. YUV is converted from planar F32 afterwards.
pub(crate) fn network_format(format: PixelFormat) -> PixelFormat {
    match format {
        PixelFormat::Yuv(_) => PixelFormat::PlanarF32,
        other => other,
    }
}

/// The type of samples and their strides in bytes, as kernels take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SampleLayout {
    pub(crate) sample: SampleType,
    /// Bytes from a row to the next.
    pub(crate) row: i64,
    /// Bytes from a pixel to the next.
    pub(crate) pixel: i64,
    /// Bytes from a channel to the next.
    pub(crate) channel: i64,
}

impl SampleLayout {
    /// The layout of a packed frame, see [`network_format`].
    pub(crate) fn packed(size: FrameSize, format: PixelFormat) -> Self {
        let format = network_format(format);
        Self::of(format, Stride::packed(size, format))
    }

    /// The layout of an RGB frame with a stride.
    pub(crate) fn of(format: PixelFormat, stride: Stride) -> Self {
        let sample = match format.kind() {
            FormatKind::Rgb(sample, _) => sample,
            FormatKind::Yuv(_) => SampleType::F32,
        };
        let bytes = sample.bytes() as i64;
        let (pixel, channel) = match format.is_planar_rgb() {
            true => (bytes, bytes * stride.plane as i64),
            false => (3 * bytes, bytes),
        };
        Self { sample, row: bytes * stride.row as i64, pixel, channel }
    }

    /// The layout of a frame in device memory.
    pub(crate) fn device(samples: &DeviceSamples) -> Self {
        let DeviceSamples { sample, row, pixel, channel, .. } = *samples;
        Self { sample, row, pixel, channel }
    }
}

/// Bytes of a packed frame.
pub(crate) fn frame_bytes(size: FrameSize, format: PixelFormat) -> usize {
    format.samples(size) * format.sample_bytes()
}

/// The offset and the length of each row of a frame, in bytes.
fn rows(
    size: FrameSize,
    format: PixelFormat,
    stride: Stride,
) -> impl Iterator<Item = (usize, usize)> {
    let (planes, rows, length) = match format {
        // YUV frames have no gaps.
        PixelFormat::Yuv(format) => (1, 1, format.samples(size)),
        _ if format.is_planar_rgb() => (3, size.height, size.width),
        _ => (1, size.height, 3 * size.width),
    };
    let bytes = format.sample_bytes();
    (0..planes).flat_map(move |p| {
        (0..rows).map(move |y| (bytes * (p * stride.plane + y * stride.row), bytes * length))
    })
}

fn is_packed(size: FrameSize, format: PixelFormat, stride: Stride) -> bool {
    let packed = Stride::packed(size, format);
    stride.row == packed.row && (!format.is_planar_rgb() || stride.plane == packed.plane)
}

/// The bytes of a frame, if it is packed.
pub(crate) fn packed<'a>(view: &'a FrameView<'_>) -> Option<&'a [u8]> {
    let whole = frame_bytes(view.size(), view.format());
    let (samples, stride) = view.host();
    let bytes = samples.into_bytes();
    is_packed(view.size(), view.format(), stride).then(|| bytes.get(..whole)).flatten()
}

/// Like [`packed`], mutable.
pub(crate) fn packed_mut<'a>(view: &'a mut FrameViewMut<'_>) -> Option<&'a mut [u8]> {
    let whole = frame_bytes(view.size(), view.format());
    let (size, format) = (view.size(), view.format());
    let (samples, stride) = view.host_mut();
    let packed = is_packed(size, format, stride);
    samples.as_bytes_mut().get_mut(..whole).filter(|_| packed)
}

/// Copies the rows of a frame to a packed buffer.
pub(crate) fn write_packed(view: &FrameView<'_>, mut to: &mut [u8]) {
    let (samples, stride) = view.host();
    let from = samples.into_bytes();
    for (at, length) in rows(view.size(), view.format(), stride) {
        let (head, tail) = to.split_at_mut(length);
        head.copy_from_slice(&from[at..at + length]);
        to = tail;
    }
}

/// Copies the rows of a packed buffer to a frame.
pub(crate) fn read_packed(view: &mut FrameViewMut<'_>, mut from: &[u8]) {
    let (size, format) = (view.size(), view.format());
    let (samples, stride) = view.host_mut();
    let to = samples.as_bytes_mut();
    for (at, length) in rows(size, format, stride) {
        let (head, tail) = from.split_at(length);
        to[at..at + length].copy_from_slice(head);
        from = tail;
    }
}
