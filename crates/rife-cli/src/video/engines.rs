//! The networks of a job, one for each device.

use anyhow::Result;
use rife_model::weights::{Store, Weights};
use rife_runtime::{
    Device, Engine, FrameSize, Interpolator, InterpolatorBuilder, ModelVersion, Precision, Scale,
};
use rife_video::Maker;

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
    let weights = store.obtain(args.model, &mut |line| say(line))?;
    if let Some(note) = &weights.note {
        say(&format!("note: {note}"));
    }
    Ok(weights)
}

/// Loads the network onto each device.
pub(crate) fn load(args: &EngineArgs, size: FrameSize) -> Result<Vec<Maker>> {
    let weights = weights(args)?;
    let mut makers = Vec::new();
    for device in &args.device {
        let choice = Choice::new(args, *device, size);
        let rife = choice.builder().load_weights(&weights)?;
        let on_cpu = rife.info().device == "cpu";
        let ways = if on_cpu { Vec::new() } else { choice.smaller() };
        let weights = weights.clone();
        makers.push(Maker {
            rife,
            smaller: Box::new(move |step| {
                let (choice, how) = ways.get(step)?;
                say(&format!("note: the GPU's memory does not suffice: going on {how}"));
                Some(choice.builder().load_weights(&weights).map_err(Into::into))
            }),
        });
    }
    Ok(makers)
}
