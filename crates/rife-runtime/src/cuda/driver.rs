//! A safe, owning interface to the parts of the CUDA driver that the engine uses.

mod caller;
mod current;
mod memory;
mod module;
mod stream;

use std::mem::ManuallyDrop;
use std::sync::Arc;

use cudarc::driver::{CudaContext, DriverError, result, sys};

use super::tile::Card;
use crate::{Error, Result};

pub(crate) use caller::CallerStream;
pub(crate) use current::CurrentContext;
pub(crate) use memory::{HostMemory, Memory, Pinned};
pub(crate) use module::{Function, Module};
pub(crate) use stream::{Event, Graph, Stream};

/// The name and the text of a driver error.
pub(crate) fn describe(error: DriverError) -> String {
    let text = |found: std::result::Result<&std::ffi::CStr, DriverError>| {
        found.map_or_else(|_| "unknown".into(), |s| s.to_string_lossy().into_owned())
    };
    format!("{} ({})", text(error.error_name()), text(error.error_string()))
}

/// Converts the error of a driver call.
pub(crate) fn failed(op: &str, error: DriverError) -> Error {
    match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::OutOfMemory { needed: None },
        code if loses_context(code) => {
            Error::DeviceLost { cause: format!("{op}: {}", describe(error)).into() }
        }
        _ => Error::Kernel { name: format!("{op} failed"), cause: describe(error).into() },
    }
}

/// Whether an error makes the CUDA context unusable.
fn loses_context(code: sys::CUresult) -> bool {
    use sys::CUresult;
    matches!(
        code,
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
            | CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
            | CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUresult::CUDA_ERROR_INVALID_PC
            | CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUresult::CUDA_ERROR_ASSERT
            | CUresult::CUDA_ERROR_LAUNCH_FAILED
            | CUresult::CUDA_ERROR_LAUNCH_TIMEOUT
            | CUresult::CUDA_ERROR_ECC_UNCORRECTABLE
            | CUresult::CUDA_ERROR_NVLINK_UNCORRECTABLE
            | CUresult::CUDA_ERROR_EXTERNAL_DEVICE
            | CUresult::CUDA_ERROR_MPS_CLIENT_TERMINATED
            | CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE
            | CUresult::CUDA_ERROR_DEINITIALIZED
            | CUresult::CUDA_ERROR_NO_DEVICE
            | CUresult::CUDA_ERROR_UNKNOWN
    )
}

/// Names the operation in the error of a driver call.
pub(crate) trait DuringCall<T> {
    fn during(self, op: &str) -> Result<T>;
}

impl<T> DuringCall<T> for std::result::Result<T, DriverError> {
    fn during(self, op: &str) -> Result<T> {
        self.map_err(|error| failed(op, error))
    }
}

/// A retained primary context. Releasing it does not change the current context of the thread.
#[derive(Clone, Debug)]
struct Context(ManuallyDrop<Arc<CudaContext>>);

