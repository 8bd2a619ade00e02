//! Side-by-side comparison: source frames on the left, output frames on the right.

use rife_runtime::{Frame, FrameSize, PixelFormat};
use rife_video::{RawFormat, Result, Sink, raw_format};

/// A sink that doubles the width of frames.
pub(super) struct SideBySide<'a> {
    pub(super) inner: &'a mut dyn Sink,
}

impl SideBySide<'_> {
    /// [`Sink::buffered`] with an inner sink that buffers `inner` frames, in frames of the original
    /// width: the inner sink's frames are twice as wide.
    pub(super) fn buffered_with(inner: usize) -> usize {
        2 + 2 * inner
    }
}

/// The format with twice the width. An odd width is rounded down, so that the halves meet at a
/// chroma sample.
pub(super) fn double_width(raw: &RawFormat) -> RawFormat {
    let width = raw.size.width & !1;
    RawFormat { size: FrameSize::new(2 * width.max(1), raw.size.height), ..*raw }
}

impl Sink for SideBySide<'_> {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()> {
        let Some(raw) = raw_format(frame.size(), frame.format()) else {
            return self.inner.put(number, ticks, frame, left);
        };
        let joined = join(&raw, left, frame)?.unwrap_or_else(|| frame.clone());
        self.inner.put(number, ticks, &joined, left)
    }

    fn buffered(&self) -> usize {
        Self::buffered_with(self.inner.buffered())
    }
}

/// Joins two frames of the same format; `None` if the formats differ or are not supported.
fn join(raw: &RawFormat, left: &Frame, right: &Frame) -> Result<Option<Frame>> {
    let wide = double_width(raw);
    let yuv_samples = (left.as_yuv8(), right.as_yuv8(), left.as_yuv16(), right.as_yuv16());
    let rgb_samples = (left.as_rgb8(), right.as_rgb8(), left.as_rgb16(), right.as_rgb16());
    let joined = match (right.format(), yuv_samples, rgb_samples) {
        (PixelFormat::Yuv(yuv), (Some(a), Some(b), ..), _) => {
            let Some(data) = join_planes(raw, &wide, a, b) else { return Ok(None) };
            Frame::yuv8(wide.size, yuv, data)?
        }
        (PixelFormat::Yuv(yuv), (.., Some(a), Some(b)), _) => {
            let Some(data) = join_planes(raw, &wide, a, b) else { return Ok(None) };
            Frame::yuv16(wide.size, yuv, data)?
        }
        (_, _, (Some(a), Some(b), ..)) => Frame::rgb8(wide.size, join_rgb(raw, &wide, a, b))?,
        (_, _, (.., Some(a), Some(b))) => Frame::rgb16(wide.size, join_rgb(raw, &wide, a, b))?,
        _ => return Ok(None),
    };
    Ok(Some(joined))
}

fn join_planes<T: Copy>(raw: &RawFormat, wide: &RawFormat, a: &[T], b: &[T]) -> Option<Vec<T>> {
    let mut joined = Vec::with_capacity(wide.frame_bytes() / wide.sample_bytes());
    let mut plane_start = 0;
    for ((width, height), (wide, _)) in raw.plane_sizes().into_iter().zip(wide.plane_sizes()) {
        for row in 0..height {
            let row_start = plane_start + row * width;
            for side in [a, b] {
                joined.extend_from_slice(side.get(row_start..row_start + wide / 2)?);
            }
        }
        plane_start += width * height;
    }
    Some(joined)
}

fn join_rgb<T: Copy>(raw: &RawFormat, wide: &RawFormat, a: &[T], b: &[T]) -> Vec<T> {
    let (row, half) = (3 * raw.size.width, 3 * wide.size.width / 2);
    let rows = a.chunks(row).zip(b.chunks(row));
    rows.flat_map(|(a, b)| a.iter().take(half).chain(b.iter().take(half))).copied().collect()
}
