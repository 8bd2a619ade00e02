//! Loaded modules and their kernels.

use std::ffi::CString;
use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::{Gpu, failed};
use crate::Result;

/// A loaded module: the code of one kernel.
#[derive(Debug)]
pub(crate) struct Module {
    pub(super) gpu: Gpu,
    pub(super) raw: sys::CUmodule,
}

// SAFETY: modules may be used from any thread.
unsafe impl Send for Module {}
// SAFETY: a module does not change after it was loaded.
unsafe impl Sync for Module {}

impl Drop for Module {
    fn drop(&mut self) {
        if let Some(_before) = self.gpu.try_bind() {
            // SAFETY: loaded by `Gpu::module` and unloaded once, when no launch can follow.
            let _ = unsafe { result::module::unload(self.raw) };
        }
    }
}

/// A kernel that can be launched.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(super) raw: sys::CUfunction,
    pub(super) name: String,
    pub(super) threads: u32,
    pub(super) shared: u32,
    /// Whether the kernel may start before the previous one has finished.
    pub(super) overlapped: bool,
    /// The number of blocks that fit on an SM at once.
    pub(crate) occupancy: usize,
    /// Keeps the code loaded.
    _module: Arc<Module>,
}

// SAFETY: a function is an address in a module that stays loaded.
unsafe impl Send for Function {}
// SAFETY: a function is immutable.
unsafe impl Sync for Function {}

impl Function {
    /// The kernel of a module, with the block size and shared memory that it was compiled for.
    pub(crate) fn of(
        module: &Arc<Module>,
        name: &str,
        threads: usize,
        shared: usize,
        overlapped: bool,
    ) -> Result<Self> {
        use sys::CUfunction_attribute_enum as A;
        module.gpu.bind()?;
        let entry = CString::from(c"kernel");
        let (threads, shared) = (threads as u32, shared as u32);
        let name = format!("the kernel {name}");
        let with_name = |e| failed(&name, e);
        // SAFETY: the module lives, and `_module` keeps it for as long as the function.
        let raw = unsafe { result::module::get_function(module.raw, entry) }.map_err(with_name)?;
        if shared > 48 * 1024 {
            // SAFETY: the function is valid.
            unsafe {
                result::function::set_function_attribute(
                    raw,
                    A::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    shared as i32,
                )
            }
            .map_err(with_name)?;
        }
        let mut blocks = 0;
        // SAFETY: the function is valid and `blocks` is filled in by the call.
        unsafe {
            sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(
                &raw mut blocks,
                raw,
                threads as i32,
                shared as usize,
            )
        }
        .result()
        .map_err(with_name)?;
        let occupancy = usize::try_from(blocks).unwrap_or(0);
        let overlapped = overlapped && module.gpu.capability >= (9, 0);
        Ok(Self { raw, name, threads, shared, overlapped, occupancy, _module: Arc::clone(module) })
    }
}
