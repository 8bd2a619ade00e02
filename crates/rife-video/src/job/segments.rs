//! Encodes the output in segments, each with its own encoder process and a keyframe at the
//! start, so that finished segments survive any failure.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rife_runtime::Frame;

use crate::child::ChildProcess;
use crate::job::content::ContentHash;
use crate::job::folder::JobFolder;
use crate::job::journal::{Journal, Segment};
use crate::nut::{NutFormat, NutWriter};
use crate::stream::Sink;
use crate::{Error, Rational, Result};

/// Write buffer in front of a pipe, in bytes: about the capacity of a pipe.
const PIPE_BUFFER: usize = 1 << 16;

/// How long a failed job waits for the hash of its input, which is needed to keep segments.
const FINAL_HASH_TIMEOUT: Duration = Duration::from_secs(2);

/// Command of the encoder for a file.
pub(crate) type EncoderCommand = Box<dyn Fn(&Path) -> Command + Send>;

/// Counts the frames of a finished file.
pub(crate) type FrameCounter = Arc<dyn Fn(&Path) -> Result<u64> + Send + Sync>;

/// How segments are encoded.
pub(crate) struct SegmentSettings {
    /// Returns the encoder command. It reads NUT from standard input and writes the file, which is
    /// also its standard output.
    pub encoder: EncoderCommand,
    /// Counts the frames of a finished file: on a full disk, an encoder may write fewer than it
    /// received.
    pub count: FrameCounter,
    /// Format of the frames in the pipe.
    pub format: NutFormat,
    /// Length of a tick, in s.
    pub tick: Rational,
    /// Frames per segment, except for the last one.
    pub frames: i64,
    /// Extension of segment files, without the dot.
    pub extension: String,
    /// Hash of the input, which must be the same for all segments.
    pub content: Option<ContentHash>,
}

impl std::fmt::Debug for SegmentSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentSettings").field("frames", &self.frames).finish_non_exhaustive()
    }
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

#[derive(Debug)]
struct OpenSegment {
    first: i64,
    ticks: i64,
    frames: i64,
    name: String,
    unfinished: String,
    file: File,
    encoder: ChildProcess,
    nut: NutWriter<BufWriter<ChildStdin>>,
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
        let cannot = || format!("cannot write {}", self.folder.path().join(&unfinished).display());
        let file = self.folder.create(&unfinished).map_err(Error::io(cannot()))?;
        let mut command = (self.settings.encoder)(&self.folder.name_of_stdout(&unfinished));
        command.stdout(file.try_clone().map_err(Error::io(cannot()))?);
        let mut encoder = ChildProcess::start(command, "encoding", |_| true)?;
        let pipe = encoder.stdin().ok_or_else(|| Error::Program {
            what: "encoding".into(),
            why: "cannot open the standard input of ffmpeg".into(),
        })?;
        let nut = NutWriter::new(
            BufWriter::with_capacity(PIPE_BUFFER, pipe),
            &self.settings.format,
            self.settings.tick,
        );
        let nut = match nut {
            Ok(nut) => nut,
            Err(error) => return Err(encoder.into_error(Error::io("encoding")(error))),
        };
        Ok(OpenSegment { first: number, ticks, frames: 0, name, unfinished, file, encoder, nut })
    }

    /// Ends the current segment; its encoder finishes in the background.
    fn close(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        self.finish_previous()?;
        let OpenSegment { first, ticks, frames, name, unfinished, file, encoder, nut } = current;
        let folder = self.folder.clone();
        let count = self.settings.count.clone();
        self.finishing = Some(std::thread::spawn(move || {
            match nut.finish() {
                // Ends the input of the encoder.
                Ok(pipe) => drop(pipe),
                Err(error) => return Err(encoder.into_error(Error::io("encoding")(error))),
            }
            encoder.wait()?;
            let written = folder.path().join(&unfinished);
            let found = count(&written).map_err(|error| Error::Program {
                what: "encoding".into(),
                why: format!("cannot read back what ffmpeg wrote ({error}): is the disk full?"),
            })?;
            if found != frames as u64 {
                return Err(Error::Program {
                    what: "encoding".into(),
                    why: format!("ffmpeg wrote {found} of {frames} frames: is the disk full?"),
                });
            }
            let cannot = || format!("cannot finish {}", folder.path().join(&name).display());
            file.sync_all().map_err(Error::io(cannot()))?;
            let bytes = file.metadata().map_err(Error::io(cannot()))?.len();
            folder.rename(&unfinished, &name).map_err(Error::io(cannot()))?;
            Ok(Segment { file: name, first, frames, ticks, bytes })
        }));
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
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.begin(number, ticks)?,
        };
        let at = (ticks - current.ticks).max(0) as u64;
        match current.nut.frame(at, frame.as_bytes()) {
            Ok(()) => {
                current.frames += 1;
                self.current = Some(current);
                Ok(())
            }
            // The encoder closed the pipe, and reports the reason.
            Err(error) => {
                let OpenSegment { encoder, nut, .. } = current;
                drop(nut);
                Err(encoder.into_error(Error::io("encoding")(error)))
            }
        }
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
            let unfinished = current.unfinished.clone();
            drop(current);
            let _ = self.folder.clear(|name| name == unfinished);
        }
    }
}
