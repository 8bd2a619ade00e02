#![warn(clippy::unwrap_used, clippy::expect_used)]
//! VapourSynth plugin: `core.rifers.Interpolate` and `core.rifers.Version`.
//!
//! ```text
//! ffi       safe types over VapourSynth's function table
//! args      the arguments of Interpolate
//! clip      formats: VapourSynth's to the engine's, and copies between their frames
//! timeline  maps an output frame to a source frame and a timestep
//! props     frame properties of the output
//! scenes    cuts and still pairs, for frames requested in any order
//! cache     source frames that several output frames share
//! nvrtc     NVIDIA's run-time compiler in the environment of the plugin
//! weights   finds the weights, and shares loaded models between clips
//! engine    sessions: pairs of source frames in, interpolated frames out
//! filter    the filter `Interpolate`
//! ```

mod args;
mod cache;
mod clip;
mod engine;
mod ffi;
mod filter;
mod nvrtc;
mod props;
mod scenes;
mod timeline;
mod version;
mod weights;

use std::ffi::CStr;

use vapoursynth_sys::{VSPLUGINAPI, VSPlugin};

/// The plugin's namespace in `vapoursynth.core`.
const NAMESPACE: &CStr = c"rifers";

/// Called by VapourSynth when it loads the plugin.
///
/// # Safety
/// `plugin` and `api` must be the ones that VapourSynth passes to a plugin.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VapourSynthPluginInit2(plugin: *mut VSPlugin, api: *const VSPLUGINAPI) {
    // SAFETY: the caller passes what VapourSynth passed.
    let Some(registry) = (unsafe { ffi::Registry::new(plugin, api) }) else { return };
    registry.plugin(c"io.github.rife.rifers", NAMESPACE, c"RIFE frame interpolation");
    registry.function::<filter::Interpolate>();
    registry.function::<version::Version>();
}
