//! Frames: interleaved or planar RGB of 8 or 16 bits, F16 or F32, or YUV, in host memory or (RGB) in
//! the memory of a CUDA device.

mod convert;
mod device;
mod layout;
mod rgb;
mod rounding;
mod rows;
mod samples;
pub(crate) mod yuv;

use std::ptr::NonNull;

use half::f16;

use crate::Result;
use crate::engine::HostPin;
use samples::OwnedSamples;

pub use device::DeviceSamples;
pub(crate) use layout::{FormatKind, RgbLayout};
pub use layout::{FrameSize, PixelFormat, SampleType, Stride};
pub(crate) use samples::{Samples, SamplesMut};
pub use yuv::{Chroma, Matrix, Siting, YuvFormat};

/// A frame in a borrowed buffer.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    size: FrameSize,
    memory: Memory<Samples<'a>>,
}

/// A frame in a mutably borrowed buffer.
#[derive(Debug)]
pub struct FrameViewMut<'a> {
    size: FrameSize,
    memory: Memory<SamplesMut<'a>>,
}

/// The memory that holds a frame.
#[derive(Clone, Copy, Debug)]
enum Memory<S> {
    Host { samples: S, stride: Stride, pinned: bool },
    Device(DeviceSamples),
}

macro_rules! view_accessors {
    ($($type:ident),*) => {
        $(
            impl $type<'_> {
                /// The size of the frame.
                pub fn size(&self) -> FrameSize {
                    self.size
                }

                /// The layout of the rows; `None` for a frame in device memory, see
                /// [`DeviceSamples`].
                pub fn stride(&self) -> Option<Stride> {
                    match &self.memory {
                        Memory::Host { stride, .. } => Some(*stride),
                        Memory::Device(_) => None,
                    }
                }

                /// The format of its samples. A frame in device memory is interleaved if the
                /// samples of a pixel follow each other, otherwise planar.
                pub fn format(&self) -> PixelFormat {
                    match &self.memory {
                        Memory::Host { samples, .. } => samples.format(),
                        Memory::Device(samples) => samples.format(),
                    }
                }

                /// Whether its memory is pinned (page-locked), see [`crate::Interpolator::pin`].
                pub fn is_pinned(&self) -> bool {
                    matches!(self.memory, Memory::Host { pinned: true, .. })
                }

                /// The samples in device memory; `None` for a frame in host memory.
                pub fn device_samples(&self) -> Option<&DeviceSamples> {
                    match &self.memory {
                        Memory::Host { .. } => None,
                        Memory::Device(samples) => Some(samples),
                    }
                }
            }
        )*
    };
}

view_accessors!(FrameView, FrameViewMut);

/// The message of a panic that the checks of the public types rule out.
const NOT_ON_HOST: &str = "the frame is in device memory";

impl<'a> FrameView<'a> {
    /// The samples and their layout.
    ///
    /// # Panics
    /// If the frame is in device memory.
    pub(crate) fn host(&self) -> (Samples<'a>, Stride) {
        match self.memory {
            Memory::Host { samples, stride, .. } => (samples, stride),
            Memory::Device(_) => panic!("{NOT_ON_HOST}"),
        }
    }
}

impl<'a> FrameViewMut<'a> {
    /// Like [`FrameView::host`], mutable.
    ///
    /// # Panics
    /// If the frame is in device memory.
    pub(crate) fn host_mut(&mut self) -> (&mut SamplesMut<'a>, Stride) {
        match &mut self.memory {
            Memory::Host { samples, stride, .. } => (samples, *stride),
            Memory::Device(_) => panic!("{NOT_ON_HOST}"),
        }
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
    /// [`crate::Error::Frame`] if the size, or the depth of a YUV format, is out of range.
    pub fn black(size: FrameSize, format: PixelFormat) -> Result<Self> {
        let samples = 3 * size.check("frame")?.pixels();
        let samples = match format.kind() {
            FormatKind::Rgb(SampleType::U8, layout) => OwnedSamples::U8(layout, vec![0; samples]),
            FormatKind::Rgb(SampleType::U16, layout) => OwnedSamples::U16(layout, vec![0; samples]),
            FormatKind::Rgb(SampleType::F16, layout) => {
                OwnedSamples::F16(layout, vec![f16::ZERO; samples])
            }
            FormatKind::Rgb(SampleType::F32, layout) => {
                OwnedSamples::F32(layout, vec![0.0; samples])
            }
            FormatKind::Yuv(format) => return Self::black_yuv(size, format),
        };
        Ok(Self { size, pin: None, samples })
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
        let (samples, pinned) = (self.samples.borrow(), self.is_pinned());
        FrameView { size: self.size, memory: Memory::Host { samples, stride, pinned } }
    }

    /// A view to write the frame.
    pub fn view_mut(&mut self) -> FrameViewMut<'_> {
        let (stride, pinned) = (Stride::packed(self.size, self.format()), self.is_pinned());
        let samples = self.samples.borrow_mut();
        FrameViewMut { size: self.size, memory: Memory::Host { samples, stride, pinned } }
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
    /// [`crate::Error::Frame`] if the format is not supported, see [`Frame::black`].
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
