//! Memory and streams that the caller of this library owns.

use std::ffi::c_void;

use cudarc::driver::{result, sys};

use super::{DuringCall, Event, Gpu};
use crate::Result;

/// A stream that the caller of this library owns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallerStream(sys::CUstream);

impl CallerStream {
    /// A stream from its handle; 0 is the default stream.
    pub(crate) fn new(handle: u64) -> Self {
        Self(handle as usize as sys::CUstream)
    }
}

impl Event {
    /// Records the event on the caller's stream.
    ///
    /// # Safety
    /// The stream must be a valid handle.
    pub(crate) unsafe fn record_on_caller_stream(&self, stream: CallerStream) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the event is valid, and the caller guarantees the stream.
        unsafe { result::event::record(self.raw, stream.0) }.during("cuEventRecord")
    }

    /// Makes later work on the caller's stream wait for the event.
    ///
    /// # Safety
    /// The stream must be a valid handle.
    pub(crate) unsafe fn wait_on_caller_stream(&self, stream: CallerStream) -> Result<()> {
        self.gpu.bind()?;
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: the event is valid, and the caller guarantees the stream.
        unsafe { result::stream::wait_event(stream.0, self.raw, flags) }.during("cuStreamWaitEvent")
    }
}

impl Gpu {
    /// Whether an address is in memory of this GPU, or in managed or pinned memory that belongs to
    /// it.
    pub(crate) fn owns(&self, address: u64) -> Result<bool> {
        self.bind()?;
        let mut ordinal = -1i32;
        let attribute = sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL;
        let to = (&raw mut ordinal).cast::<c_void>();
        // SAFETY: the attribute is an `int`; the driver looks up the address without dereferencing
        // it.
        match unsafe { sys::cuPointerGetAttribute(to, attribute, address) } {
            sys::CUresult::CUDA_SUCCESS => Ok(usize::try_from(ordinal) == Ok(self.index())),
            sys::CUresult::CUDA_ERROR_INVALID_VALUE => Ok(false),
            error => error.result().during("cuPointerGetAttribute").map(|()| false),
        }
    }
}
