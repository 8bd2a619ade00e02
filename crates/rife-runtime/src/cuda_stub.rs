//! Stands in for the CUDA engine in a build that has none.

use crate::engine::{EngineImpl, Load};
use crate::machine::{Absent, Probe};
use crate::{Device, Error, Result};

const REASON: &str = "this build has no CUDA engine";

pub(crate) fn probe(_index: usize) -> Probe {
    Err(Absent::Build(REASON.into()))
}

pub(crate) fn load(load: &Load<'_>) -> Result<Box<dyn EngineImpl>> {
    Err(Error::NoDevice { device: Device::Cuda(load.index), reason: REASON.into() })
}
