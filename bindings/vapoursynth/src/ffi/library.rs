//! The path of the plugin, and libraries that it loads.

use std::ffi::{CStr, OsStr};
use std::path::{Path, PathBuf};

use super::api::{Core, call};

impl Core {
    /// The path of a loaded plugin.
    pub(crate) fn plugin_path(&self, namespace: &CStr) -> Option<PathBuf> {
        // SAFETY: the core is valid, and the path is valid while the plugin is loaded, which
        // includes this call.
        let path = unsafe {
            let plugin = call!(self.api, getPluginByNamespace(namespace.as_ptr(), self.raw));
            if plugin.is_null() {
                return None;
            }
            let path = call!(self.api, getPluginPath(plugin));
            (!path.is_null()).then(|| CStr::from_ptr(path))
        };
        path.and_then(|path| path.to_str().ok()).map(PathBuf::from)
    }
}

/// Loads a library and never unloads it, so that the dynamic loader finds it by name from then on.
/// Returns whether loading succeeded.
pub(crate) fn load_permanently(library: &Path) -> bool {
    let name: &OsStr = library.as_ref();
    // SAFETY: the library is NVIDIA's compiler, whose initializers have no requirements.
    match unsafe { libloading::Library::new(name) } {
        Ok(library) => {
            std::mem::forget(library);
            true
        }
        Err(_) => false,
    }
}
