//! Schedules the computation of a stream's output frames.

mod plan;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use rife_runtime::{Interpolator, Session};

use self::plan::{Item, Plan, Source, Work};
use crate::engine::Engine;
use crate::error::{self, RifeError};
use crate::exit::detached;
use crate::frames::{Frames, Layout, Memory};

/// The implementation of `Interpolator.stream`. The caller pushes source frames and takes output
/// frames in turns.
#[pyclass(module = "rife._rife")]
pub(crate) struct Stream {
    engine: Py<Engine>,
    layout: Layout,
    /// Returns a new output array, as `(object, array)`.
    allocate: Py<PyAny>,
    /// Blends two frames at a timestep.
    blend: Py<PyAny>,
    plan: Plan,
    session: Option<Mutex<Session>>,
    /// Index of the source frame that was pushed to the session last.
    last_pushed: Option<i64>,
    /// The earlier frame of the pair that was submitted last.
    submitted: Option<Arc<Source>>,
    /// Interpolated frames that are finished.
    ready: VecDeque<Py<PyAny>>,
    /// Frames that the device may still read or write when a call returns. They are freed by the
    /// next computation or `close`, before which the caller can wait for the device.
    in_use: Vec<Py<PyAny>>,
    interpolated: u64,
}

#[pymethods]
impl Stream {
    #[new]
    #[allow(clippy::too_many_arguments)] // The options of a stream.
    fn new(
        engine: Py<Engine>,
        layout: &str,
        rate: (&str, &str),
        source_fps: &str,
        scene: &str,
        scene_threshold: f64,
        static_threshold: Option<f64>,
        hold_last: bool,
        allocate: Py<PyAny>,
        blend: Py<PyAny>,
    ) -> PyResult<Self> {
        let layout = Layout::parse(layout)?;
        let plan =
            Plan::new(rate, source_fps, scene, scene_threshold, static_threshold, hold_last)?;
        Ok(Self {
            engine,
            layout,
            allocate,
            blend,
            plan,
            session: None,
            last_pushed: None,
            submitted: None,
            ready: VecDeque::new(),
            in_use: Vec::new(),
            interpolated: 0,
        })
    }

    /// Adds a source frame. `array` describes `object`. For a device frame, `probe` is a subsampled
    /// copy in host memory, and `differs` states whether the frame differs from the one before it.
    #[pyo3(signature = (object, array, probe=None, differs=false))]
    fn push(
        &mut self,
        py: Python<'_>,
        object: Py<PyAny>,
        array: &Bound<'_, PyAny>,
        probe: Option<&Bound<'_, PyAny>>,
        differs: bool,
    ) -> PyResult<()> {
        let what = format!("frame {}", self.plan.index + self.plan.sources.len() as i64);
        let frames = Frames::read(&what, array, self.layout)?;
        if frames.batched {
            let message =
                format!("{what}: expected a single frame, got a batch of {}", frames.count);
            return Err(error::value_error(message));
        }
        match self.plan.sources.back() {
            Some(before) => frames.check_like(&what, &before.frames, "the frames before it")?,
            None => {
                let loaded = self.engine.get().loaded()?;
                frames.check_device(&what, &loaded.info().device)?;
            }
        }
        let probe = match (self.plan.classifies(), probe) {
            (false, _) => None,
            (true, None) => Some(detached(py, || frames.probe())),
            (true, Some(small)) => {
                let small = Frames::read(&what, small, self.layout)?;
                Some(detached(py, || small.probe()))
            }
        };
        let probe = probe.transpose().map_err(|error| error::from_runtime(&error))?.map(Arc::new);
        self.plan.sources.push_back(Arc::new(Source { object, frames, probe, differs }));
        Ok(())
    }

    /// Signals the end of the source frames.
    fn end(&mut self) {
        self.plan.ended = true;
    }

    /// The next output frame; `None` if more source frames are needed, or at the end.
    fn next(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let loaded = self.engine.get().loaded()?;
        loop {
            py.check_signals()?;
            let progress = match self.plan.items.front() {
                None => self.plan.plan_pair(py)?,
                Some(Item::Interpolated) if self.ready.is_empty() => self.advance(py, &loaded)?,
                Some(_) => break,
            };
            if !progress {
                return Ok(None);
            }
        }
        match self.plan.items.pop_front() {
            Some(Item::Source(source)) => Ok(Some(source.object.clone_ref(py))),
            Some(Item::Blended(a, b, t)) => {
                self.blend.call1(py, (&a.object, &b.object, t)).map(Some)
            }
            Some(Item::Interpolated) => Ok(self.ready.pop_front()),
            None => Ok(None),
        }
    }

    /// Frees all frames and the session.
    fn close(&mut self, py: Python<'_>) {
        let session = self.session.take();
        if self.engine.get().is_of_other_process() {
            std::mem::forget(session);
        } else {
            detached(py, || drop(session));
        }
        self.plan.clear();
        self.submitted = None;
        self.ready.clear();
        self.in_use.clear();
    }

    /// Cuts, still pairs and interpolated frames so far.
    fn counts(&self) -> (u64, u64, u64) {
        (self.plan.cuts, self.plan.stills, self.interpolated)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.engine.get().is_of_other_process() {
            std::mem::forget(self.session.take());
        }
    }
}

