//! Interpolation between pairs of frames.

use std::sync::Mutex;

use crate::engine::{EngineImpl, EngineSession, Pair};
use crate::profile::PeakThroughput;
use crate::{EngineInfo, Frame, FrameSize, FrameView, FrameViewMut, Result, Session, check};

/// A model loaded on a device: interpolates frames.
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
/// // A stream: each frame is pushed once.
/// let mut session = rife.session(size)?;
/// session.push(&a.view())?;
/// session.push(&b.view())?;
/// let third = session.at(1.0 / 3.0)?;
///
/// // The next frame can be read and pushed while one is computed:
/// session.submit(2.0 / 3.0)?;
/// session.push(&a.view())?;
/// let two_thirds = session.finish()?;
/// # Ok(())
/// # }
/// ```
pub struct Interpolator {
    info: EngineInfo,
    engine: Box<dyn EngineImpl>,
    /// The session for pairs, reused for the next pair of the same size.
    pair: Mutex<Option<(FrameSize, Box<dyn EngineSession>)>>,
}

impl std::fmt::Debug for Interpolator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interpolator").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Interpolator {
    pub(crate) fn new(info: EngineInfo, engine: Box<dyn EngineImpl>) -> Self {
        Self { info, engine, pair: Mutex::new(None) }
    }

    /// The model, the weights, and the choices in use.
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// The frame at `timestep` between two frames, in the earlier frame's format.
    ///
    /// # Errors
    /// Same as for [`Interpolator::interpolate_into`].
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

    /// Like [`Interpolator::interpolate`], into a caller-provided buffer. With frames in device
    /// memory, see [`crate::DeviceSamples`], the call returns when all work is queued.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) if the frames differ in size,
    /// [`Error::Timestep`](crate::Error::Timestep) if `timestep` is not in (0, 1),
    /// [`Error::Frame`](crate::Error::Frame) for a frame in device memory that the engine cannot
    /// use, and the errors of the device, see [`Error`](crate::Error).
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

    /// Interpolates between the frames of many pairs of one size, each in the format of its earlier
    /// frame. The results are those of [`Interpolator::interpolate`], computed in batches if the
    /// engine supports them, see [`InterpolatorBuilder::batch`](crate::InterpolatorBuilder::batch).
    ///
    /// # Errors
    /// Same as for [`Interpolator::interpolate_into`].
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

    /// Like [`Interpolator::interpolate_many`], into caller-provided buffers.
    ///
    /// # Errors
    /// Same as for [`Interpolator::interpolate_into`], and [`Error::Count`](crate::Error::Count) if
    /// the numbers of buffers and pairs differ.
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
        // Check before taking the cached session, so that an invalid call does not drop it.
        check::count(op, pairs.len(), outs.len())?;
        let Some(first) = pairs.first() else { return Ok(()) };
        let size = first.earlier.size();
        for (pair, out) in pairs.iter().zip(outs.iter()) {
            for got in [pair.earlier.size(), pair.later.size(), out.size()] {
                check::size(op, size, got)?;
            }
            let memory = [&pair.earlier, &pair.later].map(|view| view.device_samples());
            for samples in memory.into_iter().chain([out.device_samples()]) {
                check::place(op, self.engine.cuda_device(), samples)?;
            }
            check::timestep(pair.timestep)?;
        }
        // A poisoned lock is harmless: the session is taken out during use, so a panic leaves
        // `None`.
        let mut cached = self.pair.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A session of another size is dropped before the new one allocates memory.
        let mut session = match cached.take().filter(|(cached_size, _)| *cached_size == size) {
            Some((_, session)) => session,
            None => self.engine.session(size)?,
        };
        session.pairs_into(pairs, outs)?;
        session.reset();
        *cached = Some((size, session));
        Ok(())
    }

    /// Pins (page-locks) the memory of a frame, so that copies to and from the device need no
    /// staging. It takes about as long as copying the frame a few times, so it is worthwhile for
    /// frames that are reused. If the engine has no device memory, or the system does not allow it,
    /// the frame is returned unchanged.
    #[must_use = "the frame is returned"]
    pub fn pin(&self, frame: Frame) -> Frame {
        // SAFETY: the range is that of the frame's samples, and the frame drops the guard before it
        // frees or moves them out.
        frame.pinned_by(|data, len| unsafe { self.engine.pin(data, len) })
    }

    /// Waits for the work on the default stream of the GPU: for callers with frames in device memory
    /// and no stream of their own, see [`crate::DeviceSamples`]. Does nothing on a CPU.
    ///
    /// # Errors
    /// Those of the device, see [`Error`](crate::Error).
    pub fn synchronize(&self) -> Result<()> {
        self.engine.synchronize()
    }

    /// Measures the peak throughput of the device in the engine's precision, which takes up to
    /// about a second; `None` if the engine cannot measure it.
    ///
    /// # Errors
    /// Those of the device, see [`Error`](crate::Error).
    pub fn peak_throughput(&self) -> Result<Option<PeakThroughput>> {
        self.engine.peak_throughput()
    }

    /// Starts a stream of frames of one size.
    ///
    /// # Errors
    /// [`Error::Frame`](crate::Error::Frame) if the size is out of range, and the errors of the
    /// device, see [`Error`](crate::Error).
    pub fn session(&self, size: FrameSize) -> Result<Session> {
        let session = self.engine.session(size.check("session")?)?;
        Ok(Session::new(size, self.engine.cuda_device(), session))
    }
}
