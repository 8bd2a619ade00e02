//! HEAD messages

use std::sync::Arc;

use rife_runtime::Frame;

use crate::timeline::OutputFrame;

/// Frames to make of a pair.
pub(super) struct PairJob {
    /// Where the earlier frame stands in the source.
    pub(super) index: u64,
    pub(super) earlier: Arc<Frame>,
    pub(super) later: Arc<Frame>,
    pub(super) timesteps: Vec<f32>,
}

/// An output frame, in order.
pub(super) struct OutputItem {
    pub(super) output: OutputFrame,
    pub(super) number: i64,
    pub(super) source: FrameSource,
    pub(super) left: Arc<Frame>,
}

pub(super) enum FrameSource {
    Source(Arc<Frame>),
    /// The next of this device.
    Interpolated(usize),
    Blended(Arc<Frame>, f32),
}
