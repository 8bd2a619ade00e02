//! Plans the output frames of a stream, and how each is produced.

use std::collections::VecDeque;
use std::sync::Arc;

use pyo3::prelude::*;
use rife_runtime::Frame;
use rife_video::{PairKind, Position, Rate, Rational, SceneDetector, Timeline};

use crate::error;
use crate::exit::detached;
use crate::frames::Frames;

/// A source frame.
pub(super) struct Source {
    /// The caller's array, which is also returned as an output frame.
    pub(super) object: Py<PyAny>,
    pub(super) frames: Frames,
    /// A copy for scene detection, possibly subsampled.
    pub(super) probe: Option<Arc<Frame>>,
    /// Whether it differs from the frame before it, even if their probes are equal.
    pub(super) differs: bool,
}

/// Frames to interpolate between one pair.
pub(super) struct Work {
    /// Index of the earlier source frame.
    pub(super) index: i64,
    pub(super) earlier: Arc<Source>,
    pub(super) later: Arc<Source>,
    pub(super) timesteps: VecDeque<f32>,
}

/// An output frame.
pub(super) enum Item {
    Source(Arc<Source>),
    Blended(Arc<Source>, Arc<Source>, f32),
    /// The next interpolated frame.
    Interpolated,
}

/// The handling of cuts and still pairs.
struct Scenes {
    detector: SceneDetector,
    /// Whether pairs are classified at all.
    enabled: bool,
    /// Source frames that are read before a pair is classified.
    look_ahead: usize,
    /// Whether frames with small differences count as equal.
    similar_is_still: bool,
    blend: bool,
}

/// Plans the output frames pair by pair.
pub(super) struct Plan {
    timeline: Timeline,
    /// Duration of a source frame, in s.
    frame_time: Rational,
    scenes: Scenes,
    /// Source frames that are not planned yet; the first is the earlier frame of the next pair.
    pub(super) sources: VecDeque<Arc<Source>>,
    /// Index of the first of them.
    pub(super) index: i64,
    /// Whether no more source frames follow.
    pub(super) ended: bool,
    /// Whether all output frames are planned.
    complete: bool,
    /// Output frames in order.
    pub(super) items: VecDeque<Item>,
    /// Pairs with frames to interpolate.
    pub(super) work: VecDeque<Work>,
    pub(super) cuts: u64,
    pub(super) stills: u64,
}

impl Plan {
    /// Checks the options of `Interpolator.stream`. `rate` is `("factor", ...)` or `("fps", ...)`.
    pub(super) fn new(
        rate: (&str, &str),
        source_fps: &str,
        scene: &str,
        scene_threshold: f64,
        static_threshold: Option<f64>,
        hold_last: bool,
    ) -> PyResult<Self> {
        let invalid =
            |what: &str, error: rife_video::Error| error::value_error(format!("{what}: {error}"));
        let source_fps = rife_video::parse_frame_rate(source_fps)
            .map_err(|error| invalid("source_fps", error))?;
        let rate = match rate {
            ("fps", text) => Rate::fps(text).map_err(|error| invalid("fps", error))?,
            (_, text) => Rate::factor(text).map_err(|error| invalid("factor", error))?,
        };
        let multiple = rate.multiple(source_fps);
        if multiple > Rational::from(Rate::MAX_FACTOR) {
            let (most, got) = (Rate::MAX_FACTOR, multiple.to_integer());
            return Err(error::value_error(format!(
                "fps: expected at most {most} times source_fps, got {got} times source_fps"
            )));
        }
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
        // With a negative threshold, not even identical frames are still.
        let still_threshold = static_threshold.unwrap_or(-1.0);
        Ok(Self {
            timeline,
            frame_time,
            scenes: Scenes {
                detector: SceneDetector::new(cut_threshold, still_threshold),
                enabled: cuts || static_threshold.is_some(),
                look_ahead: if cuts { SceneDetector::LOOK_AHEAD } else { 0 },
                similar_is_still: still_threshold > 0.0,
                blend: blend_cuts,
            },
            sources: VecDeque::new(),
            index: 0,
            ended: false,
            complete: false,
            items: VecDeque::new(),
            work: VecDeque::new(),
            cuts: 0,
            stills: 0,
        })
    }

    /// Whether pairs are classified, which needs copies of the source frames.
    pub(super) fn classifies(&self) -> bool {
        self.scenes.enabled
    }

    /// Drops all frames and ends the stream.
    pub(super) fn clear(&mut self) {
        (self.ended, self.complete) = (true, true);
        self.sources.clear();
        self.items.clear();
        self.work.clear();
    }

    /// Plans the output frames of the next pair. False if that needs more source frames, or at the
    /// end.
    pub(super) fn plan_pair(&mut self, py: Python<'_>) -> PyResult<bool> {
        let (needed, available) = (2 + self.scenes.look_ahead, self.sources.len());
        if available < needed && !self.ended || self.complete {
            return Ok(false);
        }
        let Some(earlier) = self.sources.pop_front() else {
            self.complete = true;
            return Ok(false);
        };
        let time = self.frame_time * self.index;
        let Some(later) = self.sources.front().cloned() else {
            let outputs = self.timeline.last(time, self.frame_time);
            self.items.extend(outputs.iter().map(|_| Item::Source(earlier.clone())));
            self.complete = true;
            self.index += 1;
            return Ok(true);
        };
        let outputs = self.timeline.pair(time, time + self.frame_time);
        let kind = match (&earlier.probe, &later.probe) {
            (Some(a), Some(b)) if self.scenes.enabled => {
                let ahead: Vec<_> =
                    self.sources.iter().skip(1).map(|source| source.probe.clone()).collect();
                let detector = &mut self.scenes.detector;
                detached(py, || {
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
            PairKind::Cut => self.cuts += 1,
            PairKind::Still => self.stills += 1,
            PairKind::Motion => {}
        }
        let mut timesteps = VecDeque::new();
        for output in outputs {
            self.items.push_back(match (output.position, kind) {
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
            self.work.push_back(Work { index: self.index, earlier, later, timesteps });
        }
        self.index += 1;
        Ok(true)
    }
}
