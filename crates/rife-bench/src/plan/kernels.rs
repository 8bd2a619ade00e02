//! Validated settings of `rife-bench kernels`.

use anyhow::{Result, ensure};
use rife_model::ModelVersion;

use super::{check_range, check_threads, default_size};
use crate::args::{JsonArgs, KernelArgs, SelectionArgs};
use crate::clip::check_size;
use crate::distinct::distinct;
use crate::files::check_output;
use crate::subject::{Config, Device, Disabled, Engine, Engines, Size, cuda_ordinal};

/// Kernel timings to measure.
#[derive(Clone, Debug)]
pub struct KernelPlan {
    /// Configurations.
    pub configs: Vec<Config>,
    /// Device.
    pub device: Device,
    /// Frame sizes.
    pub sizes: Vec<Size>,
    /// Runs of each launch.
    pub runs: usize,
}

/// Default runs of each launch: a device finishes in seconds.
pub const fn default_kernel_runs(device: Device) -> usize {
    if cuda_ordinal(device).is_some() { 100 } else { 10 }
}

impl KernelPlan {
    /// Validates the options against the engines of this machine.
    ///
    /// # Errors
    /// The first invalid option, on one line.
    pub fn new(args: &KernelArgs, engines: &dyn Engines) -> Result<Self> {
        let SelectionArgs { models, precisions, without } = &args.selection;
        let JsonArgs { json, overwrite } = &args.output;
        check_threads(args.engine.threads)?;
        let device = engines.resolve(args.engine.device)?;
        let available = engines.available(device);
        let optimized = available.iter().filter(|(engine, _)| *engine == Engine::Optimized);
        let available: Vec<_> = optimized.map(|(_, precision)| *precision).collect();
        ensure!(
            !available.is_empty(),
            "kernels: the optimized engine is not available on {device}"
        );
        let selected = |p: &_| precisions.is_empty() || precisions.contains(p);
        let precisions: Vec<_> = available.iter().copied().filter(selected).collect();
        ensure!(!precisions.is_empty(), "no such precision on {device}: available are {}", {
            let names: Vec<_> = available.iter().map(ToString::to_string).collect();
            names.join(", ")
        });
        let runs = args.runs.unwrap_or(default_kernel_runs(device));
        check_range("--runs", runs, 1..=10_000)?;
        let sizes = super::sizes(&args.sizes, default_size(device));
        sizes.iter().try_for_each(|size| check_size(*size))?;
        if let Some(json) = json {
            check_output("--json", json, *overwrite)?;
        }
        let without: Disabled = without.iter().copied().collect();
        let config =
            |model, precision| Config { model, engine: Engine::Optimized, precision, without };
        let of_model = |model| precisions.iter().map(move |p| config(model, *p));
        let configs = super::models(models).into_iter().flat_map(of_model).collect();
        Ok(Self { configs, device, sizes, runs })
    }

    /// The models of the plan, each once, in order.
    pub fn models(&self) -> Vec<ModelVersion> {
        distinct(self.configs.iter().map(|config| config.model))
    }
}
