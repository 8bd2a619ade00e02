//! The public door.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use rife_model::weights::{Store, Weights};
use rife_model::{ModelError, ModelVersion, Scale};

use crate::engine::{EngineImpl, EngineSession, Load, Pair};
use crate::machine::{self, Asked, Chosen};
use crate::{
    Ceilings, Description, Device, Engine, Error, Frame, FrameSize, FrameView, FrameViewMut,
    KernelTime, MemoryUse, Optimizations, PixelFormat, Precision, Result,
};

/// What is to be run, before anything is loaded.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it loads"]
pub struct InterpolatorBuilder {
    version: ModelVersion,
    engine: Engine,
    device: Device,
    precision: Precision,
    scale: Scale,
    ensemble: bool,
    optimizations: Optimizations,
    batch: usize,
    threads: Option<usize>,
}

impl InterpolatorBuilder {
    /// The largest batch.
    pub const MAX_BATCH: usize = 16;
    /// The most threads.
    pub const MAX_THREADS: usize = 1024;

    /// Which implementation runs the network.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Where it runs.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// What convolutions compute in.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The resolution that flow is estimated at: [`Scale::Half`] for 4K.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Average in the swapped pair (4.6 only): about twice the work.
    pub fn ensemble(mut self, ensemble: bool) -> Self {
        self.ensemble = ensemble;
        self
    }

    /// What the optimized engine does for speed; all of it unless switched off. An engine to which
    /// one does not apply ignores it.
    pub fn optimizations(mut self, optimizations: Optimizations) -> Self {
        self.optimizations = optimizations;
        self
    }

    /// How many frames an engine that can makes in one launch, 1 (unless chosen) to
    /// [`InterpolatorBuilder::MAX_BATCH`], see [`Session::at_many`] and
    /// [`Interpolator::interpolate_many`]: faster for small frames, for that much more memory.
    pub fn batch(mut self, frames: usize) -> Self {
        self.batch = frames;
        self
    }

