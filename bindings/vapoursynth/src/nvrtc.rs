//! NVRTC, NVIDIA's run-time compiler, in the Python environment of the plugin.
//!
//! `pip install nvidia-cuda-nvrtc` installs it into the `site-packages` folder that contains the
//! plugin. The engine only searches the environment of the `python3` on `PATH`, which is a
//! different one if the environment is not activated, or in a player.

use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::ffi::{Core, load_permanently};

/// Loads NVRTC from the environment of the plugin, so that the engine finds it. Does nothing if
/// `RIFE_NVRTC` selects another one.
pub(crate) fn preload(core: Core) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let named = std::env::var_os("RIFE_NVRTC").is_some_and(|path| !path.is_empty());
        let Some(plugin) = core.plugin_path(crate::NAMESPACE).filter(|_| !named) else { return };
        candidates(&plugin).iter().any(|library| load_permanently(library));
    });
}

/// The NVRTC libraries in the environment that contains the plugin, newest first. The plugin is
/// `vapoursynth/plugins/rifers/librifers.so` in `site-packages`.
fn candidates(plugin: &Path) -> Vec<PathBuf> {
    let Some(site) = plugin.ancestors().nth(4) else { return Vec::new() };
    // The folders of CUDA 13 and later, and of CUDA 12.
    let folders = ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"].map(|folder| site.join(folder));
    let names = ["libnvrtc.so.13", "libnvrtc.so.12"];
    let files = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    files.filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvrtc_in_the_environment_of_the_plugin_is_found() {
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
