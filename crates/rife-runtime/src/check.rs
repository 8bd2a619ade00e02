//! Argument checks that the public types share.

use crate::{DeviceSamples, Error, FrameSize, Result};

pub(crate) fn size(op: &'static str, expected: FrameSize, got: FrameSize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Size { op, expected, got }) }
}

pub(crate) fn count(op: &'static str, expected: usize, got: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Count { op, expected, got }) }
}

pub(crate) fn timestep(timestep: f32) -> Result<()> {
    if timestep > 0.0 && timestep < 1.0 { Ok(()) } else { Err(Error::Timestep(timestep)) }
}

/// Checks that the engine can use the memory of a frame. `cuda` is the index of its GPU, or `None`
/// if it takes only frames in host memory.
pub(crate) fn place(
    op: &'static str,
    cuda: Option<usize>,
    frame: Option<&DeviceSamples>,
) -> Result<()> {
    let Some(samples) = frame.filter(|samples| cuda != Some(samples.device)) else {
        return Ok(());
    };
    let expected = match cuda {
        Some(index) => format!("a frame in the memory of cuda:{index} or of the host"),
        None => "a frame in host memory, as the engine does not run on that GPU".into(),
    };
    Err(Error::Frame { op, expected, got: format!("a frame on cuda:{}", samples.device) })
}
