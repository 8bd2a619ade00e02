//! What this machine and build can run.

use crate::{Device, Engine, Precision, Result};

impl Device {
    /// The device that this choice comes down to here, never [`Device::Auto`].
    ///
    /// # Errors
    /// [`crate::Error::NoDevice`] when the device asked for cannot be used.
    pub fn resolve(self) -> Result<Self> {
        let opened = crate::interpolator::open_device(self)?;
        Ok(match (self, opened) {
            (_, candle_core::Device::Cpu) => Self::Cpu,
            (Self::Cuda(index), _) => Self::Cuda(index),
            _ => Self::Cuda(0),
        })
    }

    /// Whether both are CPUs or both are GPUs.
    pub fn same_kind(self, other: Self) -> bool {
        matches!((self, other), (Self::Cpu, Self::Cpu) | (Self::Cuda(_), Self::Cuda(_)))
    }
}

/// Whether an engine can run on a device here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Availability {
    /// The engine.
    pub engine: Engine,
    /// The device.
    pub device: Device,
    /// What it computes in.
    pub precisions: Vec<Precision>,
    /// What it would run on, or why it cannot.
    pub state: Result<String, String>,
}

/// Every engine and whether it can run here.
pub fn engines() -> Vec<Availability> {
    let precisions = vec![Precision::F32, Precision::F16];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let on = |engine, device, state| Availability {
        engine,
        device,
        precisions: precisions.clone(),
        state,
    };
    let cuda = match crate::interpolator::open_device(Device::Cuda(0)) {
        Ok(_) => Ok("candle's own CUDA kernels".into()),
        Err(crate::Error::NoDevice { reason, .. }) => Err(reason),
        Err(error) => Err(error.to_string()),
    };
    vec![
        on(Engine::Baseline, Device::Cpu, Ok(format!("{} threads", threads))),
        on(Engine::Baseline, Device::Cuda(0), cuda),
    ]
}
