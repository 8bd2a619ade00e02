//! An engine that blends the two frames, without a network or weights. It runs the whole benchmark in
//! milliseconds.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};

use rife_bench::metrics::to_8_bit;
use rife_bench::subject::{
    Ceilings, Config, Device, Engine, EngineMemory, Engines, KernelTime, Optimization, Pipeline,
    Precision, Size, Stream, Subject, SubjectInfo,
};

/// Blending as the baseline engine of a CPU.
#[derive(Debug, Default)]
pub struct BlendEngines;

impl Engines for BlendEngines {
    fn resolve(&self, device: Device) -> Result<Device> {
        match device {
            Device::Auto | Device::Cpu => Ok(Device::Cpu),
            other => bail!("blending does not support {other}"),
        }
    }

    fn available(&self, _device: Device) -> Vec<(Engine, Precision)> {
        vec![(Engine::Baseline, Precision::F32), (Engine::Baseline, Precision::F16)]
    }

    fn load(&self, config: Config, _device: Device) -> Result<Box<dyn Subject>> {
        ensure!(!config.is_optimized(), "blending has no {} engine", config.engine);
        Ok(Box::new(Blend { config, simulated: Simulated::default() }))
    }
}

/// Blending as the optimized engine of a simulated GPU. The baseline exists only on the CPU.
#[derive(Debug, Default)]
pub struct BlendOnGpu {
    /// Properties reported by the optimized engine.
    pub simulated: Simulated,
}

/// Simulated properties of an engine.
#[derive(Clone, Debug, Default)]
pub struct Simulated {
    /// Device times of a frame with all optimizations on, in ms, repeated cyclically. Empty if the
    /// device has no clock.
    pub device_ms: Vec<f32>,
    /// The supported optimizations, each with the factor by which a frame is slower without it.
    pub optimizations: Vec<(Optimization, f32)>,
    /// Kernel launches of a frame.
    pub kernels: Vec<KernelTime>,
    /// Peak throughput of the device.
    pub ceilings: Option<Ceilings>,
    /// Memory of a stream.
    pub memory: Option<EngineMemory>,
}

impl Engines for BlendOnGpu {
    fn resolve(&self, device: Device) -> Result<Device> {
        match device {
            Device::Cpu => Ok(Device::Cpu),
            Device::Auto | Device::Cuda(0) => Ok(Device::Cuda(0)),
            other => bail!("blending does not support {other}"),
        }
    }

    fn available(&self, device: Device) -> Vec<(Engine, Precision)> {
        if device == Device::Cpu {
            return BlendEngines.available(device);
        }
        let precisions = [Precision::F32, Precision::Tf32, Precision::F16];
        precisions.map(|precision| (Engine::Optimized, precision)).into()
    }

    fn load(&self, config: Config, device: Device) -> Result<Box<dyn Subject>> {
        if device == Device::Cpu {
            return BlendEngines.load(config, device);
        }
        Ok(Box::new(Blend { config, simulated: self.simulated.clone() }))
    }
}

struct Blend {
    config: Config,
    simulated: Simulated,
}

impl Blend {
    fn stream(&self, size: Size) -> BlendStream<'_> {
        let Self { config, simulated } = self;
        BlendStream { size, config: *config, simulated, timed: 0, last: None, pair: None }
    }
}

impl Subject for Blend {
    fn info(&self) -> SubjectInfo {
        let on = self.config.without.enabled();
        let supported = self.simulated.optimizations.iter().map(|(one, _)| *one);
        SubjectInfo {
            weights: self.config.model,
            weights_sha256: String::new(),
            note: Some("blending, no network".into()),
            engine: "blend".into(),
            device: "cpu".into(),
            arithmetic: String::new(),
            optimizations: supported.filter(|one| on.has(*one)).collect(),
            threads: None,
        }
    }

