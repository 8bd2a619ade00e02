//! Adapts the engines of `rife-runtime` to the traits of the benchmark.

use std::collections::HashMap;

use anyhow::{Context, Result};
use rife_model::ModelVersion;
use rife_model::weights::{Store, Weights};
use rife_runtime as rt;

use super::{
    Ceilings, Config, Device, Engine, EngineMemory, Engines, KernelTime, LoadOptions, Optimization,
    Pipeline, Precision, Size, Stream, Subject, SubjectInfo,
};
use crate::files::redact_paths;

/// The engines of `rife-runtime`.
#[derive(Debug)]
pub struct RuntimeEngines {
    store: Store,
    weights: HashMap<ModelVersion, Weights>,
    threads: Option<usize>,
}

impl RuntimeEngines {
    /// Engines with weights from `store` and, on a CPU, a number of threads; `None` for the
    /// default.
    pub fn new(store: Store, threads: Option<usize>) -> Self {
        Self { store, weights: HashMap::new(), threads }
    }

    /// Makes the weights of `models` available, downloading them if needed. `notify` receives
    /// progress messages.
    pub fn prepare(&mut self, models: &[ModelVersion], notify: &mut dyn FnMut(&str)) -> Result<()> {
        for model in models {
            self.weights.insert(*model, self.store.fetch(*model, notify)?);
        }
        Ok(())
    }
}

impl Engines for RuntimeEngines {
    fn resolve(&self, device: Device) -> Result<Device> {
        Ok(device.resolve()?)
    }

    fn available(&self, device: Device) -> Vec<(Engine, Precision)> {
        let here =
            rt::engines().into_iter().filter(|e| e.state.is_ok() && e.device.same_kind(device));
        let mut available: Vec<_> = here
            .flat_map(|e| e.precisions.into_iter().map(move |precision| (e.engine, precision)))
            .filter(|(_, precision)| *precision != Precision::Auto)
            .collect();
        available.sort_by_key(|(engine, precision)| (*engine as u8, *precision as u8));
        available
    }

    fn load(&self, config: Config, device: Device) -> Result<Box<dyn Subject>> {
        self.load_with(config, device, LoadOptions { threads: self.threads, batch: 1 })
    }

    fn load_with(
        &self,
        config: Config,
        device: Device,
        options: LoadOptions,
    ) -> Result<Box<dyn Subject>> {
        let weights = self
            .weights
            .get(&config.model)
            .with_context(|| format!("weights of {} were not prepared", config.model))?;
        let builder = rt::Interpolator::builder(config.model)
            .engine(config.engine)
            .device(device)
            .precision(config.precision)
            .optimizations(config.without.enabled())
            .batch(options.batch);
        let builder = match options.threads.or(self.threads) {
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
            note: info.weights.note.as_deref().map(redact_paths),
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
        let size = frame_size(size);
        Ok(Box::new(RuntimeStream { size, session: self.0.session(size)? }))
    }

    fn pipeline(&self, size: Size, frames: &[&[u8]]) -> Result<Box<dyn Pipeline + '_>> {
        let size = frame_size(size);
        let session = self.0.session(size)?;
        // An application that opts out of pinned memory does not pin its own frames either.
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
        let size = frame_size(size);
        let pairs = pairs
            .iter()
            .map(|(earlier, later)| Ok((view(size, earlier)?, view(size, later)?, t)))
            .collect::<Result<Vec<_>>>()?;
        let mut outs = views_mut(size, outs)?;
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

const fn frame_size(size: Size) -> rt::FrameSize {
    rt::FrameSize::new(size.width, size.height)
}

/// Interleaved 8-bit RGB without padding.
fn view(size: rt::FrameSize, rgb8: &[u8]) -> Result<rt::FrameView<'_>> {
    Ok(rt::FrameView::rgb8(size, rgb8, rt::Stride::packed(size, rt::PixelFormat::Rgb8))?)
}

fn view_mut(size: rt::FrameSize, rgb8: &mut [u8]) -> Result<rt::FrameViewMut<'_>> {
    Ok(rt::FrameViewMut::rgb8(size, rgb8, rt::Stride::packed(size, rt::PixelFormat::Rgb8))?)
}

fn views_mut(size: rt::FrameSize, frames: &mut [Vec<u8>]) -> Result<Vec<rt::FrameViewMut<'_>>> {
    frames.iter_mut().map(|rgb8| view_mut(size, rgb8)).collect()
}

struct RuntimeStream {
    size: rt::FrameSize,
    session: rt::Session,
}

impl Stream for RuntimeStream {
    fn push(&mut self, rgb8: &[u8]) -> Result<()> {
        Ok(self.session.push(&view(self.size, rgb8)?)?)
    }

    fn at_rgb8(&mut self, t: f32, out: &mut [u8]) -> Result<()> {
        Ok(self.session.at_into(t, &mut view_mut(self.size, out)?)?)
    }

    fn at_many_rgb8(&mut self, ts: &[f32], outs: &mut [Vec<u8>]) -> Result<()> {
        Ok(self.session.at_many_into(ts, &mut views_mut(self.size, outs)?)?)
    }

    fn at_planar(&mut self, t: f32, out: &mut [f32]) -> Result<()> {
        let stride = rt::Stride::packed(self.size, rt::PixelFormat::PlanarF32);
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

/// Output frames are reused in a ring, as an application would do.
struct RuntimePipeline {
    session: rt::Session,
    inputs: Vec<rt::Frame>,
    outs: Vec<rt::Frame>,
    finished: usize,
}

impl Pipeline for RuntimePipeline {
    fn is_pinned(&self) -> bool {
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
        out.as_rgb8().context("unexpected pixel format")
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
    use super::*;

    #[test]
    fn batched_pairs_match_a_stream_of_each_pair() {
        let size = Size { width: 48, height: 32 };
        let model = ModelVersion::V4_6;
        let mut engines = RuntimeEngines::new(Store::locate(None).expect("a store"), Some(2));
        engines.prepare(&[model], &mut |_| ()).expect("weights");
        let config = Config { engine: Engine::Optimized, ..Config::reference(model) };
        let options = LoadOptions { threads: None, batch: 2 };
        let subject = engines.load_with(config, Device::Cpu, options).expect("an engine");
        let frames: Vec<Vec<u8>> = (0..4usize)
            .map(|i| (0..size.samples()).map(|s| ((s / 3 + 2 * i) % 97 + s % 3) as u8).collect())
            .collect();
        let pairs: Vec<(&[u8], &[u8])> = frames.windows(2).map(|f| (&*f[0], &*f[1])).collect();
        let mut batched = vec![vec![0; size.samples()]; pairs.len()];
        subject.pairs_rgb8(size, &pairs, 0.5, &mut batched).expect("frames");
        for ((earlier, later), batched) in pairs.iter().zip(&batched) {
            let mut stream = subject.session(size).expect("a session");
            stream.push(earlier).expect("a frame");
            stream.push(later).expect("a frame");
            let mut alone = vec![0; size.samples()];
            stream.at_rgb8(0.5, &mut alone).expect("a frame");
            assert_eq!(*batched, alone);
        }
    }
}
