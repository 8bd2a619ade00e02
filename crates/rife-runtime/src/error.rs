//! The errors of the runtime.

use rife_model::weights::WeightsError;
use rife_model::{ModelError, ModelVersion};

use crate::options::{MAX_BATCH, MAX_THREADS};
use crate::{Device, Engine, FrameSize, PixelFormat, Precision};

/// The cause of an [`Error`]. Its concrete type is not part of this crate's API.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of the runtime.
///
/// Errors of a device are [`Error::OutOfMemory`], [`Error::Kernel`], [`Error::Model`] and
/// [`Error::DeviceLost`]. A session and its interpolator remain usable after all of them except
/// [`Error::DeviceLost`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size, format or layout is invalid, or does not match its buffer.
    #[error("{op}: expected {expected}, got {got}")]
    Frame {
        /// The operation.
        op: &'static str,
        /// What it expected.
        expected: String,
        /// What it got.
        got: String,
    },
    /// A frame's size differs from that of the session or of the other frame.
    #[error("{op}: expected a frame of {expected}, got {got}")]
    Size {
        /// The operation.
        op: &'static str,
        /// The size it expected.
        expected: FrameSize,
        /// The size it got.
        got: FrameSize,
    },
    /// A timestep outside (0, 1).
    #[error("timestep must be in (0, 1), got {0}")]
    Timestep(f32),
    /// A session has fewer than two frames to interpolate between.
    #[error("cannot interpolate: a session needs two frames, and has {0}")]
    NotReady(usize),
    /// The session's queue is full.
    #[error("the session's queue is full ({0} frames): finish one first")]
    Busy(usize),
    /// There is no submitted frame to finish.
    #[error("no frame to finish: submit one first")]
    NothingPending,
    /// The operation is not possible while submitted frames are pending.
    #[error("{0} submitted frames are pending: finish them first, or reset the session")]
    Pending(usize),
    /// The format of the buffer differs from the one that the frame was submitted in.
    #[error("cannot finish a frame as {got:?}: it was submitted as {expected:?}")]
    Format {
        /// The format that it was submitted in.
        expected: PixelFormat,
        /// The format of the buffer.
        got: PixelFormat,
    },
    /// The number of buffers differs from that of the frames to interpolate.
    #[error("{op}: expected {expected} buffers, got {got}")]
    Count {
        /// The operation.
        op: &'static str,
        /// The number of frames.
        expected: usize,
        /// The number of buffers.
        got: usize,
    },
    /// A batch size out of range.
    #[error("invalid batch {0}: expected 1 to {MAX_BATCH} frames")]
    Batch(usize),
    /// A number of threads out of range.
    #[error("invalid number of threads {0}: expected 1 to {MAX_THREADS}")]
    ThreadCount(usize),
    /// The operating system cannot start the threads.
    #[error("cannot start {threads} threads (use fewer)")]
    Threads {
        /// The number of threads.
        threads: usize,
        /// The error of the operating system.
        #[source]
        cause: Cause,
    },
    /// The engine cannot run on the device, and another one can.
    #[error("the {engine} engine is not supported on {device}: {reason}; use {instead}")]
    NoEngine {
        /// The engine.
        engine: Engine,
        /// The device.
        device: Device,
        /// Why it is not supported.
        reason: String,
        /// What is supported there.
        instead: String,
    },
    /// The precision is not supported by the engine on the device.
    #[error("{precision} is not supported on {device}: {instead}")]
    NoPrecision {
        /// The precision.
        precision: Precision,
        /// The device.
        device: Device,
        /// What is supported there.
        instead: String,
    },
    /// The device is unavailable.
    #[error("{device} is unavailable: {reason}")]
    NoDevice {
        /// The device.
        device: Device,
        /// Why it is unavailable.
        reason: String,
    },
    /// The device has too little memory.
    #[error(
        "out of memory{}; use smaller frames, scale 0.5, F16 or a smaller batch, or close other \
         programs",
        allocating(*needed)
    )]
    OutOfMemory {
        /// The bytes of the failed allocation, if known.
        needed: Option<u64>,
    },
    /// The device stopped working. The interpolator and its sessions cannot be used any more.
    #[error(
        "the GPU stopped working (load the model again; if that does not help, restart the program \
         and check the driver's messages with dmesg)"
    )]
    DeviceLost {
        /// The error of the driver.
        #[source]
        cause: Cause,
    },
    /// A kernel could not be compiled or launched, or another call to the driver failed.
    #[error("{name} (update the GPU driver, or use the CPU and report this error)")]
    Kernel {
        /// The kernel or the operation that failed.
        name: String,
        /// The error of the compiler or the driver.
        #[source]
        cause: Cause,
    },
    /// The network cannot be built or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights cannot be loaded.
    #[error("cannot load the weights of RIFE {version}")]
    Weights {
        /// The version.
        version: ModelVersion,
        /// Why.
        #[source]
        cause: WeightsError,
    },
    /// The weights are those of another version.
    #[error("expected the weights of RIFE {expected}, got those of RIFE {got}")]
    OtherWeights {
        /// The version to run.
        expected: ModelVersion,
        /// The version that the weights were requested for.
        got: ModelVersion,
    },
}

