//! Frames as packed bytes, as copied to and from the GPU.

use super::source::Shared as _;
use crate::{FrameSize, FrameView, FrameViewMut, PixelFormat, Stride};

/// The format in which the network writes a frame. YUV is converted from planar F32 afterwards.
pub(crate) fn network_format(format: PixelFormat) -> PixelFormat {
    match format {
        PixelFormat::Yuv(_) => PixelFormat::PlanarF32,
        other => other,
    }
}

/// The code of a format in the kernels, see [`network_format`].
pub(crate) fn format_code(format: PixelFormat) -> i32 {
    network_format(format).code()
}

/// Bytes of a packed frame.
pub(crate) fn frame_bytes(size: FrameSize, format: PixelFormat) -> usize {
    format.samples(size) * format.sample_bytes()
}

/// Bytes from a row of a packed frame to the next, and from a plane to the next.
pub(crate) fn pitch_and_plane(size: FrameSize, format: PixelFormat) -> (i64, i64) {
    let Stride { row, plane } = Stride::packed(size, format);
    let sample = format.sample_bytes();
    ((row * sample) as i64, (plane * sample) as i64)
}

/// The offset and the length of each row of a frame, in bytes.
fn rows(
    size: FrameSize,
    format: PixelFormat,
    stride: Stride,
) -> impl Iterator<Item = (usize, usize)> {
    let (planes, rows, length) = match format {
        PixelFormat::PlanarF32 => (3, size.height, size.width),
        PixelFormat::Rgb8 | PixelFormat::Rgb16 => (1, size.height, 3 * size.width),
        // YUV frames have no gaps.
        PixelFormat::Yuv(format) => (1, 1, format.samples(size)),
    };
    let bytes = format.sample_bytes();
    (0..planes).flat_map(move |p| {
        (0..rows).map(move |y| (bytes * (p * stride.plane + y * stride.row), bytes * length))
    })
}

fn is_packed(size: FrameSize, format: PixelFormat, stride: Stride) -> bool {
    let packed = Stride::packed(size, format);
    stride.row == packed.row && (format != PixelFormat::PlanarF32 || stride.plane == packed.plane)
}

/// The bytes of a frame, if it is packed.
pub(crate) fn packed<'a>(view: &'a FrameView<'_>) -> Option<&'a [u8]> {
    let whole = frame_bytes(view.size(), view.format());
    let bytes = view.samples().into_bytes();
    is_packed(view.size(), view.format(), view.stride()).then(|| bytes.get(..whole)).flatten()
}

/// Like [`packed`], mutable.
pub(crate) fn packed_mut<'a>(view: &'a mut FrameViewMut<'_>) -> Option<&'a mut [u8]> {
    let whole = frame_bytes(view.size(), view.format());
    let packed = is_packed(view.size(), view.format(), view.stride());
    view.samples_mut().as_bytes_mut().get_mut(..whole).filter(|_| packed)
}

/// Copies the rows of a frame to a packed buffer.
pub(crate) fn write_packed(view: &FrameView<'_>, mut to: &mut [u8]) {
    let from = view.samples().into_bytes();
    for (at, length) in rows(view.size(), view.format(), view.stride()) {
        let (head, tail) = to.split_at_mut(length);
        head.copy_from_slice(&from[at..at + length]);
        to = tail;
    }
}

/// Copies the rows of a packed buffer to a frame.
pub(crate) fn read_packed(view: &mut FrameViewMut<'_>, mut from: &[u8]) {
    let rows = rows(view.size(), view.format(), view.stride());
    let to = view.samples_mut().as_bytes_mut();
    for (at, length) in rows {
        let (head, tail) = from.split_at(length);
        to[at..at + length].copy_from_slice(head);
        from = tail;
    }
}
