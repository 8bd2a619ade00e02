//! The size of a frame, the format of its samples, and their layout in a buffer.

use std::fmt;
use std::str::FromStr;

use super::yuv::YuvFormat;
use crate::{Error, Result};

/// A frame's size in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameSize {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl FrameSize {
    /// The maximum width and height of a frame, in px.
    pub const MAX_SIDE: usize = 1 << 15;

    /// A size in px.
    pub const fn new(width: usize, height: usize) -> Self {
        Self { width, height }
    }

    /// Pixels in a frame.
    pub const fn pixels(self) -> usize {
        self.width * self.height
    }

    pub(crate) fn check(self, op: &'static str) -> Result<Self> {
        let side = 1..=Self::MAX_SIDE;
        if side.contains(&self.width) && side.contains(&self.height) {
            return Ok(self);
        }
        let expected = format!("sides of 1 to {} px", Self::MAX_SIDE);
        Err(Error::Frame { op, expected, got: self.to_string() })
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for FrameSize {
    type Err = Error;

    /// Parses `1920x1080`.
    fn from_str(s: &str) -> Result<Self> {
        let parsed = s
            .split_once(['x', 'X'])
            .and_then(|(w, h)| Some(Self::new(w.trim().parse().ok()?, h.trim().parse().ok()?)));
        match parsed {
            Some(size) => size.check("frame size"),
            None => Err(Error::Frame {
                op: "frame size",
                expected: "WIDTHxHEIGHT, such as 1920x1080".into(),
                got: format!("{s:?}"),
            }),
        }
    }
}

/// The type of an RGB sample. Integers use the full range; floats are in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleType {
    /// 8-bit integers.
    U8,
    /// 16-bit integers in native byte order.
    U16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl SampleType {
    /// Bytes per sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// The order of RGB samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RgbLayout {
    /// The samples of a pixel follow each other.
    Interleaved,
    /// Three planes: red, green, blue.
    Planar,
}

/// A format, split into sample type and layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatKind {
    Rgb(SampleType, RgbLayout),
    Yuv(YuvFormat),
}

/// The format and layout of a frame's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Interleaved RGB, 8 bit, full range.
    Rgb8,
    /// Interleaved RGB, 16 bit in native byte order, full range.
    Rgb16,
    /// Interleaved RGB, F16 in [0, 1].
    RgbF16,
    /// Interleaved RGB, F32 in [0, 1].
    RgbF32,
    /// Three planes of 8 bit, full range: red, green, blue.
    Planar8,
    /// Three planes of 16 bit in native byte order, full range: red, green, blue.
    Planar16,
    /// Three planes of F16 in [0, 1]: red, green, blue.
    PlanarF16,
    /// Three planes of F32 in [0, 1]: red, green, blue.
    PlanarF32,
    /// Packed planes of Y, U and V, in this order, with samples of 8 or 16 bits.
    Yuv(YuvFormat),
}

impl PixelFormat {
    /// Every RGB format.
    pub const RGB: [Self; 8] = [
        Self::Rgb8,
        Self::Rgb16,
        Self::RgbF16,
        Self::RgbF32,
        Self::Planar8,
        Self::Planar16,
        Self::PlanarF16,
        Self::PlanarF32,
    ];

    /// The RGB format with this sample type and layout.
    pub(crate) const fn of_rgb(sample: SampleType, layout: RgbLayout) -> Self {
        match (layout, sample) {
            (RgbLayout::Interleaved, SampleType::U8) => Self::Rgb8,
            (RgbLayout::Interleaved, SampleType::U16) => Self::Rgb16,
            (RgbLayout::Interleaved, SampleType::F16) => Self::RgbF16,
            (RgbLayout::Interleaved, SampleType::F32) => Self::RgbF32,
            (RgbLayout::Planar, SampleType::U8) => Self::Planar8,
            (RgbLayout::Planar, SampleType::U16) => Self::Planar16,
            (RgbLayout::Planar, SampleType::F16) => Self::PlanarF16,
            (RgbLayout::Planar, SampleType::F32) => Self::PlanarF32,
        }
    }

    /// The sample type and layout of the format.
    pub(crate) const fn kind(self) -> FormatKind {
        use FormatKind::{Rgb, Yuv};
        match self {
            Self::Rgb8 => Rgb(SampleType::U8, RgbLayout::Interleaved),
            Self::Rgb16 => Rgb(SampleType::U16, RgbLayout::Interleaved),
            Self::RgbF16 => Rgb(SampleType::F16, RgbLayout::Interleaved),
            Self::RgbF32 => Rgb(SampleType::F32, RgbLayout::Interleaved),
            Self::Planar8 => Rgb(SampleType::U8, RgbLayout::Planar),
            Self::Planar16 => Rgb(SampleType::U16, RgbLayout::Planar),
            Self::PlanarF16 => Rgb(SampleType::F16, RgbLayout::Planar),
            Self::PlanarF32 => Rgb(SampleType::F32, RgbLayout::Planar),
            Self::Yuv(format) => Yuv(format),
        }
    }

