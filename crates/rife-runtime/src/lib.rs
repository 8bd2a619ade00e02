//! Runs RIFE behind one door: an [`Interpolator`] for pairs, a [`Session`] for streams, whatever
//! engine is behind them.
//!
//! The crate knows nothing of files and containers: frames come and go as buffers.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod arena;
mod baseline;
mod cpu;
mod cuda;
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
mod optimizations;
mod options;

pub use engine::{Ceilings, Description, KernelTime, MemoryUse};
pub use error::{Error, Result};
pub use frame::{
    Chroma, Frame, FrameSize, FrameView, FrameViewMut, Matrix, PixelFormat, Siting, Stride,
    YuvFormat,
};
pub use interpolator::{EngineInfo, Interpolator, InterpolatorBuilder, Session};
pub use machine::{Availability, engines};
pub use optimizations::{Optimization, Optimizations};
pub use options::{Device, Engine, Precision, UnknownChoice};
pub use rife_model::{ModelVersion, Scale};
