//! Blending the two frames: no network, no weights. It exercises the whole benchmark in
//! milliseconds, and it is the quality that any interpolation has to beat.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail, ensure};

use super::{
    Case, Ceilings, Device, DeviceChoice, Engine, EngineMemory, Engines, KernelTime, Optimization,
    Pipeline, Precision, Size, Stream, Subject, SubjectInfo,
};
use crate::metrics::to_8_bit;

/// Blending in the place of every engine, on the CPU.
#[derive(Debug, Default)]
pub struct BlendEngines;

impl Engines for BlendEngines {
    fn resolve(&self, choice: DeviceChoice) -> Result<Device> {
        match choice {
            DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda(_) => bail!("blending runs on the CPU alone"),
        }
    }

    fn offered(&self, _device: Device) -> Vec<(Engine, Precision)> {
        vec![(Engine::Baseline, Precision::F32), (Engine::Baseline, Precision::F16)]
    }

    fn load(&self, case: Case, _device: Device) -> Result<Box<dyn Subject>> {
        ensure!(case.engine == Engine::Baseline, "blending has no {} engine", case.engine);
        Ok(Box::new(Blend { case, inside: Inside::default() }))
    }
}

/// Blending that passes itself off as the optimized engine of a GPU, with the inside that it is
/// given; as the baseline it tells nothing of its inside, and exists on the CPU alone.
#[derive(Debug, Default)]
pub struct BlendOnGpu {
    /// What the optimized engine tells of itself.
    pub inside: Inside,
}

/// An inside made up.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// What the device takes for a frame with everything on, in ms, one after the other and again
    /// from the start; where there is none, the device has no clock.
    pub device_ms: Vec<f32>,
    /// The optimizations that apply, each with what a frame takes without it, as a multiple.
    pub optimizations: Vec<(Optimization, f32)>,
    /// The launches of a frame.
    pub kernels: Vec<KernelTime>,
    /// What the device gives at most.
    pub ceilings: Option<Ceilings>,
    /// What a stream holds.
    pub memory: Option<EngineMemory>,
}

impl Engines for BlendOnGpu {
    fn resolve(&self, choice: DeviceChoice) -> Result<Device> {
        match choice {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Auto | DeviceChoice::Cuda(0) => Ok(Device::Cuda(0)),
            DeviceChoice::Cuda(_) => bail!("blending has one GPU"),
        }
    }

    fn offered(&self, device: Device) -> Vec<(Engine, Precision)> {
        match device {
            Device::Cpu => BlendEngines.offered(device),
            Device::Cuda(_) => [Precision::F32, Precision::Tf32, Precision::F16]
                .map(|precision| (Engine::Optimized, precision))
                .into(),
        }
    }

    fn load(&self, case: Case, device: Device) -> Result<Box<dyn Subject>> {
        if device == Device::Cpu {
            return BlendEngines.load(case, device);
        }
        Ok(Box::new(Blend { case, inside: self.inside.clone() }))
    }
}

struct Blend {
    case: Case,
    inside: Inside,
}

impl Blend {
    fn stream(&self, size: Size) -> BlendStream<'_> {
        let Self { case, inside } = self;
        BlendStream { size, case: *case, inside, timed: 0, last: None, pair: None }
    }
}

impl Subject for Blend {
    fn info(&self) -> SubjectInfo {
        let on = self.case.without.optimizations();
        let applies = self.inside.optimizations.iter().map(|(one, _)| *one);
        SubjectInfo {
            weights: self.case.model,
            weights_sha256: String::new(),
            note: Some("blending, no network".into()),
            engine: "blend".into(),
            device: "cpu".into(),
            arithmetic: String::new(),
            optimizations: applies.filter(|one| on.has(*one)).collect(),
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
        Ok(self.inside.ceilings)
    }
}

struct BlendStream<'a> {
    size: Size,
    case: Case,
    inside: &'a Inside,
    /// Frames whose time was made up.
    timed: usize,
    last: Option<Vec<u8>>,
    pair: Option<(Vec<u8>, Vec<u8>)>,
}

impl BlendStream<'_> {
    /// One blended sample in \[0, 1\]. "Half precision" keeps half's 11 significant bits near 1.
    fn blend(&self, a: u8, b: u8, t: f32) -> f32 {
        let v = (f32::from(a) * (1.0 - t) + f32::from(b) * t) / 255.0;
        match self.case.precision {
            Precision::F32 | Precision::Tf32 => v,
            Precision::F16 => (v * 2048.0).round() / 2048.0,
            Precision::Bf16 => (v * 256.0).round() / 256.0,
        }
    }
}

impl Stream for BlendStream<'_> {
    fn push(&mut self, rgb8: &[u8]) -> Result<()> {
        ensure!(rgb8.len() == self.size.samples(), "a frame of another size");
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
        let (ms, on) = (&self.inside.device_ms, self.case.without.optimizations());
        if ms.is_empty() {
            return Ok(None);
        }
        let off = self.inside.optimizations.iter().filter(|(one, _)| !on.has(*one));
        let slower: f32 = off.map(|(_, multiple)| multiple).product();
        let times = (self.timed..self.timed + frames).map(|i| ms[i % ms.len()] * slower).collect();
        self.timed += frames;
        Ok(Some(times))
    }

    fn kernel_times(&mut self, _runs: usize) -> Result<Vec<KernelTime>> {
        Ok(self.inside.kernels.clone())
    }

    fn memory(&self) -> Option<EngineMemory> {
        self.inside.memory
    }
}

/// Two frames ahead, as a real queue; each is blended when it is asked for.
struct BlendPipeline<'a> {
    stream: BlendStream<'a>,
    frames: Vec<Vec<u8>>,
    pending: VecDeque<Vec<u8>>,
    out: Vec<u8>,
}

impl Pipeline for BlendPipeline<'_> {
    fn is_locked(&self) -> bool {
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
