//! Interpolation in a stream of frames.

use std::collections::VecDeque;

use crate::engine::EngineSession;
use crate::profile::KernelTime;
use crate::{
    Error, Frame, FrameSize, FrameView, FrameViewMut, MemoryUse, PixelFormat, Result, check,
};

/// A stream of frames of one size, with the engine's state between frames.
pub struct Session {
    size: FrameSize,
    /// The GPU whose memory the engine can use, see [`crate::engine::EngineImpl::cuda_device`].
    cuda: Option<usize>,
    /// Frames pushed since the start or the last reset, at most 2.
    pushed: usize,
    /// The format of the last frame pushed.
    format: PixelFormat,
    /// The formats of the submitted frames, in order.
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
    pub(crate) fn new(size: FrameSize, cuda: Option<usize>, inner: Box<dyn EngineSession>) -> Self {
        let (format, pending) = (PixelFormat::Rgb8, VecDeque::new());
        Self { size, cuda, pushed: 0, format, pending, inner }
    }

    /// The size of the stream's frames.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// Adds the next frame of the stream. Submitted frames are not affected.
    ///
    /// # Errors
    /// [`Error::Size`] if the frame's size is not the session's, [`Error::Frame`] if it is in device
    /// memory that the engine cannot use, and the errors of the device, see [`Error`]. The session
    /// then holds the same frames as before.
    pub fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        check::size("Session::push", self.size, frame.size())?;
        check::place("Session::push", self.cuda, frame.device_samples())?;
        self.inner.push(frame)?;
        self.pushed = (self.pushed + 1).min(2);
        self.format = frame.format();
        Ok(())
    }

    /// The frame at `timestep` between the last two frames pushed, in the given format. Can be
    /// called any number of times per pair.
    ///
    /// # Errors
    /// Same as for [`Session::at_into`].
    pub fn at_as(&mut self, timestep: f32, format: PixelFormat) -> Result<Frame> {
        let mut out = Frame::black(self.size, format)?;
        self.at_into(timestep, &mut out.view_mut())?;
        Ok(out)
    }

    /// Like [`Session::at_as`], in the format of the last frame pushed.
    ///
    /// # Errors
    /// Same as for [`Session::at_into`].
    pub fn at(&mut self, timestep: f32) -> Result<Frame> {
        self.at_as(timestep, self.format)
    }

    /// Like [`Session::at_as`], into a caller-provided buffer and in its format. With a frame in
    /// device memory, see [`crate::DeviceSamples`], the call returns when the work is queued.
    ///
    /// # Errors
    /// [`Error::NotReady`] before two frames were pushed, [`Error::Timestep`] if `timestep` is not
    /// in (0, 1), [`Error::Size`] if the buffer's size is not the session's, [`Error::Frame`] if it
    /// is device memory that the engine cannot use, [`Error::Pending`] while submitted frames are
    /// pending, and the errors of the device, see [`Error`]. The
    /// session remains usable after each of them except [`Error::DeviceLost`].
    pub fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        check::size("Session::at", self.size, out.size())?;
        check::place("Session::at", self.cuda, out.device_samples())?;
        self.check_ready(timestep)?;
        self.check_idle()?;
        self.inner.at_into(timestep, out)
    }

    /// The frame at each timestep between the last two frames pushed, in the format of the last.
    /// The results are those of [`Session::at`], computed in batches if the engine supports them,
    /// see [`InterpolatorBuilder::batch`](crate::InterpolatorBuilder::batch).
    ///
    /// # Errors
    /// Same as for [`Session::at_into`].
    pub fn at_many(&mut self, timesteps: &[f32]) -> Result<Vec<Frame>> {
        let blank = |_: &f32| Frame::black(self.size, self.format);
        let mut frames = timesteps.iter().map(blank).collect::<Result<Vec<_>>>()?;
        let mut outs: Vec<_> = frames.iter_mut().map(Frame::view_mut).collect();
        self.at_many_into(timesteps, &mut outs)?;
        Ok(frames)
    }

    /// Like [`Session::at_many`], into caller-provided buffers, each in its own format.
    ///
    /// # Errors
    /// Same as for [`Session::at_into`], and [`Error::Count`] if the numbers of buffers and
    /// timesteps differ.
    pub fn at_many_into(&mut self, timesteps: &[f32], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        const OP: &str = "Session::at_many";
        check::count(OP, timesteps.len(), outs.len())?;
        outs.iter().try_for_each(|out| check::size(OP, self.size, out.size()))?;
        outs.iter().try_for_each(|out| check::place(OP, self.cuda, out.device_samples()))?;
        timesteps.iter().try_for_each(|t| self.check_ready(*t))?;
        self.check_idle()?;
        self.inner.at_many_into(timesteps, outs)
    }

    /// Starts to interpolate at `timestep` between the last two frames pushed, in the format of the
    /// last. More frames can be pushed and submitted in the meantime. [`Session::finish`] returns
    /// the results in the order of submission.
    ///
    /// # Errors
    /// Same as for [`Session::submit_as`].
    pub fn submit(&mut self, timestep: f32) -> Result<()> {
        self.submit_as(timestep, self.format)
    }

    /// Like [`Session::submit`], in the given format.
    ///
    /// # Errors
    /// [`Error::Busy`] if [`Session::depth`] frames are pending, [`Error::NotReady`] before two
    /// frames were pushed, [`Error::Timestep`] if `timestep` is not in (0, 1), [`Error::Frame`] if
    /// the format is not supported, and the errors of the device, see [`Error`]. After an error
    /// nothing is submitted.
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
    /// Same as for [`Session::finish_into`].
    pub fn finish(&mut self) -> Result<Frame> {
        let format = *self.pending.front().ok_or(Error::NothingPending)?;
        let mut out = Frame::black(self.size, format)?;
        self.finish_into(&mut out.view_mut())?;
        Ok(out)
    }

    /// Like [`Session::finish`], into a caller-provided buffer.
    ///
    /// # Errors
    /// [`Error::NothingPending`] if no frame was submitted, [`Error::Format`] if the buffer's
    /// format is not the submitted one, [`Error::Size`] if its size is not the session's,
    /// [`Error::Frame`] if it is in device memory (use [`Session::at_into`], which does not wait
    /// for the result); the frame then remains pending. Errors of the device, see [`Error`], lose the frame.
    pub fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()> {
        let (expected, got) = (*self.pending.front().ok_or(Error::NothingPending)?, out.format());
        check::size("Session::finish", self.size, out.size())?;
        if let Some(samples) = out.device_samples() {
            let expected = "a frame in host memory (Session::at writes to device memory)".into();
            let got = format!("a frame on cuda:{}", samples.device);
            return Err(Error::Frame { op: "Session::finish", expected, got });
        }
        if expected != got {
            return Err(Error::Format { expected, got });
        }
        self.pending.pop_front();
        self.inner.finish_into(out)
    }

    /// The number of frames that are submitted and not finished.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The most frames that can be pending, at least 1.
    pub fn depth(&self) -> usize {
        self.inner.depth()
    }

    /// Interpolates at `timestep` between the last two frames pushed `runs` times without copies
    /// between host and device, encoding the newest frame each time, as in a stream of frames that
    /// are on the device already. Returns the device time of each run in ms (on a CPU, the elapsed
    /// time); `None` if the engine cannot measure it.
    ///
    /// # Errors
    /// Same as for [`Session::at_into`].
    pub fn time_on_device(&mut self, timestep: f32, runs: usize) -> Result<Option<Vec<f32>>> {
        self.check_ready(timestep)?;
        self.check_idle()?;
        self.inner.profiler().map(|p| p.time_on_device(timestep, runs)).transpose()
    }

    /// The mean time of each kernel launch of a frame, over `runs` of each; empty if the engine
    /// cannot measure it.
    ///
    /// # Errors
    /// Same as for [`Session::at_into`].
    pub fn kernel_times(&mut self, runs: usize) -> Result<Vec<KernelTime>> {
        self.check_ready(0.5)?;
        self.check_idle()?;
        self.inner.profiler().map_or_else(|| Ok(Vec::new()), |p| p.kernel_times(runs))
    }

    /// The memory that the session uses, if the engine reports it.
    pub fn memory(&self) -> Option<MemoryUse> {
        self.inner.memory()
    }

    /// Drops all frames, including pending ones: after a scene cut, or before another stream of
    /// the same size.
    pub fn reset(&mut self) {
        self.pushed = 0;
        self.pending.clear();
        self.inner.reset();
    }

    fn check_ready(&self, timestep: f32) -> Result<()> {
        check::timestep(timestep)?;
        if self.pushed < 2 { Err(Error::NotReady(self.pushed)) } else { Ok(()) }
    }

    fn check_idle(&self) -> Result<()> {
        if self.pending.is_empty() { Ok(()) } else { Err(Error::Pending(self.pending.len())) }
    }
}
