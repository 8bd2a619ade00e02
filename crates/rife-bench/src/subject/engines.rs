//! The interface of the engines under test.

use anyhow::Result;

use super::{
    Ceilings, Config, Device, Engine, EngineMemory, KernelTime, Precision, Size, SubjectInfo,
};

/// Provides the engines to measure.
pub trait Engines {
    /// Resolves `Device::Auto` to a device of this machine, and checks any other device.
    fn resolve(&self, device: Device) -> Result<Device>;

    /// The engines and precisions available on a device, in report order.
    fn available(&self, device: Device) -> Vec<(Engine, Precision)>;

    /// Loads one configuration.
    fn load(&self, config: Config, device: Device) -> Result<Box<dyn Subject>>;

    /// Loads one configuration with a number of threads or a batch size. Engines without these
    /// options ignore them.
    fn load_with(
        &self,
        config: Config,
        device: Device,
        _options: LoadOptions,
    ) -> Result<Box<dyn Subject>> {
        self.load(config, device)
    }
}

/// Options of [`Engines::load_with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// CPU threads; `None` for the engine's default.
    pub threads: Option<usize>,
    /// Frames per call, 1 or more.
    pub batch: usize,
}

/// A loaded engine.
pub trait Subject {
    /// Describes the engine.
    fn info(&self) -> SubjectInfo;

    /// Opens a stream of frames of one size.
    fn session(&self, size: Size) -> Result<Box<dyn Stream + '_>>;

    /// Opens a pipelined stream over `frames` (as in [`Stream::push`]). The frames are pinned if
    /// the engine benefits from it and the optimization is on.
    fn pipeline(&self, size: Size, frames: &[&[u8]]) -> Result<Box<dyn Pipeline + '_>>;

    /// Interpolates at `t` between each of several pairs in one call. Output as
    /// [`Stream::at_rgb8`].
    fn pairs_rgb8(
        &self,
        size: Size,
        pairs: &[(&[u8], &[u8])],
        t: f32,
        outs: &mut [Vec<u8>],
    ) -> Result<()> {
        pairs.iter().zip(outs).try_for_each(|((earlier, later), out)| {
            let mut stream = self.session(size)?;
            stream.push(earlier)?;
            stream.push(later)?;
            stream.at_rgb8(t, out)
        })
    }

    /// Peak throughput of the device; `None` if the engine cannot measure it.
    fn ceilings(&self) -> Result<Option<Ceilings>> {
        Ok(None)
    }
}

/// A stream of frames. Each call returns after its work is complete and its output is in host
/// memory, so that timing the call measures all of it.
pub trait Stream {
    /// Passes in the next frame: interleaved 8-bit RGB, `3 * width * height` samples.
    fn push(&mut self, rgb8: &[u8]) -> Result<()>;

    /// Interpolates at time `t` in (0, 1) between the last two frames, as interleaved 8-bit RGB. Fails
    /// when fewer than two frames were pushed.
    fn at_rgb8(&mut self, t: f32, out: &mut [u8]) -> Result<()>;

    /// Interpolates at several times between the last two frames in one call.
    fn at_many_rgb8(&mut self, ts: &[f32], outs: &mut [Vec<u8>]) -> Result<()> {
        ts.iter().zip(outs).try_for_each(|(t, out)| self.at_rgb8(*t, out))
    }

    /// As [`Stream::at_rgb8`], as planar RGB floats in \[0, 1\], `[3, height, width]`.
    fn at_planar(&mut self, t: f32, out: &mut [f32]) -> Result<()>;

    /// Device times, in ms, of `frames` interpolated frames between the last two, input and output
    /// staying on the device; `None` if the engine has no device clock. A CPU uses the host clock.
    fn time_on_device(&mut self, _t: f32, _frames: usize) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    /// Time of each kernel launch of a frame, averaged over `runs`; empty if not supported.
    fn kernel_times(&mut self, _runs: usize) -> Result<Vec<KernelTime>> {
        Ok(Vec::new())
    }

    /// Memory allocated by the engine, if known.
    fn memory(&self) -> Option<EngineMemory> {
        None
    }
}

/// A stream with several frames in flight, so that transfers and computation can overlap. It owns
/// its input and output frames, in pinned host memory where the system allows it.
pub trait Pipeline {
    /// Whether all its frames are pinned.
    fn is_pinned(&self) -> bool;

    /// Number of frames that can be in flight, 1 or more.
    fn depth(&self) -> usize;

    /// Passes in frame `index` of the frames that the stream was opened with.
    fn push(&mut self, index: usize) -> Result<()>;

    /// Starts interpolating at time `t` in (0, 1) between the last two frames. Fails when
    /// [`Pipeline::depth`] frames are in flight.
    fn submit(&mut self, t: f32) -> Result<()>;

    /// Waits until the oldest submitted frame is in host memory: interleaved 8-bit RGB.
    fn finish(&mut self) -> Result<&[u8]>;

    /// Memory allocated by the engine, if known.
    fn memory(&self) -> Option<EngineMemory> {
        None
    }
}
