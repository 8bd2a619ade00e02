//! The engines of `rife-runtime`, behind the benchmark's own traits. The only file of this crate
//! that knows more of the runtime than its optimizations' names.

use std::collections::HashMap;

use anyhow::{Context, Result};
use rife_model::ModelVersion;
use rife_model::weights::{Store, Weights};
use rife_runtime as rt;

use crate::record::without_places;

use super::{
    Case, Ceilings, Device, DeviceChoice, Engine, EngineMemory, Engines, KernelTime, Optimization,
    Pipeline, Precision, Size, Stream, Subject, SubjectInfo, Tuning,
};

/// The engines that ship.
#[derive(Debug)]
pub struct RuntimeEngines {
    store: Store,
    weights: HashMap<ModelVersion, Weights>,
    threads: Option<usize>,
}

impl RuntimeEngines {
    /// Engines that take their weights from `store`, and on a CPU run on so many threads: on one
    /// for each processor where none are chosen.
    pub fn new(store: Store, threads: Option<usize>) -> Self {
        Self { store, weights: HashMap::new(), threads }
    }

    /// Makes sure that the weights of `models` are there before anything is measured; `notify` is
    /// told of what is fetched.
    ///
    /// # Errors
    /// Where weights cannot be had.
    pub fn prepare(&mut self, models: &[ModelVersion], notify: &mut dyn FnMut(&str)) -> Result<()> {
        for model in models {
            self.weights.insert(*model, self.store.fetch(*model, notify)?);
        }
        Ok(())
    }
}

fn runtime_device(device: Device) -> rt::Device {
    match device {
        Device::Cpu => rt::Device::Cpu,
        Device::Cuda(index) => rt::Device::Cuda(index),
    }
}

impl Engines for RuntimeEngines {
    fn resolve(&self, choice: DeviceChoice) -> Result<Device> {
        let choice = match choice {
            DeviceChoice::Auto => rt::Device::Auto,
            DeviceChoice::Cpu => rt::Device::Cpu,
            DeviceChoice::Cuda(index) => rt::Device::Cuda(index),
        };
        Ok(match choice.resolve()? {
            rt::Device::Cuda(index) => Device::Cuda(index),
            _ => Device::Cpu,
        })
    }

    fn offered(&self, device: Device) -> Vec<(Engine, Precision)> {
        let device = runtime_device(device);
        let here =
            rt::engines().into_iter().filter(|e| e.state.is_ok() && e.device.same_kind(device));
        let mut offered: Vec<_> = here
            .flat_map(|e| {
                let engine = match e.engine {
                    rt::Engine::Optimized => Engine::Optimized,
                    _ => Engine::Baseline,
                };
                e.precisions.into_iter().filter_map(move |p| match p {
                    rt::Precision::F32 => Some((engine, Precision::F32)),
                    rt::Precision::Tf32 => Some((engine, Precision::Tf32)),
                    rt::Precision::F16 => Some((engine, Precision::F16)),
                    rt::Precision::Bf16 => Some((engine, Precision::Bf16)),
                    _ => None,
                })
            })
            .collect();
        offered.sort();
        offered
    }

    fn load(&self, case: Case, device: Device) -> Result<Box<dyn Subject>> {
        self.load_tuned(case, device, Tuning { threads: self.threads, batch: 1 })
    }

    fn load_tuned(&self, case: Case, device: Device, tuning: Tuning) -> Result<Box<dyn Subject>> {
        let weights = self
            .weights
            .get(&case.model)
            .with_context(|| format!("the weights of {} were not prepared", case.model))?;
        let engine = match case.engine {
            Engine::Baseline => rt::Engine::Baseline,
            Engine::Optimized => rt::Engine::Optimized,
        };
        let precision = match case.precision {
            Precision::F32 => rt::Precision::F32,
            Precision::Tf32 => rt::Precision::Tf32,
            Precision::F16 => rt::Precision::F16,
            Precision::Bf16 => rt::Precision::Bf16,
        };
        let builder = rt::Interpolator::builder(case.model)
            .engine(engine)
            .device(runtime_device(device))
            .precision(precision)
            .optimizations(case.without.optimizations());
        let builder = builder.batch(tuning.batch);
        let builder = match tuning.threads.or(self.threads) {
            Some(threads) => builder.threads(threads),
            None => builder,
        };
        Ok(Box::new(RuntimeSubject(builder.load_weights(weights)?)))
    }
}

