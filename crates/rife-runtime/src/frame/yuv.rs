//! YUV frames: a plane of luma and, unless the frame is gray, two planes of chroma.
//!
//! The filters that interpolate and subsample chroma are inverse to each other, so that converting
//! a frame to RGB and back does not change it if all colours are within RGB.

pub(crate) mod axis;
pub(crate) mod decode;
pub(crate) mod encode;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use super::samples::OwnedSamples;
use super::{Frame, FrameSize, FrameView, FrameViewMut, Memory, PixelFormat, Samples, SamplesMut};
use crate::{Error, Result};
use axis::{Axis, AxisSiting};

/// The planes of a YUV frame, in the order Y, U, V.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// Y only.
    Gray,
    /// U and V of half the width and half the height, rounded up.
    Yuv420,
    /// U and V of half the width, rounded up.
    Yuv422,
    /// U and V as large as Y.
    Yuv444,
}

/// The matrix between RGB and YUV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// BT.601: SMPTE 170M and BT.470 BG.
    Bt601,
    /// BT.709.
    Bt709,
    /// BT.2020 with non-constant luminance.
    Bt2020,
    /// SMPTE 240M.
    Smpte240m,
    /// FCC, title 47.
    Fcc,
    /// YCgCo: U is Cg (green), and V is Co (orange).
    YCgCo,
}

/// The position of chroma samples relative to luma for 4:2:0. For 4:2:2 only the horizontal
/// position matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Siting {
    /// Horizontally at even columns, vertically between rows: MPEG-2 and later.
    Left,
    /// Between columns, between rows: JPEG and MPEG-1.
    Center,
    /// At even columns, at even rows: BT.2020.
    TopLeft,
    /// Between columns, at even rows.
    Top,
    /// At even columns, at odd rows.
    BottomLeft,
    /// Between columns, at odd rows.
    Bottom,
}

/// The format of a YUV frame with separate planes: the type and the meaning of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct YuvFormat {
    /// The planes.
    pub chroma: Chroma,
    /// Bits per sample: 8, 10, 12 or 16. 8-bit samples are bytes; others are in the low bits of 16.
    pub depth: u8,
    /// The matrix between RGB and YUV.
    pub matrix: Matrix,
    /// Full range if set, else limited range: luma in 16..=235 for 8 bits, scaled for other depths.
    pub full_range: bool,
    /// The position of chroma samples.
    pub siting: Siting,
}

impl YuvFormat {
    /// The supported depths, in bits.
    pub const DEPTHS: [u8; 4] = [8, 10, 12, 16];

    /// Columns and rows of a chroma plane; zero if the frame is gray.
    pub const fn chroma_size(self, size: FrameSize) -> FrameSize {
        let FrameSize { width, height } = size;
        match self.chroma {
            Chroma::Gray => FrameSize::new(0, 0),
            Chroma::Yuv420 => FrameSize::new(width.div_ceil(2), height.div_ceil(2)),
            Chroma::Yuv422 => FrameSize::new(width.div_ceil(2), height),
            Chroma::Yuv444 => size,
        }
    }

    /// Samples of a frame, in all planes.
    pub const fn samples(self, size: FrameSize) -> usize {
        size.pixels() + 2 * self.chroma_size(size).pixels()
    }

    /// Bytes per sample.
    pub const fn sample_bytes(self) -> usize {
        if self.depth > 8 { 2 } else { 1 }
    }

    pub(crate) fn check(self, op: &'static str) -> Result<()> {
        if Self::DEPTHS.contains(&self.depth) {
            return Ok(());
        }
        let expected = "a depth of 8, 10, 12 or 16 bits".into();
        Err(Error::Frame { op, expected, got: self.depth.to_string() })
    }

    /// The luma and chroma samples of black.
    pub(crate) fn black(self) -> (u16, u16) {
        let extra = u32::from(self.depth.saturating_sub(8));
        (if self.full_range { 0 } else { 16 << extra }, 128 << extra)
    }