    /// How many threads an engine runs on where it runs on the CPU, 1 to
    /// [`InterpolatorBuilder::MAX_THREADS`]; one for each processor unless chosen. On a GPU it says
    /// nothing.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Whether this machine and build can run what was chosen, without touching any weights.
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::NoEngine`] and [`Error::NoPrecision`] when they lack what was
    /// asked for; [`Error::Batch`] when the batch is out of range,
    /// [`Error::ThreadCount`] when the number of threads is; [`Error::Model`] when the
    /// version has no ensemble.
    pub fn check(&self) -> Result<()> {
        self.choose().map(drop)
    }

    /// Loads the weights that a folder contains. Downloads nothing: fetch missing weights first, with
    /// [`Weights::fetch`] or [`Store::fetch`]. [`Weights::note`] is logged as a warning.
    ///
    /// # Errors
    /// [`Error::Weights`] when the folder does not contain the weights of the version; otherwise as
    /// [`InterpolatorBuilder::load_weights`].
    pub fn load(self, weights: impl AsRef<Path>) -> Result<Interpolator> {
        self.check()?;
        let version = self.version;
        let weights = Store::at(weights.as_ref())
            .find(version)
            .map_err(|source| Error::Weights { version, source })?;
        if let Some(note) = &weights.note {
            tracing::warn!("{note}");
        }
        self.load_weights(&weights)
    }

    /// Loads verified weights.
    ///
    /// # Errors
    /// As [`InterpolatorBuilder::check`]; [`Error::OtherWeights`] when the weights were found
    /// for another version, [`Error::Weights`] when the file has changed since it was verified.
    pub fn load_weights(self, weights: &Weights) -> Result<Interpolator> {
        let version = self.version;
        if weights.requested != version {
            return Err(Error::OtherWeights { expected: version, got: weights.requested });
        }
        let chosen = self.choose()?;
        let bytes = weights.read().map_err(|source| Error::Weights { version, source })?;
        let engine = (chosen.factory().load)(&Load {
            version,
            weights: &bytes,
            index: chosen.device.index(),
            precision: chosen.precision,
            scale: self.scale,
            ensemble: self.ensemble,
            optimizations: self.optimizations,
            batch: self.batch,
            threads: self.threads,
        })?;
        let description = engine.info();
        tracing::debug!(
            "RIFE {version}: {} in {} ({}) on {}, {}",
            weights.path.display(),
            chosen.precision,
            description.arithmetic,
            chosen.device,
            description.device
        );
        Ok(Interpolator {
            info: EngineInfo {
                model: version,
                weights: weights.clone(),
                engine: chosen.engine,
                device: chosen.device.to_string(),
                precision: chosen.precision,
                scale: self.scale,
                ensemble: self.ensemble,
                batch: self.batch,
                description,
            },
            engine,
            pair: Mutex::new(None),
        })
    }

    /// What it comes down to here.
    fn choose(&self) -> Result<Chosen> {
        if self.ensemble && !self.version.spec().supports_ensemble {
            return Err(ModelError::NoEnsemble { version: self.version }.into());
        }
        if !(1..=Self::MAX_BATCH).contains(&self.batch) {
            return Err(Error::Batch(self.batch));
        }
        if let Some(threads) = self.threads.filter(|t| !(1..=Self::MAX_THREADS).contains(t)) {
            return Err(Error::ThreadCount(threads));
        }
        let Self { engine, device, precision, .. } = *self;
        machine::choose(Asked { engine, device, precision })
    }
}

/// What runs, as it was resolved from what was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineInfo {
    /// The version that was asked for.
    pub model: ModelVersion,
    /// The weights that it runs with; for 4.25 they may be 4.26's, see [`Weights::note`].
    pub weights: Weights,
    /// The engine, never [`Engine::Auto`].
    pub engine: Engine,
    /// The device, as it is chosen: `cpu` or `cuda:0`.
    pub device: String,
    /// The precision, never [`Precision::Auto`].
    pub precision: Precision,
    /// The flow's scale.
    pub scale: Scale,
    /// Whether the ensemble runs.
    pub ensemble: bool,
    /// The frames made in one launch, at most.
    pub batch: usize,
    /// What the engine says of itself.
    pub description: Description,
}

/// A model loaded on a device: makes frames between frames.
///
/// ```no_run
/// use rife_runtime::{Frame, FrameSize, Interpolator, ModelVersion, PixelFormat};
///
/// # fn main() -> rife_runtime::Result<()> {
/// let rife = Interpolator::builder(ModelVersion::V4_6).load("weights")?;
/// let size = FrameSize::new(1920, 1080);
/// let (a, b) = (Frame::black(size, PixelFormat::Rgb8)?, Frame::black(size, PixelFormat::Rgb8)?);
///
/// // One pair:
/// let middle = rife.interpolate(&a.view(), &b.view(), 0.5)?;
///
/// // A stream: each frame is handed over once.
/// let mut session = rife.session(size)?;
/// session.push(&a.view())?;
/// session.push(&b.view())?;
/// let third = session.at(1.0 / 3.0)?;
///
/// // A frame can be read and pushed while another is made:
/// session.submit(2.0 / 3.0)?;
/// session.push(&a.view())?;
/// let two_thirds = session.finish()?;
/// # Ok(())
/// # }
/// ```
pub struct Interpolator {
    info: EngineInfo,
    engine: Box<dyn EngineImpl>,
    /// The session that serves pairs, kept for the next pair of its size.
    pair: Mutex<Option<(FrameSize, Box<dyn EngineSession>)>>,
}

impl std::fmt::Debug for Interpolator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interpolator").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Interpolator {
    /// Starts choosing how to run a version.
    pub fn builder(version: ModelVersion) -> InterpolatorBuilder {
        InterpolatorBuilder {
            version,
            engine: Engine::Auto,
            device: Device::Auto,
            precision: Precision::Auto,
            scale: Scale::One,
            ensemble: false,
            optimizations: Optimizations::default(),
            batch: 1,
            threads: None,
        }
    }

    /// What runs.
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// The frame at `timestep` between two, in the earlier frame's format.
    ///
    /// # Errors
    /// As [`Interpolator::interpolate_into`].
    pub fn interpolate(
        &self,
        earlier: &FrameView<'_>,
        later: &FrameView<'_>,
        timestep: f32,
    ) -> Result<Frame> {
        let mut out = Frame::black(earlier.size(), earlier.format())?;
        self.interpolate_into(earlier, later, timestep, &mut out.view_mut())?;
        Ok(out)
    }

