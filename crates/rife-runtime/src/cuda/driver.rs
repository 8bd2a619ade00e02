//! The few things asked of the CUDA driver, owned: what is made here is freed here.

use std::ffi::{CString, c_void};
use std::sync::Arc;

use cudarc::driver::{CudaContext, DriverError, result, sys};

use super::kernel::Card;
use crate::{Error, Result};

/// What the driver says, in its words.
pub(crate) fn describe(error: DriverError) -> String {
    let text = |found: std::result::Result<&std::ffi::CStr, DriverError>| {
        found.map_or_else(|_| "unknown".into(), |s| s.to_string_lossy().into_owned())
    };
    format!("{} ({})", text(error.error_name()), text(error.error_string()))
}

/// What the driver says of an operation, as an error of the runtime.
pub(crate) fn failed(op: &str, error: DriverError) -> Error {
    match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::OutOfMemory { needed: None },
        code if is_final(code) => {
            Error::DeviceLost { reason: format!("{op}: {}", describe(error)) }
        }
        _ => Error::Kernel { name: op.to_owned(), reason: describe(error) },
    }
}

/// Whether nothing works in the process's context any more after this.
fn is_final(code: sys::CUresult) -> bool {
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

/// Gives a driver call's error the name of what was done.
pub(crate) trait Driven<T> {
    fn of(self, op: &str) -> Result<T>;
}

impl<T> Driven<T> for std::result::Result<T, DriverError> {
    fn of(self, op: &str) -> Result<T> {
        self.map_err(|error| failed(op, error))
    }
}

/// A GPU, its primary context retained.
#[derive(Clone, Debug)]
pub(crate) struct Gpu {
    context: Arc<CudaContext>,
    pub(crate) name: String,
    /// Compute capability.
    pub(crate) capability: (u32, u32),
    pub(crate) card: Card,
    /// The driver's version, as it counts: 13000 is 13.0.
    pub(crate) driver: i32,
}

impl Gpu {
    /// Opens the GPU of an index. The driver's library must be present.
    pub(crate) fn open(index: usize) -> std::result::Result<Self, DriverError> {
        use sys::CUdevice_attribute_enum as A;
        // The driver counts in 32 bits, and so does cudarc, which would cut the rest off.
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
            processors: attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1),
            shared_per_block: attribute(A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
            shared_per_processor: attribute(
                A::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
            )?,
            // Of no other capability: what came after Hopper has other instructions.
            wgmma: capability == (9, 0),
        };
        let mut driver = 0;
        // SAFETY: the pointer is to a live integer that the call fills in.
        unsafe { sys::cuDriverGetVersion(&raw mut driver) }.result()?;
        Ok(Self { name: context.name()?, context, capability, card, driver })
    }

    /// Makes the context the calling thread's. Before every call into the driver.
    pub(crate) fn bind(&self) -> Result<()> {
        #[cfg(test)]
        fault::due()?;
        self.context.bind_to_thread().of("cuCtxSetCurrent")
    }

    /// The same where an error has nobody to be told to: before something is freed.
    fn binds(&self) -> bool {
        self.context.bind_to_thread().is_ok()
    }

    pub(crate) fn stream(&self) -> Result<Stream> {
        self.bind()?;
        let raw =
            result::stream::create(result::stream::StreamKind::NonBlocking).of("cuStreamCreate")?;
        Ok(Stream { gpu: self.clone(), raw })
    }

    pub(crate) fn event(&self, timing: bool) -> Result<Event> {
        self.bind()?;
        let flags = if timing {
            sys::CUevent_flags::CU_EVENT_DEFAULT
        } else {
            sys::CUevent_flags::CU_EVENT_DISABLE_TIMING
        };
        Ok(Event { raw: result::event::create(flags).of("cuEventCreate")?, gpu: self.clone() })
    }

    /// Bytes of the card's memory, free or not.
    #[cfg(test)]
    pub(crate) fn total_memory(&self) -> Result<usize> {
        self.bind()?;
        Ok(result::mem_get_info().of("cuMemGetInfo")?.1)
    }

    /// Device memory, not cleared.
    pub(crate) fn memory(&self, bytes: usize) -> Result<Memory> {
        self.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: nothing reads the memory before it was written: the plan's steps write every
        // buffer before they read it, a frame is uploaded or made before it is read, and
        // everything else is filled when it is made.
        let raw = unsafe { result::malloc_sync(bytes) }.map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                Error::OutOfMemory { needed: Some(bytes as u64) }
            }
            _ => failed("cuMemAlloc", error),
        })?;
        Ok(Memory { gpu: self.clone(), raw, bytes })
    }

    /// Page-locked host memory, zeroed.
    pub(crate) fn host(&self, bytes: usize) -> Result<HostMemory> {
        self.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: the memory is zeroed below, before anything reads it.
        let raw = unsafe { result::malloc_host(bytes, 0) }.of("cuMemHostAlloc")?.cast::<u8>();
        // SAFETY: `raw` is `bytes` long and nobody else's.
        unsafe { raw.write_bytes(0, bytes) };
        Ok(HostMemory { gpu: self.clone(), raw, bytes })
    }

    pub(crate) fn module(&self, name: &str, cubin: &[u8]) -> Result<Module> {
        self.bind()?;
        // SAFETY: the image is whole: the compiler, or the cache that checks digests, gave it.
        let raw = unsafe { result::module::load_data(cubin.as_ptr().cast()) }
            .map_err(|e| failed(&format!("loading the kernel {name}"), e))?;
        Ok(Module { gpu: self.clone(), raw })
    }

    /// Page-locks memory of the caller's until the guard is dropped.
    ///
    /// # Safety
    /// The memory stays valid for as long as the guard lives.
    pub(crate) unsafe fn lock(&self, at: *mut u8, bytes: usize) -> Option<Locked> {
        self.bind().ok()?;
        // SAFETY: the caller says that the memory is valid for as long as the guard lives.
        let done = unsafe { sys::cuMemHostRegister_v2(at.cast(), bytes, 0) };
        done.result().ok()?;
        Some(Locked { gpu: self.clone(), at: at.cast() })
    }
}

