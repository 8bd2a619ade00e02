//! Video frames.

use std::ffi::c_int;
use std::ptr::NonNull;

use rife_runtime::FrameSize;
use vapoursynth_sys as vs;

use super::api::{Api, Core, call};
use super::map::{Map, MapMut};

/// A reference to a frame.
pub(crate) struct FrameRef {
    api: Api,
    raw: NonNull<vs::VSFrame>,
}

// SAFETY: a frame is reference counted by atomic operations, and constant while it is shared.
unsafe impl Send for FrameRef {}
// SAFETY: as above.
unsafe impl Sync for FrameRef {}

impl Drop for FrameRef {
    fn drop(&mut self) {
        // SAFETY: this owns one reference, which ends here.
        unsafe { call!(self.api, freeFrame(self.raw.as_ptr())) };
    }
}

impl FrameRef {
    /// # Safety
    /// `raw` must be null or a video frame, one reference of which passes to the result.
    pub(super) unsafe fn new(api: Api, raw: *const vs::VSFrame) -> Option<Self> {
        NonNull::new(raw.cast_mut()).map(|raw| Self { api, raw })
    }

    /// Gives up the reference.
    pub(super) fn into_raw(self) -> *const vs::VSFrame {
        std::mem::ManuallyDrop::new(self).raw.as_ptr()
    }

    /// The format of its samples.
    pub(crate) fn format(&self) -> vs::VSVideoFormat {
        // SAFETY: the frame is valid, and has a format that lives as long.
        unsafe { *call!(self.api, getVideoFrameFormat(self.raw.as_ptr())) }
    }

    /// Columns and rows of the first plane.
    pub(crate) fn size(&self) -> FrameSize {
        let (width, height) = self.plane_size(0);
        FrameSize::new(width, height)
    }

    /// Its properties.
    pub(crate) fn props(&self) -> Map<'_> {
        // SAFETY: the frame is valid, and keeps its properties while this is borrowed.
        unsafe { Map::new(self.api, call!(self.api, getFramePropertiesRO(self.raw.as_ptr()))) }
    }

    fn plane_size(&self, plane: usize) -> (usize, usize) {
        let (plane, raw) = (plane as c_int, self.raw.as_ptr());
        // SAFETY: the frame is valid; VapourSynth checks the plane.
        let (width, height) = unsafe {
            (
                call!(self.api, getFrameWidth(raw, plane)),
                call!(self.api, getFrameHeight(raw, plane)),
            )
        };
        (usize::try_from(width).unwrap_or(0), usize::try_from(height).unwrap_or(0))
    }

    /// The bytes of a plane's rows, without the padding between rows; `None` if the format has no
    /// such plane.
    pub(crate) fn rows(&self, plane: usize) -> Option<impl Iterator<Item = &[u8]>> {
        let (format, (width, height)) = (self.format(), self.plane_size(plane));
        if plane >= usize::try_from(format.numPlanes).unwrap_or(0) {
            return None;
        }
        let row = width * usize::try_from(format.bytesPerSample).unwrap_or(0);
        // SAFETY: the frame is valid and has the plane.
        let (data, stride) = unsafe {
            let (plane, raw) = (plane as c_int, self.raw.as_ptr());
            (call!(self.api, getReadPtr(raw, plane)), call!(self.api, getStride(raw, plane)))
        };
        // SAFETY: the plane has `height` rows of `row` bytes, `stride` bytes apart, which stay
        // valid and constant while this is borrowed.
        let at = move |y: usize| unsafe {
            std::slice::from_raw_parts(data.offset(stride * y as isize), row)
        };
        (!data.is_null()).then(|| (0..height).map(at))
    }

    /// A copy whose properties and samples can be changed. The samples are shared until then.
    pub(crate) fn copy(&self, core: Core) -> Option<FrameMut> {
        // SAFETY: the frame and the core are valid, and the result is a new reference.
        let raw = unsafe { call!(self.api, copyFrame(self.raw.as_ptr(), core.raw)) };
        // SAFETY: as above.
        unsafe { Self::new(self.api, raw) }.map(FrameMut)
    }

    /// A new frame of the same format and size, with a copy of the properties. Its samples are not
    /// initialized.
    pub(crate) fn new_like(&self, core: Core) -> Option<FrameMut> {
        let (format, size) = (self.format(), self.size());
        // SAFETY: format and size are those of a valid frame; the result is a new reference.
        let raw = unsafe {
            let (width, height) = (size.width as c_int, size.height as c_int);
            let props = self.raw.as_ptr();
            call!(self.api, newVideoFrame(&raw const format, width, height, props, core.raw))
        };
        // SAFETY: as above.
        unsafe { Self::new(self.api, raw) }.map(FrameMut)
    }
}

/// A frame that nothing else refers to.
pub(crate) struct FrameMut(FrameRef);

impl FrameMut {
    /// Its properties.
    pub(crate) fn props_mut(&mut self) -> MapMut<'_> {
        let api = self.0.api;
        // SAFETY: the frame is valid and this is the only reference to it, borrowed exclusively.
        unsafe { MapMut::new(api, call!(api, getFramePropertiesRW(self.0.raw.as_ptr()))) }
    }

    /// Copies packed rows into a plane. Rows that `packed` does not contain keep their content.
    /// Does nothing if the format has no such plane.
    pub(crate) fn write_plane(&mut self, plane: usize, packed: &[u8]) {
        let FrameRef { api, raw } = self.0;
        let (format, (width, height)) = (self.0.format(), self.0.plane_size(plane));
        let row = width * usize::try_from(format.bytesPerSample).unwrap_or(0);
        if plane >= usize::try_from(format.numPlanes).unwrap_or(0) || row == 0 {
            return;
        }
        // SAFETY: the frame is valid and has the plane.
        let (data, stride) = unsafe {
            let (plane, raw) = (plane as c_int, raw.as_ptr());
            (call!(api, getWritePtr(raw, plane)), call!(api, getStride(raw, plane)))
        };
        if data.is_null() {
            return;
        }
        for (y, from) in packed.chunks_exact(row).take(height).enumerate() {
            // SAFETY: the plane has `height` rows of `row` bytes, `stride` bytes apart, and
            // getWritePtr made sure that no other frame shares them.
            unsafe {
                let to = data.offset(stride * y as isize);
                std::ptr::copy_nonoverlapping(from.as_ptr(), to, row);
            }
        }
    }

    /// Ends the exclusive use.
    pub(crate) fn into_ref(self) -> FrameRef {
        self.0
    }
}
