//! The errors of the runtime.

use rife_model::weights::WeightsError;
use rife_model::{ModelError, ModelVersion};

use crate::{Device, Engine, FrameSize};

/// What can go wrong between a frame and the frame made from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A frame's buffer does not hold a frame of the size it claims.
    #[error("{op}: expected {expected}, got {got}")]
    Frame {
        /// The operation that was asked for.
        op: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A frame is not of the session's, or of the other frame's, size.
    #[error("{op}: expected a frame of {expected}, got {got}")]
    Size {
        /// The operation that was asked for.
        op: &'static str,
        /// The size it takes.
        expected: FrameSize,
        /// The size it was given.
        got: FrameSize,
    },
    /// A timestep outside (0, 1).
    #[error("a timestep lies between 0 and 1, both excluded; got {0}")]
    Timestep(f32),
    /// A frame was asked of a session that has not seen two.
    #[error("a session needs two frames before it can make one between them; it has {0}")]
    NotReady(usize),
    /// The engine asked for does not exist for the device in this build.
    #[error("this build has no {engine} engine for {device}; the baseline runs there")]
    NoEngine {
        /// What was asked for.
        engine: Engine,
        /// Where it was to run.
        device: Device,
    },
    /// The device asked for cannot be used.
    #[error("{device} cannot be used: {reason}")]
    NoDevice {
        /// What was asked for.
        device: Device,
        /// Why not.
        reason: String,
    },
    /// The network could not be built or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights could not be had.
    #[error("cannot load the weights of RIFE {version}: {cause}")]
    Weights {
        /// The version that was asked for.
        version: ModelVersion,
        /// Why.
        cause: WeightsError,
    },
    /// The weights offered are another version's.
    #[error("these weights were obtained for RIFE {got}, not for RIFE {expected}")]
    OtherWeights {
        /// The version that is to run.
        expected: ModelVersion,
        /// The version that the weights were asked for.
        got: ModelVersion,
    },
}

/// The runtime's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
