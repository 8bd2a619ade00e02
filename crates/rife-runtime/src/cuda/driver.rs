//! A safe, owning interface to the parts of the CUDA driver that the engine uses.

use std::ffi::{CString, c_void};
use std::sync::Arc;

use cudarc::driver::{CudaContext, DriverError, result, sys};

use super::tile::Card;
use crate::{Error, Result};

/// The name and the text of a driver error.
pub(crate) fn describe(error: DriverError) -> String {
    let text = |found: std::result::Result<&std::ffi::CStr, DriverError>| {
        found.map_or_else(|_| "unknown".into(), |s| s.to_string_lossy().into_owned())
    };
    format!("{} ({})", text(error.error_name()), text(error.error_string()))
}

/// The runtime's error for a failed driver call.
pub(crate) fn failed(op: &str, error: DriverError) -> Error {
    match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::OutOfMemory { needed: None },
        code if loses_context(code) => {
            Error::DeviceLost { cause: format!("{op}: {}", describe(error)).into() }
        }
        _ => Error::Kernel { name: format!("{op} failed"), cause: describe(error).into() },
    }
}

/// Whether an error leaves the process's context unusable.
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

/// A GPU, with its primary context retained.
#[derive(Clone, Debug)]
pub(crate) struct Gpu {
    context: Arc<CudaContext>,
    pub(crate) name: String,
    /// Compute capability.
    pub(crate) capability: (u32, u32),
    pub(crate) card: Card,
    /// The driver's version, as 13000 for 13.0.
    pub(crate) driver: i32,
}

impl Gpu {
    /// Opens the GPU of an index. The driver's library must be present.
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
        Ok(Self { name: context.name()?, context, capability, card, driver })
    }

    /// Makes the context current on the calling thread. Required before every driver call.
    pub(crate) fn bind(&self) -> Result<()> {
        #[cfg(test)]
        fault::due()?;
        self.context.bind_to_thread().during("cuCtxSetCurrent")
    }

    /// As [`Gpu::bind`], where an error cannot be reported: before something is freed.
    fn try_bind(&self) -> bool {
        self.context.bind_to_thread().is_ok()
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

    /// Uninitialised device memory.
    pub(crate) fn memory(&self, bytes: usize) -> Result<Memory> {
        self.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: nothing reads the memory before it is written: the plan's steps write every
        // buffer before they read it, images are uploaded or converted before they are read, and
        // everything else is filled when it is created.
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

    /// Pins memory of the caller's until the guard is dropped.
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

/// Pinned memory that is owned elsewhere.
#[derive(Debug)]
pub(crate) struct Pinned {
    gpu: Gpu,
    at: *mut c_void,
}

// SAFETY: the pointer is only passed back to the driver, which accepts it from any thread.
unsafe impl Send for Pinned {}
// SAFETY: as above; nothing is reachable through a shared reference.
unsafe impl Sync for Pinned {}

impl crate::engine::HostPin for Pinned {}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.gpu.try_bind() {
            // SAFETY: registered when the guard was created, and not unregistered since.
            let _ = unsafe { sys::cuMemHostUnregister(self.at) };
        }
    }
}

/// A stream of queued work.
#[derive(Debug)]
pub(crate) struct Stream {
    gpu: Gpu,
    raw: sys::CUstream,
}

// SAFETY: streams may be used from any thread; the owner is not shared while it is used.
unsafe impl Send for Stream {}
// SAFETY: the driver's calls on a stream are thread-safe.
unsafe impl Sync for Stream {}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.gpu.try_bind() {
            // SAFETY: created by `Gpu::stream` and destroyed once, after its work has finished.
            unsafe {
                let _ = result::stream::synchronize(self.raw);
                let _ = result::stream::destroy(self.raw);
            }
        }
    }
}

