//! Safe types over VapourSynth's C API, version 4. `unsafe` is confined to this module.
//!
//! VapourSynth passes its function table to every call of the plugin; nothing is linked. No panic
//! crosses into C: the entry points in [`entry`] catch it and report it as an error.

mod api;
mod entry;
mod frame;
mod library;
mod map;
mod node;

pub(crate) use api::{Core, LogLevel};
pub(crate) use entry::{Function, Registry};
pub(crate) use frame::{FrameMut, FrameRef};
pub(crate) use library::load_permanently;
pub(crate) use map::{Map, MapMut};
pub(crate) use node::{Activation, Filter, FrameContext, Node, Step, create};
pub(crate) use vapoursynth_sys::VSVideoFormat as VideoFormat;
