//! What runs on NVIDIA GPUs. Nothing of CUDA is linked: the driver and the compiler of kernels are
//! looked for when they are needed, so that the program starts without either.

mod abi;
mod driver;
mod engine;
mod kernel;
mod launch;
mod library;
mod nvrtc;
mod pack;
mod plan;
mod samples;
mod session;
mod tune;
mod yuv;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;

use crate::engine::{EngineImpl, Load};
use crate::machine::{Absent, Probe};
use crate::{Device, Error, Result};

use driver::Gpu;

/// The oldest cards that have what the kernels use: asynchronous copies and TF32.
const LEAST_CAPABILITY: (u32, u32) = (8, 0);

/// The oldest driver that has every function that is called, as it counts: one that is missing
/// would be a panic.
const LEAST_DRIVER: i32 = 12080;

/// Whether the GPU of an index can run the engine, and its name.
pub(crate) fn probe(index: usize) -> Probe {
    library::driver_present().map_err(Absent::Device)?;
    let gpu = open(index)?;
    if gpu.capability < LEAST_CAPABILITY {
        let (major, minor) = gpu.capability;
        return Err(Absent::Broken(format!(
            "the {} has compute capability {major}.{minor}, and 8.0 (Ampere, 2020) is the least",
            gpu.name
        )));
    }
    if gpu.driver < LEAST_DRIVER {
        return Err(Absent::Broken(format!(
            "the driver is too old: it knows CUDA {}.{}, and 12.8 (driver 570) is the least",
            gpu.driver / 1000,
            gpu.driver % 1000 / 10
        )));
    }
    // Kernels are compiled for the very card.
    nvrtc::Nvrtc::load().map_err(|error| Absent::Broken(error.to_string()))?;
    Ok(gpu.name)
}

fn open(index: usize) -> Result<Gpu, Absent> {
    use cudarc::driver::sys::CUresult;
    Gpu::open(index).map_err(|error| match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => Absent::Device("the driver finds no GPU".into()),
        CUresult::CUDA_ERROR_INVALID_DEVICE => {
            Absent::Device(format!("the driver finds no GPU of index {index}"))
        }
        _ => Absent::Broken(driver::describe(error)),
    })
}

/// Loads the engine on a GPU that was probed.
pub(crate) fn load(load: &Load<'_>) -> Result<Box<dyn EngineImpl>> {
    let device = Device::Cuda(load.index);
    library::driver_present().map_err(|reason| Error::NoDevice { device, reason })?;
    let gpu =
        open(load.index).map_err(|absent| Error::NoDevice { device, reason: absent.reason() })?;
    Ok(Box::new(engine::CudaEngine::load(gpu, load)?))
}