    /// The chroma positions along columns and along rows.
    pub(crate) fn axes(self, size: FrameSize) -> (Axis, Axis) {
        let (across, down) = match self.siting {
            Siting::Left => (AxisSiting::Even, AxisSiting::Between),
            Siting::Center => (AxisSiting::Between, AxisSiting::Between),
            Siting::TopLeft => (AxisSiting::Even, AxisSiting::Even),
            Siting::Top => (AxisSiting::Between, AxisSiting::Even),
            Siting::BottomLeft => (AxisSiting::Even, AxisSiting::Odd),
            Siting::Bottom => (AxisSiting::Between, AxisSiting::Odd),
        };
        let (across, down) = match self.chroma {
            Chroma::Yuv420 => (across, down),
            Chroma::Yuv422 => (across, AxisSiting::Every),
            Chroma::Gray | Chroma::Yuv444 => (AxisSiting::Every, AxisSiting::Every),
        };
        (Axis { siting: across, luma: size.width }, Axis { siting: down, luma: size.height })
    }
}

/// The constants of the conversion between a format's samples and RGB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// The luma sample of 0, the number of samples from it to 1, and the reciprocal of that.
    pub(crate) luma_zero: f32,
    pub(crate) luma_one: f32,
    pub(crate) per_luma: f32,
    /// The same for chroma.
    pub(crate) chroma_zero: f32,
    pub(crate) chroma_one: f32,
    /// The largest sample.
    pub(crate) most: f32,
    /// The factors of U and V (in samples from their zero) that are added to luma for red, green
    /// and blue.
    pub(crate) to_rgb: [[f32; 2]; 3],
    /// The factors of red, green and blue in Y, U and V.
    pub(crate) to_yuv: [[f32; 3]; 3],
}

impl Scale {
    pub(crate) fn of(format: YuvFormat) -> Self {
        let (to_rgb, to_yuv) = format.matrix.coefficients();
        let most = ((1_u32 << format.depth) - 1) as f32;
        let step = (1_u32 << (format.depth - 8)) as f32;
        let full = format.full_range;
        let luma_one = if full { most } else { 219.0 * step };
        let chroma_one = if full { most } else { 224.0 * step };
        Self {
            luma_zero: if full { 0.0 } else { 16.0 * step },
            luma_one,
            per_luma: 1.0 / luma_one,
            chroma_zero: 128.0 * step,
            chroma_one,
            most,
            to_rgb: to_rgb.map(|row| row.map(|v| v as f32 / chroma_one)),
            to_yuv: to_yuv.map(|row| row.map(|v| v as f32)),
        }
    }
}

impl Matrix {
    /// RGB from U and V, and YUV from RGB. Luma is in [0, 1], chroma in [-0.5, 0.5].
    fn coefficients(self) -> ([[f64; 2]; 3], [[f64; 3]; 3]) {
        let (red, blue) = match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
            Self::Smpte240m => (0.212, 0.087),
            Self::Fcc => (0.30, 0.11),
            Self::YCgCo => {
                let to_rgb = [[-1.0, 1.0], [1.0, 0.0], [-1.0, -1.0]];
                return (to_rgb, [[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]]);
            }
        };
        let green = 1.0 - red - blue;
        let (u, v) = (2.0 * (1.0 - blue), 2.0 * (1.0 - red));
        (
            [[0.0, v], [-u * blue / green, -v * red / green], [u, 0.0]],
            [[red, green, blue], [-red / u, -green / u, 0.5], [0.5, -green / v, -blue / v]],
        )
    }
}

/// A sample of a plane.
pub(crate) trait Sample: Copy + Send + Sync {
    fn float(self) -> f32;

    /// The low bits of a float of at least 2^23, which is an integer.
    fn low_bits(v: f32) -> Self;
}

impl Sample for u8 {
    fn float(self) -> f32 {
        f32::from(self)
    }

    fn low_bits(v: f32) -> Self {
        v.to_bits() as Self
    }
}

impl Sample for u16 {
    fn float(self) -> f32 {
        f32::from(self)
    }

    fn low_bits(v: f32) -> Self {
        v.to_bits() as Self
    }
}