    /// As [`Interpolator::interpolate`], into a buffer of the caller's.
    ///
    /// # Errors
    /// [`Error::Size`] when the frames differ in size, [`Error::Timestep`] when `timestep`
    /// is not between 0 and 1, and what a device fails with, see [`Error`].
    pub fn interpolate_into(
        &self,
        earlier: &FrameView<'_>,
        later: &FrameView<'_>,
        timestep: f32,
        out: &mut FrameViewMut<'_>,
    ) -> Result<()> {
        let pair = Pair { earlier: *earlier, later: *later, timestep };
        self.pairs("Interpolator::interpolate", &[pair], std::slice::from_mut(out))
    }

    /// The frame between each of many pairs of one size, in the format of each pair's earlier
    /// frame: the same frames as [`Interpolator::interpolate`] makes one by one, in batches where
    /// the engine can, see [`InterpolatorBuilder::batch`].
    ///
    /// # Errors
    /// As [`Interpolator::interpolate_into`].
    pub fn interpolate_many(
        &self,
        pairs: &[(FrameView<'_>, FrameView<'_>, f32)],
    ) -> Result<Vec<Frame>> {
        let blank = |(a, _, _): &(FrameView<'_>, _, _)| Frame::black(a.size(), a.format());
        let mut frames = pairs.iter().map(blank).collect::<Result<Vec<_>>>()?;
        let mut outs: Vec<_> = frames.iter_mut().map(Frame::view_mut).collect();
        self.interpolate_many_into(pairs, &mut outs)?;
        Ok(frames)
    }

    /// As [`Interpolator::interpolate_many`], into buffers of the caller's.
    ///
    /// # Errors
    /// As [`Interpolator::interpolate_into`], and [`Error::Count`] when there are not as many
    /// buffers as pairs.
    pub fn interpolate_many_into(
        &self,
        pairs: &[(FrameView<'_>, FrameView<'_>, f32)],
        outs: &mut [FrameViewMut<'_>],
    ) -> Result<()> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|&(earlier, later, timestep)| Pair { earlier, later, timestep })
            .collect();
        self.pairs("Interpolator::interpolate_many", &pairs, outs)
    }

