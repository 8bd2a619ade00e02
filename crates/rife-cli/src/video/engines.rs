//! The networks of a job, one for each device.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rife_model::weights::{Store, Weights, WeightsError};
use rife_runtime::{
    Device, Engine, Frame, FrameSize, Interpolator, InterpolatorBuilder, ModelVersion, PixelFormat,
    Precision, Scale,
};
use rife_video::DeviceWorker;

use crate::args::EngineArgs;
use crate::say;

/// How a network is to run.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    version: ModelVersion,
    engine: Engine,
    device: Device,
    precision: Precision,
    scale: Scale,
    ensemble: bool,
    threads: Option<usize>,
}

impl Choice {
    pub(crate) fn new(args: &EngineArgs, device: Device, size: FrameSize) -> Self {
        Self {
            version: args.model,
            engine: args.engine,
            device,
            precision: args.precision,
            scale: args.scale.of(size),
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

    /// Ways to run on a GPU with less and less memory, and at last without it.
    fn smaller(self) -> Vec<(Self, &'static str)> {
        let mut ways = Vec::new();
        let mut now = self;
        if matches!(self.precision, Precision::F32 | Precision::Tf32) {
            now.precision = Precision::F16;
            ways.push((now, "in F16"));
        }
        if now.scale == Scale::One {
            now.scale = Scale::Half;
            ways.push((now, "with motion estimated at half the size (--scale 0.5)"));
        }
        now = Self { precision: Precision::Auto, device: Device::Cpu, scale: self.scale, ..now };
        ways.push((now, "on the CPU"));
        ways
    }
}

/// Whether this machine can run what was chosen, before anything is loaded.
pub(crate) fn check(args: &EngineArgs) -> Result<()> {
    // Sizes do not matter to that.
    let size = FrameSize::new(1, 1);
    for device in &args.device {
        Choice::new(args, *device, size).builder().check()?;
    }
    Ok(())
}

/// Loads the weights, once for all devices.
pub(crate) fn weights(args: &EngineArgs) -> Result<Weights> {
    let store = Store::locate(args.weights.dir.as_deref())?;
    let weights = store.fetch(args.model, &mut |line| say(line))?;
    if let Some(note) = &weights.note {
        say(&format!("note: {note}"));
    }
    Ok(weights)
}

/// Loads the network onto each device.
pub(crate) fn load(args: &EngineArgs, size: FrameSize) -> Result<Vec<DeviceWorker>> {
    let weights = weights(args)?;
    let mut makers = Vec::new();
    for device in &args.device {
        let choice = Choice::new(args, *device, size);
        let rife = choice.builder().load_weights(&weights)?;
        let on_cpu = rife.info().device == "cpu";
        let ways = if on_cpu { Vec::new() } else { choice.smaller() };
        let weights = weights.clone();
        makers.push(DeviceWorker {
            interpolator: rife,
            smaller: Box::new(move |step| {
                let (choice, how) = ways.get(step)?;
                say(&format!("note: the GPU's memory does not suffice: going on {how}"));
                Some(choice.builder().load_weights(&weights).map_err(Into::into))
            }),
        });
    }
    Ok(makers)
}

/// What a network does on this machine, by a few frames.
pub(crate) struct Trial {
    /// What runs, in words.
    pub(crate) what: String,
    /// Frames made a second, all devices together.
    pub(crate) fps: f64,
    /// Memory that the networks hold, in bytes, where they know.
    pub(crate) bytes: Option<u64>,
}

/// Time that a device is tried for, after its first frames.
const TRIAL: Duration = Duration::from_secs(1);

/// Makes a few frames on each device.
///
/// # Errors
/// Where the weights are not there yet (nothing is fetched for a plan), or no frame can be made.
pub(crate) fn try_out(args: &EngineArgs, size: FrameSize, format: PixelFormat) -> Result<Trial> {
    let store = Store::locate(args.weights.dir.as_deref())?;
    let weights = match store.find(args.model) {
        Err(WeightsError::Missing { version, .. }) => {
            bail!("the weights are not there yet: run `rife weights fetch {version}`")
        }
        found => found?,
    };
    let mut trial = Trial { what: String::new(), fps: 0.0, bytes: Some(0) };
    for device in &args.device {
        let rife = Choice::new(args, *device, size).builder().load_weights(&weights)?;
        let info = rife.info();
        let comma = if trial.what.is_empty() { "" } else { "; " };
        trial.what += &format!(
            "{comma}RIFE {} {} {} on {}",
            info.model, info.engine, info.precision, info.device
        );
        let mut session = rife.session(size)?;
        let frame = Frame::black(size, format)?;
        session.push(&frame.view())?;
        session.push(&frame.view())?;
        for _ in 0..session.depth() + 1 {
            session.at_as(0.5, format)?;
        }
        let (mut made, start) = (0, Instant::now());
        while start.elapsed() < TRIAL {
            if session.pending() == session.depth() {
                session.finish()?;
                made += 1;
            }
            session.push(&frame.view())?;
            session.submit_as(0.5, format)?;
        }
        while session.pending() > 0 {
            session.finish()?;
            made += 1;
        }
        trial.fps += f64::from(made) / start.elapsed().as_secs_f64();
        let bytes = session.memory().map(|memory| memory.device_bytes + memory.pinned_host_bytes);
        trial.bytes = trial.bytes.zip(bytes).map(|(all, one)| all + one);
    }
    Ok(trial)
}