    fn session(&self, size: Size) -> Result<Box<dyn Stream + '_>> {
        Ok(Box::new(self.stream(size)))
    }

    fn pipeline(&self, size: Size, frames: &[&[u8]]) -> Result<Box<dyn Pipeline + '_>> {
        Ok(Box::new(BlendPipeline {
            stream: self.stream(size),
            frames: frames.iter().map(|frame| frame.to_vec()).collect(),
            pending: VecDeque::new(),
            out: Vec::new(),
        }))
    }

    fn ceilings(&self) -> Result<Option<Ceilings>> {
        Ok(self.simulated.ceilings)
    }
}

struct BlendStream<'a> {
    size: Size,
    config: Config,
    simulated: &'a Simulated,
    /// Number of frames timed so far.
    timed: usize,
    last: Option<Vec<u8>>,
    pair: Option<(Vec<u8>, Vec<u8>)>,
}

impl BlendStream<'_> {
    /// One blended sample in \[0, 1\]. F16 keeps the 11 significant bits that it has near 1.
    fn blend(&self, a: u8, b: u8, t: f32) -> f32 {
        let v = (f32::from(a) * (1.0 - t) + f32::from(b) * t) / 255.0;
        match self.config.precision {
            Precision::F16 => (v * 2048.0).round() / 2048.0,
            Precision::Bf16 => (v * 256.0).round() / 256.0,
            _ => v,
        }
    }
}

impl Stream for BlendStream<'_> {
    fn push(&mut self, rgb8: &[u8]) -> Result<()> {
        ensure!(rgb8.len() == self.size.samples(), "unexpected frame size");
        let next = rgb8.to_vec();
        if let Some(last) = self.last.replace(next.clone()) {
            self.pair = Some((last, next));
        }
        Ok(())
    }

    fn at_rgb8(&mut self, t: f32, out: &mut [u8]) -> Result<()> {
        let (a, b) = self.pair.as_ref().context("two frames must be pushed first")?;
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = to_8_bit(self.blend(a, b, t));
        }
        Ok(())
    }

    fn at_planar(&mut self, t: f32, out: &mut [f32]) -> Result<()> {
        let (a, b) = self.pair.as_ref().context("two frames must be pushed first")?;
        for (channel, plane) in out.chunks_exact_mut(self.size.pixels()).enumerate() {
            for (i, out) in plane.iter_mut().enumerate() {
                *out = self.blend(a[3 * i + channel], b[3 * i + channel], t);
            }
        }
        Ok(())
    }

    fn time_on_device(&mut self, _t: f32, frames: usize) -> Result<Option<Vec<f32>>> {
        let (ms, on) = (&self.simulated.device_ms, self.config.without.enabled());
        if ms.is_empty() {
            return Ok(None);
        }
        let off = self.simulated.optimizations.iter().filter(|(one, _)| !on.has(*one));
        let slower: f32 = off.map(|(_, multiple)| multiple).product();
        let times = (self.timed..self.timed + frames).map(|i| ms[i % ms.len()] * slower).collect();
        self.timed += frames;
        Ok(Some(times))
    }

    fn kernel_times(&mut self, _runs: usize) -> Result<Vec<KernelTime>> {
        Ok(self.simulated.kernels.clone())
    }

    fn memory(&self) -> Option<EngineMemory> {
        self.simulated.memory
    }
}

/// Allows two frames in flight. Each is blended when it is submitted.
struct BlendPipeline<'a> {
    stream: BlendStream<'a>,
    frames: Vec<Vec<u8>>,
    pending: VecDeque<Vec<u8>>,
    out: Vec<u8>,
}

impl Pipeline for BlendPipeline<'_> {
    fn is_pinned(&self) -> bool {
        true
    }

    fn depth(&self) -> usize {
        2
    }

    fn push(&mut self, index: usize) -> Result<()> {
        self.stream.push(&self.frames[index])
    }

    fn submit(&mut self, t: f32) -> Result<()> {
        ensure!(self.pending.len() < self.depth(), "too many frames are pending");
        let mut out = vec![0; self.stream.size.samples()];
        self.stream.at_rgb8(t, &mut out)?;
        self.pending.push_back(out);
        Ok(())
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.out = self.pending.pop_front().context("no frame is pending")?;
        Ok(&self.out)
    }

    fn memory(&self) -> Option<EngineMemory> {
        self.stream.memory()
    }
}
