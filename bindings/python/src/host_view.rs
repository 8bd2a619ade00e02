//! Views of the runtime on arrays.

use rife_runtime::{Error, FrameView, FrameViewMut, PixelFormat, Result, Stride};

use crate::frames::{Frames, Layout, Memory, Sample};

impl Frames {
    /// The format of the runtime.
    pub(crate) fn format(&self) -> Result<PixelFormat> {
        Ok(match (self.layout, self.sample) {
            (Layout::Hwc, Sample::U8) => PixelFormat::Rgb8,
            (Layout::Hwc, Sample::U16) => PixelFormat::Rgb16,
            (Layout::Chw, Sample::F32) => PixelFormat::PlanarF32,
            _ => return Err(self.unsupported()),
        })
    }

    fn unsupported(&self) -> Error {
        Error::Frame {
            op: "frame",
            expected: "a supported format".into(),
            got: format!("{:?} {:?}", self.layout, self.sample),
        }
    }

    fn stride(&self) -> Stride {
        let in_samples = |bytes: i64| usize::try_from(bytes / self.sample.bytes()).unwrap_or(0);
        Stride { row: in_samples(self.strides.row), plane: in_samples(self.strides.channel) }
    }

    /// The address of a frame, and the samples from its first to its last.
    fn span(&self, index: usize) -> (usize, usize) {
        let address = i128::from(self.address) + i128::from(self.strides.item) * index as i128;
        (usize::try_from(address).unwrap_or(0), (self.extent() / self.sample.bytes()) as usize)
    }

    /// A view to read frame `index`.
    pub(crate) fn view(&self, index: usize) -> Result<FrameView<'_>> {
        let ((address, len), stride) = (self.span(index), self.stride());
        let Memory::Host = self.memory else { return Err(self.unsupported()) };
        macro_rules! view {
            ($name:ident) => {{
                // SAFETY: the array is alive, and `extent` bytes from the address belong to the
                // frame: `Frames::read` has checked strides and alignment. As in numpy itself, it
                // is up to the caller that no other thread writes the array in the meantime.
                let samples = unsafe { std::slice::from_raw_parts(address as *const _, len) };
                FrameView::$name(self.size, samples, stride)
            }};
        }
        match (self.layout, self.sample) {
            (Layout::Hwc, Sample::U8) => view!(rgb8),
            (Layout::Hwc, Sample::U16) => view!(rgb16),
            (Layout::Chw, Sample::F32) => view!(planar_f32),
            _ => Err(self.unsupported()),
        }
    }

    /// A view to write frame `index`. Must not be called for one frame twice while a view lives.
    pub(crate) fn view_mut(&self, index: usize) -> Result<FrameViewMut<'_>> {
        let ((address, len), stride) = (self.span(index), self.stride());
        let Memory::Host = self.memory else { return Err(self.unsupported()) };
        macro_rules! view {
            ($name:ident) => {{
                // SAFETY: as in `view`. The array is an output that `Frames::read_output` found
                // writable, no input overlaps it, and its frames do not overlap each other.
                let samples = unsafe { std::slice::from_raw_parts_mut(address as *mut _, len) };
                FrameViewMut::$name(self.size, samples, stride)
            }};
        }
        match (self.layout, self.sample) {
            (Layout::Hwc, Sample::U8) => view!(rgb8),
            (Layout::Hwc, Sample::U16) => view!(rgb16),
            (Layout::Chw, Sample::F32) => view!(planar_f32),
            _ => Err(self.unsupported()),
        }
    }
}
