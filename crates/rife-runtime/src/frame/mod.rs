//! Frames: interleaved 8- or 16-bit RGB, planar F32 RGB, or YUV.

mod convert;
mod layout;
mod rounding;
mod rows;
mod samples;
pub(crate) mod yuv;

use std::ptr::NonNull;

use crate::engine::HostPin;
use crate::{Error, Result};
use layout::check_layout;
use samples::OwnedSamples;

pub use layout::{FrameSize, PixelFormat, Stride};
pub(crate) use samples::{Samples, SamplesMut};
pub use yuv::{Chroma, Matrix, Siting, YuvFormat};

/// A frame in a borrowed buffer.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    size: FrameSize,
    stride: Stride,
    samples: Samples<'a>,
    pinned: bool,
}

/// A frame in a mutably borrowed buffer.
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
                /// Same as for [`FrameView`].
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
    planar_f32: PlanarF32, f32, "Planar F32 RGB in [0, 1]. Values outside of that range are clamped, and NaN is read as 0.";
}

impl FrameView<'_> {
    /// The size of the frame.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// The layout of the rows.
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

    /// The layout of the rows.
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

/// A frame that owns its samples, packed. A clone of a pinned frame is not pinned, and equality
/// ignores pinning.
#[derive(Debug)]
pub struct Frame {
    size: FrameSize,
    /// Pins the memory of `samples`. Declared before `samples`, so that it is dropped first. While
    /// it is set, `samples` must not be resized or moved out.
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

    /// Pins the samples with `pin`, which receives their address and length in bytes. The frame is
    /// not pinned if it returns `None`. A previous pin is released first.
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

    /// The samples as bytes in native byte order. On little-endian machines this is the content of
    /// a raw video file.
    pub fn as_bytes(&self) -> &[u8] {
        self.samples.as_bytes()
    }

    /// Like [`Frame::as_bytes`], mutable.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        self.samples.as_bytes_mut()
    }

    /// Converts the frame to another format through F32, rounded to the nearest sample. A frame
    /// that already has the format is cloned.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how many of it are dropped.
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
}