/// Page-locked memory of somebody else's.
#[derive(Debug)]
pub(crate) struct Locked {
    gpu: Gpu,
    at: *mut c_void,
}

// SAFETY: the pointer is only handed back to the driver, which takes it from any thread.
unsafe impl Send for Locked {}
// SAFETY: as above; nothing is reachable through a shared reference.
unsafe impl Sync for Locked {}

impl crate::engine::HostLock for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.gpu.binds() {
            // SAFETY: registered when the guard was made, and not unregistered since.
            let _ = unsafe { sys::cuMemHostUnregister(self.at) };
        }
    }
}

/// A queue of work.
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
        if self.gpu.binds() {
            // SAFETY: made by `Gpu::stream` and destroyed once; work in it is waited for first.
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
        unsafe { result::stream::synchronize(self.raw) }.of("running the network")
    }

    /// Later work of this stream waits for the event.
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
        .of("cuStreamWaitEvent")
    }

    /// # Safety
    /// Both ranges are valid for `bytes`, `from` until the copy is done, and nothing else writes
    /// them meanwhile.
    pub(crate) unsafe fn upload(&self, to: u64, from: *const u8, bytes: usize) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: as the caller says.
        unsafe { sys::cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, self.raw) }
            .result()
            .of("cuMemcpyHtoD")
    }

    /// # Safety
    /// As [`Stream::upload`], the other way.
    pub(crate) unsafe fn download(&self, to: *mut u8, from: u64, bytes: usize) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: as the caller says.
        unsafe { sys::cuMemcpyDtoHAsync_v2(to.cast(), from, bytes, self.raw) }
            .result()
            .of("cuMemcpyDtoH")
    }

    /// Fills memory with a byte.
    pub(crate) fn fill(&self, memory: &Memory, byte: u8) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the memory is `memory.bytes` long and lives.
        unsafe { result::memset_d8_async(memory.raw, byte, memory.bytes, self.raw) }
            .of("cuMemsetD8")
    }

    /// Copies memory on the device.
    pub(crate) fn copy(&self, to: &Memory, from: &Memory) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: as many bytes as both have, of memory that lives.
        unsafe { result::memcpy_dtod_async(to.raw, from.raw, to.bytes.min(from.bytes), self.raw) }
            .of("cuMemcpyDtoD")
    }

    /// Memory that belongs to the stream's order: freed by [`Stream::free`].
    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64> {
        self.gpu.bind()?;
        // SAFETY: the plan's steps write every buffer before they read it.
        unsafe { result::malloc_async(self.raw, bytes.max(1)) }.of("cuMemAllocAsync")
    }

    /// # Safety
    /// `at` came from [`Stream::allocate`] and is not used by work queued after this.
    pub(crate) unsafe fn free(&self, at: u64) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: as the caller says.
        unsafe { result::free_async(at, self.raw) }.of("cuMemFreeAsync")
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// `P` is what the kernel takes, the addresses in it are valid for what the kernel does with
    /// them until it is done, and the launch's shape is the one that it was compiled for.
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
            // SAFETY: as the caller says; every kernel that reads or writes what the one before it
            // does waits for that one, and the driver copies everything it is given during the
            // call.
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

    /// Records what `work` queues instead of running it.
    pub(crate) fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        self.gpu.bind()?;
        // SAFETY: the stream lives; whatever `work` queues is ended below, also when it fails.
        unsafe {
            result::stream::begin_capture(
                self.raw,
                sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
            )
        }
        .of("cuStreamBeginCapture")?;
        let worked = work();
        // SAFETY: begun above, on this thread.
        let graph = unsafe { result::stream::end_capture(self.raw) }.of("cuStreamEndCapture");
        let graph = match (worked, graph) {
            (Ok(()), graph) => graph?,
            (Err(error), graph) => {
                if let Ok(graph) = graph {
                    // SAFETY: it was just made and nobody has it.
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
        // SAFETY: the graph was just made; it is destroyed below and the instance by its owner.
        let made =
            unsafe { sys::cuGraphInstantiateWithParams(&raw mut exec, graph, &raw mut params) };
        // SAFETY: an instance does not need the graph that it was made from.
        let _ = unsafe { result::graph::destroy(graph) };
        made.result().of("cuGraphInstantiate")?;
        Ok(Graph { gpu: self.gpu.clone(), raw: exec })
    }

    /// Queues everything that a graph holds.
    pub(crate) fn replay(&self, graph: &Graph) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both live; the addresses that the graph holds live as long as its owner.
        unsafe { result::graph::launch(graph.raw, self.raw) }.of("cuGraphLaunch")
    }
}

