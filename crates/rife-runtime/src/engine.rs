//! What every engine is to the door in front of it.

use std::fmt::Debug;
use std::ptr::NonNull;

use rife_model::weights::VerifiedBytes;
use rife_model::{ModelVersion, Scale};

use crate::{FrameSize, FrameView, FrameViewMut, Optimizations, PixelFormat, Precision, Result};

/// What an engine is loaded from: everything chosen and resolved, and checked by the door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    /// The version, and through it the spec.
    pub(crate) version: ModelVersion,
    /// The weights, verified.
    pub(crate) weights: &'a VerifiedBytes,
    /// The device among those of its kind; 0 for the CPU.
    pub(crate) index: usize,
    /// One that the engine offers, never [`Precision::Auto`].
    pub(crate) precision: Precision,
    /// The flow's scale.
    pub(crate) scale: Scale,
    /// Whether the ensemble runs.
    pub(crate) ensemble: bool,
    /// What is switched on; what does not apply is ignored.
    pub(crate) optimizations: Optimizations,
    /// The frames to make in one launch, 1 to [`crate::InterpolatorBuilder::MAX_BATCH`].
    pub(crate) batch: usize,
    /// Threads of a CPU; as many as there are processors unless chosen.
    pub(crate) threads: Option<usize>,
}

/// What an engine says of itself once it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The device's own name, as `NVIDIA H100 80GB HBM3`, or `cpu`.
    pub device: String,
    /// The precision, never [`Precision::Auto`].
    pub precision: Precision,
    /// What is computed in what, as `F16 convolutions, F32 accumulation`.
    pub arithmetic: String,
    /// The optimizations in effect: of those chosen, the ones that apply.
    pub optimizations: Optimizations,
    /// The threads that it computes on; `None` where that is not the CPU.
    pub threads: Option<usize>,
}

/// Memory that a session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// On the device, the weights and whatever else sessions share included.
    pub device_bytes: u64,
    /// Page-locked, on the host.
    pub pinned_host_bytes: u64,
}

/// How long one launch of a frame takes, which is a step of it on a CPU.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KernelTime {
    /// The layer or the step of the network, as `block2.res5`.
    pub name: String,
    /// The kernel, and how it is cut.
    pub kernel: String,
    /// The mean of many, in ms: of launches one right after the other on a GPU, of the step within
    /// whole frames on a CPU.
    pub milliseconds: f32,
    /// Multiplications and additions of the layer as it is published; 0 where it has none.
    pub flops: f64,
    /// Bytes of the tensors that it reads and writes, each once; weights included.
    pub bytes: f64,
}

/// The most that a device gives, measured on it, without any network: what the times of launches
/// are held against, see [`KernelTime`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ceilings {
    /// Multiplications and additions a second in the engine's precision: of a GPU's tensor cores,
    /// of all threads of an engine on the CPU.
    pub flops: f64,
    /// Bytes a second of the device's memory, which is a CPU's main memory: read and written, by a
    /// copy within it.
    pub bytes: f64,
    /// Bytes a second between page-locked host memory and the device, the slower way of both;
    /// `None` where the device computes in host memory.
    pub transfer: Option<f64>,
}

/// Keeps a range of host memory page-locked until it is dropped.
pub(crate) trait HostLock: Debug + Send + Sync {}

/// A pair, and when the frame between lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) earlier: FrameView<'a>,
    pub(crate) later: FrameView<'a>,
    pub(crate) timestep: f32,
}

/// A network with its weights, ready to run on a device.
pub(crate) trait EngineImpl: Send + Sync {
    /// What it is.
    fn info(&self) -> Description;

    /// Starts a stream of frames of one size. It may outlive the engine.
    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>>;

    /// The most that the device gives; `None` where the engine cannot measure it.
    fn ceilings(&self) -> Result<Option<Ceilings>> {
        Ok(None)
    }

    /// Page-locks memory, so that copies between it and the device need no staging. `None` where
    /// that is of no use or fails. A locked frame's views say so, see [`FrameView::is_locked`]. The
    /// guard may outlive the engine, and be dropped on any thread.
    ///
    /// # Safety
    /// The `len` bytes at `ptr` are one allocation's, and stay allocated until the guard is
    /// dropped. The guard must not read or write them.
    unsafe fn lock(&self, _ptr: NonNull<u8>, _len: usize) -> Option<Box<dyn HostLock>> {
        None
    }
}

/// A stream of frames of one size. The door has checked sizes, formats, order, counts, timesteps
/// and the queue's depth. After an error a session holds the frames that it held before, and goes
/// on.
pub(crate) trait EngineSession: Send {
    /// Takes the next frame; the one before stays as the earlier of the pair. When it returns, the
    /// view is no longer needed. Frames submitted before are made as if it had not happened.
    fn push(&mut self, frame: &FrameView<'_>) -> Result<()>;

    /// Forgets every frame, whatever was kept of it, and what was submitted.
    fn reset(&mut self);

    /// How many frames may be submitted and not finished, 1 or more; always the same.
    fn depth(&self) -> usize;

    /// Starts making the frame at `timestep` between the last two pushed. Called after two pushes
    /// only, and with fewer than `depth` frames submitted. After an error nothing was submitted.
    fn submit(&mut self, timestep: f32, format: PixelFormat) -> Result<()>;

    /// Waits for the frame submitted first and writes it, in the format it was submitted in.
    /// Called with a frame submitted only. That frame is gone then, also after an error.
    fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()>;

    /// Makes the frame at `timestep` between the last two pushed. Called with nothing submitted.
    fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        self.submit(timestep, out.format())?;
        self.finish_into(out)
    }

    /// Makes a frame at each timestep, any number of them and of any formats, between the last two
    /// pushed. Called with nothing submitted. For an engine that batches to override.
    fn at_many_into(&mut self, timesteps: &[f32], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        timesteps.iter().zip(outs).try_for_each(|(t, out)| self.at_into(*t, out))
    }

    /// Makes a frame between each pair, any number of them and of any formats. The session's own
    /// frames need not survive. For an engine that batches to override.
    fn pairs_into(&mut self, pairs: &[Pair<'_>], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        pairs.iter().zip(outs).try_for_each(|(pair, out)| {
            self.reset();
            self.push(&pair.earlier)?;
            self.push(&pair.later)?;
            self.at_into(pair.timestep, out)
        })
    }

    /// Makes the frame at `timestep` between the last two pushed `runs` times, without any copy
    /// between host and device, as a stream would: the newest frame is encoded each time. The
    /// device's time of each in ms, by its own clock, which is the host's for a CPU; `None` where
    /// there is no such clock. Called with nothing submitted.
    fn time_on_device(&mut self, _timestep: f32, _runs: usize) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    /// How long each launch of a frame takes, over `runs` of each; empty where that is not known.
    /// Called after two pushes and with nothing submitted.
    fn kernel_times(&mut self, _runs: usize) -> Result<Vec<KernelTime>> {
        Ok(Vec::new())
    }

    /// The memory it holds, where that is known.
    fn memory(&self) -> Option<MemoryUse> {
        None
    }
}
