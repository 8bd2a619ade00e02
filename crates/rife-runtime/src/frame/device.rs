//! Frames in the memory of a CUDA device.

use super::layout::{RgbLayout, SampleType};
use super::{FrameSize, FrameView, FrameViewMut, Memory, PixelFormat};
use crate::{Error, Result};

/// RGB samples in the memory of a CUDA device, in any strided layout: interleaved or planar,
/// padded, or a view of a larger tensor.
///
/// Channel `c` of the pixel in column `x` and row `y` is at `address + y * row + x * pixel +
/// c * channel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceSamples {
    /// The address of the red sample of the top left pixel, in the device's primary context.
    pub address: u64,
    /// The type of the samples.
    pub sample: SampleType,
    /// Bytes from one row to the next.
    pub row: i64,
    /// Bytes from one pixel to the next.
    pub pixel: i64,
    /// Bytes from red to green, and from green to blue.
    pub channel: i64,
    /// The index of the device, as in [`crate::Device::Cuda`].
    pub device: usize,
    /// The caller's stream, as a `CUstream` handle; 0 is the default stream. The engine accesses
    /// the samples in stream order: after all work that was queued on this stream before the call,
    /// and before all work that is queued on it afterwards.
    pub stream: u64,
}

impl DeviceSamples {
    /// A packed RGB frame on the default stream; `None` if `format` is YUV, or the size is too
    /// large.
    pub fn packed(
        address: u64,
        size: FrameSize,
        format: PixelFormat,
        device: usize,
    ) -> Option<Self> {
        let super::FormatKind::Rgb(sample, layout) = format.kind() else { return None };
        let bytes = sample.bytes() as i64;
        let width = i64::try_from(size.width).ok()?;
        let (row, pixel, channel) = match layout {
            RgbLayout::Interleaved => (3 * width * bytes, 3 * bytes, bytes),
            RgbLayout::Planar => {
                (width * bytes, bytes, i64::try_from(size.pixels()).ok()?.checked_mul(bytes)?)
            }
        };
        Some(Self { address, sample, row, pixel, channel, device, stream: 0 })
    }

    /// The corresponding format of a frame in host memory.
    pub(super) fn format(&self) -> PixelFormat {
        let interleaved = self.channel == self.sample.bytes() as i64;
        let layout = if interleaved { RgbLayout::Interleaved } else { RgbLayout::Planar };
        PixelFormat::of_rgb(self.sample, layout)
    }

    /// Checks the size, the alignment of samples, and that addresses do not overflow; with
    /// `disjoint`, also that no two samples overlap.
    fn check(&self, size: FrameSize, disjoint: bool) -> Result<()> {
        const OP: &str = "device frame";
        size.check(OP)?;
        let bytes = self.sample.bytes() as i64;
        let aligned = |v: i64| v % bytes == 0;
        if self.address == 0 || !self.address.is_multiple_of(bytes as u64) {
            let expected = format!("an address that is a multiple of {bytes}");
            return Err(Error::Frame { op: OP, expected, got: format!("{:#x}", self.address) });
        }
        if ![self.row, self.pixel, self.channel].into_iter().all(aligned) {
            let expected = format!("strides that are multiples of {bytes} bytes");
            return Err(Error::Frame { op: OP, expected, got: self.strides() });
        }
        let mut axes = [
            (i128::from(self.row), size.height),
            (i128::from(self.pixel), size.width),
            (i128::from(self.channel), 3),
        ];
        let address = i128::from(self.address);
        let (mut low, mut high) = (address, address + i128::from(bytes));
        for (stride, count) in axes {
            let reach = stride * (count as i128 - 1);
            (low, high) = (low + reach.min(0), high + reach.max(0));
        }
        if low < 0 || high > i128::from(u64::MAX) {
            let expected = "strides that stay within the address space".into();
            return Err(Error::Frame { op: OP, expected, got: self.strides() });
        }
        // Samples are disjoint if, from the smallest stride to the largest, each stride is at least
        // the extent of the axes inside it.
        axes.sort_by_key(|(stride, _)| stride.abs());
        let mut inside = i128::from(bytes);
        for (stride, count) in axes {
            if count > 1 {
                if disjoint && stride.abs() < inside {
                    let expected = "strides without overlapping samples".into();
                    return Err(Error::Frame { op: OP, expected, got: self.strides() });
                }
                inside += stride.abs() * (count as i128 - 1);
            }
        }
        Ok(())
    }

