//! HEAD settings

use rife_runtime::{FrameSize, PixelFormat};

use crate::Rational;

/// What is done between the frames around a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CutMode {
    /// The frame before it is held.
    #[default]
    Hold,
    /// One is blended into the other.
    Blend,
}

/// How cuts and stills are told.
#[derive(Clone, Copy, Debug)]
pub struct SceneSettings {
    /// The score from which on a pair is a cut, %, see [`crate::Classification::score`]; infinite where
    /// none is.
    pub cut_threshold: f64,
    /// The difference up to which a pair is a still, %; with 0 only equal frames are.
    pub still_threshold: f64,
    /// What is done at a cut.
    pub cut_mode: CutMode,
}

/// How a job runs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Cuts and stills.
    pub scenes: SceneSettings,
    /// The size of all frames.
    pub size: FrameSize,
    /// The format of the input's frames.
    pub input: PixelFormat,
    /// The format of the output's frames.
    pub format: PixelFormat,
    /// Bytes that all frames between reading and writing may take; the least possible is used if
    /// that is more, see [`Queues`].
    pub memory: u64,
    /// Output frames that are there already: neither made nor written.
    pub skip: i64,
    /// How long the last frame is shown where the source does not say, s.
    pub frame_time: Rational,
}
