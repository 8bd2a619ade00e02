//! Frames as the bytes that are copied to the card and from it: packed, rows after rows.

use crate::frame::{Samples, SamplesMut};
use crate::{FrameSize, FrameView, FrameViewMut, PixelFormat, Stride};

/// The format in which the network writes a frame: YUV is made from that.
pub(crate) fn made_as(format: PixelFormat) -> PixelFormat {
    match format {
        PixelFormat::Yuv(_) => PixelFormat::PlanarF32,
        other => other,
    }
}

/// A format's number, as the network's kernels know it, see [`made_as`].
pub(crate) fn format_code(format: PixelFormat) -> i32 {
    match format {
        PixelFormat::Rgb8 => 0,
        PixelFormat::Rgb16 => 1,
        PixelFormat::PlanarF32 => 2,
        PixelFormat::Yuv(_) => format_code(made_as(format)),
    }
}

/// Bytes of a packed frame.
pub(crate) fn frame_bytes(size: FrameSize, format: PixelFormat) -> usize {
    format.samples(size) * format.sample_bytes()
}

/// Bytes from a row of a packed frame to the next, and from a plane.
pub(crate) fn pitch_and_plane(size: FrameSize, format: PixelFormat) -> (i64, i64) {
    let Stride { row, plane } = Stride::packed(size, format);
    let sample = format.sample_bytes();
    ((row * sample) as i64, (plane * sample) as i64)
}

/// Rows of a frame: where each begins and how long it is, in samples.
fn rows(
    size: FrameSize,
    format: PixelFormat,
    stride: Stride,
) -> impl Iterator<Item = (usize, usize)> {
    let (planes, rows, length) = match format {
        PixelFormat::PlanarF32 => (3, size.height, size.width),
        PixelFormat::Rgb8 | PixelFormat::Rgb16 => (1, size.height, 3 * size.width),
        // They have no gaps anywhere.
        PixelFormat::Yuv(format) => (1, 1, format.samples(size)),
    };
    (0..planes)
        .flat_map(move |p| (0..rows).map(move |y| (p * stride.plane + y * stride.row, length)))
}

fn is_packed(size: FrameSize, format: PixelFormat, stride: Stride) -> bool {
    let packed = Stride::packed(size, format);
    stride.row == packed.row && (format != PixelFormat::PlanarF32 || stride.plane == packed.plane)
}

/// A frame's bytes, where they lie packed.
pub(crate) fn packed<'a>(view: &'a FrameView<'_>) -> Option<&'a [u8]> {
    let bytes: &'a [u8] = match view.samples() {
        Samples::Rgb8(s) => s,
        Samples::Rgb16(s) => bytemuck::cast_slice(s),
        Samples::PlanarF32(s) => bytemuck::cast_slice(s),
        Samples::Yuv8(_, s) => s,
        Samples::Yuv16(_, s) => bytemuck::cast_slice(s),
    };
    let whole = frame_bytes(view.size(), view.format());
    is_packed(view.size(), view.format(), view.stride()).then(|| bytes.get(..whole)).flatten()
}

/// As [`packed`], to be written.
pub(crate) fn packed_mut<'a>(view: &'a mut FrameViewMut<'_>) -> Option<&'a mut [u8]> {
    let whole = frame_bytes(view.size(), view.format());
    if !is_packed(view.size(), view.format(), view.stride()) {
        return None;
    }
    let bytes: &mut [u8] = match view.samples_mut() {
        SamplesMut::Rgb8(s) => s,
        SamplesMut::Rgb16(s) => bytemuck::cast_slice_mut(s),
        SamplesMut::PlanarF32(s) => bytemuck::cast_slice_mut(s),
        SamplesMut::Yuv8(_, s) => s,
        SamplesMut::Yuv16(_, s) => bytemuck::cast_slice_mut(s),
    };
    bytes.get_mut(..whole)
}

/// Writes a frame's rows one after the other.
pub(crate) fn write_packed(view: &FrameView<'_>, to: &mut [u8]) {
    let rows = rows(view.size(), view.format(), view.stride());
    fn copy<T: bytemuck::Pod>(
        from: &[T],
        rows: impl Iterator<Item = (usize, usize)>,
        mut to: &mut [u8],
    ) {
        for (at, length) in rows {
            let row = bytemuck::cast_slice(&from[at..at + length]);
            let (head, tail) = to.split_at_mut(row.len());
            head.copy_from_slice(row);
            to = tail;
        }
    }
    match view.samples() {
        Samples::Rgb8(s) => copy(s, rows, to),
        Samples::Rgb16(s) => copy(s, rows, to),
        Samples::PlanarF32(s) => copy(s, rows, to),
        Samples::Yuv8(_, s) => copy(s, rows, to),
        Samples::Yuv16(_, s) => copy(s, rows, to),
    }
}

/// Reads rows that lie one after the other into a frame.
pub(crate) fn read_packed(view: &mut FrameViewMut<'_>, from: &[u8]) {
    let rows = rows(view.size(), view.format(), view.stride());
    fn copy<T: bytemuck::Pod>(
        to: &mut [T],
        rows: impl Iterator<Item = (usize, usize)>,
        mut from: &[u8],
    ) {
        for (at, length) in rows {
            let row = bytemuck::cast_slice_mut(&mut to[at..at + length]);
            let (head, tail) = from.split_at(row.len());
            row.copy_from_slice(head);
            from = tail;
        }
    }
    match view.samples_mut() {
        SamplesMut::Rgb8(s) => copy(s, rows, from),
        SamplesMut::Rgb16(s) => copy(s, rows, from),
        SamplesMut::PlanarF32(s) => copy(s, rows, from),
        SamplesMut::Yuv8(_, s) => copy(s, rows, from),
        SamplesMut::Yuv16(_, s) => copy(s, rows, from),
    }
}
