//! Loading the NVIDIA driver's library at run time.

use std::error::Error as _;
use std::path::Path;
use std::sync::LazyLock;

use libloading::Library;

/// The names of the driver's library.
const NAMES: [&str; 2] =
    if cfg!(windows) { ["nvcuda.dll", "nvcuda64.dll"] } else { ["libcuda.so.1", "libcuda.so"] };

/// Checks that the driver's library can be loaded. Required before any call to cudarc, which panics
/// without a driver.
pub(crate) fn driver_present() -> Result<(), String> {
    // Check once: a driver is not installed or removed while a program runs. The handle keeps it
    // loaded.
    static DRIVER: LazyLock<Result<Library, String>> = LazyLock::new(|| {
        let mut first = String::new();
        for name in NAMES {
            // SAFETY: the library is NVIDIA's driver, whose initialisers may run on any thread and
            // have no preconditions.
            match unsafe { Library::new(name) } {
                Ok(library) => return Ok(library),
                Err(error) if first.is_empty() => first = reason(&error),
                Err(_) => {}
            }
        }
        Err(format!("the NVIDIA driver is not installed or not visible to this program: {first}"))
    });
    DRIVER.as_ref().map(drop).map_err(Clone::clone)
}

/// Whether the system has an NVIDIA GPU, even if the driver's library is missing, as in a container
/// that was started without it.
pub(crate) fn card_present() -> bool {
    ["/dev/nvidiactl", "/dev/nvidia0"].iter().any(|device| Path::new(device).exists())
}

/// The loader's message for a library or symbol that cannot be loaded.
pub(crate) fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_driver_is_an_error_and_not_a_panic() {
        if let Err(reason) = driver_present() {
            assert!(reason.contains("driver"), "{reason}");
        }
    }

    #[test]
    #[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
    fn driver_is_found_on_a_machine_with_a_gpu() {
        assert_eq!(driver_present(), Ok(()));
    }
}
