//! Timing of frames and kernels.

use super::{Batching, CudaSession};
use crate::cuda::driver::CurrentContext;
use crate::profile::{KernelTime, SessionProfiler};
use crate::{Optimization, PixelFormat, Result};

impl SessionProfiler for CudaSession {
    fn time_on_device(&mut self, timestep: f32, runs: usize) -> Result<Vec<f32>> {
        let _before = CurrentContext::save();
        let gpu = self.shared.gpu.clone();
        let mut marks = vec![gpu.event(true)?];
        // The first run allocates the download slot, so do not time it.
        self.refresh()?;
        let target = self.target(timestep);
        self.interpolate(Batching::Single, 0, PixelFormat::Rgb8, &[target])?;
        marks[0].record(&self.compute)?;
        for _ in 0..runs {
            if self.has(Optimization::CachedFrames) && self.has(Optimization::CachedFeatures) {
                self.encode(self.later)?;
            } else {
                self.refresh()?;
            }
            self.interpolate(Batching::Single, 0, PixelFormat::Rgb8, &[target])?;
            let mark = gpu.event(true)?;
            mark.record(&self.compute)?;
            marks.push(mark);
        }
        self.compute.synchronize()?;
        marks.windows(2).map(|m| m[0].until(&m[1])).collect()
    }

    fn kernel_times(&mut self, runs: usize) -> Result<Vec<KernelTime>> {
        let _before = CurrentContext::save();
        if self.arena.is_none() {
            return Ok(Vec::new());
        }
        let gpu = self.shared.gpu.clone();
        // Interpolate a frame first, so that every kernel has valid input.
        self.refresh()?;
        let target = self.target(0.5);
        self.interpolate(Batching::Single, 0, PixelFormat::Rgb8, &[target])?;
        let mut times = Vec::new();
        for (step, launch) in self.single.compiled.plan.steps().zip(self.single.all()) {
            let (start, end) = (gpu.event(true)?, gpu.event(true)?);
            start.record(&self.compute)?;
            for _ in 0..runs {
                // SAFETY: the addresses are memory of this session.
                unsafe { launch.queue(&self.compute) }?;
            }
            end.record(&self.compute)?;
            times.push(KernelTime {
                name: step.name.clone(),
                kernel: step.kernel.describe(),
                milliseconds: start.until(&end)? / runs.max(1) as f32,
                flops: step.flops,
                bytes: step.bytes,
            });
        }
        Ok(times)
    }
}
