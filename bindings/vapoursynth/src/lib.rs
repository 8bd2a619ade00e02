#![warn(clippy::unwrap_used, clippy::expect_used)]
//! VapourSynth plugin: `core.rifers.Interpolate` and `core.rifers.Version`.
//!
//! ```text
//! ffi       safe types over VapourSynth's function table
//! args      the arguments of Interpolate
//! clip      formats: VapourSynth's to the engine's, and copies between their frames
//! timeline  output frame to source frame and timestep
//! props     frame properties of the output
//! scenes    cuts and still pairs, for any order of requests
//! cache     source frames that several outputs share
//! nvrtc     NVIDIA's compiler beside the plugin
//! weights   where the weights are, and loaded models that clips share
//! engine    sessions: frames in, interpolated frames out
//! filter    the filter: requests, and one output frame
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

/// Where scripts find the plugin in the core.
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
