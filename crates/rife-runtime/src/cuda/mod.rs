//! The engine for NVIDIA GPUs. No CUDA library is linked: the driver and the kernel compiler are
//! loaded at run time, so that the program starts without them.

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

/// Files that only the current user can write.
pub(crate) mod private_cache {
    pub(crate) use super::nvrtc::{cache_folder, check_writable, open, replace};
}

use crate::engine::{EngineImpl, Load};
use crate::probe::{Probe, Unavailable};
use crate::{Device, Error, Result};

use driver::{CurrentContext, Gpu};

/// The oldest compute capability with the instructions that the kernels use: asynchronous copies
/// and TF32.
const MIN_CAPABILITY: (u32, u32) = (8, 0);

/// The oldest CUDA version of the driver with every function that is called. cudarc panics on
/// missing ones.
const MIN_DRIVER: i32 = 12080;

/// Checks that the GPU with an index can run the engine, and returns its name.
pub(crate) fn probe(index: usize) -> Probe {
    library::driver_present().map_err(|reason| without_driver(reason, library::card_present()))?;
    let _before = CurrentContext::save();
    let gpu = open(index)?;
    if let Some(reason) = too_old(&gpu.name, gpu.capability, gpu.driver) {
        return Err(Unavailable::Broken(reason));
    }
    // The compiler must support this GPU.
    nvrtc::Nvrtc::load()
        .and_then(|nvrtc| nvrtc.target(arch(gpu.capability)))
        .map_err(|error| Unavailable::Broken(error.to_string()))?;
    Ok(gpu.name)
}

/// The version of the driver: that of the kernel module where it can be read, and the newest CUDA
/// version that it supports.
pub(crate) fn driver_version(index: usize) -> Option<String> {
    library::driver_present().ok()?;
    let _before = CurrentContext::save();
    let cuda = open(index).ok()?.driver;
    let cuda = format!("CUDA {}.{}", cuda / 1000, cuda % 1000 / 10);
    Some(match std::fs::read_to_string("/sys/module/nvidia/version") {
        Ok(version) => format!("{} ({cuda})", version.trim()),
        Err(_) => cuda,
    })
}

/// The version and path of the kernel compiler, NVRTC.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn compiler() -> std::result::Result<String, String> {
    match nvrtc::Nvrtc::load() {
        Ok(nvrtc) => Ok(nvrtc.describe()),
        Err(error) => Err(error.to_string()),
    }
}

/// The version of the kernel compiler, as `NVRTC 13.0`; `None` without a usable one.
pub(crate) fn compiler_version() -> Option<String> {
    let (major, minor) = nvrtc::Nvrtc::load().ok()?.version();
    Some(format!("NVRTC {major}.{minor}"))
}

/// Classifies a missing driver library: a fault only if there is a GPU.
fn without_driver(reason: String, card: bool) -> Unavailable {
    if card { Unavailable::Broken(reason) } else { Unavailable::NoDevice(reason) }
}

/// Why a GPU or its driver is too old; `None` if it is not.
fn too_old(name: &str, capability: (u32, u32), driver: i32) -> Option<String> {
    if capability < MIN_CAPABILITY {
        let (major, minor) = capability;
        return Some(format!(
            "the {name} has compute capability {major}.{minor}; at least 8.0 (Ampere, 2020) is required"
        ));
    }
    (driver < MIN_DRIVER).then(|| {
        format!(
            "the driver is too old: it supports CUDA {}.{}, and at least 12.8 (driver 570) is required",
            driver / 1000,
            driver % 1000 / 10
        )
    })
}

/// Converts a compute capability for the compiler.
fn arch((major, minor): (u32, u32)) -> nvrtc::Arch {
    nvrtc::Arch { major: major as i32, minor: minor as i32 }
}

fn open(index: usize) -> Result<Gpu, Unavailable> {
    use cudarc::driver::sys::CUresult;
    Gpu::open(index).map_err(|error| match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => Unavailable::NoDevice("the driver found no GPU".into()),
        CUresult::CUDA_ERROR_INVALID_DEVICE => {
            Unavailable::NoDevice(format!("the driver found no GPU with index {index}"))
        }
        _ => Unavailable::Broken(driver::describe(error)),
    })
}

/// Loads the engine on a GPU that has been probed.
pub(crate) fn load(load: &Load<'_>) -> Result<Box<dyn EngineImpl>> {
    let device = Device::Cuda(load.index);
    library::driver_present().map_err(|reason| Error::NoDevice { device, reason })?;
    let _before = CurrentContext::save();
    let gpu =
        open(load.index).map_err(|absent| Error::NoDevice { device, reason: absent.reason() })?;
    Ok(Box::new(engine::CudaEngine::load(gpu, load)?))
}

#[cfg(test)]
mod refusals {
    use super::{Unavailable, too_old, without_driver};

    #[test]
    fn missing_driver_is_a_fault_only_with_a_gpu_present() {
        assert_eq!(without_driver("none".into(), true), Unavailable::Broken("none".into()));
        assert_eq!(without_driver("none".into(), false), Unavailable::NoDevice("none".into()));
    }

    #[test]
    fn outdated_gpu_or_driver_is_refused_with_the_minimum() {
        let turing = too_old("Tesla T4", (7, 5), 13000).unwrap();
        assert_eq!(
            turing,
            "the Tesla T4 has compute capability 7.5; at least 8.0 (Ampere, 2020) is required"
        );
        let driver = too_old("NVIDIA A100", (8, 0), 12040).unwrap();
        assert_eq!(
            driver,
            "the driver is too old: it supports CUDA 12.4, and at least 12.8 (driver 570) is required"
        );
        for capability in [(8, 0), (8, 6), (9, 0), (12, 0)] {
            assert_eq!(too_old("a card", capability, 12080), None);
        }
    }
}
