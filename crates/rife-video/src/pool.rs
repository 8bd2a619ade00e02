//! Frames that are used again and again: fresh memory costs more than what is done with it.

use std::sync::{Arc, Mutex, PoisonError};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat};

use crate::Result;

/// Frames of one size and format.
#[derive(Debug)]
pub struct Pool<'a> {
    size: FrameSize,
    format: PixelFormat,
    free: Mutex<Vec<Frame>>,
    /// Whose device takes frames from page-locked memory.
    device: Option<&'a Interpolator>,
}

impl<'a> Pool<'a> {
    /// An empty pool. Frames are page-locked where `device` gains by that.
    pub fn new(size: FrameSize, format: PixelFormat, device: Option<&'a Interpolator>) -> Self {
        Self { size, format, free: Mutex::default(), device }
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
        Ok(match self.device {
            Some(device) => device.pin(frame),
            None => frame,
        })
    }

    /// Takes a frame back, where it is one of the pool's kind.
    pub fn put(&self, frame: Frame) {
        if frame.size() == self.size && frame.format() == self.format {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
        }
    }

    /// Takes a frame back where nobody else holds it.
    pub fn put_shared(&self, frame: Arc<Frame>) {
        if let Ok(frame) = Arc::try_unwrap(frame) {
            self.put(frame);
        }
    }
}
