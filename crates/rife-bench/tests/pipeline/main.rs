//! From the command line to the report, on the blending engine.

#[path = "../support/blend.rs"]
mod blend;

mod ablation;
mod fidelity;
mod kernels;
mod measuring;
mod plan;
mod record_files;
mod stopping;
mod terminal;

use anyhow::{Result, ensure};
use clap::Parser;
use rife_bench::args::Args;
use rife_bench::benchmark;
use rife_bench::plan::Plan;
use rife_bench::record::Record;
use rife_bench::subject::{
    Config, Device, Engine, EngineMemory, Engines, Optimization, Precision, Subject,
};

use blend::{BlendEngines, BlendOnGpu, Simulated};

fn record(line: &str, engines: &dyn Engines) -> (Plan, Record) {
    let args = ["rife-bench"].into_iter().chain(line.split_whitespace());
    let plan = Plan::new(&Args::parse_from(args), engines).expect("a plan");
    let record = benchmark::run(&plan, engines, &()).expect("a record");
    (plan, record)
}

/// A GPU on which one optimization doubles the speed, one has no effect and one hurts.
fn gpu() -> BlendOnGpu {
    BlendOnGpu {
        simulated: Simulated {
            device_ms: vec![2.0, 2.01, 1.99],
            optimizations: vec![
                (Optimization::FusedKernels, 2.0),
                (Optimization::Streams, 1.0),
                (Optimization::CudaGraph, 0.8),
            ],
            memory: Some(EngineMemory { device_mib: 345.6, pinned_host_mib: 12.0 }),
            ..Simulated::default()
        },
    }
}

/// Blending on a CPU as these engines and precisions, of which one fails to load.
struct CpuWith {
    available: Vec<(Engine, Precision)>,
    broken: Option<Precision>,
}

impl Engines for CpuWith {
    fn resolve(&self, device: Device) -> Result<Device> {
        BlendEngines.resolve(device)
    }

    fn available(&self, _device: Device) -> Vec<(Engine, Precision)> {
        self.available.clone()
    }

    fn load(&self, config: Config, device: Device) -> Result<Box<dyn Subject>> {
        let precision = config.precision;
        ensure!(
            self.broken != Some(precision),
            "{} is not supported",
            precision.to_string().to_uppercase()
        );
        BlendEngines.load(config, device)
    }
}