/// A point in a stream's work.
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
        if self.gpu.binds() {
            // SAFETY: made by `Gpu::event` and destroyed once.
            let _ = unsafe { result::event::destroy(self.raw) };
        }
    }
}

impl Event {
    pub(crate) fn record(&self, stream: &Stream) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both live.
        unsafe { result::event::record(self.raw, stream.raw) }.of("cuEventRecord")
    }

    pub(crate) fn synchronize(&self) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the event lives.
        unsafe { result::event::synchronize(self.raw) }.of("running the network")
    }

    /// Milliseconds from this event to a later one; both made with timing.
    pub(crate) fn until(&self, later: &Self) -> Result<f32> {
        later.synchronize()?;
        // SAFETY: both live and have happened.
        unsafe { result::event::elapsed(self.raw, later.raw) }.of("cuEventElapsedTime")
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
        if self.gpu.binds() {
            // SAFETY: made by `Gpu::memory` and freed once; the driver waits for work that uses it.
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

    /// Writes the beginning, and waits until it is written.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.gpu.bind()?;
        let n = bytes.len().min(self.bytes);
        // On a stream of its own: waiting for all of the context would disturb another session
        // that is recording its graph.
        let stream = self.gpu.stream()?;
        // SAFETY: `n` bytes are valid on both sides, and the wait keeps the borrow alive.
        let queued = unsafe { stream.upload(self.raw, bytes.as_ptr(), n) };
        stream.synchronize()?;
        queued
    }

    /// Reads the beginning.
    #[cfg(test)]
    pub(crate) fn read(&self, bytes: &mut [u8]) -> Result<()> {
        self.gpu.bind()?;
        let n = bytes.len().min(self.bytes);
        // SAFETY: `n` bytes are valid on both sides; the call returns when they are copied.
        unsafe { result::memcpy_dtoh_sync(&mut bytes[..n], self.raw) }.of("cuMemcpyDtoH")
    }
}

