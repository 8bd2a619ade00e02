//! Frames as the runtime takes and gives them: RGB, 8 or 16 bit interleaved, or planar float; or
//! planar YUV, as video has it.

mod convert;
pub(crate) mod yuv;

use std::fmt;
use std::ptr::NonNull;
use std::str::FromStr;

use crate::engine::HostLock;
use crate::{Error, Result};

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

/// How a frame's samples are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Interleaved RGB, 8 bit, full range.
    Rgb8,
    /// Interleaved RGB, 16 bit in native byte order, full range.
    Rgb16,
    /// Three planes of F32 in [0, 1]: red, green, blue.
    PlanarF32,
    /// Planes of Y, U and V one after the other without gaps, of 8 bits or of 16.
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

    /// Bytes of a sample.
    pub(crate) const fn sample_bytes(self) -> usize {
        match self {
            Self::Rgb8 => 1,
            Self::Rgb16 => 2,
            Self::PlanarF32 => 4,
            Self::Yuv(format) => format.sample_bytes(),
        }
    }

    /// Whether there can be frames of it.
    pub(crate) fn check(self, op: &'static str) -> Result<()> {
        match self {
            Self::Yuv(format) => format.check(op),
            _ => Ok(()),
        }
    }
}

/// Where the rows of a frame lie in its buffer, counted in samples. Those of YUV always lie without
/// gaps, and this tells of luma's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// From the start of a row to the start of the next.
    pub row: usize,
    /// From the start of a plane to the start of the next; read for planar formats only.
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