impl Stream {
    /// Does the next step towards the next interpolated frame. False if that needs more source
    /// frames.
    fn advance(&mut self, py: Python<'_>, loaded: &Interpolator) -> PyResult<bool> {
        let pending = self.pending();
        let Some(work) = self.plan.work.front() else {
            // Everything planned is submitted. Plan and submit further pairs before waiting.
            if pending < self.depth(loaded) && self.plan.plan_pair(py)? {
                return Ok(true);
            }
            if pending < self.depth(loaded) && !self.plan.ended {
                return Ok(false);
            }
            return self.finish(py).map(|()| true);
        };
        let on_device = matches!(work.earlier.frames.memory, Memory::Cuda { .. });
        let batch = loaded.info().batch;
        if on_device || batch > 1 || loaded.info().device == "cpu" {
            return self.compute(py, loaded, batch).map(|()| true);
        }
        if pending >= self.depth(loaded) {
            return self.finish(py).map(|()| true);
        }
        self.submit(py, loaded).map(|()| true)
    }

    fn pending(&mut self) -> usize {
        match self.session.as_mut().map(Mutex::get_mut) {
            Some(Ok(session)) => session.pending(),
            _ => 0,
        }
    }

    /// The maximum number of frames in flight.
    fn depth(&mut self, loaded: &Interpolator) -> usize {
        match self.session.as_mut().map(Mutex::get_mut) {
            Some(Ok(session)) if loaded.info().device != "cpu" => session.depth(),
            _ => 1,
        }
    }

    /// Computes the next frames of a pair, at most `batch`.
    fn compute(&mut self, py: Python<'_>, loaded: &Interpolator, batch: usize) -> PyResult<()> {
        let Some(work) = self.plan.work.front_mut() else { return Ok(()) };
        let count = work.timesteps.len().min(batch.max(1));
        let timesteps: Vec<f32> = work.timesteps.drain(..count).collect();
        let mut outputs = Vec::with_capacity(count);
        for _ in 0..count {
            outputs.push(allocate(py, &self.allocate, self.layout, &work.earlier.frames)?);
        }
        self.in_use.clear();
        self.in_use.extend(outputs.iter().map(|(object, _)| object.clone_ref(py)));
        let inputs = [&work.earlier, &work.later];
        self.in_use.extend(inputs.map(|source| source.object.clone_ref(py)));
        let (session, last_pushed) = (&mut self.session, &mut self.last_pushed);
        detached(py, || {
            let session = session_with_pair(session, last_pushed, loaded, work)?;
            let views = outputs.iter().map(|(_, frames)| frames.view_mut(0));
            let mut views = views.collect::<rife_runtime::Result<Vec<_>>>()?;
            session.at_many_into(&timesteps, &mut views)
        })
        .map_err(|error| error::from_runtime(&error))?;
        if work.timesteps.is_empty() {
            self.plan.work.pop_front();
        }
        self.interpolated += count as u64;
        self.ready.extend(outputs.into_iter().map(|(object, _)| object));
        Ok(())
    }

    /// Submits the next frame to the device.
    fn submit(&mut self, py: Python<'_>, loaded: &Interpolator) -> PyResult<()> {
        let Some(work) = self.plan.work.front_mut() else { return Ok(()) };
        let Some(t) = work.timesteps.pop_front() else { return Ok(()) };
        let (session, last_pushed) = (&mut self.session, &mut self.last_pushed);
        detached(py, || {
            let session = session_with_pair(session, last_pushed, loaded, work)?;
            session.submit_as(t, work.earlier.frames.format())
        })
        .map_err(|error| error::from_runtime(&error))?;
        self.submitted = Some(work.earlier.clone());
        if work.timesteps.is_empty() {
            self.plan.work.pop_front();
        }
        Ok(())
    }

    /// Waits for the frame that was submitted first.
    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let like = self.submitted.as_ref();
        let like = like.ok_or_else(|| RifeError::new_err("no frame is pending"))?;
        let (object, frames) = allocate(py, &self.allocate, self.layout, &like.frames)?;
        let session = self.session.as_mut();
        detached(py, || match session.map(Mutex::get_mut) {
            Some(Ok(session)) => session.finish_into(&mut frames.view_mut(0)?),
            _ => Err(rife_runtime::Error::NothingPending),
        })
        .map_err(|error| error::from_runtime(&error))?;
        self.interpolated += 1;
        self.ready.push_back(object);
        Ok(())
    }
}

/// The session, after pushing the frames of a pair that it does not contain yet.
fn session_with_pair<'a>(
    session: &'a mut Option<Mutex<Session>>,
    last_pushed: &mut Option<i64>,
    loaded: &Interpolator,
    work: &Work,
) -> rife_runtime::Result<&'a mut Session> {
    let session = match session {
        Some(session) => session,
        none => none.insert(Mutex::new(loaded.session(work.earlier.frames.size)?)),
    };
    let session = session.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *last_pushed != Some(work.index + 1) {
        if *last_pushed != Some(work.index) {
            session.push(&work.earlier.frames.view(0)?)?;
        }
        session.push(&work.later.frames.view(0)?)?;
        *last_pushed = Some(work.index + 1);
    }
    Ok(session)
}

/// A new output array like a source frame.
fn allocate(
    py: Python<'_>,
    allocate: &Py<PyAny>,
    layout: Layout,
    like: &Frames,
) -> PyResult<(Py<PyAny>, Frames)> {
    let (object, array): (Py<PyAny>, Py<PyAny>) = allocate.call0(py)?.extract(py)?;
    let frames = Frames::read_output(array.bind(py), layout)?;
    frames.check_like("out", like, "the source")?;
    Ok((object, frames))
}
