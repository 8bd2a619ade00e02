//! Measures the parts of a plan and returns the results. Prints nothing.
//!
//! Speed and fidelity are measured separately, so that neither the reference nor the comparison
//! affects timings.

pub mod ablation;
pub(crate) mod configurations;
pub mod fidelity;
pub mod gpu;
pub mod host;
pub mod kernels;
mod measurement;
pub mod peers;
pub mod quality;
pub mod scaling;
pub mod throughput;
mod timing;
pub mod video;
pub(crate) mod worst_frame;

use crate::clip::Clip;
use crate::plan::Plan;
use crate::subject::Engines;

pub use measurement::{Measurement, Run, Summary};

/// A plan on one of its clips.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub plan: &'a Plan,
    pub clip: &'a Clip,
    pub engines: &'a dyn Engines,
    pub watcher: &'a dyn Watcher,
}

/// Time of interpolated frames between their neighbours, unless the factor determines it.
pub const TIMESTEP: f32 = 0.5;

/// Observes progress and requests stops.
pub trait Watcher {
    /// A step with this number of frames begins.
    fn step(&self, name: &str, frames: usize);
    /// A frame of the step is complete.
    fn frame(&self);
    /// Whether to stop measuring. Results so far are kept.
    fn stopped(&self) -> bool {
        false
    }
}

/// Observes nothing and never stops.
impl Watcher for () {
    fn step(&self, _name: &str, _frames: usize) {}
    fn frame(&self) {}
}

/// Rounds to 0.1 µs: finer digits are noise, and make records long.
fn round_ms(elapsed: std::time::Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e7).round() / 1e4
}