    fn pairs(
        &self,
        op: &'static str,
        pairs: &[Pair<'_>],
        outs: &mut [FrameViewMut<'_>],
    ) -> Result<()> {
        // Before the session that is kept is taken: a mistake of the caller's must not cost it.
        check_count(op, pairs.len(), outs.len())?;
        let Some(first) = pairs.first() else { return Ok(()) };
        let size = first.earlier.size();
        for (pair, out) in pairs.iter().zip(outs.iter()) {
            for got in [pair.earlier.size(), pair.later.size(), out.size()] {
                check_size(op, size, got)?;
            }
            check_timestep(pair.timestep)?;
        }
        // A panic in another thread leaves nothing here, as the session is taken out meanwhile.
        let mut kept = self.pair.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // One of another size goes before the new one needs the memory.
        let mut session = match kept.take().filter(|(of, _)| *of == size) {
            Some((_, session)) => session,
            None => self.engine.session(size)?,
        };
        session.pairs_into(pairs, outs)?;
        session.reset();
        *kept = Some((size, session));
        Ok(())
    }

    /// Page-locks the frame's memory, so that copies to and from the device need no staging. It
    /// costs about as much as copying the frame a few times, so it is for frames that are used
    /// again and again. Where the engine has no device memory, or the system does not allow it,
    /// the frame stays as it is.
    #[must_use = "the frame is returned"]
    pub fn lock(&self, frame: Frame) -> Frame {
        // SAFETY: the range is the whole of the frame's samples, and the frame drops the guard
        // before it frees them or gives them away.
        frame.locked_by(|data, len| unsafe { self.engine.lock(data, len) })
    }

    /// The most that the device gives in the engine's precision, measured when this is called
    /// (for up to a second or so); `None` where the engine cannot tell.
    ///
    /// # Errors
    /// What a device fails with, see [`Error`].
    pub fn ceilings(&self) -> Result<Option<Ceilings>> {
        self.engine.ceilings()
    }

    /// Starts a stream of frames of one size.
    ///
    /// # Errors
    /// When the size is out of range or the device cannot hold it.
    pub fn session(&self, size: FrameSize) -> Result<Session> {
        let inner = self.engine.session(size.check("session")?)?;
        let pending = VecDeque::new();
        Ok(Session { size, pushed: 0, format: PixelFormat::Rgb8, pending, inner })
    }
}

/// A stream of frames of one size, with whatever the engine keeps from one frame to the next.
pub struct Session {
    size: FrameSize,
    /// Frames held, at most 2.
    pushed: usize,
    /// Of the last frame pushed.
    format: PixelFormat,
    /// The formats of the frames submitted, first to last.
    pending: VecDeque<PixelFormat>,
    inner: Box<dyn EngineSession>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Session");
        out.field("size", &self.size)
            .field("pushed", &self.pushed)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The size of the stream's frames.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Takes the next frame of the stream.
    ///
    /// Frames that were submitted are made as if it had not happened.
    ///
    /// # Errors
    /// [`Error::Size`] when the frame is not of the session's size, and what a device fails with,
    /// see [`Error`]. The session holds what it held before.
    pub fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        check_size("Session::push", self.size, frame.size())?;
        self.inner.push(frame)?;
        self.pushed = (self.pushed + 1).min(2);
        self.format = frame.format();
        Ok(())
    }

    /// The frame at `timestep` between the last two pushed, in the given format. May be called
    /// any number of times for a pair.
    ///
    /// # Errors
    /// As [`Session::at_into`].
    pub fn at_as(&mut self, timestep: f32, format: PixelFormat) -> Result<Frame> {
        let mut out = Frame::black(self.size, format)?;
        self.at_into(timestep, &mut out.view_mut())?;
        Ok(out)
    }

    /// As [`Session::at_as`], in the format of the last frame pushed.
    ///
    /// # Errors
    /// As [`Session::at_into`].
    pub fn at(&mut self, timestep: f32) -> Result<Frame> {
        self.at_as(timestep, self.format)
    }

    /// As [`Session::at_as`], into a buffer of the caller's and in its format.
    ///
    /// # Errors
    /// [`Error::NotReady`] before two frames were pushed, [`Error::Timestep`] when `timestep` is
    /// not between 0 and 1, [`Error::Size`] when the buffer is not of the session's size,
    /// [`Error::Pending`] while submitted frames are pending, and what a device fails with, see
    /// [`Error`]. The session survives each of them but [`Error::DeviceLost`].
    pub fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        check_size("Session::at", self.size, out.size())?;
        self.check_ready(timestep)?;
        self.check_idle()?;
        self.inner.at_into(timestep, out)
    }

    /// The frame at each timestep between the last two pushed, in the format of the last: the same
    /// frames as [`Session::at`] makes one by one, in batches where the engine can, see
    /// [`InterpolatorBuilder::batch`].
    ///
    /// # Errors
    /// As [`Session::at_into`].
    pub fn at_many(&mut self, timesteps: &[f32]) -> Result<Vec<Frame>> {
        let blank = |_: &f32| Frame::black(self.size, self.format);
        let mut frames = timesteps.iter().map(blank).collect::<Result<Vec<_>>>()?;
        let mut outs: Vec<_> = frames.iter_mut().map(Frame::view_mut).collect();
        self.at_many_into(timesteps, &mut outs)?;
        Ok(frames)
    }

    /// As [`Session::at_many`], into buffers of the caller's and in the format of each.
    ///
    /// # Errors
    /// As [`Session::at_into`], and [`Error::Count`] when there are not as many buffers as
    /// timesteps.
    pub fn at_many_into(&mut self, timesteps: &[f32], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        const OP: &str = "Session::at_many";
        check_count(OP, timesteps.len(), outs.len())?;
        outs.iter().try_for_each(|out| check_size(OP, self.size, out.size()))?;
        timesteps.iter().try_for_each(|t| self.check_ready(*t))?;
        self.check_idle()?;
        self.inner.at_many_into(timesteps, outs)
    }

    /// Starts making the frame at `timestep` between the last two pushed, in the format of the
    /// last. Frames can be pushed and further ones submitted meanwhile; they come back from
    /// [`Session::finish`] in the order in which they were submitted.
    ///
    /// # Errors
    /// As [`Session::submit_as`].
    pub fn submit(&mut self, timestep: f32) -> Result<()> {
        self.submit_as(timestep, self.format)
    }

