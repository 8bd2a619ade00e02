//! Libraries beside the plugin.

use std::ffi::{CStr, OsStr};
use std::path::{Path, PathBuf};

use super::api::{Core, call};

impl Core {
    /// The file of a loaded plugin.
    pub(crate) fn plugin_path(&self, namespace: &CStr) -> Option<PathBuf> {
        // SAFETY: the core is valid, and the path lives as long as the plugin is loaded, which it
        // is while it runs.
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

/// Loads a library for the rest of the process, so that the system's loader finds it by its name.
/// Returns whether that worked.
pub(crate) fn keep_loaded(library: &Path) -> bool {
    let name: &OsStr = library.as_ref();
    // SAFETY: the library is NVIDIA's compiler, which does nothing when it is loaded.
    match unsafe { libloading::Library::new(name) } {
        Ok(library) => {
            std::mem::forget(library);
            true
        }
        Err(_) => false,
    }
}