#[derive(Clone, Copy, Debug)]
pub(crate) enum Samples<'a> {
    Rgb8(&'a [u8]),
    Rgb16(&'a [u16]),
    PlanarF32(&'a [f32]),
    Yuv8(YuvFormat, &'a [u8]),
    Yuv16(YuvFormat, &'a [u16]),
}

#[derive(Debug)]
pub(crate) enum SamplesMut<'a> {
    Rgb8(&'a mut [u8]),
    Rgb16(&'a mut [u16]),
    PlanarF32(&'a mut [f32]),
    Yuv8(YuvFormat, &'a mut [u8]),
    Yuv16(YuvFormat, &'a mut [u16]),
}

/// A frame in somebody else's buffer.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    size: FrameSize,
    stride: Stride,
    samples: Samples<'a>,
    locked: bool,
}

/// A frame in somebody else's buffer, to be written.
#[derive(Debug)]
pub struct FrameViewMut<'a> {
    size: FrameSize,
    stride: Stride,
    samples: SamplesMut<'a>,
    locked: bool,
}

macro_rules! views {
    ($($name:ident: $variant:ident, $sample:ty, $doc:literal;)*) => {
        impl<'a> FrameView<'a> {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// When the size is out of range, rows or planes overlap, or the buffer is too
                /// short for them.
                pub fn $name(size: FrameSize, data: &'a [$sample], stride: Stride) -> Result<Self> {
                    check_layout(size, PixelFormat::$variant, stride, data.len())?;
                    Ok(Self { size, stride, samples: Samples::$variant(data), locked: false })
                }
            )*
        }

        impl<'a> FrameViewMut<'a> {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// As [`FrameView`]'s.
                pub fn $name(size: FrameSize, data: &'a mut [$sample], stride: Stride) -> Result<Self> {
                    check_layout(size, PixelFormat::$variant, stride, data.len())?;
                    let samples = SamplesMut::$variant(data);
                    Ok(Self { size, stride, samples, locked: false })
                }
            )*
        }

        impl Frame {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// When the size is out of range or `data` is not exactly one packed frame.
                pub fn $name(size: FrameSize, data: Vec<$sample>) -> Result<Self> {
                    size.check("frame")?;
                    if data.len() != 3 * size.pixels() {
                        return Err(Error::Frame {
                            op: "frame",
                            expected: format!("{} samples for {size}", 3 * size.pixels()),
                            got: data.len().to_string(),
                        });
                    }
                    Ok(Self { size, lock: None, samples: Owned::$variant(data) })
                }
            )*

            /// The frame, to be read.
            pub fn view(&self) -> FrameView<'_> {
                let stride = Stride::packed(self.size, self.format());
                let samples = match &self.samples {
                    $( Owned::$variant(data) => Samples::$variant(data), )*
                    Owned::Yuv8(format, data) => Samples::Yuv8(*format, data),
                    Owned::Yuv16(format, data) => Samples::Yuv16(*format, data),
                };
                FrameView { size: self.size, stride, samples, locked: self.lock.is_some() }
            }

            /// The frame, to be written.
            pub fn view_mut(&mut self) -> FrameViewMut<'_> {
                let stride = Stride::packed(self.size, self.format());
                let samples = match &mut self.samples {
                    $( Owned::$variant(data) => SamplesMut::$variant(data), )*
                    Owned::Yuv8(format, data) => SamplesMut::Yuv8(*format, data),
                    Owned::Yuv16(format, data) => SamplesMut::Yuv16(*format, data),
                };
                FrameViewMut { size: self.size, stride, samples, locked: self.lock.is_some() }
            }

            /// The layout of the samples.
            pub fn format(&self) -> PixelFormat {
                match self.samples {
                    $( Owned::$variant(_) => PixelFormat::$variant, )*
                    Owned::Yuv8(format, _) | Owned::Yuv16(format, _) => PixelFormat::Yuv(format),
                }
            }

            /// A black frame.
            ///
            /// # Errors
            /// When the size is out of range, or the depth of a YUV format.
            pub fn black(size: FrameSize, format: PixelFormat) -> Result<Self> {
                let samples = 3 * size.check("frame")?.pixels();
                match format {
                    $( PixelFormat::$variant => Self::$name(size, vec![<$sample>::default(); samples]), )*
                    PixelFormat::Yuv(format) => Self::black_yuv(size, format),
                }
            }
        }

        impl FrameView<'_> {
            /// The layout of the samples.
            pub fn format(&self) -> PixelFormat {
                match self.samples {
                    $( Samples::$variant(_) => PixelFormat::$variant, )*
                    Samples::Yuv8(format, _) | Samples::Yuv16(format, _) => PixelFormat::Yuv(format),
                }
            }
        }

        impl FrameViewMut<'_> {
            /// The layout of the samples.
            pub fn format(&self) -> PixelFormat {
                match self.samples {
                    $( SamplesMut::$variant(_) => PixelFormat::$variant, )*
                    SamplesMut::Yuv8(format, _) | SamplesMut::Yuv16(format, _) => PixelFormat::Yuv(format),
                }
            }
        }

        impl Frame {
            /// Page-locks the samples with `lock`, which gets their address and length in bytes;
            /// the frame stays as it is where that gives nothing. A lock there was is given up.
            pub(crate) fn locked_by(
                mut self,
                lock: impl FnOnce(NonNull<u8>, usize) -> Option<Box<dyn HostLock>>,
            ) -> Self {
                self.lock = None;
                let (data, len) = match &mut self.samples {
                    $( Owned::$variant(data) => (
                        data.as_mut_ptr().cast(),
                        size_of_val(data.as_slice()),
                    ), )*
                    Owned::Yuv8(_, data) => {
                        (data.as_mut_ptr(), size_of_val(data.as_slice()))
                    }
                    Owned::Yuv16(_, data) => {
                        (data.as_mut_ptr().cast(), size_of_val(data.as_slice()))
                    }
                };
                self.lock = NonNull::new(data).and_then(|data| lock(data, len));
                self
            }
        }
    };
}

views! {
    rgb8: Rgb8, u8, "8-bit interleaved RGB.";
    rgb16: Rgb16, u16, "16-bit interleaved RGB.";
    planar_f32: PlanarF32, f32, "Planar F32 RGB in [0, 1]. Values outside are clamped and NaN is read as 0.";
}

impl FrameView<'_> {
    /// The frame's size.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Where its rows lie.
    pub fn stride(&self) -> Stride {
        self.stride
    }

    /// Whether its memory is page-locked, see [`crate::Interpolator::lock`].
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    pub(crate) fn samples(&self) -> Samples<'_> {
        self.samples
    }
}

impl<'a> FrameViewMut<'a> {
    /// The frame's size.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Where its rows lie.
    pub fn stride(&self) -> Stride {
        self.stride
    }

    /// Whether its memory is page-locked, see [`crate::Interpolator::lock`].
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    pub(crate) fn samples_mut(&mut self) -> &mut SamplesMut<'a> {
        &mut self.samples
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Rgb8(Vec<u8>),
    Rgb16(Vec<u16>),
    PlanarF32(Vec<f32>),
    Yuv8(YuvFormat, Vec<u8>),
    Yuv16(YuvFormat, Vec<u16>),
}

/// A frame that owns its samples, packed. A clone of a page-locked frame is not page-locked, and
/// frames are equal whether they are or not.
#[derive(Debug)]
pub struct Frame {
    size: FrameSize,
    /// Of the memory of `samples`, so: declared, and with that dropped, before it; and while there
    /// is one, `samples` neither changes its length nor leaves the frame.
    lock: Option<Box<dyn HostLock>>,
    samples: Owned,
}

