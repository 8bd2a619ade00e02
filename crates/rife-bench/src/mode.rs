//! What can be measured, and against what.

use std::fmt;

use clap::ValueEnum;
use rife_model::ModelVersion;
use serde::{Deserialize, Serialize};

use crate::subject::{Case, Device, Engine};

/// A way to measure speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One frame in, one generated frame out, one at a time, from host memory to host memory
    Latency,
    /// The same, fed ahead as far as the engine allows, over page-locked frames
    EndToEnd,
    /// The device's own time of a frame, without copies between host and device; of a CPU without
    /// reading frames in
    #[value(alias = "throughput")]
    Device,
}

impl Mode {
    /// Those that are measured unless others are asked for: a CPU has no copies to overlap and no
    /// other clock, so that the others say little more of it.
    pub fn of(device: Device) -> Vec<Self> {
        match device {
            Device::Cpu => vec![Self::Latency],
            Device::Cuda(_) => vec![Self::Latency, Self::EndToEnd, Self::Device],
        }
    }

    /// What records hold that do not say it: it was the only one.
    pub(crate) fn of_older_records() -> Vec<Self> {
        vec![Self::Latency]
    }
}

/// What frames are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reference {
    /// The baseline in F32: on the device, else on the CPU over a few frames
    #[default]
    BaselineF32,
    /// The optimized engine in F32, on the device
    OptimizedF32,
}

impl Reference {
    /// The configuration that it is, of a model.
    pub const fn case(self, model: ModelVersion) -> Case {
        let baseline = Case::reference(model);
        match self {
            Self::BaselineF32 => baseline,
            Self::OptimizedF32 => Case { engine: Engine::Optimized, ..baseline },
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency",
            Self::EndToEnd => "end-to-end",
            Self::Device => "device",
        })
    }
}
