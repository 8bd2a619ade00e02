//! Streams, events and graphs.

use std::ffi::c_void;

use cudarc::driver::{result, sys};

use super::memory::Memory;
use super::module::Function;
use super::{DuringCall, Gpu, failed};
use crate::Result;

/// A stream of queued work.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) gpu: Gpu,
    pub(super) raw: sys::CUstream,
}

// SAFETY: streams may be used from any thread; the owner is not shared while it is used.
unsafe impl Send for Stream {}
// SAFETY: the driver's calls on a stream are thread-safe.
unsafe impl Sync for Stream {}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(_before) = self.gpu.try_bind() {
            // SAFETY: created by `Gpu::stream` and destroyed once, after its work has finished.
            unsafe {
                let _ = result::stream::synchronize(self.raw);
                let _ = result::stream::destroy(self.raw);
            }
        }
    }
}

impl Stream {
    /// The handle, as a caller would pass it.
    #[cfg(test)]
    pub(crate) fn handle(&self) -> u64 {
        self.raw as usize as u64
    }

    pub(crate) fn synchronize(&self) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the stream is valid.
        unsafe { result::stream::synchronize(self.raw) }.during("running the network")
    }

    /// Makes later work of this stream wait for an event.
    pub(crate) fn wait(&self, event: &Event) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both are valid.
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
    /// Both ranges are valid for `bytes` until the copy is done, and nothing else writes to them
    /// before that.
    pub(crate) unsafe fn upload(&self, to: u64, from: *const u8, bytes: usize) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: guaranteed by the caller.
        unsafe { sys::cuMemcpyHtoDAsync_v2(to, from.cast(), bytes, self.raw) }
            .result()
            .during("cuMemcpyHtoD")
    }

    /// # Safety
    /// Same as for [`Stream::upload`], in the other direction.
    pub(crate) unsafe fn download(&self, to: *mut u8, from: u64, bytes: usize) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: guaranteed by the caller.
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
        // SAFETY: guaranteed by the caller.
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
            // SAFETY: guaranteed by the caller; every kernel that depends on the previous one waits
            // for it, and the driver copies its arguments during the call.
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
            // SAFETY: guaranteed by the caller; the driver copies the parameters during the call.
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

    /// Captures the work that `work` queues as a graph, without running it.
    pub(crate) fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        self.gpu.bind()?;
        // SAFETY: the stream is valid; the capture is ended below, even after an error.
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
        let instantiated =
            unsafe { sys::cuGraphInstantiateWithParams(&raw mut exec, graph, &raw mut params) };
        // SAFETY: an instance does not depend on the graph that it was created from.
        let _ = unsafe { result::graph::destroy(graph) };
        instantiated.result().during("cuGraphInstantiate")?;
        Ok(Graph { gpu: self.gpu.clone(), raw: exec })
    }

    /// Queues the work of a graph.
    pub(crate) fn replay(&self, graph: &Graph) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both are valid, as do the addresses in the graph.
        unsafe { result::graph::launch(graph.raw, self.raw) }.during("cuGraphLaunch")
    }
}

/// A point in the work of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    pub(super) gpu: Gpu,
    pub(super) raw: sys::CUevent,
}

// SAFETY: events may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: the driver's calls on an event are thread-safe.
unsafe impl Sync for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some(_before) = self.gpu.try_bind() {
            // SAFETY: created by `Gpu::event` and destroyed once.
            let _ = unsafe { result::event::destroy(self.raw) };
        }
    }
}

impl Event {
    pub(crate) fn record(&self, stream: &Stream) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: both are valid.
        unsafe { result::event::record(self.raw, stream.raw) }.during("cuEventRecord")
    }

    pub(crate) fn synchronize(&self) -> Result<()> {
        self.gpu.bind()?;
        // SAFETY: the event is valid.
        unsafe { result::event::synchronize(self.raw) }.during("running the network")
    }

    /// Milliseconds from this event to a later one. Both must have been created with timing.
    pub(crate) fn until(&self, later: &Self) -> Result<f32> {
        later.synchronize()?;
        // SAFETY: both are valid and have happened.
        unsafe { result::event::elapsed(self.raw, later.raw) }.during("cuEventElapsedTime")
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
        if let Some(_before) = self.gpu.try_bind() {
            // SAFETY: instantiated by `Stream::capture` and destroyed once.
            let _ = unsafe { result::graph::exec_destroy(self.raw) };
        }
    }
}
