//! The engines of `rife-runtime`, behind the benchmark's own traits. The only file of this crate
//! that knows the runtime.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Case, Device, DeviceChoice, Engine, Engines, Precision, Subject};

/// The engines that ship.
#[derive(Debug, Default)]
pub struct RuntimeEngines;

impl Engines for RuntimeEngines {
    fn resolve(&self, choice: DeviceChoice) -> Result<Device> {
        match choice {
            DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda(_) => bail!("this build has no engine for CUDA devices"),
        }
    }

    fn offered(&self, _device: Device) -> Vec<(Engine, Precision)> {
        vec![(Engine::Baseline, Precision::F32), (Engine::Baseline, Precision::F16)]
    }

    fn load(&self, case: Case, _device: Device, _weights: &Path) -> Result<Box<dyn Subject>> {
        bail!("the runtime cannot run {case} yet")
    }
}
