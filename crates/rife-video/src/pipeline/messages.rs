//! HEAD messages

use std::sync::Arc;

use rife_runtime::Frame;

use crate::timeline::Output;

/// Frames to make of a pair.
pub(super) struct Work {
    /// Where the earlier frame stands in the source.
    pub(super) index: u64,
    pub(super) earlier: Arc<Frame>,
    pub(super) later: Arc<Frame>,
    pub(super) at: Vec<f32>,
}

/// An output frame, in order.
pub(super) struct Item {
    pub(super) output: Output,
    pub(super) number: i64,
    pub(super) what: What,
    pub(super) left: Arc<Frame>,
}

pub(super) enum What {
    Given(Arc<Frame>),
    /// The next of this device.
    Made(usize),
    Blended(Arc<Frame>, f32),
}
