//! The ends of a pipeline: a source and a sink of frames.

use std::sync::Arc;

use rife_runtime::Frame;

use crate::pool::Pool;
use crate::{Rational, Result};

/// A source frame.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// The samples.
    pub frame: Arc<Frame>,
    /// Presentation time, in s.
    pub time: Rational,
    /// Duration if this is the last frame, in s; `None` if the source does not state it.
    pub duration: Option<Rational>,
}

/// A source of frames.
pub trait Source: Send {
    /// Returns the next frame, which is later than the previous one; `None` at the end. `pool`
    /// supplies frames of the input's size and format to fill.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>>;

    /// Ends the source before its end, since no more frames are wanted. A source may report what it
    /// noticed so far.
    fn stop(&mut self) {}
}

/// A destination for frames.
pub trait Sink: Send {
    /// Writes output frame `number`, which is shown `ticks` after the first one, in the time base
    /// of the timeline. `left` is the source frame at or before it.
    ///
    /// # Errors
    /// If the frame cannot be written.
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()>;

    /// Maximum number of output frames that the sink holds, between calls and during one. They
    /// count towards [`crate::Settings::memory`].
    fn buffered(&self) -> usize {
        0
    }
}
