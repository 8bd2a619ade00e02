//! HEAD stream

use std::sync::Arc;

use rife_runtime::Frame;

use crate::pool::Pool;
use crate::{Rational, Result};

/// A frame of the source.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// Its samples.
    pub frame: Arc<Frame>,
    /// When it is shown, s.
    pub time: Rational,
    /// How long it is shown were it the last, s; `None` where the source does not say.
    pub duration: Option<Rational>,
}

/// Where frames come from.
pub trait Source: Send {
    /// The next frame, later than the one before; `None` at the end. `pool` has frames of the
    /// input's size and format to fill.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>>;
}

/// Where frames go.
pub trait Sink: Send {
    /// Takes the next frame, shown `ticks` after the first in the timeline's time base. `left` is
    /// the source's frame at or before it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()>;

    /// Frames of the output's format that it holds at most, between calls and during one: they
    /// count towards [`Settings::memory`].
    fn buffered(&self) -> usize {
        0
    }
}
