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

/// The folders with the caches of compiled kernels and of failed self-tests, and for each why it is
/// not used, if so. Folders that do not exist yet are created when they are needed.
pub fn cache_folders() -> Vec<(PathBuf, Option<String>)> {
    let folders = ["kernels", crate::self_test::FOLDER];
    let folders = folders.into_iter().filter_map(cuda::private_cache::cache_folder);
    let check = |folder: PathBuf| {
        let refused = match folder.exists() {
            true => cuda::private_cache::check_folder(&folder).err(),
            false => None,
        };
        (folder, refused.map(|refused| refused.to_string()))
    };
    folders.map(check).collect()
}