struct RuntimeSubject(rt::Interpolator);

impl Subject for RuntimeSubject {
    fn info(&self) -> SubjectInfo {
        let info = self.0.info();
        SubjectInfo {
            weights: info.weights.version,
            weights_sha256: info.weights.tensors_sha256.clone(),
            note: info.weights.note.as_deref().map(without_places),
            engine: info.engine.to_string(),
            device: info.description.device.clone(),
            arithmetic: info.description.arithmetic.clone(),
            optimizations: Optimization::ALL
                .into_iter()
                .filter(|one| info.description.optimizations.has(*one))
                .collect(),
            threads: info.description.threads,
        }
    }

    fn session(&self, size: Size) -> Result<Box<dyn Stream + '_>> {
        let size = rt::FrameSize::new(size.width, size.height);
        Ok(Box::new(RuntimeStream { size, session: self.0.session(size)? }))
    }

    fn pipeline(&self, size: Size, frames: &[&[u8]]) -> Result<Box<dyn Pipeline + '_>> {
        let size = rt::FrameSize::new(size.width, size.height);
        let session = self.0.session(size)?;
        // Without pinned memory an application has none of its own either.
        let pinned = self.0.info().description.optimizations.has(Optimization::PinnedMemory);
        let lock = |frame| if pinned { self.0.pin(frame) } else { frame };
        let filled = |rgb: &[u8]| Ok(lock(rt::Frame::rgb8(size, rgb.to_vec())?));
        let blank = || Ok(lock(rt::Frame::black(size, rt::PixelFormat::Rgb8)?));
        let inputs = frames.iter().map(|rgb| filled(rgb)).collect::<Result<_>>()?;
        let outs = (0..session.depth()).map(|_| blank()).collect::<Result<_>>()?;
        Ok(Box::new(RuntimePipeline { session, inputs, outs, finished: 0 }))
    }

    fn pairs_rgb8(
        &self,
        size: Size,
        pairs: &[(&[u8], &[u8])],
        t: f32,
        outs: &mut [Vec<u8>],
    ) -> Result<()> {
        let size = rt::FrameSize::new(size.width, size.height);
        let stride = rt::Stride::packed(size, rt::PixelFormat::Rgb8);
        let view = |rgb8| -> Result<_> { Ok(rt::FrameView::rgb8(size, rgb8, stride)?) };
        let pairs = pairs
            .iter()
            .map(|(earlier, later)| Ok((view(earlier)?, view(later)?, t)))
            .collect::<Result<Vec<_>>>()?;
        let out = |out| Ok(rt::FrameViewMut::rgb8(size, out, stride)?);
        let mut outs = outs.iter_mut().map(|to| out(to)).collect::<Result<Vec<_>>>()?;
        Ok(self.0.interpolate_many_into(&pairs, &mut outs)?)
    }

    fn ceilings(&self) -> Result<Option<Ceilings>> {
        Ok(self.0.peak_throughput()?.map(|c| Ceilings {
            flops: c.flops,
            bytes: c.bytes,
            transfer: c.transfer,
        }))
    }
}

struct RuntimeStream {
    size: rt::FrameSize,
    session: rt::Session,
}

impl RuntimeStream {
    fn packed(&self, format: rt::PixelFormat) -> rt::Stride {
        rt::Stride::packed(self.size, format)
    }
}

impl Stream for RuntimeStream {
    fn push(&mut self, rgb8: &[u8]) -> Result<()> {
        let stride = self.packed(rt::PixelFormat::Rgb8);
        Ok(self.session.push(&rt::FrameView::rgb8(self.size, rgb8, stride)?)?)
    }

    fn at_rgb8(&mut self, t: f32, out: &mut [u8]) -> Result<()> {
        let stride = self.packed(rt::PixelFormat::Rgb8);
        let mut out = rt::FrameViewMut::rgb8(self.size, out, stride)?;
        Ok(self.session.at_into(t, &mut out)?)
    }

