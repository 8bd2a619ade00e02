//! The errors of compiling kernels.

use super::Arch;

/// Why kernels could not be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// No usable compiler was found.
    #[error(
        "cannot find NVIDIA's run-time compiler (libnvrtc): run `pip install nvidia-cuda-nvrtc`, \
         install the CUDA toolkit, or set CUDA_HOME; searched {}{}",
        .searched.join(", "),
        .broken.iter().map(|b| format!("; {b}")).collect::<String>()
    )]
    Missing {
        /// Where it was searched for.
        searched: Vec<String>,
        /// The libraries that were found but do not work, and why.
        broken: Vec<String>,
    },
    /// The library in `RIFE_NVRTC` does not work.
    #[error("RIFE_NVRTC is not a working libnvrtc: {0}")]
    Named(String),
    /// The compiler has no target that the GPU can run.
    #[error(
        "libnvrtc {}.{} of {from} does not support compute capability {arch} (only {}); install \
         another version, or set RIFE_NVRTC to one",
        .version.0, .version.1, .targets.join(", ")
    )]
    NoTarget {
        /// The GPU.
        arch: Arch,
        /// The compiler's version.
        version: (i32, i32),
        /// The path or name of the library.
        from: String,
        /// The targets that it supports.
        targets: Vec<String>,
    },
    /// A kernel does not compile.
    #[error("cannot compile the kernel {unit} for {target}: {line}")]
    Failed {
        /// The kernel.
        unit: String,
        /// The target.
        target: String,
        /// The first line of the log that contains an error.
        line: String,
        /// The whole log.
        log: String,
    },
    /// The compiler threads cannot be started.
    #[error("cannot start threads to compile kernels")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