    fn strides(&self) -> String {
        format!("row {}, pixel {}, channel {}", self.row, self.pixel, self.channel)
    }
}

impl FrameView<'_> {
    /// A frame in the memory of a CUDA device. Engines on other devices return an error for it.
    ///
    /// # Safety
    /// For every call that uses the view:
    ///
    /// - `samples.stream` must be a valid handle.
    /// - Every sample must be readable device memory, and stay so until all work that is queued on
    ///   `samples.stream` when the call returns has finished.
    /// - Until then, no work on other streams may write the samples.
    ///
    /// # Errors
    /// [`Error::Frame`] if the size is out of range, samples are not aligned, or addresses
    /// overflow.
    pub unsafe fn device(size: FrameSize, samples: DeviceSamples) -> Result<Self> {
        samples.check(size, false)?;
        Ok(Self { size, memory: Memory::Device(samples) })
    }
}

impl FrameViewMut<'_> {
    /// A frame in the memory of a CUDA device, to be written. Engines on other devices return an
    /// error for it.
    ///
    /// # Safety
    /// Same as for [`FrameView::device`]. In addition, the memory must be writable, and no work on
    /// other streams may read it in that time.
    ///
    /// # Errors
    /// [`Error::Frame`] if the size is out of range, samples overlap or are not aligned, or
    /// addresses overflow.
    pub unsafe fn device(size: FrameSize, samples: DeviceSamples) -> Result<Self> {
        samples.check(size, true)?;
        Ok(Self { size, memory: Memory::Device(samples) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: FrameSize = FrameSize::new(4, 3);

    fn samples(sample: SampleType, row: i64, pixel: i64, channel: i64) -> DeviceSamples {
        DeviceSamples { address: 4096, sample, row, pixel, channel, device: 0, stream: 0 }
    }

    #[test]
    fn packed_samples_have_the_strides_of_the_format() {
        for format in PixelFormat::RGB {
            let packed = DeviceSamples::packed(4096, SIZE, format, 0).unwrap();
            packed.check(SIZE, true).unwrap();
            assert_eq!(packed.format(), format);
        }
        let planar = DeviceSamples::packed(64, SIZE, PixelFormat::Planar16, 1).unwrap();
        assert_eq!((planar.row, planar.pixel, planar.channel, planar.device), (8, 2, 24, 1));
    }

    #[test]
    fn overlapping_samples_are_refused_for_writing_only() {
        let cases = [
            (samples(SampleType::U8, 12, 3, 1), true),
            (samples(SampleType::U8, 16, 4, 1), true),
            (samples(SampleType::U8, -12, 3, 1), true),
            (samples(SampleType::F32, 16, 4, 48), true),
            (samples(SampleType::F32, 0, 12, 4), false),
            (samples(SampleType::F32, 44, 12, 4), false),
            (samples(SampleType::U8, 12, 2, 1), false),
            (samples(SampleType::F32, 16, 4, 32), false),
        ];
        for (samples, disjoint) in cases {
            samples.check(SIZE, false).unwrap();
            assert_eq!(samples.check(SIZE, true).is_ok(), disjoint, "{samples:?}");
        }
    }

    #[test]
    fn misaligned_and_overflowing_samples_are_refused() {
        let good = samples(SampleType::F32, 48, 12, 4);
        for bad in [
            DeviceSamples { address: 0, ..good },
            DeviceSamples { address: 4098, ..good },
            DeviceSamples { row: 50, ..good },
            DeviceSamples { channel: 2, ..good },
            DeviceSamples { row: i64::MAX & !3, ..good },
            DeviceSamples { row: i64::MIN, ..good },
        ] {
            assert!(bad.check(SIZE, false).is_err(), "{bad:?}");
        }
        assert!(good.check(FrameSize::new(0, 1), false).is_err());
    }
}
