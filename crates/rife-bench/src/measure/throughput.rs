//! Throughput: device time, and end to end from host memory to host memory with frames queued
//! ahead.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gpu::Phase;
use super::{Run, Setup, TIMESTEP, Watcher, round_ms};
use crate::clip::ping_pong;
use crate::plan::FramePosition;
use crate::stats::Spread;
use crate::subject::{EngineMemory, Pipeline, Stream, Subject, cuda_ordinal};

/// Number of frames timed per call on a GPU. The time budget is checked between calls. A CPU times
/// each frame: it takes long, and there is no queue to fill.
const FRAMES_PER_CALL: usize = 50;
/// Limit of distinct pinned frames. More would take long and change nothing.
const PINNED_FRAMES: usize = 16;

/// Device times of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceRun {
    /// Time per frame on the device: encoding the newest frame and interpolating one.
    pub frame_ms: Vec<f64>,
    /// Whether the time budget cut the run short.
    pub cut_by_budget: bool,
}

/// End-to-end throughput of a run, host memory to host memory with frames queued ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndToEndRun {
    /// Interpolated frames.
    pub frames: usize,
    /// Time from the first input frame to the last interpolated frame in host memory.
    pub seconds: f64,
    /// Frames in flight.
    pub depth: usize,
    /// Whether all input and output frames were pinned.
    pub page_locked: bool,
    /// Whether the time budget cut the run short.
    pub cut_by_budget: bool,
}

impl EndToEndRun {
    /// Interpolated frames per second over the whole run.
    pub fn fps(&self) -> f64 {
        self.frames as f64 / self.seconds
    }
}

/// Summary of the device times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OnDevice {
    /// Frame times of all runs.
    pub frame_ms: Spread,
    /// Interpolated frames per second at the median frame time.
    pub fps: f64,
    /// Frames per second of each run at its median frame time.
    pub run_fps: Spread,
}

impl OnDevice {
    /// Of the runs of one configuration; `None` without device times.
    pub fn of(runs: &[Run]) -> Option<Self> {
        let runs: Vec<_> = runs.iter().filter_map(|run| run.device.as_ref()).collect();
        let frames: Vec<f64> = runs.iter().flat_map(|run| run.frame_ms.iter().copied()).collect();
        let median = |run: &&DeviceRun| Some(1000.0 / Spread::of(&run.frame_ms)?.median);
        let run_fps: Vec<f64> = runs.iter().filter_map(median).collect();
        let frame_ms = Spread::of(&frames)?;
        Some(Self { frame_ms, fps: 1000.0 / frame_ms.median, run_fps: Spread::of(&run_fps)? })
    }
}

/// Summary of the end-to-end throughput.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndToEnd {
    /// Interpolated frames per second of the median run.
    pub fps: f64,
    /// Frames per second of each run.
    pub run_fps: Spread,
    /// `fps` relative to the device's own, above 1 if the device alone was slower; `null` if
    /// unknown, and for factors above 2, as device times are of single frames.
    pub share_of_device: Option<f64>,
}

impl EndToEnd {
    /// Of the runs of one configuration, relative to the device throughput at the same factor;
    /// `None` without end-to-end measurements.
    pub fn of(runs: &[Run], device: Option<&OnDevice>) -> Option<Self> {
        let fps: Vec<f64> =
            runs.iter().filter_map(|run| run.end_to_end.as_ref()).map(EndToEndRun::fps).collect();
        let run_fps = Spread::of(&fps)?;
        let share_of_device = device.map(|device| run_fps.median / device.fps);
        Some(Self { fps: run_fps.median, run_fps, share_of_device })
    }
}

/// Measures device times; `None` if the engine has no device clock. The stream has two frames.
pub(super) fn on_device(
    setup: Setup<'_>,
    stream: &mut dyn Stream,
    enter: &dyn Fn(Phase),
) -> Result<Option<DeviceRun>> {
    let Setup { plan, watcher, .. } = setup;
    if plan.warmup > 0 && stream.time_on_device(TIMESTEP, plan.warmup)?.is_none() {
        return Ok(None);
    }
    enter(Phase::Device);
    let budget = plan.run_budget();
    let clock = Instant::now();
    let per_call = if cuda_ordinal(plan.device).is_some() { FRAMES_PER_CALL } else { 1 };
    let mut frame_ms = Vec::with_capacity(plan.frames);
    while frame_ms.len() < plan.frames
        && !watcher.stopped()
        && (frame_ms.len() < plan.min_run_frames() || budget.is_none_or(|b| clock.elapsed() < b))
    {
        let frames = per_call.min(plan.frames - frame_ms.len());
        let Some(times) = stream.time_on_device(TIMESTEP, frames)? else { return Ok(None) };
        // Otherwise an engine that times no frames would loop forever.
        ensure!(times.len() == frames, "{} of {frames} frames were timed", times.len());
        for ms in times {
            frame_ms.push((f64::from(ms) * 1e4).round() / 1e4);
            watcher.frame();
        }
    }
    enter(Phase::Idle);
    Ok(Some(DeviceRun {
        cut_by_budget: plan.budget.is_some() && frame_ms.len() < plan.frames,
        frame_ms,
    }))
}

