//! Ends a job that was cancelled.

use rife_runtime::Frame;
use rife_video::{Error, Result, Sink};

use crate::host::Host;

/// A sink that refuses frames once the job is cancelled, which ends the pipeline.
pub(super) struct CancellableSink<'a> {
    pub(super) inner: &'a mut dyn Sink,
    pub(super) host: &'a Host,
}

impl Sink for CancellableSink<'_> {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()> {
        self.host.check().map_err(|error| Error::Refused(error.to_string()))?;
        self.inner.put(number, ticks, frame, left)
    }

    fn buffered(&self) -> usize {
        self.inner.buffered()
    }
}