    /// Whether the format is planar RGB.
    pub(crate) const fn is_planar_rgb(self) -> bool {
        matches!(self.kind(), FormatKind::Rgb(_, RgbLayout::Planar))
    }

    /// The number of samples in a packed frame.
    pub(crate) const fn samples(self, size: FrameSize) -> usize {
        match self {
            Self::Yuv(format) => format.samples(size),
            _ => 3 * size.pixels(),
        }
    }

    /// Bytes per sample.
    pub(crate) const fn sample_bytes(self) -> usize {
        match self.kind() {
            FormatKind::Rgb(sample, _) => sample.bytes(),
            FormatKind::Yuv(format) => format.sample_bytes(),
        }
    }

    /// Checks that the format is supported.
    pub(crate) fn check(self, op: &'static str) -> Result<()> {
        match self {
            Self::Yuv(format) => format.check(op),
            _ => Ok(()),
        }
    }
}

/// The layout of the rows of a frame in its buffer, in samples. YUV frames are always packed, and
/// their stride is that of luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// From the start of a row to the start of the next.
    pub row: usize,
    /// From the start of a plane to the start of the next; only used for planar RGB.
    pub plane: usize,
}

impl Stride {
    /// Rows and planes without gaps.
    pub const fn packed(size: FrameSize, format: PixelFormat) -> Self {
        match format.kind() {
            FormatKind::Rgb(_, RgbLayout::Interleaved) => Self { row: 3 * size.width, plane: 0 },
            _ => Self { row: size.width, plane: size.pixels() },
        }
    }
}

/// Checks that a buffer of `len` samples can hold a frame with this stride, and that rows and
/// planes do not overlap.
pub(super) fn check_layout(
    size: FrameSize,
    format: PixelFormat,
    stride: Stride,
    len: usize,
) -> Result<()> {
    const OP: &str = "frame view";
    size.check(OP)?;
    let packed = Stride::packed(size, format);
    // The last row needs only its samples, not a whole stride.
    let plane = (size.height - 1).checked_mul(stride.row).and_then(|n| n.checked_add(packed.row));
    let (needed, disjoint) = match format.is_planar_rgb() {
        true => (
            plane.and_then(|p| stride.plane.checked_mul(2)?.checked_add(p)),
            plane.is_some_and(|p| stride.plane >= p),
        ),
        false => (plane, true),
    };
    match needed {
        Some(needed) if stride.row >= packed.row && disjoint && needed <= len => Ok(()),
        Some(needed) if stride.row >= packed.row && disjoint => Err(Error::Frame {
            op: OP,
            expected: format!("at least {needed} samples for {size} with {stride:?}"),
            got: len.to_string(),
        }),
        _ => Err(Error::Frame {
            op: OP,
            expected: format!("a stride of at least {packed:?} for {size}"),
            got: format!("{stride:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, FrameView};
    use super::*;

    #[test]
    fn frame_size_parses_and_prints() {
        assert_eq!("1920x1080".parse::<FrameSize>().unwrap(), FrameSize::new(1920, 1080));
        assert_eq!(FrameSize::new(3, 2).to_string(), "3x2");
        for bad in ["", "x", "1920", "0x5", "5x0", "-1x4", "1e3x4", "99999x1", "3x4x5"] {
            assert!(bad.parse::<FrameSize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn layout_larger_than_its_buffer_is_refused() {
        let size = FrameSize::new(4, 3);
        let stride = |row, plane| Stride { row, plane };
        assert!(FrameView::rgb8(size, &[0; 36], stride(12, 0)).is_ok());
        assert!(FrameView::rgb8(size, &[0; 35], stride(12, 0)).is_err());
        assert!(FrameView::rgb8(size, &[0; 36], stride(11, 0)).is_err());
        // The last row needs no padding.
        assert!(FrameView::rgb8(size, &[0; 52], stride(20, 0)).is_ok());
        assert!(FrameView::rgb8(size, &[0; 51], stride(20, 0)).is_err());
        assert!(FrameView::rgb8(size, &[0; 36], stride(usize::MAX, 0)).is_err());
        assert!(FrameView::planar_f32(size, &[0.0; 36], stride(4, 12)).is_ok());
        assert!(FrameView::planar_f32(size, &[0.0; 36], stride(4, 11)).is_err());
        assert!(FrameView::planar_f32(size, &[0.0; 36], stride(4, usize::MAX)).is_err());
        assert!(FrameView::rgb8(FrameSize::new(0, 3), &[], stride(0, 0)).is_err());
        assert!(Frame::rgb16(size, vec![0; 35]).is_err());
    }
}