impl Clone for Frame {
    fn clone(&self) -> Self {
        Self { size: self.size, lock: None, samples: self.samples.clone() }
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.size == other.size && self.samples == other.samples
    }
}

impl Frame {
    /// The frame's size.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Whether its memory is page-locked, see [`crate::Interpolator::lock`].
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// The samples of an 8-bit frame.
    pub fn as_rgb8(&self) -> Option<&[u8]> {
        if let Owned::Rgb8(data) = &self.samples { Some(data) } else { None }
    }

    /// The samples of a 16-bit frame.
    pub fn as_rgb16(&self) -> Option<&[u16]> {
        if let Owned::Rgb16(data) = &self.samples { Some(data) } else { None }
    }

    /// The samples of a planar float frame.
    pub fn as_planar_f32(&self) -> Option<&[f32]> {
        if let Owned::PlanarF32(data) = &self.samples { Some(data) } else { None }
    }

    /// The samples of an 8-bit frame, taken out.
    pub fn into_rgb8(mut self) -> Option<Vec<u8>> {
        self.lock = None;
        if let Owned::Rgb8(data) = self.samples { Some(data) } else { None }
    }

    /// The samples of a 16-bit frame, taken out.
    pub fn into_rgb16(mut self) -> Option<Vec<u16>> {
        self.lock = None;
        if let Owned::Rgb16(data) = self.samples { Some(data) } else { None }
    }
}

impl Frame {
    /// The samples as bytes, in native order: what a raw video file holds, where integers are
    /// little-endian.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.samples {
            Owned::Rgb8(data) | Owned::Yuv8(_, data) => data,
            Owned::Rgb16(data) | Owned::Yuv16(_, data) => bytemuck::cast_slice(data),
            Owned::PlanarF32(data) => bytemuck::cast_slice(data),
        }
    }

    /// As [`Frame::as_bytes`], to be written.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.samples {
            Owned::Rgb8(data) | Owned::Yuv8(_, data) => data,
            Owned::Rgb16(data) | Owned::Yuv16(_, data) => bytemuck::cast_slice_mut(data),
            Owned::PlanarF32(data) => bytemuck::cast_slice_mut(data),
        }
    }

    /// The frame in another format, by way of floats: rounded to the nearest sample. One that is
    /// in the format already is copied.
    ///
    /// # Errors
    /// When the format cannot be, see [`Frame::black`].
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
    fn sizes_parse_and_print() {
        assert_eq!("1920x1080".parse::<FrameSize>().unwrap(), FrameSize::new(1920, 1080));
        assert_eq!(FrameSize::new(3, 2).to_string(), "3x2");
        for bad in ["", "x", "1920", "0x5", "5x0", "-1x4", "1e3x4", "99999x1", "3x4x5"] {
            assert!(bad.parse::<FrameSize>().is_err(), "{bad}");
        }
    }

    /// Counts itself out.
    #[derive(Debug)]
    struct Guard(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl HostLock for Guard {}

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn a_lock_covers_the_samples_and_goes_before_they_do() {
        let dropped = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = || dropped.load(std::sync::atomic::Ordering::SeqCst);
        let plain = Frame::rgb16(FrameSize::new(4, 3), (0..36).collect()).unwrap();
        let lock = |frame: Frame| {
            frame.locked_by(|_, _| Some(Box::new(Guard(std::sync::Arc::clone(&dropped)))))
        };
        let mut at = 0;
        let frame = plain.clone().locked_by(|ptr, len| {
            at = ptr.addr().get();
            assert_eq!(len, 72);
            None
        });
        assert_eq!(at, frame.as_rgb16().unwrap().as_ptr().addr());
        assert!(!frame.is_locked());

        let mut frame = lock(lock(frame));
        assert_eq!(count(), 1, "the lock there was is given up");
        assert!(frame.is_locked() && frame.view().is_locked() && frame.view_mut().is_locked());
        assert!(!frame.clone().is_locked() && !frame.clone().view().is_locked());
        assert_eq!(frame, plain);
        assert_eq!(count(), 1);
        let samples = frame.into_rgb16().unwrap();
        assert_eq!((count(), samples.len()), (2, 36));
        drop(lock(plain));
        assert_eq!(count(), 3);
    }

    #[test]
    fn layouts_that_do_not_fit_their_buffer_are_refused() {
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
