//! Frame views of arrays.

use rife_runtime::{
    DeviceSamples, FrameView, FrameViewMut, PixelFormat, Result, SampleType, Stride, f16,
};

use crate::frames::{Frames, Layout, Memory};

/// Calls the view constructor for the layout and sample type.
macro_rules! by_format {
    ($frames:ident, $view:ident) => {
        match ($frames.layout, $frames.sample) {
            (Layout::Hwc, SampleType::U8) => $view!(rgb8, u8),
            (Layout::Hwc, SampleType::U16) => $view!(rgb16, u16),
            (Layout::Hwc, SampleType::F16) => $view!(rgb_f16, f16),
            (Layout::Hwc, SampleType::F32) => $view!(rgb_f32, f32),
            (Layout::Chw, SampleType::U8) => $view!(planar8, u8),
            (Layout::Chw, SampleType::U16) => $view!(planar16, u16),
            (Layout::Chw, SampleType::F16) => $view!(planar_f16, f16),
            (Layout::Chw, SampleType::F32) => $view!(planar_f32, f32),
        }
    };
}

impl Frames {
    /// The corresponding format of `rife-runtime`.
    pub(crate) const fn format(&self) -> PixelFormat {
        match (self.layout, self.sample) {
            (Layout::Hwc, SampleType::U8) => PixelFormat::Rgb8,
            (Layout::Hwc, SampleType::U16) => PixelFormat::Rgb16,
            (Layout::Hwc, SampleType::F16) => PixelFormat::RgbF16,
            (Layout::Hwc, SampleType::F32) => PixelFormat::RgbF32,
            (Layout::Chw, SampleType::U8) => PixelFormat::Planar8,
            (Layout::Chw, SampleType::U16) => PixelFormat::Planar16,
            (Layout::Chw, SampleType::F16) => PixelFormat::PlanarF16,
            (Layout::Chw, SampleType::F32) => PixelFormat::PlanarF32,
        }
    }

    fn stride(&self) -> Stride {
        let in_samples = |bytes: i64| usize::try_from(bytes / self.sample_bytes()).unwrap_or(0);
        Stride { row: in_samples(self.strides.row), plane: in_samples(self.strides.channel) }
    }

    /// The address of a frame.
    fn address_of(&self, index: usize) -> u64 {
        self.address.wrapping_add_signed(self.strides.item.wrapping_mul(index as i64))
    }

    /// Samples from the first of a frame in host memory to its last.
    fn len(&self) -> usize {
        usize::try_from(self.extent() / self.sample_bytes()).unwrap_or(0)
    }

    fn device_samples(&self, index: usize, device: usize, stream: u64) -> DeviceSamples {
        let (address, sample) = (self.address_of(index), self.sample);
        let (row, pixel, channel) = (self.strides.row, self.strides.pixel, self.strides.channel);
        DeviceSamples { address, sample, row, pixel, channel, device, stream }
    }

    /// A view to read frame `index`.
    pub(crate) fn view(&self, index: usize) -> Result<FrameView<'_>> {
        if let Memory::Cuda { device, stream } = self.memory {
            let samples = self.device_samples(index, device, stream);
            // SAFETY: `rife._frames` has described an array and its stream, and `_owner` keeps both
            // alive. Work that is queued when they are dropped stays valid: the library frees and
            // reuses memory in the order of the stream, or, for JAX, the caller waits for the
            // device first, see `in_use` of streams and `interpolate` of `rife._interpolator`.
            return unsafe { FrameView::device(self.size, samples) };
        }
        let (address, len, stride) = (self.address_of(index) as usize, self.len(), self.stride());
        macro_rules! view {
            ($name:ident, $sample:ty) => {{
                let first = address as *const $sample;
                // SAFETY: the array is alive, and all samples from the first of the frame to its
                // last belong to it: `Frames::read` has checked strides and alignment. As in numpy
                // itself, the caller keeps other threads from writing it in the meantime.
                let samples = unsafe { std::slice::from_raw_parts(first, len) };
                FrameView::$name(self.size, samples, stride)
            }};
        }
        by_format!(self, view)
    }

    /// A view to write frame `index` of an output. At most one may exist for a frame.
    pub(crate) fn view_mut(&self, index: usize) -> Result<FrameViewMut<'_>> {
        if let Memory::Cuda { device, stream } = self.memory {
            let samples = self.device_samples(index, device, stream);
            // SAFETY: as in `view`; the tensor is an output that the caller has allocated.
            return unsafe { FrameViewMut::device(self.size, samples) };
        }
        let (address, len, stride) = (self.address_of(index) as usize, self.len(), self.stride());
        macro_rules! view {
            ($name:ident, $sample:ty) => {{
                let first = address as *mut $sample;
                // SAFETY: as in `view`. The array is an output that `Frames::read_output` found
                // writable, no input overlaps it, and its frames do not overlap each other.
                let samples = unsafe { std::slice::from_raw_parts_mut(first, len) };
                FrameViewMut::$name(self.size, samples, stride)
            }};
        }
        by_format!(self, view)
    }
}
