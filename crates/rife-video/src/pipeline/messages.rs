//! Messages between the stages.

use std::sync::Arc;

use rife_runtime::Frame;

use crate::timeline::OutputFrame;

/// Frames to interpolate between two source frames.
pub(super) struct PairJob {
    /// Indices of the two source frames, which are neighbours or consecutive drawings.
    pub(super) indices: [u64; 2],
    pub(super) earlier: Arc<Frame>,
    pub(super) later: Arc<Frame>,
    pub(super) timesteps: Vec<f32>,
}

/// An output frame; items are sent in output order.
pub(super) struct OutputItem {
    pub(super) output: OutputFrame,
    pub(super) number: i64,
    pub(super) source: FrameSource,
    pub(super) left: Arc<Frame>,
}

pub(super) enum FrameSource {
    Source(Arc<Frame>),
    /// The next frame of this device.
    Interpolated(usize),
    Blended(Arc<Frame>, f32),
}