impl Stream {
    pub(crate) fn synchronize(&self) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the stream lives.
        unsafe { result::stream::synchronize(self.raw) }.during("running the network")
    }

    /// Makes later work of this stream wait for an event.
    pub(crate) fn wait(&self, event: &Event) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both live.
        unsafe {
            result::stream::wait_event(
                self.raw,
                event.raw,
                sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT,
            )
        }
        .during("cuStreamWaitEvent")
    }

    /// # Safety
    /// Both ranges are valid for `bytes` until the copy is done, and nothing else writes them
    /// meanwhile.
    pub(crate) unsafe fn upload(&self, to: u64, from: *const u8, bytes: usize) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: as the caller says.
        unsafe { sys::cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, self.raw) }
            .result()
            .during("cuMemcpyHtoD")
    }

    /// # Safety
    /// As [`Stream::upload`], in the other direction.
    pub(crate) unsafe fn download(&self, to: *mut u8, from: u64, bytes: usize) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: as the caller says.
        unsafe { sys::cuMemcpyDtoHAsync_v2(to.cast(), from, bytes, self.raw) }
            .result()
            .during("cuMemcpyDtoH")
    }

    /// Fills memory with a byte.
    pub(crate) fn fill(&self, memory: &Memory, byte: u8) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the memory is `memory.bytes` long and lives.
        unsafe { result::memset_d8_async(memory.raw, byte, memory.bytes, self.raw) }
            .during("cuMemsetD8")
    }

    /// Copies memory on the device.
    pub(crate) fn copy(&self, to: &Memory, from: &Memory) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the length is that of the shorter one, and both live.
        unsafe { result::memcpy_dtod_async(to.raw, from.raw, to.bytes.min(from.bytes), self.raw) }
            .during("cuMemcpyDtoD")
    }

    /// Allocates memory in stream order, to be freed by [`Stream::free`].
    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64> {
        self.gpu.bind()?;
        // SAFETY: the plan's steps write every buffer before they read it.
        unsafe { result::malloc_async(self.raw, bytes.max(1)) }.during("cuMemAllocAsync")
    }

    /// # Safety
    /// `at` came from [`Stream::allocate`] and is not used by work queued after this.
    pub(crate) unsafe fn free(&self, at: u64) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: as the caller says.
        unsafe { result::free_async(at, self.raw) }.during("cuMemFreeAsync")
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// `P` is the kernel's parameter type, the addresses in it are valid until the kernel has
    /// finished, and the grid is one that the kernel was compiled for.
    pub(crate) unsafe fn launch<P>(
        &self,
        function: &Function,
        grid: (u32, u32, u32),
        params: &P,
    ) -> Result<()> {
        self.gpu.bind()?;
        let mut params = [std::ptr::from_ref(params).cast_mut().cast::<c_void>()];
        let launched = if function.overlapped {
            let mut attribute = sys::CUlaunchAttribute {
                id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
                pad: [0; 4],
                value: sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
            };
            let config = sys::CUlaunchConfig {
                gridDimX: grid.0,
                gridDimY: grid.1,
                gridDimZ: grid.2,
                blockDimX: function.threads,
                blockDimY: 1,
                blockDimZ: 1,
                sharedMemBytes: function.shared,
                hStream: self.raw,
                attrs: &raw mut attribute,
                numAttrs: 1,
            };
            // SAFETY: as the caller says; every kernel that depends on the previous one waits for
            // it, and the driver copies its arguments during the call.
            unsafe {
                sys::cuLaunchKernelEx(
                    &raw const config,
                    function.raw,
                    params.as_mut_ptr(),
                    std::ptr::null_mut(),
                )
            }
            .result()
        } else {
            // SAFETY: as the caller says; the driver copies the parameters during the call.
            unsafe {
                result::launch_kernel(
                    function.raw,
                    grid,
                    (function.threads, 1, 1),
                    function.shared,
                    self.raw,
                    &mut params,
                )
            }
        };
        launched.map_err(|e| failed(&function.name, e))
    }

    /// Captures what `work` queues as a graph, instead of running it.
    pub(crate) fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        self.gpu.bind()?;
        // SAFETY: the stream lives; the capture is ended below, even after an error.
        unsafe {
            result::stream::begin_capture(
                self.raw,
                sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
            )
        }
        .during("cuStreamBeginCapture")?;
        let worked = work();
        // SAFETY: begun above, on this thread.
        let graph = unsafe { result::stream::end_capture(self.raw) }.during("cuStreamEndCapture");
        let graph = match (worked, graph) {
            (Ok(()), graph) => graph?,
            (Err(error), graph) => {
                if let Ok(graph) = graph {
                    // SAFETY: it was just created and is not shared.
                    let _ = unsafe { result::graph::destroy(graph) };
                }
                return Err(error);
            }
        };
        let mut exec = std::ptr::null_mut();
        let mut params = sys::CUDA_GRAPH_INSTANTIATE_PARAMS {
            flags: 0,
            hUploadStream: std::ptr::null_mut(),
            hErrNode_out: std::ptr::null_mut(),
            result_out: sys::CUgraphInstantiateResult::CUDA_GRAPH_INSTANTIATE_SUCCESS,
        };
        // SAFETY: the graph was just created; it is destroyed below, and the instance by its owner.
        let made =
            unsafe { sys::cuGraphInstantiateWithParams(&raw mut exec, graph, &raw mut params) };
        // SAFETY: an instance does not depend on the graph that it was created from.
        let _ = unsafe { result::graph::destroy(graph) };
        made.result().during("cuGraphInstantiate")?;
        Ok(Graph { gpu: self.gpu.clone(), raw: exec })
    }

    /// Queues the work of a graph.
    pub(crate) fn replay(&self, graph: &Graph) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both live, as do the addresses in the graph.
        unsafe { result::graph::launch(graph.raw, self.raw) }.during("cuGraphLaunch")
    }
}

