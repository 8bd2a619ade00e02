#![warn(clippy::unwrap_used, clippy::expect_used)]
#![doc = include_str!("../README.md")]

mod arena;
mod baseline;
mod builder;
mod check;
mod cpu;
mod cuda;
pub mod diagnostics;
mod engine;
mod error;
mod frame;
#[cfg(test)]
mod goldens;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod interpolator;
mod machine;
#[cfg(test)]
mod made_up;
mod optimizations;
mod options;
mod probe;
pub mod profile;
mod published;
mod self_test;
mod session;
#[cfg(test)]
mod test_weights;

pub use builder::{EngineInfo, InterpolatorBuilder};
pub use engine::{Description, MemoryUse};
pub use error::{Cause, Error, Result, describe};
pub use frame::{
    Chroma, DeviceSamples, Frame, FrameSize, FrameView, FrameViewMut, Matrix, PixelFormat,
    SampleType, Siting, Stride, YuvFormat,
};
pub use half::f16;
pub use interpolator::Interpolator;
pub use machine::{Availability, engines};
pub use optimizations::{Optimization, Optimizations};
pub use options::{Device, Engine, Precision, UnknownChoice};
pub use rife_model::{ModelVersion, Scale};
pub use self_test::{SelfTest, SelfTestOutcome};
pub use session::Session;

/// The limit that flow is clamped to, in px: larger than any frame, and an integer that F32
/// represents exactly.
pub(crate) const MAX_FLOW_PX: f32 = (1 << 23) as f32;