fn allocating(bytes: Option<u64>) -> String {
    bytes.map(|bytes| format!(" allocating {} MiB", bytes.div_ceil(1 << 20))).unwrap_or_default()
}

/// An error and its causes on one line, separated by colons. Some crates repeat the text of a cause in
/// the error that it caused; the repetition is dropped.
///
/// ```
/// let cause = std::io::Error::other("no such file");
/// assert_eq!(rife_runtime::describe(&cause), "no such file");
/// ```
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut description = String::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        let text = cause.to_string();
        let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
        let line = lines.collect::<Vec<_>>().join(" ");
        if description.is_empty() {
            description = line;
        } else if !description.contains(&line) {
            description = format!("{description}: {line}");
        }
    }
    description
}

/// A result with [`Error`] as the default error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn device_errors_are_one_line_with_a_remedy() {
        let memory = |needed| Error::OutOfMemory { needed }.to_string();
        assert!(memory(None).starts_with("out of memory; use smaller"));
        assert!(memory(Some((3 << 20) - 1)).contains("out of memory allocating 3 MiB; use"));
        let lost = Error::DeviceLost { cause: "an ECC error".into() };
        let kernel = Error::Kernel { name: "cannot run warp".into(), cause: "no image".into() };
        for error in [memory(Some(1)), lost.to_string(), kernel.to_string()] {
            assert!(!error.contains('\n') && !error.contains("  "), "{error}");
            assert!(!error.contains("--"), "a library must not mention flags: {error}");
        }
    }

    #[test]
    fn cause_is_the_source_and_not_part_of_the_message() {
        let kernel = Error::Kernel { name: "cannot run warp".into(), cause: "no image".into() };
        let threads = Error::Threads { threads: 9, cause: "no image".into() };
        for error in [kernel, threads, Error::DeviceLost { cause: "no image".into() }] {
            assert!(!error.to_string().contains("no image"), "{error}");
            assert_eq!(error.source().map(ToString::to_string), Some("no image".to_owned()));
        }
    }
    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Chained {
        text: &'static str,
        #[source]
        cause: Cause,
    }

    fn described(text: &'static str, cause: impl Into<Cause>) -> String {
        describe(&Chained { text, cause: cause.into() })
    }

    #[test]
    fn description_has_every_cause_on_one_line() {
        let cause = Chained { text: "cannot read\n\n  the header", cause: "no\r\nfile".into() };
        assert_eq!(described("cannot open", cause), "cannot open: cannot read the header: no file");
    }

    #[test]
    fn description_does_not_repeat_a_cause() {
        assert_eq!(
            described("cannot open a.mp4: no file", "no file"),
            "cannot open a.mp4: no file"
        );
        let cause = Chained { text: "no file", cause: "code 2".into() };
        assert_eq!(described("cannot open: no file", cause), "cannot open: no file: code 2");
    }
}
