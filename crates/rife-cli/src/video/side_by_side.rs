//! The input's frames on the left, the output's on the right.

use rife_runtime::{Frame, FrameSize, PixelFormat};
use rife_video::{RawFormat, Result, Sink, raw_format};

/// A sink of frames twice as wide.
pub(crate) struct SideBySide<'a> {
    pub(crate) to: &'a mut dyn Sink,
}

impl SideBySide<'_> {
    /// Frames that it and the sink after it hold, see [`Sink::buffered`]: those of that sink are
    /// twice as wide.
    pub(crate) fn buffered_with(inner: usize) -> usize {
        2 + 2 * inner
    }
}

/// Twice as wide; chroma of an odd width is cut, so that halves meet at a sample.
pub(crate) fn twice(raw: &RawFormat) -> RawFormat {
    let width = raw.size.width & !1;
    RawFormat { size: FrameSize::new(2 * width.max(1), raw.size.height), ..*raw }
}

impl Sink for SideBySide<'_> {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()> {
        let Some(raw) = raw_format(frame.size(), frame.format()) else {
            return self.to.put(number, ticks, frame, left);
        };
        let wide = twice(&raw);
        let rgb = !matches!(frame.format(), PixelFormat::Yuv(_));
        let both = match (left.as_yuv8(), frame.as_yuv8(), left.as_yuv16(), frame.as_yuv16()) {
            (Some(a), Some(b), ..) => of_planes(&raw, &wide, a, b).map(Samples::Eight),
            (.., Some(a), Some(b)) => of_planes(&raw, &wide, a, b).map(Samples::Sixteen),
            _ => None,
        };
        let joined = match (both, frame.format()) {
            (Some(Samples::Eight(data)), PixelFormat::Yuv(yuv)) => {
                Frame::yuv8(wide.size, yuv, data)?
            }
            (Some(Samples::Sixteen(data)), PixelFormat::Yuv(yuv)) => {
                Frame::yuv16(wide.size, yuv, data)?
            }
            _ if rgb => {
                match (left.as_rgb8(), frame.as_rgb8(), left.as_rgb16(), frame.as_rgb16()) {
                    (Some(a), Some(b), ..) => Frame::rgb8(wide.size, of_rgb(&raw, &wide, a, b))?,
                    (.., Some(a), Some(b)) => Frame::rgb16(wide.size, of_rgb(&raw, &wide, a, b))?,
                    _ => frame.clone(),
                }
            }
            _ => frame.clone(),
        };
        self.to.put(number, ticks, &joined, left)
    }

    fn buffered(&self) -> usize {
        Self::buffered_with(self.to.buffered())
    }
}

enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

fn of_planes<T: Copy>(raw: &RawFormat, wide: &RawFormat, a: &[T], b: &[T]) -> Option<Vec<T>> {
    let mut both = Vec::with_capacity(wide.frame_bytes() / wide.sample_bytes());
    let mut at = 0;
    for ((width, height), (wide, _)) in raw.plane_sizes().into_iter().zip(wide.plane_sizes()) {
        for row in 0..height {
            let from = at + row * width;
            for side in [a, b] {
                both.extend_from_slice(side.get(from..from + wide / 2)?);
            }
        }
        at += width * height;
    }
    Some(both)
}

fn of_rgb<T: Copy>(raw: &RawFormat, wide: &RawFormat, a: &[T], b: &[T]) -> Vec<T> {
    let (row, half) = (3 * raw.size.width, 3 * wide.size.width / 2);
    let rows = a.chunks(row).zip(b.chunks(row));
    rows.flat_map(|(a, b)| a.iter().take(half).chain(b.iter().take(half))).copied().collect()
}