/// Checks that `len` samples of `bytes` each hold a frame.
fn check(size: FrameSize, format: YuvFormat, bytes: usize, len: usize, whole: bool) -> Result<()> {
    const OP: &str = "YUV frame";
    size.check(OP)?;
    format.check(OP)?;
    if format.sample_bytes() != bytes {
        let expected = format!("samples of {} bits", 8 * format.sample_bytes());
        let got = format!("of {} for a depth of {}", 8 * bytes, format.depth);
        return Err(Error::Frame { op: OP, expected, got });
    }
    let needed = format.samples(size);
    if len == needed || (len > needed && !whole) {
        return Ok(());
    }
    let expected = format!("{needed} samples for {size} in {:?}", format.chroma);
    Err(Error::Frame { op: OP, expected, got: len.to_string() })
}

macro_rules! yuv {
    ($($name:ident: $variant:ident, $sample:ty, $doc:literal;)*) => {
        impl<'a> FrameView<'a> {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// [`Error::Frame`] if the size or the depth is out of range, the depth requires
                /// samples of another type, or the buffer is too short.
                pub fn $name(size: FrameSize, format: YuvFormat, data: &'a [$sample]) -> Result<Self> {
                    check(size, format, size_of::<$sample>(), data.len(), false)?;
                    let stride = super::Stride::packed(size, PixelFormat::Yuv(format));
                    let samples = Samples::$variant(format, data);
                    Ok(Self { size, memory: Memory::Host { samples, stride, pinned: false } })
                }
            )*
        }

        impl<'a> FrameViewMut<'a> {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// Same as for [`FrameView`].
                pub fn $name(
                    size: FrameSize,
                    format: YuvFormat,
                    data: &'a mut [$sample],
                ) -> Result<Self> {
                    check(size, format, size_of::<$sample>(), data.len(), false)?;
                    let stride = super::Stride::packed(size, PixelFormat::Yuv(format));
                    let samples = SamplesMut::$variant(format, data);
                    Ok(Self { size, memory: Memory::Host { samples, stride, pinned: false } })
                }
            )*
        }

        impl Frame {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// [`Error::Frame`] if the size or the depth is out of range, the depth requires
                /// samples of another type, or `data` is not exactly one frame.
                pub fn $name(size: FrameSize, format: YuvFormat, data: Vec<$sample>) -> Result<Self> {
                    check(size, format, size_of::<$sample>(), data.len(), true)?;
                    Ok(Self { size, pin: None, samples: OwnedSamples::$variant(format, data) })
                }
            )*
        }
    };
}

yuv! {
    yuv8: Yuv8, u8, "Planar YUV of 8 bits, the planes one after the other without gaps.";
    yuv16: Yuv16, u16, "Planar YUV of 10, 12 or 16 bits, in the low bits of each sample, the planes one after the other without gaps.";
}

impl Frame {
    pub(super) fn black_yuv(size: FrameSize, format: YuvFormat) -> Result<Self> {
        // Check the depth before computing anything from it.
        format.check("YUV frame")?;
        let pixels = size.check("YUV frame")?.pixels();
        let (luma, chroma) = format.black();
        let samples = || {
            let of_luma = std::iter::repeat_n(luma, pixels);
            of_luma.chain(std::iter::repeat_n(chroma, format.samples(size) - pixels))
        };
        match format.sample_bytes() {
            1 => Self::yuv8(size, format, samples().map(|v| v as u8).collect()),
            _ => Self::yuv16(size, format, samples().collect()),
        }
    }

    /// The samples of an 8-bit YUV frame: Y, U, V.
    pub fn as_yuv8(&self) -> Option<&[u8]> {
        if let OwnedSamples::Yuv8(_, data) = &self.samples { Some(data) } else { None }
    }

    /// The samples of a YUV frame of more than 8 bits: Y, U, V.
    pub fn as_yuv16(&self) -> Option<&[u16]> {
        if let OwnedSamples::Yuv16(_, data) = &self.samples { Some(data) } else { None }
    }

    /// Takes the samples out of an 8-bit YUV frame.
    pub fn into_yuv8(mut self) -> Option<Vec<u8>> {
        self.pin = None;
        if let OwnedSamples::Yuv8(_, data) = self.samples { Some(data) } else { None }
    }

    /// Takes the samples out of a YUV frame of more than 8 bits.
    pub fn into_yuv16(mut self) -> Option<Vec<u16>> {
        self.pin = None;
        if let OwnedSamples::Yuv16(_, data) = self.samples { Some(data) } else { None }
    }
}
