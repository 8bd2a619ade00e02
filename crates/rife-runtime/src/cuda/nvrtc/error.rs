//! The errors of compiling kernels.

use super::Arch;

/// Why kernels could not be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// The compiler is not here, or none that works.
    #[error(
        "NVIDIA's run-time compiler (libnvrtc) was not found: `pip install nvidia-cuda-nvrtc`, or \
         install the CUDA toolkit, or set CUDA_HOME to where it is. Looked in {}{}",
        .looked.join(", "),
        .broken.iter().map(|b| format!("; {b}")).collect::<String>()
    )]
    Missing {
        /// Where it was looked for.
        looked: Vec<String>,
        /// What was found but does not work, and why.
        broken: Vec<String>,
    },
    /// The library that the user named does not work.
    #[error("RIFE_NVRTC does not name a run-time compiler of NVIDIA's that works: {0}")]
    Named(String),
    /// The compiler knows no target that the GPU runs.
    #[error(
        "libnvrtc {}.{} of {from} does not compile for a GPU of compute capability {arch} but for \
         {}: install another, or name one with RIFE_NVRTC",
        .version.0, .version.1, .targets.join(", ")
    )]
    NoTarget {
        /// The GPU.
        arch: Arch,
        /// The compiler's version.
        version: (i32, i32),
        /// Which library it is.
        from: String,
        /// What it compiles for.
        targets: Vec<String>,
    },
    /// A kernel does not compile.
    #[error("the kernel {unit} does not compile for {target}: {line}")]
    Failed {
        /// The kernel.
        unit: String,
        /// What it was compiled for.
        target: String,
        /// The first line of the log that says an error.
        line: String,
        /// All that the compiler said.
        log: String,
    },
    /// No threads to compile on could be started.
    #[error("cannot start threads to compile kernels on: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
