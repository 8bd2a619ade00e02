//! Frames: interleaved 8- or 16-bit RGB, planar F32 RGB, or YUV.

mod convert;
mod rounding;
mod samples;
pub(crate) mod yuv;

use std::fmt;
use std::ptr::NonNull;
use std::str::FromStr;

use crate::engine::HostPin;
use crate::{Error, Result};
use samples::OwnedSamples;

pub(crate) use samples::{Samples, SamplesMut};
pub use yuv::{Chroma, Matrix, Siting, YuvFormat};

/// A frame's size in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameSize {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl FrameSize {
    /// The longest side, in px, that a frame may have.
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
                expected: "WIDTHxHEIGHT, as 1920x1080".into(),
                got: format!("{s:?}"),
            }),
        }
    }
}

/// The format and layout of a frame's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Interleaved RGB, 8 bit, full range.
    Rgb8,
    /// Interleaved RGB, 16 bit in native byte order, full range.
    Rgb16,
    /// Three planes of F32 in [0, 1]: red, green, blue.
    PlanarF32,
    /// Planes of Y, U and V one after the other without gaps, with samples of 8 or 16 bits.
    Yuv(YuvFormat),
}

impl PixelFormat {
    /// Samples of a packed frame.
    pub(crate) const fn samples(self, size: FrameSize) -> usize {
        match self {
            Self::Rgb8 | Self::Rgb16 | Self::PlanarF32 => 3 * size.pixels(),
            Self::Yuv(format) => format.samples(size),
        }
    }

    /// Bytes per sample.
    pub(crate) const fn sample_bytes(self) -> usize {
        match self {
            Self::Rgb8 => 1,
            Self::Rgb16 => 2,
            Self::PlanarF32 => 4,
            Self::Yuv(format) => format.sample_bytes(),
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

/// The layout of the rows of a frame in its buffer, in samples. YUV frames never have gaps; their
/// stride is that of luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// From the start of a row to the start of the next.
    pub row: usize,
    /// From the start of a plane to the start of the next; only used for planar F32.
    pub plane: usize,
}

impl Stride {
    /// Rows and planes without gaps.
    pub const fn packed(size: FrameSize, format: PixelFormat) -> Self {
        match format {
            PixelFormat::Rgb8 | PixelFormat::Rgb16 => Self { row: 3 * size.width, plane: 0 },
            PixelFormat::PlanarF32 | PixelFormat::Yuv(_) => {
                Self { row: size.width, plane: size.pixels() }
            }
        }
    }
}

/// A frame in a buffer of the caller's.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    size: FrameSize,
    stride: Stride,
    samples: Samples<'a>,
    pinned: bool,
}

/// A frame in a buffer of the caller's, to be written.
#[derive(Debug)]
pub struct FrameViewMut<'a> {
    size: FrameSize,
    stride: Stride,
    samples: SamplesMut<'a>,
    pinned: bool,
}

macro_rules! rgb_constructors {
    ($($name:ident: $variant:ident, $sample:ty, $doc:literal;)*) => {
        impl<'a> FrameView<'a> {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// [`Error::Frame`] if the size is out of range, rows or planes overlap, or the
                /// buffer is too short.
                pub fn $name(size: FrameSize, data: &'a [$sample], stride: Stride) -> Result<Self> {
                    check_layout(size, PixelFormat::$variant, stride, data.len())?;
                    Ok(Self { size, stride, samples: Samples::$variant(data), pinned: false })
                }
            )*
        }

        impl<'a> FrameViewMut<'a> {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// As for [`FrameView`].
                pub fn $name(size: FrameSize, data: &'a mut [$sample], stride: Stride) -> Result<Self> {
                    check_layout(size, PixelFormat::$variant, stride, data.len())?;
                    let samples = SamplesMut::$variant(data);
                    Ok(Self { size, stride, samples, pinned: false })
                }
            )*
        }

        impl Frame {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// [`Error::Frame`] if the size is out of range, or `data` is not exactly one
                /// packed frame.
                pub fn $name(size: FrameSize, data: Vec<$sample>) -> Result<Self> {
                    size.check("frame")?;
                    if data.len() != 3 * size.pixels() {
                        return Err(Error::Frame {
                            op: "frame",
                            expected: format!("{} samples for {size}", 3 * size.pixels()),
                            got: data.len().to_string(),
                        });
                    }
                    Ok(Self { size, pin: None, samples: OwnedSamples::$variant(data) })
                }
            )*
        }
    };
}

