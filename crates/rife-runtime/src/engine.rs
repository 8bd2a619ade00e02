//! What every engine is to the door in front of it.

use crate::{FrameSize, FrameView, FrameViewMut, Result};

/// A network with its weights, ready to run on a device.
pub(crate) trait EngineImpl: Send + Sync {
    /// Starts a stream of frames of one size.
    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>>;
}

/// A stream of frames of one size. The door has checked sizes, order and timesteps. After an error
/// a session holds the frames that it held before, and goes on.
pub(crate) trait EngineSession: Send {
    /// Takes the next frame; the one before stays as the earlier of the pair.
    fn push(&mut self, frame: &FrameView<'_>) -> Result<()>;

    /// Makes the frame at `timestep` between the last two pushed. Called after two pushes only.
    fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()>;

    /// Forgets every frame, and whatever was kept of it.
    fn reset(&mut self);
}
