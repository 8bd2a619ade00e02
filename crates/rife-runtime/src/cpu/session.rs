//! A stream of frames on the CPU.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::pack::zeros;
use super::plan::Plan;
use super::run::{Clock, Run};
use super::shared::Shared;
use super::team::{SharedPtr, Team};
use super::tensor::Floats;
use crate::engine::{EngineSession, MemoryUse};
use crate::profile::{KernelTime, SessionProfiler};
use crate::{Error, Frame, FrameSize, FrameView, FrameViewMut, Optimization, PixelFormat, Result};

/// The number of frames that can be pending.
const DEPTH: usize = 2;

/// A frame as the network reads it.
struct Image {
    /// See [`Plan::frame_len`].
    floats: Floats,
    /// Whether it includes its features.
    encoded: bool,
}

/// A stream.
pub(crate) struct CpuSession {
    shared: Arc<Shared>,
    plan: Plan,
    team: Team,
    /// `None` if the arena is allocated for every frame.
    arena: Option<Floats>,
    /// The earlier and the later frame.
    images: [Image; 2],
    /// How many frames were pushed, at most 2.
    frames: usize,
    /// The frames before conversion, if they are converted again for every interpolated frame.
    originals: Option<[Frame; 2]>,
    finished: VecDeque<Frame>,
    /// Frames to reuse for results.
    spare: Vec<Frame>,
    /// The chroma rows of a frame in progress, see [`FrameViewMut::rows`].
    chroma: Vec<f32>,
}

impl CpuSession {
    pub(crate) fn new(shared: Arc<Shared>, size: FrameSize) -> Result<Self> {
        let plan = Plan::new(&shared.request(size));
        let has = |one| shared.optimizations.has(one);
        let image = || Ok::<_, Error>(Image { floats: zeros(plan.frame_len())?, encoded: false });
        let blank = || Frame::black(size, PixelFormat::PlanarF32);
        let (cached, preallocated) =
            (has(Optimization::CachedFrames), has(Optimization::PreallocatedBuffers));
        Ok(Self {
            team: Team::new(&shared.pool, plan.scratch)?,
            arena: preallocated.then(|| zeros(plan.arena)).transpose()?,
            images: [image()?, image()?],
            frames: 0,
            originals: (!cached).then(|| Ok::<_, Error>([blank()?, blank()?])).transpose()?,
            finished: VecDeque::with_capacity(DEPTH),
            spare: Vec::with_capacity(DEPTH),
            chroma: Vec::new(),
            plan,
            shared,
        })
    }

    /// The plan, and the content of the arena after the last frame, if there is an arena.
    #[cfg(test)]
    pub(super) fn plan_and_arena(&self) -> (&Plan, Option<&[f32]>) {
        (&self.plan, self.arena.as_ref().map(Floats::as_slice))
    }

    /// Converts a frame to an image.
    fn convert(team: &Team, plan: &Plan, frame: &FrameView<'_>, image: &mut Image) {
        let (lanes, row) = (plan.lanes, plan.frame_columns() * plan.lanes);
        image.encoded = false;
        let first = SharedPtr::new(image.floats.as_mut_ptr().wrapping_add(plan.frame_origin()));
        team.enter(|| {
            team.each(frame.size().height, |y, _| {
                // SAFETY: the image has a row of that many pixels for each row of the frame, and
                // each row belongs to one task.
                let row = unsafe {
                    std::slice::from_raw_parts_mut(first.at(y * row), frame.size().width * lanes)
                };
                frame.write_pixels(y, row, lanes);
            });
        });
    }

    fn interpolate(
        &mut self,
        timestep: f32,
        out: &mut FrameViewMut<'_>,
        clock: Option<&Clock>,
    ) -> Result<()> {
        if self.frames < 2 {
            return Err(Error::NotReady(self.frames));
        }
        let mut temporary = None;
        let arena = match &mut self.arena {
            Some(arena) => arena,
            None => temporary.insert(zeros(self.plan.arena)?),
        };
        if let Some(originals) = &self.originals {
            for (frame, image) in originals.iter().zip(&mut self.images) {
                Self::convert(&self.team, &self.plan, &frame.view(), image);
            }
        }
        if !self.shared.optimizations.has(Optimization::CachedFeatures) {
            self.images.iter_mut().for_each(|image| image.encoded = false);
        }
        let origin = self.plan.frame_origin();
        let frames = self
            .images
            .each_mut()
            .map(|i| SharedPtr::new(i.floats.as_mut_ptr().wrapping_add(origin)));
        let run = Run {
            spec: self.shared.spec,
            kernels: &self.shared.kernels,
            bf16: self.shared.bf16.as_ref(),
            plan: &self.plan,
            packed: &self.shared.packed,
            team: &self.team,
            arena: SharedPtr::new(arena.as_mut_ptr()),
            frames,
            clock,
        };
        let rows = out.rows(&mut self.chroma);
        let encoded = self.images.each_ref().map(|i| i.encoded);
        self.team.enter(|| {
            for (frame, encoded) in frames.into_iter().zip(encoded) {
                if !encoded {
                    run.encode(frame);
                }
            }
            run.estimate(timestep);
            run.blend(|y, channels, stride| {
                let mut planes = channels.chunks_exact(stride);
                let planes = std::array::from_fn(|_| planes.next().unwrap_or_default());
                // SAFETY: each row is blended once, so no other thread writes it.
                unsafe { rows.write(y, planes) };
            });
            self.team.each(rows.remaining_rows(), |row, _| {
                // SAFETY: all rows have been blended, and each of these belongs to one task.
                unsafe { rows.write_remaining(row) };
            });
        });
        self.images.iter_mut().for_each(|image| image.encoded = true);
        Ok(())
    }
}