rgb_constructors! {
    rgb8: Rgb8, u8, "8-bit interleaved RGB.";
    rgb16: Rgb16, u16, "16-bit interleaved RGB.";
    planar_f32: PlanarF32, f32, "Planar F32 RGB in [0, 1]. Values outside are clamped and NaN is read as 0.";
}

impl FrameView<'_> {
    /// The size of the frame.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// The layout of its rows.
    pub fn stride(&self) -> Stride {
        self.stride
    }

    /// The format of its samples.
    pub fn format(&self) -> PixelFormat {
        self.samples.format()
    }

    /// Whether its memory is pinned (page-locked), see [`crate::Interpolator::pin`].
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    pub(crate) fn samples(&self) -> Samples<'_> {
        self.samples
    }
}

impl<'a> FrameViewMut<'a> {
    /// The size of the frame.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// The layout of its rows.
    pub fn stride(&self) -> Stride {
        self.stride
    }

    /// The format of its samples.
    pub fn format(&self) -> PixelFormat {
        self.samples.format()
    }

    /// Whether its memory is pinned (page-locked), see [`crate::Interpolator::pin`].
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    pub(crate) fn samples_mut(&mut self) -> &mut SamplesMut<'a> {
        &mut self.samples
    }
}

/// A frame that owns its samples, packed. A clone of a pinned frame is not pinned, and pinning does
/// not matter to equality.
#[derive(Debug)]
pub struct Frame {
    size: FrameSize,
    /// Pins the memory of `samples`. Declared, and so dropped, before it; while it is set,
    /// `samples` neither changes its length nor leaves the frame.
    pin: Option<Box<dyn HostPin>>,
    samples: OwnedSamples,
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        Self { size: self.size, pin: None, samples: self.samples.clone() }
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.samples == other.samples
    }
}

impl Frame {
    /// A black frame.
    ///
    /// # Errors
    /// [`Error::Frame`] if the size, or the depth of a YUV format, is out of range.
    pub fn black(size: FrameSize, format: PixelFormat) -> Result<Self> {
        let samples = 3 * size.check("frame")?.pixels();
        match format {
            PixelFormat::Rgb8 => Self::rgb8(size, vec![0; samples]),
            PixelFormat::Rgb16 => Self::rgb16(size, vec![0; samples]),
            PixelFormat::PlanarF32 => Self::planar_f32(size, vec![0.0; samples]),
            PixelFormat::Yuv(format) => Self::black_yuv(size, format),
        }
    }

    /// The size of the frame.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// The format of its samples.
    pub fn format(&self) -> PixelFormat {
        self.samples.format()
    }

    /// A view to read the frame.
    pub fn view(&self) -> FrameView<'_> {
        let stride = Stride::packed(self.size, self.format());
        let samples = self.samples.borrow();
        FrameView { size: self.size, stride, samples, pinned: self.is_pinned() }
    }

    /// A view to write the frame.
    pub fn view_mut(&mut self) -> FrameViewMut<'_> {
        let (stride, pinned) = (Stride::packed(self.size, self.format()), self.is_pinned());
        FrameViewMut { size: self.size, stride, samples: self.samples.borrow_mut(), pinned }
    }

    /// Whether its memory is pinned (page-locked), see [`crate::Interpolator::pin`].
    pub fn is_pinned(&self) -> bool {
        self.pin.is_some()
    }

    /// Pins the samples with `pin`, which gets their address and length in bytes. If it returns
    /// `None`, the frame is not pinned. A previous pin is released first.
    pub(crate) fn pinned_by(
        mut self,
        pin: impl FnOnce(NonNull<u8>, usize) -> Option<Box<dyn HostPin>>,
    ) -> Self {
        self.pin = None;
        let bytes = self.samples.as_bytes_mut();
        let (data, len) = (NonNull::from(&mut *bytes).cast(), bytes.len());
        self.pin = pin(data, len);
        self
    }

    /// The samples of an 8-bit RGB frame.
    pub fn as_rgb8(&self) -> Option<&[u8]> {
        if let OwnedSamples::Rgb8(data) = &self.samples { Some(data) } else { None }
    }

    /// The samples of a 16-bit RGB frame.
    pub fn as_rgb16(&self) -> Option<&[u16]> {
        if let OwnedSamples::Rgb16(data) = &self.samples { Some(data) } else { None }
    }

    /// The samples of a planar F32 frame.
    pub fn as_planar_f32(&self) -> Option<&[f32]> {
        if let OwnedSamples::PlanarF32(data) = &self.samples { Some(data) } else { None }
    }

    /// Takes the samples out of an 8-bit RGB frame.
    pub fn into_rgb8(mut self) -> Option<Vec<u8>> {
        self.pin = None;
        if let OwnedSamples::Rgb8(data) = self.samples { Some(data) } else { None }
    }

    /// Takes the samples out of a 16-bit RGB frame.
    pub fn into_rgb16(mut self) -> Option<Vec<u16>> {
        self.pin = None;
        if let OwnedSamples::Rgb16(data) = self.samples { Some(data) } else { None }
    }

    /// The samples as bytes in native order: the contents of a raw video file, in which integers
    /// are little-endian.
    pub fn as_bytes(&self) -> &[u8] {
        self.samples.as_bytes()
    }

    /// As [`Frame::as_bytes`], mutable.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.samples.as_bytes_mut()
    }

    /// The frame in another format, converted by way of F32 and rounded to the nearest sample. A
    /// frame that already has the format is copied.
    ///
    /// # Errors
    /// [`Error::Frame`] if the format is not supported, see [`Frame::black`].
    pub fn converted(&self, format: PixelFormat) -> Result<Self> {
        if self.format() == format {
            return Ok(self.clone());
        }
        let FrameSize { width, height } = self.size;
        let mut planes = vec![0.0; 3 * self.size.pixels()];
        self.view().write_planes(&mut planes, width, height);
        let mut out = Self::black(self.size, format)?;
        out.view_mut().read_planes(&planes, width, height);
        Ok(out)
    }
}

