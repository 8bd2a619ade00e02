//! Frames as fast as they go: by the device's own clock, and from host memory to host memory with
//! the engine fed ahead.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::gpu::Phase;
use super::{Run, TIMESTEP, Watcher, round_ms};
use crate::clip::{Clip, there_and_back};
use crate::plan::{Place, Plan};
use crate::stats::Spread;
use crate::subject::{Device, EngineMemory, Pipeline, Stream, Subject};

/// Frames that a GPU is asked for at once: between two such calls the budget is looked at. A CPU is
/// asked for each: there it takes long, and there is no queue to fill.
const AT_ONCE: usize = 50;
/// Different frames that are page-locked: more would take long and say nothing else.
const LOCKED_FRAMES: usize = 16;

/// A run by the device's own clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRun {
    /// Frames, in ms each: the newest frame encoded and one generated, all of it on the device.
    pub frame_ms: Vec<f64>,
    /// Whether the time budget ended the run before all its frames were made.
    pub cut_by_budget: bool,
}

/// A run fed ahead, from host memory to host memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndToEndRun {
    /// Generated frames.
    pub frames: usize,
    /// From the first of their frames handed over to the last generated one in host memory.
    pub seconds: f64,
    /// Frames that were under way at once, at most.
    pub depth: usize,
    /// Whether all frames, in and out, were page-locked.
    pub page_locked: bool,
    /// Whether the time budget ended the run before all its frames were made.
    pub cut_by_budget: bool,
}

impl EndToEndRun {
    /// Generated frames a second over the whole run.
    pub fn fps(&self) -> f64 {
        self.frames as f64 / self.seconds
    }
}

/// What the runs by the device's clock come down to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnDevice {
    /// Frames, all runs together, in ms each.
    pub frame_ms: Spread,
    /// Generated frames a second at the median frame.
    pub fps: f64,
    /// The runs' own frames a second, at each one's median frame.
    pub run_fps: Spread,
}

impl OnDevice {
    /// Of the runs of one configuration; `None` of none by this clock.
    pub fn of(runs: &[Run]) -> Option<Self> {
        let runs: Vec<_> = runs.iter().filter_map(|run| run.device.as_ref()).collect();
        let frames: Vec<f64> = runs.iter().flat_map(|run| run.frame_ms.iter().copied()).collect();
        let median = |run: &&DeviceRun| Some(1000.0 / Spread::of(&run.frame_ms)?.median);
        let run_fps: Vec<f64> = runs.iter().filter_map(median).collect();
        let frame_ms = Spread::of(&frames)?;
        Some(Self { frame_ms, fps: 1000.0 / frame_ms.median, run_fps: Spread::of(&run_fps)? })
    }
}

/// What the runs that were fed ahead come down to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndToEnd {
    /// Generated frames a second: the median run's.
    pub fps: f64,
    /// The runs' own.
    pub run_fps: Spread,
    /// `fps` as a share of the device's own, above 1 where the device was slower by itself;
    /// `None` where that is not known, and where several frames are made between two: the device's
    /// own figure is of one.
    pub share_of_device: Option<f64>,
}

impl EndToEnd {
    /// Of the runs of one configuration, and what the device does by itself at the same number of
    /// frames between two; `None` of none.
    pub fn of(runs: &[Run], device: Option<&OnDevice>) -> Option<Self> {
        let fps: Vec<f64> =
            runs.iter().filter_map(|run| run.end_to_end.as_ref()).map(EndToEndRun::fps).collect();
        let run_fps = Spread::of(&fps)?;
        let share_of_device = device.map(|device| run_fps.median / device.fps);
        Some(Self { fps: run_fps.median, run_fps, share_of_device })
    }
}

/// Times frames by the device's own clock; `None` where it has none. The stream has two frames.
pub(super) fn on_device(
    plan: &Plan,
    stream: &mut dyn Stream,
    enter: &dyn Fn(Phase),
    watcher: &dyn Watcher,
) -> Result<Option<DeviceRun>> {
    if plan.warmup > 0 && stream.time_on_device(TIMESTEP, plan.warmup)?.is_none() {
        return Ok(None);
    }
    enter(Phase::Device);
    let budget = plan.run_budget();
    let clock = Instant::now();
    let at_once = if plan.device == Device::Cpu { 1 } else { AT_ONCE };
    let mut frame_ms = Vec::with_capacity(plan.frames);
    while frame_ms.len() < plan.frames
        && !watcher.stopped()
        && (frame_ms.len() < plan.min_run_frames() || budget.is_none_or(|b| clock.elapsed() < b))
    {
        let frames = at_once.min(plan.frames - frame_ms.len());
        let Some(times) = stream.time_on_device(TIMESTEP, frames)? else { return Ok(None) };
        // An engine that times none would be asked for ever.
        ensure!(times.len() == frames, "{} frames timed of {frames}", times.len());
        for ms in times {
            frame_ms.push((f64::from(ms) * 1e4).round() / 1e4);
            watcher.frame();
        }
    }
    enter(Phase::Nothing);
    Ok(Some(DeviceRun {
        cut_by_budget: plan.budget.is_some() && frame_ms.len() < plan.frames,
        frame_ms,
    }))
}