impl EngineSession for CpuSession {
    fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        self.images.swap(0, 1);
        if let Some(originals) = &mut self.originals {
            originals.swap(0, 1);
            originals[1].copy_from(frame);
        } else {
            Self::convert(&self.team, &self.plan, frame, &mut self.images[1]);
        }
        self.frames = (self.frames + 1).min(2);
        Ok(())
    }

    fn reset(&mut self) {
        self.frames = 0;
        self.finished.clear();
    }

    fn depth(&self) -> usize {
        DEPTH
    }

    fn submit(&mut self, timestep: f32, format: PixelFormat) -> Result<()> {
        let size = FrameSize::new(self.plan.padding.width, self.plan.padding.height);
        let spare = self.spare.pop().filter(|frame| frame.format() == format);
        let mut frame = spare.map_or_else(|| Frame::black(size, format), Ok)?;
        self.interpolate(timestep, &mut frame.view_mut(), None)?;
        self.finished.push_back(frame);
        Ok(())
    }

    fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()> {
        let frame = self.finished.pop_front().ok_or(Error::NothingPending)?;
        out.copy_from(&frame);
        self.spare.push(frame);
        Ok(())
    }

    fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        self.interpolate(timestep, out, None)
    }

    fn memory(&self) -> Option<MemoryUse> {
        let images = self.images.iter().map(|i| i.floats.len());
        let arena = self.arena.as_ref().map_or(0, Floats::len);
        let floats = images.sum::<usize>() + arena + self.team.floats() + self.chroma.len();
        let packed = self.shared.packed.floats();
        Some(MemoryUse { device_bytes: 4 * (floats + packed) as u64, pinned_host_bytes: 0 })
    }

    fn profiler(&mut self) -> Option<&mut dyn SessionProfiler> {
        Some(self)
    }
}

impl SessionProfiler for CpuSession {
    fn time_on_device(&mut self, timestep: f32, runs: usize) -> Result<Vec<f32>> {
        let size = FrameSize::new(self.plan.padding.width, self.plan.padding.height);
        let mut out = Frame::black(size, PixelFormat::Rgb8)?;
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs {
            // In a stream, the features of the newer frame are not cached yet.
            self.images[1].encoded = false;
            let start = Instant::now();
            self.interpolate(timestep, &mut out.view_mut(), None)?;
            times.push(start.elapsed().as_secs_f32() * 1e3);
        }
        Ok(times)
    }

    fn kernel_times(&mut self, runs: usize) -> Result<Vec<KernelTime>> {
        let size = FrameSize::new(self.plan.padding.width, self.plan.padding.height);
        let mut out = Frame::black(size, PixelFormat::Rgb8)?;
        let mut all: Vec<KernelTime> = Vec::new();
        for _ in 0..runs {
            // In a stream, the features of the newer frame are not cached yet.
            self.images[1].encoded = false;
            let clock = Clock::default();
            self.interpolate(0.5, &mut out.view_mut(), Some(&clock))?;
            let steps = clock.into_inner().unwrap_or_else(PoisonError::into_inner);
            all.resize_with(steps.len(), || KernelTime {
                name: String::new(),
                kernel: String::new(),
                milliseconds: 0.0,
                flops: 0.0,
                bytes: 0.0,
            });
            for (sum, step) in all.iter_mut().zip(steps) {
                sum.milliseconds += step.took.as_secs_f32() * 1e3 / runs as f32;
                (sum.name, sum.kernel) = (step.name, step.kernel.into());
                (sum.flops, sum.bytes) = (step.flops, step.bytes);
            }
        }
        Ok(all)
    }
}
