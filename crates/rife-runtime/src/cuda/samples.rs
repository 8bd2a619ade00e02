//! Frames as packed bytes, as copied to and from the GPU, and where kernels read and write them.

use rayon::prelude::*;

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
pub(crate) fn write_packed(view: &FrameView<'_>, to: &mut [u8]) {
    if let Some(from) = packed(view) {
        return copy(to, from);
    }
    let (samples, stride) = view.host();
    let from = samples.into_bytes();
    let rows: Vec<_> = rows(view.size(), view.format(), stride).collect();
    let length = rows.first().map_or(1, |(_, length)| *length).max(1);
    let copy_row = |(to, (at, length)): (&mut [u8], &(usize, usize))| {
        to.copy_from_slice(&from[*at..*at + *length]);
    };
    if to.len() < PARALLEL_BYTES {
        to.chunks_exact_mut(length).zip(&rows).for_each(copy_row);
    } else {
        let per_job = (part_bytes(to.len()) / length).max(1);
        let to = to.par_chunks_exact_mut(length).with_min_len(per_job);
        to.zip(&rows).for_each(copy_row);
    }
}

/// Copies the rows of a packed buffer to a frame.
pub(crate) fn read_packed(view: &mut FrameViewMut<'_>, mut from: &[u8]) {
    if let Some(to) = packed_mut(view) {
        return copy(to, from);
    }
    let (size, format) = (view.size(), view.format());
    let (samples, stride) = view.host_mut();
    let to = samples.as_bytes_mut();
    for (at, length) in rows(size, format, stride) {
        let (head, tail) = from.split_at(length);
        to[at..at + length].copy_from_slice(head);
        from = tail;
    }
}

/// Copies of at least this many bytes use several threads: one thread reaches a fraction of the
/// bandwidth of memory.
const PARALLEL_BYTES: usize = 1 << 20;

/// The most threads that a copy uses.
const COPY_THREADS: usize = 8;

/// The bytes that one thread copies.
fn part_bytes(bytes: usize) -> usize {
    bytes.div_ceil(COPY_THREADS).max(PARALLEL_BYTES / 4)
}

/// Copies memory; the shorter of both determines how much.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let bytes = to.len().min(from.len());
    let (to, from) = (&mut to[..bytes], &from[..bytes]);
    if bytes < PARALLEL_BYTES {
        return to.copy_from_slice(from);
    }
    let part = part_bytes(bytes);
    let parts = to.par_chunks_mut(part).zip(from.par_chunks(part));
    parts.for_each(|(to, from)| to.copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_copies_are_complete() {
        for bytes in [0, 1, PARALLEL_BYTES - 1, PARALLEL_BYTES, 8 * PARALLEL_BYTES + 12345] {
            let from: Vec<u8> = (0..bytes).map(|i| (i * 31 % 251) as u8).collect();
            let mut to = vec![0; bytes];
            copy(&mut to, &from);
            assert!(to == from, "{bytes} bytes");
        }
    }

    #[test]
    fn rows_with_gaps_are_packed_and_unpacked() {
        for (width, height) in [(5, 3), (700, 600)] {
            let size = FrameSize::new(width, height);
            for format in PixelFormat::RGB {
                let row = Stride::packed(size, format).row + 3;
                let plane = if format.is_planar_rgb() { row * height + 7 } else { 0 };
                let stride = Stride { row, plane };
                let samples = if plane > 0 { 3 * plane } else { row * height };
                if format.sample_bytes() != 1 {
                    continue;
                }
                let data: Vec<u8> = (0..samples).map(|i| (i * 7 % 253) as u8).collect();
                let view = |data| match format {
                    PixelFormat::Rgb8 => FrameView::rgb8(size, data, stride),
                    _ => FrameView::planar8(size, data, stride),
                };
                let mut packed = vec![0; frame_bytes(size, format)];
                write_packed(&view(&data).unwrap(), &mut packed);
                let mut expected = packed.clone();
                let all = rows(size, format, stride).flat_map(|(at, n)| &data[at..at + n]);
                expected.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
                assert!(packed == expected, "{format:?} at {size}");

                let mut back = vec![0; samples];
                let mut view = match format {
                    PixelFormat::Rgb8 => FrameViewMut::rgb8(size, &mut back, stride).unwrap(),
                    _ => FrameViewMut::planar8(size, &mut back, stride).unwrap(),
                };
                read_packed(&mut view, &packed);
                let mut inside = vec![false; samples];
                rows(size, format, stride).for_each(|(at, n)| inside[at..at + n].fill(true));
                for (i, inside) in inside.into_iter().enumerate() {
                    assert_eq!(back[i], if inside { data[i] } else { 0 }, "{format:?} at {size}");
                }
            }
        }
    }
}
