//! The interface between the public types and the engines behind them.

use std::fmt::Debug;
use std::ptr::NonNull;

use rife_model::weights::VerifiedBytes;
use rife_model::{ModelSpec, Scale};

use crate::profile::{PeakThroughput, SessionProfiler};
use crate::{FrameSize, FrameView, FrameViewMut, Optimizations, PixelFormat, Precision, Result};

/// The arguments to load an engine, with every choice resolved and checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    /// The model.
    pub(crate) spec: &'static ModelSpec,
    /// The verified weights.
    pub(crate) weights: &'a VerifiedBytes,
    /// The index of the device among those of its kind; 0 for the CPU.
    pub(crate) index: usize,
    /// A precision that the engine supports, never [`Precision::Auto`].
    pub(crate) precision: Precision,
    /// The scale of the flow.
    pub(crate) scale: Scale,
    /// Whether the ensemble runs.
    pub(crate) ensemble: bool,
    /// The enabled optimizations. Those that do not apply are ignored.
    pub(crate) optimizations: Optimizations,
    /// Frames per launch, 1 to [`crate::InterpolatorBuilder::MAX_BATCH`].
    pub(crate) batch: usize,
    /// CPU threads; `None` for one per available CPU.
    pub(crate) threads: Option<usize>,
}

/// An engine's description of itself, once loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The name of the device, such as `NVIDIA H100 80GB HBM3`, or `cpu`.
    pub device: String,
    /// The precision, never [`Precision::Auto`].
    pub precision: Precision,
    /// The number formats in use, as `F16 convolutions, F32 accumulation`.
    pub arithmetic: String,
    /// The enabled optimizations that apply.
    pub optimizations: Optimizations,
    /// The CPU threads it runs on; `None` on other devices.
    pub threads: Option<usize>,
}

/// The memory that a session uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// Bytes on the device, including the weights and other memory that sessions share.
    pub device_bytes: u64,
    /// Bytes of pinned (page-locked) host memory.
    pub pinned_host_bytes: u64,
}

/// Keeps a range of host memory pinned until it is dropped.
pub(crate) trait HostPin: Debug + Send + Sync {}

/// A pair of frames, and the timestep to interpolate at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) earlier: FrameView<'a>,
    pub(crate) later: FrameView<'a>,
    pub(crate) timestep: f32,
}

/// A network with its weights, ready to run on a device.
pub(crate) trait EngineImpl: Send + Sync {
    /// Describes the engine.
    fn info(&self) -> Description;

    /// The index of the GPU whose memory it can use directly; `None` if it takes only frames in
    /// host memory.
    fn cuda_device(&self) -> Option<usize> {
        None
    }

    /// Waits for the work on the default stream of its GPU.
    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    /// Starts a stream of frames of one size. It may outlive the engine.
    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>>;

    /// Measures the peak throughput of the device; `None` if the engine cannot.
    fn peak_throughput(&self) -> Result<Option<PeakThroughput>> {
        Ok(None)
    }

    /// Pins (page-locks) memory, so that copies between it and the device need no staging. `None`
    /// if the engine has no use for it, or if it fails. Views of a pinned frame report it, see
    /// [`FrameView::is_pinned`]. The guard may outlive the engine, and be dropped on any thread.
    ///
    /// # Safety
    /// The `len` bytes at `ptr` belong to one allocation, which lives until the guard is dropped.
    unsafe fn pin(&self, _ptr: NonNull<u8>, _len: usize) -> Option<Box<dyn HostPin>> {
        None
    }
}

/// A stream of frames of one size. The caller checks sizes, formats, memory, order, counts, timesteps
/// and the depth of the queue. After an error, a session holds the same frames as before and can be
/// used again.
pub(crate) trait EngineSession: Send {
    /// Adds the next frame. The previous one becomes the earlier frame of the pair. The view is not
    /// used after the call returns, except a frame in device memory, in the order of its stream.
    /// Submitted frames are not affected.
    fn push(&mut self, frame: &FrameView<'_>) -> Result<()>;

    /// Drops all frames, their features, and what was submitted.
    fn reset(&mut self);

    /// The most frames that can be pending: at least 1, and constant.
    fn depth(&self) -> usize;

    /// Starts to interpolate at `timestep` between the last two frames pushed. Must be called after
    /// two pushes, and with fewer than `depth` frames pending. After an error nothing is submitted.
    fn submit(&mut self, timestep: f32, format: PixelFormat) -> Result<()>;

    /// Waits for the pending frame that was submitted first, and writes it in the format that it
    /// was submitted in, to host memory. Must be called with a frame pending, which is removed even
    /// after an error.
    fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()>;

    /// Interpolates at `timestep` between the last two frames pushed. Must be called with
    /// nothing submitted.
    fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        self.submit(timestep, out.format())?;
        self.finish_into(out)
    }

    /// Interpolates at each timestep, in any number and formats, between the last two frames
    /// pushed. Must be called with nothing submitted. Engines with batches override it.
    fn at_many_into(&mut self, timesteps: &[f32], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        timesteps.iter().zip(outs).try_for_each(|(t, out)| self.at_into(*t, out))
    }

    /// Interpolates between the frames of each pair, in any number and formats. The frames of
    /// the session may be lost. Engines with batches override it.
    fn pairs_into(&mut self, pairs: &[Pair<'_>], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        pairs_one_by_one(self, pairs, outs)
    }

    /// The profiler of the session, if it has one.
    fn profiler(&mut self) -> Option<&mut dyn SessionProfiler> {
        None
    }

    /// The memory in use, if known.
    fn memory(&self) -> Option<MemoryUse> {
        None
    }
}

/// Pushes the frames of each pair and interpolates between them.
pub(crate) fn pairs_one_by_one<S: EngineSession + ?Sized>(
    session: &mut S,
    pairs: &[Pair<'_>],
    outs: &mut [FrameViewMut<'_>],
) -> Result<()> {
    pairs.iter().zip(outs).try_for_each(|(pair, out)| {
        session.reset();
        session.push(&pair.earlier)?;
        session.push(&pair.later)?;
        session.at_into(pair.timestep, out)
    })
}
