//! The errors of the runtime.

use rife_model::weights::WeightsError;
use rife_model::{ModelError, ModelVersion};

use crate::{Device, Engine, FrameSize, InterpolatorBuilder, PixelFormat, Precision};

/// What can go wrong between a frame and the frame made from it.
///
/// A device fails with [`Error::OutOfMemory`], [`Error::Kernel`] or [`Error::Model`], after which a
/// session and its interpolator can be used on, or with [`Error::DeviceLost`], after which they
/// cannot.
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
    /// As many frames are being made as the session can have in its queue.
    #[error("the session's queue is full with {0} frames: finish one first")]
    Busy(usize),
    /// A frame was to be finished and none was submitted.
    #[error("there is no frame to finish: submit one first")]
    NothingPending,
    /// A frame was asked for at once while submitted ones are pending.
    #[error("{0} submitted frames are pending: finish them first, or reset the session")]
    Pending(usize),
    /// A frame is finished in another format than it was submitted in.
    #[error("the frame was submitted as {expected:?} and cannot be finished as {got:?}")]
    Format {
        /// The format that it was submitted in.
        expected: PixelFormat,
        /// The format of the buffer given.
        got: PixelFormat,
    },
    /// There are more or fewer buffers than frames to make.
    #[error("{op}: expected {expected} buffers, got {got}")]
    Count {
        /// The operation that was asked for.
        op: &'static str,
        /// The frames to make.
        expected: usize,
        /// The buffers given.
        got: usize,
    },
    /// A batch that is out of range.
    #[error("a batch is of 1 to {max} frames; got {0}", max = InterpolatorBuilder::MAX_BATCH)]
    Batch(usize),
    /// A number of threads that is out of range.
    #[error("threads: expected 1 to {max}, got {0}", max = InterpolatorBuilder::MAX_THREADS)]
    ThreadCount(usize),
    /// The system does not give the threads asked for.
    #[error("{threads} threads could not be started: {reason}; ask for fewer (--threads)")]
    Threads {
        /// What was asked for.
        threads: usize,
        /// What the system says.
        reason: String,
    },
    /// The engine asked for cannot run on the device, which another engine can use.
    #[error("the {engine} engine cannot run on {device}: {reason}; {instead} runs there")]
    NoEngine {
        /// What was asked for.
        engine: Engine,
        /// Where it was to run.
        device: Device,
        /// Why not.
        reason: String,
        /// What runs there.
        instead: String,
    },
    /// The precision asked for does not exist with that engine on that device.
    #[error("nothing computes in {precision} on {device}: {instead} there")]
    NoPrecision {
        /// What was asked for.
        precision: Precision,
        /// Where it was to run.
        device: Device,
        /// What runs there.
        instead: String,
    },
    /// The device asked for cannot be used.
    #[error("{device} cannot be used: {reason}; the CPU can")]
    NoDevice {
        /// What was asked for.
        device: Device,
        /// Why not.
        reason: String,
    },
    /// The device has too little memory.
    #[error(
        "there is too little free memory{}: take smaller frames, scale 0.5, F16 or a smaller \
         batch, or end other programs",
        of_size(*needed)
    )]
    OutOfMemory {
        /// Bytes that were asked for, where that is known.
        needed: Option<u64>,
    },
    /// The device stopped working. The interpolator and its sessions are of no more use.
    #[error(
        "the GPU stopped working ({reason}): load again; if that does not help, restart the \
         program, and look into the driver's messages (dmesg)"
    )]
    DeviceLost {
        /// What the driver says.
        reason: String,
    },
    /// A kernel could not be compiled or launched, or the driver refused something else.
    #[error(
        "the GPU engine failed at {name} ({reason}): update the driver; if that does not help, take \
         the CPU (--device cpu) and report it"
    )]
    Kernel {
        /// What was done: the kernel, or the driver's function.
        name: String,
        /// What the compiler or the driver says, in one line.
        reason: String,
    },
    /// The network could not be built or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights could not be had.
    #[error("cannot load RIFE {version}")]
    Weights {
        /// The requested version.
        version: ModelVersion,
        /// The reason.
        source: WeightsError,
    },
    /// The weights offered are another version's.
    #[error("these weights belong to RIFE {got}, expected RIFE {expected}")]
    OtherWeights {
        /// The version that is to run.
        expected: ModelVersion,
        /// The version that the weights were asked for.
        got: ModelVersion,
    },
}

fn of_size(bytes: Option<u64>) -> String {
    bytes.map(|bytes| format!(" for {} MiB more", bytes.div_ceil(1 << 20))).unwrap_or_default()
}

/// The runtime's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(ModelError::Candle(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_fails_at_is_one_line_with_a_remedy() {
        let memory = |needed| Error::OutOfMemory { needed }.to_string();
        assert!(memory(None).starts_with("there is too little free memory: take smaller"));
        assert!(memory(Some((3 << 20) - 1)).contains("memory for 3 MiB more: take"));
        let lost = Error::DeviceLost { reason: "an ECC error".into() };
        let kernel = Error::Kernel { name: "the kernel warp".into(), reason: "no image".into() };
        for error in [memory(Some(1)), lost.to_string(), kernel.to_string()] {
            assert!(!error.contains('\n') && !error.contains("  "), "{error}");
        }
    }
}
