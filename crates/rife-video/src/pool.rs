//! Frames that are used again and again: fresh memory costs more than what is done with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat};

use crate::Result;

/// Frames of one size and format.
#[derive(Debug)]
pub struct Pool<'a> {
    size: FrameSize,
    format: PixelFormat,
    free: Mutex<Vec<Frame>>,
    /// Bytes of all frames ever allocated: what is free is used before more is allocated.
    allocated: AtomicU64,
    /// Whose device takes frames from page-locked memory.
    device: Option<&'a Interpolator>,
}

impl<'a> Pool<'a> {
    /// An empty pool. Frames are page-locked where `device` gains by that.
    pub fn new(size: FrameSize, format: PixelFormat, device: Option<&'a Interpolator>) -> Self {
        Self { size, format, free: Mutex::default(), allocated: AtomicU64::new(0), device }
    }

    /// A frame with anything in it.
    ///
    /// # Errors
    /// When the size or the format cannot be.
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

    /// Bytes of the frames that were allocated: the most that were in use at once, as long as all
    /// of them come back.
    pub fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Takes a frame back, where it is one of the pool's kind.
    pub fn recycle(&self, frame: Frame) {
        if frame.size() == self.size && frame.format() == self.format {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
        }
    }

    /// Takes a frame back where nobody else holds it.
    pub fn recycle_shared(&self, frame: Arc<Frame>) {
        if let Ok(frame) = Arc::try_unwrap(frame) {
            self.recycle(frame);
        }
    }
}
