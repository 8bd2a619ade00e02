//! What the optimized engines depend on: the GPU driver, the kernel compiler and the caches.

use std::path::PathBuf;

use crate::cuda;

/// The version of the NVIDIA driver for the GPU of an index; `None` without such a GPU or driver.
pub fn driver_version(index: usize) -> Option<String> {
    cuda::driver_version(index)
}

/// The version of the kernel compiler (NVRTC) that the CUDA engine uses.
///
/// # Errors
/// Why none can be used, and where it was searched.
pub fn kernel_compiler() -> Result<String, String> {
    cuda::compiler()
}

/// The version of the kernel compiler, as `NVRTC 13.0`; `None` without a usable one. Kernels that
/// another version compiles may round differently.
pub fn kernel_compiler_version() -> Option<String> {
    cuda::compiler_version()
}

/// The folders with the caches of compiled kernels and of failed self-tests, and for each why it
/// cannot be used, if so. Creates them, and writes a temporary file.
pub fn check_cache_folders() -> Vec<(PathBuf, Result<(), String>)> {
    let folders = ["kernels", crate::self_test::FOLDER];
    let folders = folders.into_iter().filter_map(cuda::private_cache::cache_folder);
    let check = |folder: PathBuf| {
        let result =
            cuda::private_cache::check_writable(&folder).map_err(|error| error.to_string());
        (folder, result)
    };
    folders.map(check).collect()
}
