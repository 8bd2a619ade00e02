//! Detects GPUs, libnvrtc and CPU features, so that tests that need them are ignored elsewhere.

// A test can be ignored only at compile time.
#[path = "src/cuda/nvrtc/find.rs"]
mod find;

use find::{Candidate, Environment};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(nvrtc_here)");
    println!("cargo::rustc-check-cfg=cfg(gpu_here)");
    println!("cargo::rustc-check-cfg=cfg(bf16_here)");
    // RIFE_CPU can select an instruction set without BF16.
    println!("cargo::rerun-if-env-changed=RIFE_CPU");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bf16")
        && matches!(std::env::var("RIFE_CPU").as_deref(), Err(_) | Ok("" | "avx512"))
    {
        println!("cargo::rustc-cfg=bf16_here");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/cuda/nvrtc/find.rs");
    let names = [find::ENV, "LD_LIBRARY_PATH"];
    for name in names.into_iter().chain(find::TOOLKIT_ENVS).chain(find::PYTHON_ENVS) {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let here = |candidate: &Candidate| match candidate {
        // SAFETY: the library is NVIDIA's compiler, whose initialisers have no preconditions.
        Candidate::Named(name) => unsafe { libloading::Library::new(*name) }.is_ok(),
        Candidate::File(path) => path.is_file(),
    };
    if let Some(found) = Environment::of_process().candidates().find(here) {
        println!("cargo::rustc-cfg=nvrtc_here");
        if let Candidate::File(path) = found {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    for device in ["/dev/nvidiactl", "/dev/nvidia0"] {
        if std::path::Path::new(device).exists() {
            println!("cargo::rustc-cfg=gpu_here");
        }
    }
}