/// Measures end-to-end throughput, with pinned frames unless that is disabled.
pub(super) fn end_to_end(
    setup: Setup<'_>,
    subject: &dyn Subject,
    enter: &dyn Fn(Phase),
) -> Result<(EndToEndRun, Option<EngineMemory>)> {
    let Setup { plan, clip, watcher, .. } = setup;
    let distinct = clip.distinct_frames().min(PINNED_FRAMES);
    let frames: Vec<&[u8]> = (0..distinct).map(|index| clip.frame(index)).collect();
    let mut pipeline = subject.pipeline(clip.size, &frames).context("cannot open a pipeline")?;
    let mut feed = Feed { factor: plan.args.factor, pipeline: pipeline.as_mut(), distinct };

    let budget = plan.run_budget();
    let clock = Instant::now();
    let spent = |clock: Instant| budget.is_some_and(|budget| clock.elapsed() >= budget);
    feed.generate(plan.warmup, |_| !spent(clock), &())?;

    enter(Phase::EndToEnd);
    let clock = Instant::now();
    let least = plan.min_run_frames();
    let proceed = |submitted| !watcher.stopped() && (submitted < least || !spent(clock));
    let finished = feed.generate(plan.frames, proceed, watcher)?;
    let seconds = round_ms(clock.elapsed()) / 1000.0;
    enter(Phase::Idle);
    let run = EndToEndRun {
        frames: finished,
        seconds,
        depth: pipeline.depth(),
        page_locked: pipeline.is_pinned(),
        cut_by_budget: plan.budget.is_some() && finished < plan.frames,
    };
    let memory = pipeline.memory();
    Ok((run, memory))
}

/// Feeds a pipeline with the frames that it was opened with.
struct Feed<'a> {
    factor: usize,
    pipeline: &'a mut dyn Pipeline,
    distinct: usize,
}

impl Feed<'_> {
    /// Plays the clip from its start and interpolates up to `frames` frames, while `proceed` of the
    /// number submitted. Keeps the pipeline full.
    fn generate(
        &mut self,
        frames: usize,
        proceed: impl Fn(usize) -> bool,
        watcher: &dyn Watcher,
    ) -> Result<usize> {
        let (mut submitted, mut finished) = (0, 0);
        self.push(0)?;
        loop {
            while submitted < frames
                && submitted - finished < self.pipeline.depth()
                && proceed(submitted)
            {
                let position = FramePosition::of(submitted, self.factor);
                if position.first_of_pair {
                    self.push(position.pair + 1)?;
                }
                self.pipeline.submit(position.timestep)?;
                submitted += 1;
            }
            if finished == submitted {
                return Ok(finished);
            }
            self.pipeline.finish()?;
            finished += 1;
            watcher.frame();
        }
    }

    /// Pushes frame `index` of the endless clip, see [`Clip::frame`](crate::clip::Clip::frame).
    fn push(&mut self, index: usize) -> Result<()> {
        self.pipeline.push(ping_pong(index, self.distinct))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// Records its calls.
    #[derive(Default)]
    struct Recorder {
        calls: RefCell<Vec<String>>,
        pending: VecDeque<()>,
    }

    impl Pipeline for Recorder {
        fn is_pinned(&self) -> bool {
            false
        }

        fn depth(&self) -> usize {
            2
        }

        fn push(&mut self, index: usize) -> Result<()> {
            self.calls.borrow_mut().push(format!("push {index}"));
            Ok(())
        }

        fn submit(&mut self, _t: f32) -> Result<()> {
            self.pending.push_back(());
            assert!(self.pending.len() <= 2, "the pipeline is full");
            self.calls.borrow_mut().push("submit".into());
            Ok(())
        }

        fn finish(&mut self) -> Result<&[u8]> {
            self.pending.pop_front().context("nothing is pending")?;
            self.calls.borrow_mut().push("finish".into());
            Ok(&[])
        }
    }

    #[test]
    fn pipeline_is_kept_full_and_drained() {
        let mut recorder = Recorder::default();
        let mut feed = Feed { factor: 2, pipeline: &mut recorder, distinct: 3 };
        assert_eq!(feed.generate(4, |_| true, &()).expect("frames"), 4);
        let calls = recorder.calls.take().join(" ");
        assert_eq!(
            calls,
            "push 0 push 1 submit push 2 submit finish push 1 submit finish push 0 submit \
             finish finish"
        );
        let mut feed = Feed { factor: 2, pipeline: &mut recorder, distinct: 2 };
        assert_eq!(feed.generate(9, |submitted| submitted < 3, &()).expect("frames"), 3);
        assert!(recorder.pending.is_empty());
    }

    #[test]
    fn throughput_is_summarized_by_run_medians_and_related_to_the_device() {
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
