//! A stream of frames: which output frames there are, and when each is computed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use rife_runtime::{Frame, Interpolator, Session};
use rife_video::{PairKind, Position, Rate, Rational, SceneDetector, Timeline};

use crate::engine::Engine;
use crate::error::{self, RifeError};
use crate::frames::{Frames, Layout, Memory};

/// A source frame.
struct Source {
    /// What the caller gave, which is also what it gets back.
    object: Py<PyAny>,
    frames: Frames,
    /// A copy for scene detection, perhaps smaller.
    probe: Option<Arc<Frame>>,
    /// Whether it differs from the frame before it, even if their copies are equal.
    differs: bool,
}

/// Frames to interpolate between one pair.
struct Work {
    /// Index of the earlier source frame.
    index: i64,
    earlier: Arc<Source>,
    later: Arc<Source>,
    timesteps: VecDeque<f32>,
}

/// An output frame.
enum Item {
    Source(Arc<Source>),
    Blended(Arc<Source>, Arc<Source>, f32),
    /// The next frame that is interpolated.
    Interpolated,
}

/// How cuts and equal frames are treated.
struct Scenes {
    detector: SceneDetector,
    /// Whether pairs are classified at all.
    enabled: bool,
    /// Source frames that are read before a pair is classified.
    look_ahead: usize,
    /// Whether frames count as equal if they differ a little.
    similar_is_still: bool,
    blend: bool,
}

/// The core of `Interpolator.stream`: frames are pushed, and output frames taken, in turns.
#[pyclass(module = "rife._rife")]
pub(crate) struct Stream {
    engine: Py<Engine>,
    layout: Layout,
    /// Returns a new output array, as `(object, array)`.
    allocate: Py<PyAny>,
    /// Blends two frames at a timestep.
    blend: Py<PyAny>,
    timeline: Timeline,
    /// Duration of a source frame, in s.
    frame_time: Rational,
    scenes: Scenes,
    state: State,
    session: Option<Mutex<Session>>,
    /// Index of the source frame that was pushed to the session last.
    last_pushed: Option<i64>,
}