    fn at_many_rgb8(&mut self, ts: &[f32], outs: &mut [Vec<u8>]) -> Result<()> {
        let stride = self.packed(rt::PixelFormat::Rgb8);
        let view = |out| Ok(rt::FrameViewMut::rgb8(self.size, out, stride)?);
        let mut outs = outs.iter_mut().map(|out| view(out)).collect::<Result<Vec<_>>>()?;
        Ok(self.session.at_many_into(ts, &mut outs)?)
    }

    fn at_planar(&mut self, t: f32, out: &mut [f32]) -> Result<()> {
        let stride = self.packed(rt::PixelFormat::PlanarF32);
        let mut out = rt::FrameViewMut::planar_f32(self.size, out, stride)?;
        Ok(self.session.at_into(t, &mut out)?)
    }
    fn time_on_device(&mut self, t: f32, frames: usize) -> Result<Option<Vec<f32>>> {
        Ok(self.session.time_on_device(t, frames)?)
    }

    fn kernel_times(&mut self, runs: usize) -> Result<Vec<KernelTime>> {
        let times = self.session.kernel_times(runs)?.into_iter().map(|k| KernelTime {
            name: k.name,
            kernel: k.kernel,
            ms: f64::from(k.milliseconds),
            flops: k.flops,
            bytes: k.bytes,
        });
        Ok(times.collect())
    }

    fn memory(&self) -> Option<EngineMemory> {
        memory(&self.session)
    }
}

/// The frames go out in a ring, as an application that hands them on would have it.
struct RuntimePipeline {
    session: rt::Session,
    inputs: Vec<rt::Frame>,
    outs: Vec<rt::Frame>,
    finished: usize,
}

impl Pipeline for RuntimePipeline {
    fn is_locked(&self) -> bool {
        self.inputs.iter().chain(&self.outs).all(rt::Frame::is_pinned)
    }

    fn depth(&self) -> usize {
        self.session.depth()
    }

    fn push(&mut self, index: usize) -> Result<()> {
        Ok(self.session.push(&self.inputs[index].view())?)
    }

    fn submit(&mut self, t: f32) -> Result<()> {
        Ok(self.session.submit_as(t, rt::PixelFormat::Rgb8)?)
    }

    fn finish(&mut self) -> Result<&[u8]> {
        let at = self.finished % self.outs.len();
        let out = &mut self.outs[at];
        self.session.finish_into(&mut out.view_mut())?;
        self.finished += 1;
        out.as_rgb8().context("the frame has lost its format")
    }

    fn memory(&self) -> Option<EngineMemory> {
        memory(&self.session)
    }
}

fn memory(session: &rt::Session) -> Option<EngineMemory> {
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    session.memory().map(|memory| EngineMemory {
        device_mib: mib(memory.device_bytes),
        pinned_host_mib: mib(memory.pinned_host_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Case, Engines, Size};
    use super::*;

    #[test]
    fn pairs_at_once_are_what_a_stream_makes_of_each() {
        let size = Size { width: 48, height: 32 };
        let model = ModelVersion::V4_6;
        let mut engines = RuntimeEngines::new(Store::locate(None).expect("a store"), Some(2));
        engines.prepare(&[model], &mut |_| ()).expect("weights");
        let case = Case { engine: Engine::Optimized, ..Case::reference(model) };
        let tuning = Tuning { threads: None, batch: 2 };
        let subject = engines.load_tuned(case, Device::Cpu, tuning).expect("an engine");
        let frames: Vec<Vec<u8>> = (0..4usize)
            .map(|i| (0..size.samples()).map(|s| ((s / 3 + 2 * i) % 97 + s % 3) as u8).collect())
            .collect();
        let pairs: Vec<(&[u8], &[u8])> = frames.windows(2).map(|f| (&*f[0], &*f[1])).collect();
        let mut made = vec![vec![0; size.samples()]; pairs.len()];
        subject.pairs_rgb8(size, &pairs, 0.5, &mut made).expect("frames");
        for ((earlier, later), made) in pairs.iter().zip(&made) {
            let mut stream = subject.session(size).expect("a session");
            stream.push(earlier).expect("a frame");
            stream.push(later).expect("a frame");
            let mut alone = vec![0; size.samples()];
            stream.at_rgb8(0.5, &mut alone).expect("a frame");
            assert_eq!(*made, alone);
        }
    }
}
