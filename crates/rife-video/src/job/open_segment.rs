//! A segment that is being encoded, with an encoder process of its own.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::sync::Arc;

use rife_runtime::Frame;

use crate::child::ChildProcess;
use crate::job::folder::JobFolder;
use crate::job::journal::Segment;
use crate::nut::{NutFormat, NutWriter};
use crate::{Error, Rational, Result};

/// Write buffer in front of a pipe, in bytes: about the capacity of a pipe.
const PIPE_BUFFER: usize = 1 << 16;

/// Command of the encoder for a file.
pub(crate) type EncoderCommand = Box<dyn Fn(&Path) -> Command + Send>;

/// Counts the frames of a finished file.
pub(crate) type FrameCounter = Arc<dyn Fn(&Path) -> Result<u64> + Send + Sync>;

/// How a segment is encoded.
pub(crate) struct SegmentEncoder {
    /// Returns the encoder command. It reads NUT from standard input and writes the file, which is
    /// also its standard output.
    pub command: EncoderCommand,
    /// Counts the frames of a finished file: on a full disk, an encoder may write fewer than it
    /// received.
    pub count: FrameCounter,
    /// Format of the frames in the pipe.
    pub format: NutFormat,
    /// Length of a tick, in s.
    pub tick: Rational,
}

impl std::fmt::Debug for SegmentEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentEncoder").field("tick", &self.tick).finish_non_exhaustive()
    }
}

/// A segment that is being encoded. Dropping it kills the encoder and leaves the file.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    folder: Arc<JobFolder>,
    count: FrameCounterOf,
    first: i64,
    ticks: i64,
    frames: i64,
    last_ticks: i64,
    name: String,
    unfinished: String,
    file: File,
    encoder: ChildProcess,
    nut: NutWriter<BufWriter<ChildStdin>>,
}

/// A counter that can be printed.
struct FrameCounterOf(FrameCounter);

impl std::fmt::Debug for FrameCounterOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameCounter")
    }
}

impl OpenSegment {
    /// Starts the encoder of the segment that begins with output frame `first`, `ticks` after the
    /// start of the video. The file is called `unfinished` until [`Self::finish`] renames it to
    /// `name`.
    pub(crate) fn begin(
        how: &SegmentEncoder,
        folder: &Arc<JobFolder>,
        [name, unfinished]: [String; 2],
        first: i64,
        ticks: i64,
    ) -> Result<Self> {
        let cannot = || format!("cannot write {}", folder.path().join(&unfinished).display());
        let file = folder.create(&unfinished).map_err(Error::io(cannot()))?;
        let mut command = (how.command)(&folder.name_of_stdout(&unfinished));
        command.stdout(file.try_clone().map_err(Error::io(cannot()))?);
        let mut encoder = ChildProcess::start(command, "encoding", |_| true)?;
        let pipe = encoder.stdin().ok_or_else(|| Error::Program {
            what: "encoding".into(),
            why: "cannot open the standard input of ffmpeg".into(),
        })?;
        let pipe = BufWriter::with_capacity(PIPE_BUFFER, pipe);
        let nut = match NutWriter::new(pipe, &how.format, how.tick) {
            Ok(nut) => nut,
            Err(error) => return Err(encoder.into_error(Error::io("encoding")(error))),
        };
        let (folder, count) = (folder.clone(), FrameCounterOf(how.count.clone()));
        let (frames, last_ticks) = (0, ticks);
        Ok(Self {
            folder,
            count,
            first,
            ticks,
            frames,
            last_ticks,
            name,
            unfinished,
            file,
            encoder,
            nut,
        })
    }

    /// Name of the file while it is incomplete.
    pub(crate) fn unfinished(&self) -> &str {
        &self.unfinished
    }

    /// Number of frames so far.
    pub(crate) fn frames(&self) -> i64 {
        self.frames
    }

    /// Time of the first and of the latest frame, in output ticks.
    pub(crate) fn ticks(&self) -> [i64; 2] {
        [self.ticks, self.last_ticks]
    }

    /// Writes a frame that is shown at `ticks` after the start of the video.
    pub(crate) fn put(mut self, ticks: i64, frame: &Frame) -> Result<Self> {
        let at = (ticks - self.ticks).max(0) as u64;
        match self.nut.frame(at, frame.as_bytes()) {
            Ok(()) => {
                self.frames += 1;
                self.last_ticks = ticks;
                Ok(self)
            }
            // The encoder closed the pipe, and reports the reason.
            Err(error) => {
                let Self { encoder, nut, .. } = self;
                drop(nut);
                Err(encoder.into_error(Error::io("encoding")(error)))
            }
        }
    }

    /// Waits for the encoder, checks that the file has every frame, writes it to the disk, and calls
    /// `before_rename`, which may still refuse it. Then the file gets its name.
    pub(crate) fn finish(
        self,
        before_rename: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<Segment> {
        let Self { folder, count, first, ticks, frames, name, unfinished, .. } = self;
        let (mut file, encoder, nut) = (self.file, self.encoder, self.nut);
        match nut.finish() {
            // Ends the input of the encoder.
            Ok(pipe) => drop(pipe),
            Err(error) => return Err(encoder.into_error(Error::io("encoding")(error))),
        }
        encoder.wait()?;
        let written = folder.path().join(&unfinished);
        let found = (count.0)(&written).map_err(|error| Error::Program {
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
        before_rename(&mut file)?;
        folder.rename(&unfinished, &name).map_err(Error::io(cannot()))?;
        Ok(Segment { file: name, first, frames, ticks, bytes })
    }
}
