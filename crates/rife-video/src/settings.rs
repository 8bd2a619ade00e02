//! Settings of the pipeline.

use rife_runtime::{FrameSize, PixelFormat};

use crate::Rational;

/// What to output between the two frames around a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CutMode {
    /// Repeat the frame before the cut.
    #[default]
    Hold,
    /// Blend the two frames.
    Blend,
}

/// Thresholds for cuts and still pairs.
#[derive(Clone, Copy, Debug)]
pub struct SceneSettings {
    /// A pair with this score or a higher one is a cut, in percent; see
    /// [`crate::Classification::score`]. Infinity disables cut detection.
    pub cut_threshold: f64,
    /// A pair whose difference is at most this is still, in percent; see
    /// [`crate::Classification::difference`]. With 0, only identical frames are still.
    pub still_threshold: f64,
    /// What to output at a cut.
    pub cut_mode: CutMode,
    /// Longest hold that is interpolated over, in frames: if a drawing is held for 2 to this many
    /// frames, as in animation, interpolation goes from it to the next drawing over the whole hold.
    /// With 0 or 1, only neighbouring frames are interpolated. The pipeline looks so many frames
    /// ahead.
    pub longest_hold: usize,
}

impl SceneSettings {
    /// Default of `longest_hold` for animation: on twos and on threes.
    pub const DEFAULT_LONGEST_HOLD: usize = 3;
}

/// Settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Cut and still detection.
    pub scenes: SceneSettings,
    /// Size of all frames.
    pub size: FrameSize,
    /// Format of the source frames.
    pub input: PixelFormat,
    /// Format of the output frames.
    pub format: PixelFormat,
    /// Memory for all frames between source and sink, in bytes. If the shortest queues need more,
    /// they are used anyway; see [`crate::Queues`].
    pub memory: u64,
    /// Number of output frames that exist already; they are neither interpolated nor written.
    pub skip: i64,
    /// Number of the output frame to stop before; `None` to run to the end of the source.
    pub until: Option<i64>,
    /// Duration of the last frame if the source does not state it, in s.
    pub frame_time: Rational,
}