/// Page-locked host memory.
#[derive(Debug)]
pub(crate) struct HostMemory {
    gpu: Gpu,
    raw: *mut u8,
    bytes: usize,
}

// SAFETY: the memory is owned, as a `Vec`'s is.
unsafe impl Send for HostMemory {}

impl Drop for HostMemory {
    fn drop(&mut self) {
        if self.gpu.binds() {
            // SAFETY: made by `Gpu::host` and freed once.
            let _ = unsafe { result::free_host(self.raw.cast()) };
        }
    }
}

impl HostMemory {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `bytes` long, initialised when it was made, and borrowed as `self` is.
        unsafe { std::slice::from_raw_parts(self.raw, self.bytes) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else borrows it.
        unsafe { std::slice::from_raw_parts_mut(self.raw, self.bytes) }
    }
}

/// A compiled kernel, loaded.
#[derive(Debug)]
pub(crate) struct Module {
    gpu: Gpu,
    raw: sys::CUmodule,
}

// SAFETY: modules may be used from any thread.
unsafe impl Send for Module {}
// SAFETY: nothing of a module changes after it was loaded.
unsafe impl Sync for Module {}

impl Drop for Module {
    fn drop(&mut self) {
        if self.gpu.binds() {
            // SAFETY: loaded by `Gpu::module` and unloaded once, when no launch can follow.
            let _ = unsafe { result::module::unload(self.raw) };
        }
    }
}

/// A kernel as it is launched.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    raw: sys::CUfunction,
    name: String,
    threads: u32,
    shared: u32,
    /// Whether it may start before the kernel before it has ended.
    overlapped: bool,
    /// Blocks that a multiprocessor holds at once.
    pub(crate) occupancy: usize,
    /// Keeps the code loaded.
    _module: Arc<Module>,
}

// SAFETY: a function is an address in a module that is kept.
unsafe impl Send for Function {}
// SAFETY: nothing of it changes.
unsafe impl Sync for Function {}

impl Function {
    /// The module's kernel, with the block that it was compiled for.
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

/// Launches that were recorded.
#[derive(Debug)]
pub(crate) struct Graph {
    gpu: Gpu,
    raw: sys::CUgraphExec,
}

// SAFETY: a graph may be launched from any thread, by one at a time: its owner is not shared.
unsafe impl Send for Graph {}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.gpu.binds() {
            // SAFETY: instantiated by `Stream::capture` and destroyed once.
            let _ = unsafe { result::graph::exec_destroy(self.raw) };
        }
    }
}

/// Failures that a test asks for: every call into the driver begins with [`Gpu::bind`].
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;

    use crate::{Error, Result};

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// What fails by it.
    pub(crate) const NAME: &str = "what a test lets fail";

    /// Lets this thread's next call but so many into the driver fail, once.
    pub(crate) fn after(calls: usize) {
        LEFT.set(Some(calls));
    }

    /// Lets nothing fail any more; gives whether something has.
    pub(crate) fn is_over() -> bool {
        LEFT.take().is_none()
    }

    pub(super) fn due() -> Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => {
                LEFT.set(None);
                Err(Error::Kernel { name: NAME.into(), reason: "it was asked to".into() })
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

    /// Told apart by what the user can do: load again, or report it.
    #[test]
    fn what_ends_a_context_is_told_from_what_fails_alone() {
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
            assert!(is_final(code), "{code:?}");
        }
        for code in [
            E::CUDA_ERROR_OUT_OF_MEMORY,
            E::CUDA_ERROR_INVALID_VALUE,
            E::CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
            E::CUDA_ERROR_NO_BINARY_FOR_GPU,
            E::CUDA_ERROR_NOT_FOUND,
        ] {
            assert!(!is_final(code), "{code:?}");
        }
    }
}