impl Drop for Context {
    fn drop(&mut self) {
        let _before = CurrentContext::save();
        // SAFETY: dropped once, here, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

/// A GPU, with its primary context retained.
#[derive(Clone, Debug)]
pub(crate) struct Gpu {
    context: Context,
    pub(crate) name: String,
    /// Compute capability.
    pub(crate) capability: (u32, u32),
    pub(crate) card: Card,
    /// The CUDA version of the driver: 13000 for 13.0.
    pub(crate) driver: i32,
}

impl Gpu {
    /// Opens the GPU with an index. The driver's library must be present.
    pub(crate) fn open(index: usize) -> std::result::Result<Self, DriverError> {
        use sys::CUdevice_attribute_enum as A;
        // The driver's device indices are 32-bit, and cudarc would truncate a larger one.
        if i32::try_from(index).is_err() {
            return Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_DEVICE));
        }
        let context = CudaContext::new(index)?;
        let attribute = |a| context.attribute(a).map(|v| usize::try_from(v).unwrap_or(0));
        let capability = (
            attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)? as u32,
            attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)? as u32,
        );
        let card = Card {
            sms: attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1),
            shared_per_block: attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
            shared_per_sm: attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)?,
            // Only 9.0: later architectures have other instructions.
            wgmma: capability == (9, 0),
        };
        let mut driver = 0;
        // SAFETY: the pointer is to a live integer that the call fills in.
        unsafe { sys::cuDriverGetVersion(&raw mut driver) }.result()?;
        let name = context.name()?;
        Ok(Self { name, context: Context(ManuallyDrop::new(context)), capability, card, driver })
    }

    /// The index of the GPU.
    pub(crate) fn index(&self) -> usize {
        self.context.0.ordinal()
    }

    /// Makes the context current on the calling thread. Required before every driver call.
    pub(crate) fn bind(&self) -> Result<()> {
        #[cfg(test)]
        fault::check()?;
        self.context.0.bind_to_thread().during("cuCtxSetCurrent")
    }

    /// Like [`Gpu::bind`], for destructors, which cannot report an error. The context is current for
    /// as long as the result lives.
    fn try_bind(&self) -> Option<CurrentContext> {
        let before = CurrentContext::save();
        self.context.0.bind_to_thread().is_ok().then_some(before)
    }

    /// Waits for the work on the default stream.
    pub(crate) fn synchronize_default_stream(&self) -> Result<()> {
        self.bind()?;
        // SAFETY: null is the default stream of the current context.
        unsafe { result::stream::synchronize(std::ptr::null_mut()) }.during("cuStreamSynchronize")
    }

    pub(crate) fn stream(&self) -> Result<Stream> {
        self.bind()?;
        let raw = result::stream::create(result::stream::StreamKind::NonBlocking)
            .during("cuStreamCreate")?;
        Ok(Stream { gpu: self.clone(), raw })
    }

    pub(crate) fn event(&self, timing: bool) -> Result<Event> {
        self.bind()?;
        let flags = if timing {
            sys::CUevent_flags::CU_EVENT_DEFAULT
        } else {
            sys::CUevent_flags::CU_EVENT_DISABLE_TIMING
        };
        Ok(Event { raw: result::event::create(flags).during("cuEventCreate")?, gpu: self.clone() })
    }

    /// Total memory of the GPU in bytes.
    #[cfg(test)]
    pub(crate) fn total_memory(&self) -> Result<usize> {
        self.bind()?;
        Ok(result::mem_get_info().during("cuMemGetInfo")?.1)
    }

    /// Uninitialised device memory.
    pub(crate) fn memory(&self, bytes: usize) -> Result<Memory> {
        self.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: nothing reads the memory before it is written: the steps of a plan write every
        // buffer before they read it, images are uploaded or converted before they are read, and
        // all other memory is filled when it is created.
        let raw = unsafe { result::malloc_sync(bytes) }.map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                Error::OutOfMemory { needed: Some(bytes as u64) }
            }
            _ => failed("cuMemAlloc", error),
        })?;
        Ok(Memory { gpu: self.clone(), raw, bytes })
    }

    /// Pinned host memory, zeroed.
    pub(crate) fn host(&self, bytes: usize) -> Result<HostMemory> {
        self.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: the memory is zeroed below, before anything reads it.
        let raw = unsafe { result::malloc_host(bytes, 0) }.during("cuMemHostAlloc")?.cast::<u8>();
        // SAFETY: `raw` is `bytes` long and not shared.
        unsafe { raw.write_bytes(0, bytes) };
        Ok(HostMemory { gpu: self.clone(), raw, bytes })
    }

    pub(crate) fn module(&self, name: &str, cubin: &[u8]) -> Result<Module> {
        self.bind()?;
        // SAFETY: the image is complete: it comes from the compiler, or from the cache, which
        // verifies digests.
        let raw = unsafe { result::module::load_data(cubin.as_ptr().cast()) }
            .map_err(|e| failed(&format!("loading the kernel {name}"), e))?;
        Ok(Module { gpu: self.clone(), raw })
    }

    /// Pins host memory until the guard is dropped.
    ///
    /// # Safety
    /// The memory stays valid for as long as the guard lives.
    pub(crate) unsafe fn pin(&self, at: *mut u8, bytes: usize) -> Option<Pinned> {
        self.bind().ok()?;
        // SAFETY: the caller guarantees that the memory is valid for as long as the guard lives.
        let done = unsafe { sys::cuMemHostRegister_v2(at.cast(), bytes, 0) };
        done.result().ok()?;
        Some(Pinned { gpu: self.clone(), at: at.cast() })
    }
}

/// Injected failures for tests. They work for every driver call, since each one begins with
/// [`Gpu::bind`].
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;

    use crate::{Error, Result};

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// The name of an injected failure.
    pub(crate) const NAME: &str = "injected failure";

    /// Fails this thread's driver call after `calls` more, once.
    pub(crate) fn after(calls: usize) {
        LEFT.set(Some(calls));
    }

    /// Cancels the injected failure; returns whether it has happened.
    pub(crate) fn is_over() -> bool {
        LEFT.take().is_none()
    }

    pub(super) fn check() -> Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => {
                LEFT.set(None);
                Err(Error::Kernel { name: NAME.into(), cause: "a test requested it".into() })
            }
            Some(n) => {
                LEFT.set(Some(n - 1));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sys::CUresult as E;
    use super::*;

    /// The two kinds have different remedies: loading the model again, or reporting the error.
    #[test]
    fn errors_that_lose_the_context_are_distinguished() {
        for code in [
            E::CUDA_ERROR_ILLEGAL_ADDRESS,
            E::CUDA_ERROR_ASSERT,
            E::CUDA_ERROR_LAUNCH_FAILED,
            E::CUDA_ERROR_LAUNCH_TIMEOUT,
            E::CUDA_ERROR_ECC_UNCORRECTABLE,
            E::CUDA_ERROR_NVLINK_UNCORRECTABLE,
            E::CUDA_ERROR_DEVICE_UNAVAILABLE,
            E::CUDA_ERROR_UNKNOWN,
        ] {
            assert!(loses_context(code), "{code:?}");
        }
        for code in [
            E::CUDA_ERROR_OUT_OF_MEMORY,
            E::CUDA_ERROR_INVALID_VALUE,
            E::CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
            E::CUDA_ERROR_NO_BINARY_FOR_GPU,
            E::CUDA_ERROR_NOT_FOUND,
        ] {
            assert!(!loses_context(code), "{code:?}");
        }
    }
}
