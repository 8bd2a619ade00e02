//! The engines of a job, one per device.

use std::time::{Duration, Instant};

use anyhow::Result;
use rife_runtime::{
    Device, Engine, Frame, FrameSize, Interpolator, InterpolatorBuilder, ModelVersion, PixelFormat,
    Precision, Scale,
};
use rife_video::DeviceWorker;

use crate::args::EngineArgs;
use crate::host::Host;
use crate::model::Model;

/// The settings of an engine on one device.
#[derive(Clone, Copy)]
pub(crate) struct EngineConfig {
    version: ModelVersion,
    engine: Engine,
    device: Device,
    precision: Precision,
    scale: Scale,
    ensemble: bool,
    threads: Option<usize>,
}

impl EngineConfig {
    pub(crate) fn new(args: &EngineArgs, model: &Model, device: Device, size: FrameSize) -> Self {
        Self {
            version: model.version,
            engine: args.engine,
            device,
            precision: args.precision,
            scale: args.scale.for_size(size),
            ensemble: args.ensemble,
            threads: args.threads,
        }
    }

    pub(crate) fn builder(self) -> InterpolatorBuilder {
        let builder = Interpolator::builder(self.version)
            .engine(self.engine)
            .device(self.device)
            .precision(self.precision)
            .scale(self.scale)
            .ensemble(self.ensemble);
        match self.threads {
            Some(threads) => builder.threads(threads),
            None => builder,
        }
    }

    /// Settings that need less and less GPU memory, and last the CPU. Each has a description that
    /// continues "continuing".
    fn fallbacks(self) -> Vec<(Self, &'static str)> {
        let mut fallbacks = Vec::new();
        let mut config = self;
        if matches!(self.precision, Precision::F32 | Precision::Tf32) {
            config.precision = Precision::F16;
            fallbacks.push((config, "in F16"));
        }
        if config.scale == Scale::One {
            config.scale = Scale::Half;
            fallbacks.push((config, "with motion estimated at half the scale (--scale 0.5)"));
        }
        config =
            Self { precision: Precision::Auto, device: Device::Cpu, scale: self.scale, ..config };
        fallbacks.push((config, "on the CPU"));
        fallbacks
    }
}

/// Checks that this machine supports the settings, without loading anything.
pub(crate) fn check(args: &EngineArgs, model: &Model) -> Result<()> {
    // The result does not depend on the size.
    let size = FrameSize::new(1, 1);
    for device in &args.device {
        EngineConfig::new(args, model, *device, size).builder().check()?;
    }
    Ok(())
}

/// Loads an engine on each device.
pub(super) fn load(
    args: &EngineArgs,
    model: &Model,
    size: FrameSize,
    host: &Host,
) -> Result<Vec<DeviceWorker>> {
    let weights = model.weights(host)?;
    let mut engines = Vec::new();
    for device in &args.device {
        let config = EngineConfig::new(args, model, *device, size);
        let rife = config.builder().load_weights(&weights)?;
        let on_cpu = rife.info().device == "cpu";
        let fallbacks = if on_cpu { Vec::new() } else { config.fallbacks() };
        let (weights, host) = (weights.clone(), host.clone());
        engines.push(DeviceWorker {
            interpolator: rife,
            smaller: Box::new(move |step| {
                let (config, how) = fallbacks.get(step)?;
                host.say(&format!("note: out of GPU memory: continuing {how}"));
                Some(config.builder().load_weights(&weights).map_err(Into::into))
            }),
        });
    }
    Ok(engines)
}

/// The result of a short trial run of all devices.
pub(super) struct Trial {
    /// Model, engine, precision and device, for messages.
    pub(super) description: String,
    /// Interpolated frames per second, the sum of all devices.
    pub(super) fps: f64,
    /// Memory of the engines in bytes, if known.
    pub(super) memory_bytes: Option<u64>,
}

/// Duration of the trial of a device, after warm-up.
const TRIAL: Duration = Duration::from_secs(1);

/// Interpolates a few black frames on each device.
///
/// # Errors
/// If the weights are missing (a dry run downloads nothing), or interpolation fails.
pub(super) fn try_out(
    args: &EngineArgs,
    model: &Model,
    size: FrameSize,
    format: PixelFormat,
) -> Result<Trial> {
    let weights = model.available_weights()?;
    let mut trial = Trial { description: String::new(), fps: 0.0, memory_bytes: Some(0) };
    for device in &args.device {
        let rife =
            EngineConfig::new(args, model, *device, size).builder().load_weights(&weights)?;
        let info = rife.info();
        let separator = if trial.description.is_empty() { "" } else { "; " };
        trial.description += &format!(
            "{separator}RIFE {} {} {} on {}",
            info.model, info.engine, info.precision, info.device
        );
        let mut session = rife.session(size)?;
        let frame = Frame::black(size, format)?;
        session.push(&frame.view())?;
        session.push(&frame.view())?;
        for _ in 0..session.depth() + 1 {
            session.at_as(0.5, format)?;
        }
        let (mut frames, start) = (0, Instant::now());
        while start.elapsed() < TRIAL {
            if session.pending() == session.depth() {
                session.finish()?;
                frames += 1;
            }
            session.push(&frame.view())?;
            session.submit_as(0.5, format)?;
        }
        while session.pending() > 0 {
            session.finish()?;
            frames += 1;
        }
        trial.fps += f64::from(frames) / start.elapsed().as_secs_f64();
        let bytes = session.memory().map(|memory| memory.device_bytes + memory.pinned_host_bytes);
        trial.memory_bytes = trial.memory_bytes.zip(bytes).map(|(sum, bytes)| sum + bytes);
    }
    Ok(trial)
}
