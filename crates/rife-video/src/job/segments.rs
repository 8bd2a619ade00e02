//! Encodes the output in segments, each with its own encoder process and a keyframe at the
//! start, so that finished segments survive any failure.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rife_runtime::Frame;

use crate::Result;
use crate::job::content::ContentHash;
use crate::job::folder::JobFolder;
use crate::job::journal::{Journal, Segment};
use crate::job::open_segment::{OpenSegment, SegmentEncoder};
use crate::stream::Sink;

/// How long a failed job waits for the hash of its input, which is needed to keep segments.
const FINAL_HASH_TIMEOUT: Duration = Duration::from_secs(2);

/// How segments are encoded.
#[derive(Debug)]
pub(crate) struct SegmentSettings {
    /// The encoder.
    pub encoder: SegmentEncoder,
    /// Frames per segment, except for the last one.
    pub frames: i64,
    /// Extension of segment files, without the dot.
    pub extension: String,
    /// Hash of the input, which must be the same for all segments.
    pub content: Option<ContentHash>,
}

/// A sink that encodes segments.
#[derive(Debug)]
pub struct SegmentSink {
    settings: SegmentSettings,
    folder: Arc<JobFolder>,
    journal: Journal,
    current: Option<OpenSegment>,
    /// The previous segment; its encoder finishes while the next segment is filled.
    finishing: Option<JoinHandle<Result<Segment>>>,
    /// Finished segments that wait for the hash of the input; the journal only lists segments with
    /// a known input.
    unrecorded: Vec<Segment>,
}

/// Whether a file in the job folder is incomplete.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.starts_with("unfinished-") || name.starts_with("whole.")
}

impl SegmentSink {
    /// Continues after the last segment of the journal.
    pub(crate) fn new(settings: SegmentSettings, folder: Arc<JobFolder>, journal: Journal) -> Self {
        let unrecorded = Vec::new();
        Self { settings, folder, journal, current: None, finishing: None, unrecorded }
    }

    /// Output frames in segments of earlier runs.
    pub(crate) fn finished_frames(&self) -> i64 {
        self.journal.frames()
    }

    /// Waits until every segment is finished and its input is verified.
    ///
    /// # Errors
    /// If an encoder failed, the journal cannot be written or the input has changed.
    pub(crate) fn finish(mut self) -> Result<Journal> {
        self.close()?;
        self.finish_previous()?;
        let hash = self.settings.content.as_ref().map(ContentHash::wait).transpose()?;
        self.record(Some(hash.unwrap_or_default()))?;
        Ok(self.journal.clone())
    }

    fn begin(&mut self, number: i64, ticks: i64) -> Result<OpenSegment> {
        let name = format!("{:06}.{}", number / self.settings.frames, self.settings.extension);
        // The encoder of a killed run may still be writing, so names contain the process ID.
        let unfinished = format!("unfinished-{}-{name}", std::process::id());
        let names = [name, unfinished];
        OpenSegment::begin(&self.settings.encoder, &self.folder, names, number, ticks)
    }

    /// Ends the current segment; its encoder finishes in the background.
    fn close(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        self.finish_previous()?;
        self.finishing = Some(std::thread::spawn(move || current.finish(|_| Ok(()))));
        Ok(())
    }

    /// Waits for the segment that is being finished.
    fn finish_previous(&mut self) -> Result<()> {
        let Some(finishing) = self.finishing.take() else { return Ok(()) };
        match finishing.join() {
            Ok(segment) => self.unrecorded.push(segment?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        let hash = self.input_hash(Duration::ZERO)?;
        self.record(hash)
    }

    /// Waits at most `timeout` for the hash of the input; empty if the input is not hashed.
    fn input_hash(&self, timeout: Duration) -> Result<Option<String>> {
        match &self.settings.content {
            Some(content) => content.wait_timeout(timeout),
            None => Ok(Some(String::new())),
        }
    }

    /// Adds finished segments to the journal if the hash of their input is known.
    fn record(&mut self, hash: Option<String>) -> Result<()> {
        let Some(hash) = hash else { return Ok(()) };
        self.journal.check_input(&hash)?;
        for segment in std::mem::take(&mut self.unrecorded) {
            self.journal.push(segment);
        }
        // A job without a hash cannot resume.
        if self.settings.content.is_some() { self.journal.write() } else { Ok(()) }
    }
}

impl Sink for SegmentSink {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, _left: &Frame) -> Result<()> {
        if number % self.settings.frames == 0 {
            self.close()?;
        }
        if self.finishing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_previous()?;
        }
        let current = match self.current.take() {
            Some(current) => current,
            None => self.begin(number, ticks)?,
        };
        self.current = Some(current.put(ticks, frame)?);
        Ok(())
    }
}

impl Drop for SegmentSink {
    fn drop(&mut self) {
        // Keep finished segments even if something else failed.
        let _ = self.finish_previous();
        if !self.unrecorded.is_empty()
            && let Ok(hash) = self.input_hash(FINAL_HASH_TIMEOUT)
        {
            let _ = self.record(hash);
        }
        if let Some(current) = self.current.take() {
            let unfinished = current.unfinished().to_owned();
            drop(current);
            let _ = self.folder.clear(|name| name == unfinished);
        }
    }
}