fn check_layout(size: FrameSize, format: PixelFormat, stride: Stride, len: usize) -> Result<()> {
    const OP: &str = "frame view";
    size.check(OP)?;
    let packed = Stride::packed(size, format);
    // The last row needs its samples only, not a whole stride.
    let plane = (size.height - 1).checked_mul(stride.row).and_then(|n| n.checked_add(packed.row));
    let (needed, apart) = match format {
        PixelFormat::PlanarF32 => (
            plane.and_then(|p| stride.plane.checked_mul(2)?.checked_add(p)),
            plane.is_some_and(|p| stride.plane >= p),
        ),
        _ => (plane, true),
    };
    match needed {
        Some(needed) if stride.row >= packed.row && apart && needed <= len => Ok(()),
        Some(needed) if stride.row >= packed.row && apart => Err(Error::Frame {
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
    use super::*;

    #[test]
    fn frame_size_parses_and_prints() {
        assert_eq!("1920x1080".parse::<FrameSize>().unwrap(), FrameSize::new(1920, 1080));
        assert_eq!(FrameSize::new(3, 2).to_string(), "3x2");
        for bad in ["", "x", "1920", "0x5", "5x0", "-1x4", "1e3x4", "99999x1", "3x4x5"] {
            assert!(bad.parse::<FrameSize>().is_err(), "{bad}");
        }
    }

    /// Counts how often it was dropped.
    #[derive(Debug)]
    struct Guard(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl HostPin for Guard {}

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn pin_covers_the_samples_and_is_released_before_them() {
        let dropped = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = || dropped.load(std::sync::atomic::Ordering::SeqCst);
        let plain = Frame::rgb16(FrameSize::new(4, 3), (0..36).collect()).unwrap();
        let pin = |frame: Frame| {
            frame.pinned_by(|_, _| Some(Box::new(Guard(std::sync::Arc::clone(&dropped)))))
        };
        let mut at = 0;
        let frame = plain.clone().pinned_by(|ptr, len| {
            at = ptr.addr().get();
            assert_eq!(len, 72);
            None
        });
        assert_eq!(at, frame.as_rgb16().unwrap().as_ptr().addr());
        assert!(!frame.is_pinned());

        let mut frame = pin(pin(frame));
        assert_eq!(count(), 1, "the previous pin is released");
        assert!(frame.is_pinned() && frame.view().is_pinned() && frame.view_mut().is_pinned());
        assert!(!frame.clone().is_pinned() && !frame.clone().view().is_pinned());
        assert_eq!(frame, plain);
        assert_eq!(count(), 1);
        let samples = frame.into_rgb16().unwrap();
        assert_eq!((count(), samples.len()), (2, 36));
        drop(pin(plain));
        assert_eq!(count(), 3);
    }

    #[test]
    fn layout_larger_than_its_buffer_is_refused() {
        let size = FrameSize::new(4, 3);
        let stride = |row, plane| Stride { row, plane };
        assert!(FrameView::rgb8(size, &[0; 36], stride(12, 0)).is_ok());
        assert!(FrameView::rgb8(size, &[0; 35], stride(12, 0)).is_err());
        assert!(FrameView::rgb8(size, &[0; 36], stride(11, 0)).is_err());
        // The last row needs no padding after it.
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