/// A point in the work of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    gpu: Gpu,
    raw: sys::CUevent,
}

// SAFETY: events may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: the driver's calls on an event are thread-safe.
unsafe impl Sync for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        if self.gpu.try_bind() {
            // SAFETY: created by `Gpu::event` and destroyed once.
            let _ = unsafe { result::event::destroy(self.raw) };
        }
    }
}

impl Event {
    pub(crate) fn record(&self, stream: &Stream) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both live.
        unsafe { result::event::record(self.raw, stream.raw) }.during("cuEventRecord")
    }

    pub(crate) fn synchronize(&self) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the event lives.
        unsafe { result::event::synchronize(self.raw) }.during("running the network")
    }

    /// Milliseconds from this event to a later one. Both were created with timing.
    pub(crate) fn until(&self, later: &Self) -> Result<f32> {
        later.synchronize()?;
        // SAFETY: both live and have happened.
        unsafe { result::event::elapsed(self.raw, later.raw) }.during("cuEventElapsedTime")
    }
}

/// Device memory.
#[derive(Debug)]
pub(crate) struct Memory {
    gpu: Gpu,
    raw: u64,
    bytes: usize,
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.gpu.try_bind() {
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
        // On a stream of its own: synchronizing the whole context would disturb another session
        // that is capturing a graph.
        let stream = self.gpu.stream()?;
        // SAFETY: `n` bytes are valid on both sides, and the wait keeps the borrow alive.
        let queued = unsafe { stream.upload(self.raw, bytes.as_ptr(), n) };
        stream.synchronize()?;
        queued
    }

    /// Reads the start of the memory.
    #[cfg(test)]
    pub(crate) fn read(&self, bytes: &mut [u8]) -> Result<()> {
        self.gpu.bind()?;
        let n = bytes.len().min(self.bytes);
        // SAFETY: `n` bytes are valid on both sides; the call returns when they are copied.
        unsafe { result::memcpy_dtoh_sync(&mut bytes[..n], self.raw) }.during("cuMemcpyDtoH")
    }
}

/// Pinned host memory.
#[derive(Debug)]
pub(crate) struct HostMemory {
    gpu: Gpu,
    raw: *mut u8,
    bytes: usize,
}

// SAFETY: the memory is owned, like that of a `Vec`.
unsafe impl Send for HostMemory {}

impl Drop for HostMemory {
    fn drop(&mut self) {
        if self.gpu.try_bind() {
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

/// A loaded module: the code of one kernel.
#[derive(Debug)]
pub(crate) struct Module {
    gpu: Gpu,
    raw: sys::CUmodule,
}

// SAFETY: modules may be used from any thread.
unsafe impl Send for Module {}
// SAFETY: a module does not change after it was loaded.
unsafe impl Sync for Module {}

impl Drop for Module {
    fn drop(&mut self) {
        if self.gpu.try_bind() {
            // SAFETY: loaded by `Gpu::module` and unloaded once, when no launch can follow.
            let _ = unsafe { result::module::unload(self.raw) };
        }
    }
}

/// A kernel that can be launched.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    raw: sys::CUfunction,
    name: String,
    threads: u32,
    shared: u32,
    /// Whether it may start before the previous kernel has ended.
    overlapped: bool,
    /// Blocks that an SM holds at once.
    pub(crate) occupancy: usize,
    /// Keeps the code loaded.
    _module: Arc<Module>,
}

// SAFETY: a function is an address in a module that is kept.
unsafe impl Send for Function {}
// SAFETY: it does not change.
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
            // SAFETY: the function lives.
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
        // SAFETY: the function lives and `blocks` is filled in by the call.
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

/// A captured graph of launches.
#[derive(Debug)]
pub(crate) struct Graph {
    gpu: Gpu,
    raw: sys::CUgraphExec,
}

// SAFETY: a graph may be launched from any thread, but only by one at a time; its owner is not
// shared.
unsafe impl Send for Graph {}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.gpu.try_bind() {
            // SAFETY: instantiated by `Stream::capture` and destroyed once.
            let _ = unsafe { result::graph::exec_destroy(self.raw) };
        }
    }
}

/// Injected failures, for tests: every driver call begins with [`Gpu::bind`].
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

    pub(super) fn due() -> Result<()> {
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

    /// They differ in the remedy: load the model again, or report the error.
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