    /// As [`Session::submit`], in the given format.
    ///
    /// # Errors
    /// [`Error::Busy`] when [`Session::depth`] frames are pending, [`Error::NotReady`] before two
    /// frames were pushed, [`Error::Timestep`] when `timestep` is not between 0 and 1,
    /// [`Error::Frame`] when there is no such format, and what a device fails with, see [`Error`].
    /// Nothing was submitted then.
    pub fn submit_as(&mut self, timestep: f32, format: PixelFormat) -> Result<()> {
        self.check_ready(timestep)?;
        format.check("Session::submit_as")?;
        if self.pending.len() >= self.depth() {
            return Err(Error::Busy(self.pending.len()));
        }
        self.inner.submit(timestep, format)?;
        self.pending.push_back(format);
        Ok(())
    }

    /// Waits for the frame that was submitted first.
    ///
    /// # Errors
    /// As [`Session::finish_into`].
    pub fn finish(&mut self) -> Result<Frame> {
        let format = *self.pending.front().ok_or(Error::NothingPending)?;
        let mut out = Frame::black(self.size, format)?;
        self.finish_into(&mut out.view_mut())?;
        Ok(out)
    }

    /// As [`Session::finish`], into a buffer of the caller's.
    ///
    /// # Errors
    /// [`Error::NothingPending`] when no frame was submitted, [`Error::Format`] when the buffer is
    /// not in the format that the frame was submitted in, [`Error::Size`] when it is not of the
    /// session's size: the frame is pending still. And what a device fails with, see [`Error`]: that
    /// frame is lost.
    pub fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()> {
        let (expected, got) = (*self.pending.front().ok_or(Error::NothingPending)?, out.format());
        check_size("Session::finish", self.size, out.size())?;
        if expected != got {
            return Err(Error::Format { expected, got });
        }
        self.pending.pop_front();
        self.inner.finish_into(out)
    }

    /// Frames that were submitted and not finished.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many frames can be pending at once, 1 or more.
    pub fn depth(&self) -> usize {
        self.inner.depth()
    }

    /// Makes the frame at `timestep` between the last two pushed `runs` times without copying
    /// anything between host and device, the newest frame encoded each time, as in a stream whose
    /// frames are on the device already. The device's time of each, in ms by its own clock, which
    /// is the host's for a CPU; `None` where the engine has no such clock.
    ///
    /// # Errors
    /// As [`Session::at_into`].
    pub fn time_on_device(&mut self, timestep: f32, runs: usize) -> Result<Option<Vec<f32>>> {
        self.check_ready(timestep)?;
        self.check_idle()?;
        self.inner.time_on_device(timestep, runs)
    }

    /// How long each launch of a frame takes, the mean of `runs`; empty where the engine cannot
    /// tell.
    ///
    /// # Errors
    /// As [`Session::at_into`].
    pub fn kernel_times(&mut self, runs: usize) -> Result<Vec<KernelTime>> {
        self.check_ready(0.5)?;
        self.check_idle()?;
        self.inner.kernel_times(runs)
    }

    /// The memory that the session holds, where the engine knows.
    pub fn memory(&self) -> Option<MemoryUse> {
        self.inner.memory()
    }

    /// Forgets every frame, those that are pending too: after a scene cut, or before another
    /// stream of the same size.
    pub fn reset(&mut self) {
        self.pushed = 0;
        self.pending.clear();
        self.inner.reset();
    }

    fn check_ready(&self, timestep: f32) -> Result<()> {
        check_timestep(timestep)?;
        if self.pushed < 2 { Err(Error::NotReady(self.pushed)) } else { Ok(()) }
    }

    fn check_idle(&self) -> Result<()> {
        if self.pending.is_empty() { Ok(()) } else { Err(Error::Pending(self.pending.len())) }
    }
}

fn check_size(op: &'static str, expected: FrameSize, got: FrameSize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Size { op, expected, got }) }
}

fn check_count(op: &'static str, expected: usize, got: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Count { op, expected, got }) }
}

fn check_timestep(timestep: f32) -> Result<()> {
    if timestep > 0.0 && timestep < 1.0 { Ok(()) } else { Err(Error::Timestep(timestep)) }
}
