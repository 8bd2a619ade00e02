//! Device memory and pinned host memory.

use std::ffi::c_void;

use cudarc::driver::{result, sys};

use super::Gpu;
use crate::Result;

/// Device memory.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(super) gpu: Gpu,
    pub(super) raw: u64,
    pub(super) bytes: usize,
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(_before) = self.gpu.try_bind() {
            // SAFETY: created by `Gpu::memory` and freed once; the driver waits for work that uses
            // it.
            let _ = unsafe { result::free_sync(self.raw) };
        }
    }
}

impl Memory {
    pub(crate) fn address(&self) -> u64 {
        self.raw
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes the start of the memory, and waits for completion.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.gpu.bind()?;
        let n = bytes.len().min(self.bytes);
        // Use a separate stream: synchronizing the whole context would break the capture of a graph
        // in another session.
        let stream = self.gpu.stream()?;
        // SAFETY: `n` bytes are valid on both sides, and the wait keeps the borrow alive.
        let queued = unsafe { stream.upload(self.raw, bytes.as_ptr(), n) };
        stream.synchronize()?;
        queued
    }

    /// Reads the start of the memory.
    #[cfg(test)]
    pub(crate) fn read(&self, bytes: &mut [u8]) -> Result<()> {
        use super::DuringCall as _;

        self.gpu.bind()?;
        let n = bytes.len().min(self.bytes);
        // SAFETY: `n` bytes are valid on both sides; the call returns when they are copied.
        unsafe { result::memcpy_dtoh_sync(&mut bytes[..n], self.raw) }.during("cuMemcpyDtoH")
    }
}

/// Pinned host memory.
#[derive(Debug)]
pub(crate) struct HostMemory {
    pub(super) gpu: Gpu,
    pub(super) raw: *mut u8,
    pub(super) bytes: usize,
}

// SAFETY: the memory is owned, like that of a `Vec`.
unsafe impl Send for HostMemory {}

impl Drop for HostMemory {
    fn drop(&mut self) {
        if let Some(_before) = self.gpu.try_bind() {
            // SAFETY: created by `Gpu::host` and freed once.
            let _ = unsafe { result::free_host(self.raw.cast()) };
        }
    }
}

impl HostMemory {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: it is `bytes` long, was initialised when created, and is borrowed as `self` is.
        unsafe { std::slice::from_raw_parts(self.raw, self.bytes) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.raw, self.bytes) }
    }
}

/// Pins memory that is owned elsewhere, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(super) gpu: Gpu,
    pub(super) at: *mut c_void,
}

// SAFETY: the pointer is only passed back to the driver, which accepts it from any thread.
unsafe impl Send for Pinned {}
// SAFETY: as above; nothing is reachable through a shared reference.
unsafe impl Sync for Pinned {}

impl crate::engine::HostPin for Pinned {}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(_before) = self.gpu.try_bind() {
            // SAFETY: registered when the guard was created, and not unregistered since.
            let _ = unsafe { sys::cuMemHostUnregister(self.at) };
        }
    }
}
