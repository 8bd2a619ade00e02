//! What runs on NVIDIA GPUs. Nothing of CUDA is linked: the driver and the compiler of kernels are
//! looked for when they are needed, so that the program starts without either.

mod abi;
mod candidates;
mod context;
mod cost;
mod driver;
mod engine;
mod kernel;
mod launch;
mod library;
mod nvrtc;
mod pack;
mod peak;
mod plan;
mod plans;
mod program;
mod samples;
mod session;
mod source;
mod tile;
mod transfer;
mod tune;
mod variant;
mod yuv;

#[cfg(test)]
mod tests;

use crate::engine::{EngineImpl, Load};
use crate::probe::{Probe, Unavailable};
use crate::{Device, Error, Result};

use driver::Gpu;

/// The oldest cards that have what the kernels use: asynchronous copies and TF32.
const LEAST_CAPABILITY: (u32, u32) = (8, 0);

/// The oldest driver that has every function that is called, as it counts: one that is missing
/// would be a panic.
const LEAST_DRIVER: i32 = 12080;

/// Whether the GPU of an index can run the engine, and its name.
pub(crate) fn probe(index: usize) -> Probe {
    library::driver_present().map_err(|reason| without_driver(reason, library::card_present()))?;
    let gpu = open(index)?;
    if let Some(reason) = too_old(&gpu.name, gpu.capability, gpu.driver) {
        return Err(Unavailable::Broken(reason));
    }
    // Kernels are compiled for the very card, by a compiler that has to know it.
    nvrtc::Nvrtc::load()
        .and_then(|nvrtc| nvrtc.target(arch(gpu.capability)))
        .map_err(|error| Unavailable::Broken(error.to_string()))?;
    Ok(gpu.name)
}

/// What it means that the driver's library cannot be loaded: something is wrong only where there is a
/// card for it.
fn without_driver(reason: String, card: bool) -> Unavailable {
    if card { Unavailable::Broken(reason) } else { Unavailable::NoDevice(reason) }
}

/// Why a card of this compute capability, or its driver, cannot be used; `None` if it can.
fn too_old(name: &str, capability: (u32, u32), driver: i32) -> Option<String> {
    if capability < LEAST_CAPABILITY {
        let (major, minor) = capability;
        return Some(format!(
            "the {name} has compute capability {major}.{minor}, and 8.0 (Ampere, 2020) is the least"
        ));
    }
    (driver < LEAST_DRIVER).then(|| {
        format!(
            "the driver is too old: it knows CUDA {}.{}, and 12.8 (driver 570) is the least",
            driver / 1000,
            driver % 1000 / 10
        )
    })
}

/// A compute capability as the compiler is told it.
fn arch((major, minor): (u32, u32)) -> nvrtc::Arch {
    nvrtc::Arch { major: major as i32, minor: minor as i32 }
}

fn open(index: usize) -> Result<Gpu, Unavailable> {
    use cudarc::driver::sys::CUresult;
    Gpu::open(index).map_err(|error| match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => Unavailable::NoDevice("the driver finds no GPU".into()),
        CUresult::CUDA_ERROR_INVALID_DEVICE => {
            Unavailable::NoDevice(format!("the driver finds no GPU of index {index}"))
        }
        _ => Unavailable::Broken(driver::describe(error)),
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

#[cfg(test)]
mod refusals {
    use super::{Unavailable, too_old, without_driver};

    #[test]
    fn a_missing_driver_is_worth_a_word_only_where_there_is_a_card() {
        assert_eq!(without_driver("none".into(), true), Unavailable::Broken("none".into()));
        assert_eq!(without_driver("none".into(), false), Unavailable::NoDevice("none".into()));
    }

    #[test]
    fn a_card_or_a_driver_that_is_too_old_is_told_what_is_the_least() {
        let turing = too_old("Tesla T4", (7, 5), 13000).unwrap();
        assert_eq!(
            turing,
            "the Tesla T4 has compute capability 7.5, and 8.0 (Ampere, 2020) is the least"
        );
        let driver = too_old("NVIDIA A100", (8, 0), 12040).unwrap();
        assert_eq!(
            driver,
            "the driver is too old: it knows CUDA 12.4, and 12.8 (driver 570) is the least"
        );
        for capability in [(8, 0), (8, 6), (9, 0), (12, 0)] {
            assert_eq!(too_old("a card", capability, 12080), None);
        }
    }
}
