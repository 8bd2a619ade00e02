//! NVIDIA's run-time compiler in the Python environment of the plugin.
//!
//! `pip install nvidia-cuda-nvrtc` puts it beside the plugin, but the engine searches the
//! environment of the `python3` on the path, which is another one in an environment that is not
//! activated, or in a player.

use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::ffi::{Core, keep_loaded};

/// Makes the compiler known to the engine, unless the user names another.
pub(crate) fn provide(core: Core) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let named = std::env::var_os("RIFE_NVRTC").is_some_and(|path| !path.is_empty());
        let Some(plugin) = core.plugin_path(crate::NAMESPACE).filter(|_| !named) else { return };
        candidates(&plugin).iter().any(|library| keep_loaded(library));
    });
}

/// The compilers in the environment that contains the plugin, newest first. The plugin is
/// `vapoursynth/plugins/rifers/librifers.so` there.
fn candidates(plugin: &Path) -> Vec<PathBuf> {
    let Some(site) = plugin.ancestors().nth(4) else { return Vec::new() };
    // 13 and later, 12.
    let folders = ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"].map(|folder| site.join(folder));
    let names = ["libnvrtc.so.13", "libnvrtc.so.12"];
    let files = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    files.filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiler_beside_the_plugin_is_found() {
        let site = tempfile::tempdir().unwrap();
        let plugin = site.path().join("vapoursynth/plugins/rifers/librifers.so");
        assert!(candidates(&plugin).is_empty());
        let library = site.path().join("nvidia/cu13/lib/libnvrtc.so.13");
        std::fs::create_dir_all(library.parent().unwrap()).unwrap();
        std::fs::write(&library, "").unwrap();
        assert_eq!(candidates(&plugin), [library]);
        assert!(candidates(Path::new("librifers.so")).is_empty());
    }
}
