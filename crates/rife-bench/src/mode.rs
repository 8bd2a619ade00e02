//! How speed is measured, and which frames fidelity is measured against.

use std::fmt;

use clap::ValueEnum;
use rife_model::ModelVersion;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::subject::{Config, Device, Engine};

/// How speed is measured.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    ValueEnum,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One frame at a time, from host memory to host memory.
    Latency,
    /// The same with frames queued ahead as far as the engine allows, from pinned host memory.
    EndToEnd,
    /// Device time without host transfers. On a CPU: engine time without reading frames in.
    #[value(alias = "throughput")]
    Device,
}

impl Mode {
    /// The modes measured by default. A CPU has no transfers to overlap and no separate clock, so
    /// that the other modes add little there.
    pub fn default_for(device: Device) -> Vec<Self> {
        match device {
            Device::Cuda(_) => Self::value_variants().to_vec(),
            _ => vec![Self::Latency],
        }
    }

    /// The mode of records that do not name one: latency was the only one.
    pub(crate) fn legacy_default() -> Vec<Self> {
        vec![Self::Latency]
    }
}

/// What interpolated frames are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Reference {
    /// The baseline engine in F32, on the device or else on the CPU over a few frames.
    #[default]
    BaselineF32,
    /// The optimized engine in F32, on the device.
    OptimizedF32,
}

impl Reference {
    /// The reference configuration of a model.
    pub const fn config(self, model: ModelVersion) -> Config {
        let baseline = Config::reference(model);
        match self {
            Self::BaselineF32 => baseline,
            Self::OptimizedF32 => Config { engine: Engine::Optimized, ..baseline },
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
