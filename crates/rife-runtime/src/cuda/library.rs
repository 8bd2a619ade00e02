//! Libraries that are loaded at run time, and whether NVIDIA's driver is one of them here.

use std::error::Error as _;
use std::path::Path;
use std::sync::LazyLock;

use libloading::Library;

/// What the driver's library is called.
const NAMES: [&str; 2] =
    if cfg!(windows) { ["nvcuda.dll", "nvcuda64.dll"] } else { ["libcuda.so.1", "libcuda.so"] };

/// Whether the driver's library can be loaded, or why not. To be asked before anything of cudarc
/// is called, which panics without a driver.
pub(crate) fn driver_present() -> Result<(), String> {
    // A driver does not come or go while a program runs; the handle is kept so that it stays.
    static DRIVER: LazyLock<Result<Library, String>> = LazyLock::new(|| {
        let mut first = String::new();
        for name in NAMES {
            // SAFETY: the name is that of NVIDIA's driver, whose initializers may run on any
            // thread and ask nothing of the caller.
            match unsafe { Library::new(name) } {
                Ok(library) => return Ok(library),
                Err(error) if first.is_empty() => first = reason(&error),
                Err(_) => {}
            }
        }
        Err(format!("NVIDIA's driver is not installed, or not for this program to see: {first}"))
    });
    DRIVER.as_ref().map(drop).map_err(Clone::clone)
}

/// Whether the system knows a card of NVIDIA's, be the driver's library there or not: the kernel's part
/// of the driver is, as in a container that was not given the rest.
pub(crate) fn card_present() -> bool {
    ["/dev/nvidiactl", "/dev/nvidia0"].iter().any(|device| Path::new(device).exists())
}

/// What the system's loader says of a library or a symbol that it did not load.
pub(crate) fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_the_driver_does_not_panic() {
        if let Err(reason) = driver_present() {
            assert!(reason.contains("driver"), "{reason}");
        }
    }

    #[test]
    #[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
    fn the_driver_is_found_where_a_gpu_is() {
        assert_eq!(driver_present(), Ok(()));
    }
}