/// Feeds the engine ahead, over page-locked frames unless that is switched off.
pub(super) fn end_to_end(
    plan: &Plan,
    clip: &Clip,
    subject: &dyn Subject,
    enter: &dyn Fn(Phase),
    watcher: &dyn Watcher,
) -> Result<(EndToEndRun, Option<EngineMemory>)> {
    let distinct = clip.distinct_frames().min(LOCKED_FRAMES);
    let frames: Vec<&[u8]> = (0..distinct).map(|index| clip.frame(index)).collect();
    let mut pipeline = subject.pipeline(clip.size, &frames).context("opening a pipeline")?;
    let mut feed = Feed { factor: plan.factor, pipeline: pipeline.as_mut(), distinct };

    let budget = plan.run_budget();
    let clock = Instant::now();
    let spent = |clock: Instant| budget.is_some_and(|budget| clock.elapsed() >= budget);
    feed.generate(plan.warmup, |_| !spent(clock), &())?;

    enter(Phase::Fed);
    let clock = Instant::now();
    let least = plan.min_run_frames();
    let go_on = |asked| !watcher.stopped() && (asked < least || !spent(clock));
    let made = feed.generate(plan.frames, go_on, watcher)?;
    let seconds = round_ms(clock.elapsed()) / 1000.0;
    enter(Phase::Nothing);
    let run = EndToEndRun {
        frames: made,
        seconds,
        depth: pipeline.depth(),
        page_locked: pipeline.is_locked(),
        cut_by_budget: plan.budget.is_some() && made < plan.frames,
    };
    let memory = pipeline.memory();
    Ok((run, memory))
}

/// A pipeline and the frames that go around in it.
struct Feed<'a> {
    factor: usize,
    pipeline: &'a mut dyn Pipeline,
    distinct: usize,
}

impl Feed<'_> {
    /// Plays the clip from its start and generates a frame between each two, `frames` at most and
    /// as long as `go_on` of those asked for. As many are under way as the pipeline allows.
    fn generate(
        &mut self,
        frames: usize,
        go_on: impl Fn(usize) -> bool,
        watcher: &dyn Watcher,
    ) -> Result<usize> {
        let (mut asked, mut made) = (0, 0);
        self.push(0)?;
        loop {
            while asked < frames && asked - made < self.pipeline.depth() && go_on(asked) {
                let place = Place::of(asked, self.factor);
                if place.opens_a_pair {
                    self.push(place.pair + 1)?;
                }
                self.pipeline.submit(place.timestep)?;
                asked += 1;
            }
            if made == asked {
                return Ok(made);
            }
            self.pipeline.finish()?;
            made += 1;
            watcher.frame();
        }
    }

    /// Hands over frame `index` of the endless clip, as [`Clip::frame`] counts them.
    fn push(&mut self, index: usize) -> Result<()> {
        self.pipeline.push(there_and_back(index, self.distinct))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// Notes what it is told.
    #[derive(Default)]
    struct Noted {
        told: RefCell<Vec<String>>,
        pending: VecDeque<()>,
    }

    impl Pipeline for Noted {
        fn is_locked(&self) -> bool {
            false
        }

        fn depth(&self) -> usize {
            2
        }

        fn push(&mut self, index: usize) -> Result<()> {
            self.told.borrow_mut().push(format!("push {index}"));
            Ok(())
        }

        fn submit(&mut self, _t: f32) -> Result<()> {
            self.pending.push_back(());
            assert!(self.pending.len() <= 2, "the pipeline is full");
            self.told.borrow_mut().push("submit".into());
            Ok(())
        }

        fn finish(&mut self) -> Result<&[u8]> {
            self.pending.pop_front().context("nothing is pending")?;
            self.told.borrow_mut().push("finish".into());
            Ok(&[])
        }
    }

    #[test]
    fn the_pipeline_is_kept_full_and_emptied_at_the_end() {
        let mut noted = Noted::default();
        let mut feed = Feed { factor: 2, pipeline: &mut noted, distinct: 3 };
        assert_eq!(feed.generate(4, |_| true, &()).expect("frames"), 4);
        let told = noted.told.take().join(" ");
        assert_eq!(
            told,
            "push 0 push 1 submit push 2 submit finish push 1 submit finish push 0 submit \
             finish finish"
        );
        let mut feed = Feed { factor: 2, pipeline: &mut noted, distinct: 2 };
        assert_eq!(feed.generate(9, |asked| asked < 3, &()).expect("frames"), 3);
        assert!(noted.pending.is_empty());
    }

    #[test]
    fn runs_are_weighed_by_their_medians_and_held_against_the_device() {
        let run = |device: &[f64], frames, seconds| Run {
            device: Some(DeviceRun { frame_ms: device.to_vec(), cut_by_budget: false }),
            end_to_end: Some(EndToEndRun {
                frames,
                seconds,
                depth: 2,
                page_locked: true,
                cut_by_budget: false,
            }),
            ..Run::default()
        };
        let runs = [run(&[2.0, 2.0, 9.0], 10, 0.025), run(&[2.5, 2.5, 2.5], 10, 0.02)];
        let device = OnDevice::of(&runs).expect("runs");
        assert_eq!((device.fps, device.frame_ms.samples), (400.0, 6));
        assert_eq!((device.run_fps.min, device.run_fps.max), (400.0, 500.0));
        let end_to_end = EndToEnd::of(&runs, Some(&device)).expect("runs");
        assert_eq!((end_to_end.fps, end_to_end.share_of_device), (450.0, Some(1.125)));
        assert_eq!(EndToEnd::of(&runs, None).expect("runs").share_of_device, None);
        assert_eq!(OnDevice::of(&[Run::default()]), None);
    }
}
