//! A pool of reusable frames: page faults of fresh memory cost more than the work on the frames.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat};

use crate::Result;

/// A pool of frames of one size and format.
#[derive(Debug)]
pub struct Pool<'a> {
    size: FrameSize,
    format: PixelFormat,
    free: Mutex<Vec<Frame>>,
    /// Total size of the frames ever allocated, in bytes.
    allocated: AtomicU64,
    /// Pins new frames for this device.
    device: Option<&'a Interpolator>,
}

impl<'a> Pool<'a> {
    /// Creates an empty pool. If `device` is set, frames are page-locked if the device benefits.
    pub fn new(size: FrameSize, format: PixelFormat, device: Option<&'a Interpolator>) -> Self {
        Self { size, format, free: Mutex::default(), allocated: AtomicU64::new(0), device }
    }

    /// Returns a frame with arbitrary content.
    ///
    /// # Errors
    /// If the size or the format is invalid.
    pub fn take(&self) -> Result<Frame> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(frame) = free {
            return Ok(frame);
        }
        let frame = Frame::black(self.size, self.format)?;
        self.allocated.fetch_add(frame.as_bytes().len() as u64, Ordering::Relaxed);
        Ok(match self.device {
            Some(device) => device.pin(frame),
            None => frame,
        })
    }

    /// Total size of the allocated frames, in bytes: the peak use, as long as every frame is
    /// recycled.
    pub fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Returns a frame to the pool; drops it if its size or format differs.
    pub fn recycle(&self, frame: Frame) {
        if frame.size() == self.size && frame.format() == self.format {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
        }
    }

    /// Returns a frame to the pool if this is the last reference to it.
    pub fn recycle_shared(&self, frame: Arc<Frame>) {
        if let Ok(frame) = Arc::try_unwrap(frame) {
            self.recycle(frame);
        }
    }
}