#[derive(Default)]
struct State {
    /// Source frames that are not laid out yet; the first is the earlier frame of the next pair.
    sources: VecDeque<Arc<Source>>,
    /// Index of the first of them.
    index: i64,
    ended: bool,
    last_laid_out: bool,
    items: VecDeque<Item>,
    work: VecDeque<Work>,
    /// The earlier frame of the pair that was submitted last.
    submitted: Option<Arc<Source>>,
    /// Interpolated frames that are finished.
    ready: VecDeque<Py<PyAny>>,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    cuts: u64,
    stills: u64,
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
        let invalid =
            |what: &str, error: rife_video::Error| error::value_error(format!("{what}: {error}"));
        let source_fps = rife_video::parse_frame_rate(source_fps)
            .map_err(|error| invalid("source_fps", error))?;
        let rate = match rate {
            ("fps", text) => Rate::fps(text).map_err(|error| invalid("fps", error))?,
            (_, text) => Rate::factor(text).map_err(|error| invalid("factor", error))?,
        };
        for (name, percent) in
            [("scene_threshold", Some(scene_threshold)), ("static_threshold", static_threshold)]
        {
            if let Some(percent) = percent.filter(|percent| !(0.0..=100.0).contains(percent)) {
                let message = format!("{name}: expected a number from 0 to 100, got {percent}");
                return Err(error::value_error(message));
            }
        }
        let (cuts, blend_cuts) = match scene {
            "off" => (false, false),
            "hold" => (true, false),
            "blend" => (true, true),
            _ => {
                let message = format!("scene: expected 'hold', 'blend' or 'off', got {scene:?}");
                return Err(error::value_error(message));
            }
        };
        let frame_time = source_fps.recip();
        let timeline = Timeline::new(rate, frame_time)
            .map_err(|error| error::value_error(error.to_string()))?
            .with_hold_last(hold_last);
        let cut_threshold = if cuts { scene_threshold } else { f64::INFINITY };
        // Below 0, not even identical frames are still.
        let still_threshold = static_threshold.unwrap_or(-1.0);
        Ok(Self {
            engine,
            layout: Layout::parse(layout)?,
            allocate,
            blend,
            timeline,
            frame_time,
            scenes: Scenes {
                detector: SceneDetector::new(cut_threshold, still_threshold),
                enabled: cuts || static_threshold.is_some(),
                look_ahead: if cuts { SceneDetector::LOOK_AHEAD } else { 0 },
                similar_is_still: still_threshold > 0.0,
                blend: blend_cuts,
            },
            state: State::default(),
            session: None,
            last_pushed: None,
        })
    }

    /// Adds a source frame. `array` describes `object`. For a frame that is not in host memory,
    /// `probe` is a small copy that is, and `differs` states whether the frame differs from the one
    /// before it.
    #[pyo3(signature = (object, array, probe=None, differs=false))]
    fn push(
        &mut self,
        py: Python<'_>,
        object: Py<PyAny>,
        array: &Bound<'_, PyAny>,
        probe: Option<&Bound<'_, PyAny>>,
        differs: bool,
    ) -> PyResult<()> {
        let what = format!("frame {}", self.state.index + self.state.sources.len() as i64);
        let frames = Frames::read(&what, array, self.layout)?;
        if frames.batched {
            let message = format!("{what}: expected one frame, got {} of them", frames.count);
            return Err(error::value_error(message));
        }
        match self.state.sources.back() {
            Some(before) => frames.check_like(&what, &before.frames, "the frames before it")?,
            None => {
                let loaded = self.engine.get().loaded()?;
                frames.check_device(&what, &loaded.info().device)?;
            }
        }
        let probe = match (self.scenes.enabled, probe) {
            (false, _) => None,
            (true, None) => Some(py.detach(|| frames.probe())),
            (true, Some(small)) => {
                let small = Frames::read(&what, small, self.layout)?;
                Some(py.detach(|| small.probe()))
            }
        };
        let probe = probe.transpose().map_err(|error| error::of_runtime(&error))?.map(Arc::new);
        self.state.sources.push_back(Arc::new(Source { object, frames, probe, differs }));
        Ok(())
    }

    /// States that no more frames follow.
    fn end(&mut self) {
        self.state.ended = true;
    }

    /// The next output frame; `None` if more source frames are needed, or at the end.
    fn next(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let loaded = self.engine.get().loaded()?;
        loop {
            py.check_signals()?;
            let progress = match self.state.items.front() {
                None => self.lay_out(py)?,
                Some(Item::Interpolated) if self.state.ready.is_empty() => {
                    self.advance(py, &loaded)?
                }
                Some(_) => break,
            };
            if !progress {
                return Ok(None);
            }
        }
        match self.state.items.pop_front() {
            Some(Item::Source(source)) => Ok(Some(source.object.clone_ref(py))),
            Some(Item::Blended(a, b, t)) => {
                self.blend.call1(py, (&a.object, &b.object, t)).map(Some)
            }
            Some(Item::Interpolated) => Ok(self.state.ready.pop_front()),
            None => Ok(None),
        }
    }

    /// Frees everything.
    fn close(&mut self, py: Python<'_>) {
        let session = self.session.take();
        let counts = self.state.counts;
        self.state = State { ended: true, last_laid_out: true, counts, ..State::default() };
        py.detach(|| drop(session));
    }

    /// Cuts, still pairs and interpolated frames so far.
    fn counts(&self) -> (u64, u64, u64) {
        let Counts { cuts, stills, interpolated } = self.state.counts;
        (cuts, stills, interpolated)
    }
}

impl Stream {
    /// Lays out the output frames of the next pair. False if that needs more source frames, or at
    /// the end.
    fn lay_out(&mut self, py: Python<'_>) -> PyResult<bool> {
        let state = &mut self.state;
        let (needed, available) = (2 + self.scenes.look_ahead, state.sources.len());
        if available < needed && !state.ended || state.last_laid_out {
            return Ok(false);
        }
        let Some(earlier) = state.sources.pop_front() else {
            state.last_laid_out = true;
            return Ok(false);
        };
        let time = self.frame_time * state.index;
        let Some(later) = state.sources.front().cloned() else {
            let outputs = self.timeline.last(time, self.frame_time);
            state.items.extend(outputs.iter().map(|_| Item::Source(earlier.clone())));
            state.last_laid_out = true;
            state.index += 1;
            return Ok(true);
        };
        let outputs = self.timeline.pair(time, time + self.frame_time);
        let kind = match (&earlier.probe, &later.probe) {
            (Some(a), Some(b)) if self.scenes.enabled => {
                let ahead: Vec<_> =
                    state.sources.iter().skip(1).map(|source| source.probe.clone()).collect();
                let detector = &mut self.scenes.detector;
                py.detach(|| {
                    detector.classify(a, b, |number| ahead.get(number).cloned().flatten()).kind
                })
            }
            _ => PairKind::Motion,
        };
        let kind = match kind {
            PairKind::Still if later.differs && !self.scenes.similar_is_still => PairKind::Motion,
            kind => kind,
        };
        match kind {
            PairKind::Cut => state.counts.cuts += 1,
            PairKind::Still => state.counts.stills += 1,
            PairKind::Motion => {}
        }
        let mut timesteps = VecDeque::new();
        for output in outputs {
            state.items.push_back(match (output.position, kind) {
                (Position::Between(t), PairKind::Motion) => {
                    timesteps.push_back(t);
                    Item::Interpolated
                }
                (Position::Between(t), PairKind::Cut) if self.scenes.blend => {
                    Item::Blended(earlier.clone(), later.clone(), t)
                }
                _ => Item::Source(earlier.clone()),
            });
        }
        if !timesteps.is_empty() {
            state.work.push_back(Work { index: state.index, earlier, later, timesteps });
        }
        state.index += 1;
        Ok(true)
    }

