//! The current CUDA context of a thread, which belongs to the program that uses this library.

use cudarc::driver::{result, sys};

use crate::cuda::library::driver_present;

/// Restores the current context of the calling thread when it is dropped, on the same thread. Every
/// driver call makes the context of its GPU current, and other libraries, such as PyTorch, take the
/// current context for the device that their user has selected.
#[derive(Debug)]
pub(crate) struct CurrentContext {
    /// Null if there was none; `None` without a driver.
    saved: Option<sys::CUcontext>,
}

impl CurrentContext {
    pub(crate) fn save() -> Self {
        let current = || result::ctx::get_current().ok().flatten().unwrap_or(std::ptr::null_mut());
        Self { saved: driver_present().is_ok().then(current) }
    }
}

impl Drop for CurrentContext {
    fn drop(&mut self) {
        if let Some(context) = self.saved {
            // SAFETY: the context was current on this thread, which leaves it to the program to keep
            // it alive; null makes none current.
            let _ = unsafe { result::ctx::set_current(context) };
        }
    }
}
