//! Argument checks that the public types share.

use crate::{Error, FrameSize, Result};

pub(crate) fn size(op: &'static str, expected: FrameSize, got: FrameSize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Size { op, expected, got }) }
}

pub(crate) fn count(op: &'static str, expected: usize, got: usize) -> Result<()> {
    if got == expected { Ok(()) } else { Err(Error::Count { op, expected, got }) }
}

pub(crate) fn timestep(timestep: f32) -> Result<()> {
    if timestep > 0.0 && timestep < 1.0 { Ok(()) } else { Err(Error::Timestep(timestep)) }
}