    /// Brings the next interpolated frame closer. False if that needs more source frames.
    fn advance(&mut self, py: Python<'_>, loaded: &Interpolator) -> PyResult<bool> {
        let pending = self.pending();
        let Some(work) = self.state.work.front() else {
            // All is submitted. Submit frames of later pairs too, before waiting for the first.
            if pending < self.depth(loaded) && self.lay_out(py)? {
                return Ok(true);
            }
            if pending < self.depth(loaded) && !self.state.ended {
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

    /// The most frames in flight.
    fn depth(&mut self, loaded: &Interpolator) -> usize {
        match self.session.as_mut().map(Mutex::get_mut) {
            Some(Ok(session)) if loaded.info().device != "cpu" => session.depth(),
            _ => 1,
        }
    }

    /// Computes the next frames of a pair, at most `batch`.
    fn compute(&mut self, py: Python<'_>, loaded: &Interpolator, batch: usize) -> PyResult<()> {
        let Some(work) = self.state.work.front_mut() else { return Ok(()) };
        let count = work.timesteps.len().min(batch.max(1));
        let timesteps: Vec<f32> = work.timesteps.drain(..count).collect();
        let mut outputs = Vec::with_capacity(count);
        for _ in 0..count {
            outputs.push(allocate(py, &self.allocate, self.layout, &work.earlier.frames)?);
        }
        let (session, last_pushed) = (&mut self.session, &mut self.last_pushed);
        py.detach(|| {
            let session = pushed(session, last_pushed, loaded, work)?;
            let views = outputs.iter().map(|(_, frames)| frames.view_mut(0));
            let mut views = views.collect::<rife_runtime::Result<Vec<_>>>()?;
            session.at_many_into(&timesteps, &mut views)
        })
        .map_err(|error| error::of_runtime(&error))?;
        if work.timesteps.is_empty() {
            self.state.work.pop_front();
        }
        self.state.counts.interpolated += count as u64;
        self.state.ready.extend(outputs.into_iter().map(|(object, _)| object));
        Ok(())
    }

    /// Starts to interpolate the next frame.
    fn submit(&mut self, py: Python<'_>, loaded: &Interpolator) -> PyResult<()> {
        let Some(work) = self.state.work.front_mut() else { return Ok(()) };
        let Some(t) = work.timesteps.pop_front() else { return Ok(()) };
        let (session, last_pushed) = (&mut self.session, &mut self.last_pushed);
        py.detach(|| {
            let session = pushed(session, last_pushed, loaded, work)?;
            session.submit_as(t, work.earlier.frames.format())
        })
        .map_err(|error| error::of_runtime(&error))?;
        self.state.submitted = Some(work.earlier.clone());
        if work.timesteps.is_empty() {
            self.state.work.pop_front();
        }
        Ok(())
    }

    /// Waits for the frame that was submitted first.
    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let like = self.state.submitted.as_ref();
        let like = like.ok_or_else(|| RifeError::new_err("no frame is pending"))?;
        let (object, frames) = allocate(py, &self.allocate, self.layout, &like.frames)?;
        let session = self.session.as_mut();
        py.detach(|| match session.map(Mutex::get_mut) {
            Some(Ok(session)) => session.finish_into(&mut frames.view_mut(0)?),
            _ => Err(rife_runtime::Error::NothingPending),
        })
        .map_err(|error| error::of_runtime(&error))?;
        self.state.counts.interpolated += 1;
        self.state.ready.push_back(object);
        Ok(())
    }
}

/// The session, to which the frames of a pair have been pushed.
fn pushed<'a>(
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
    frames.check_like("output", like, "the source")?;
    Ok((object, frames))
}
