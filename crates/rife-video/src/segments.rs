//! Writes the output as segments, each by an encoder of its own that begins with a keyframe, so
//! that what is finished stays whatever happens to the rest.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::sync::Arc;
use std::thread::JoinHandle;

use rife_runtime::Frame;

use crate::child::Worker;
use crate::journal::{Journal, Segment};
use crate::nut::{NutFormat, NutWriter};
use crate::pipeline::Sink;
use crate::{Error, Rational, Result};

/// Bytes that are gathered before they go into a pipe: about what a pipe holds.
const GATHERED: usize = 1 << 16;

/// The command of the encoder of a file.
pub type EncoderOf = Box<dyn Fn(&Path) -> Command + Send>;

/// Counts the frames of a finished file.
pub type CountOf = Arc<dyn Fn(&Path) -> Result<u64> + Send + Sync>;

/// How segments are made.
pub struct SegmentSettings {
    /// The encoder that reads NUT from standard input and writes the file.
    pub encoder: EncoderOf,
    /// Counts the frames of a finished file: what an encoder wrote to a full disk may be less.
    pub count: CountOf,
    /// What frames are in the pipe.
    pub format: NutFormat,
    /// Seconds of a tick.
    pub tick: Rational,
    /// Frames of a segment; of the last what is left.
    pub frames: i64,
    /// The ending of a segment's name, without the dot.
    pub extension: String,
}

impl std::fmt::Debug for SegmentSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentSettings").field("frames", &self.frames).finish_non_exhaustive()
    }
}

/// A sink of segments.
#[derive(Debug)]
pub struct Segments {
    settings: SegmentSettings,
    journal: Journal,
    current: Option<Current>,
    /// The one before, which its encoder finishes while the next is filled.
    finishing: Option<JoinHandle<Result<Segment>>>,
}

#[derive(Debug)]
struct Current {
    first: i64,
    ticks: i64,
    frames: i64,
    name: String,
    unfinished: PathBuf,
    encoder: Worker,
    nut: NutWriter<BufWriter<ChildStdin>>,
}

impl Segments {
    /// Goes on where the journal ends.
    pub fn new(settings: SegmentSettings, journal: Journal) -> Self {
        Self { settings, journal, current: None, finishing: None }
    }

    /// Waits until every segment is finished.
    ///
    /// # Errors
    /// When an encoder failed or the journal cannot be written.
    pub fn finish(mut self) -> Result<Journal> {
        self.close()?;
        self.settle()?;
        Ok(self.journal.clone())
    }

    fn begin(&mut self, number: i64, ticks: i64) -> Result<Current> {
        let name = format!("{:06}.{}", number / self.settings.frames, self.settings.extension);
        // An encoder may outlive a program that was killed: its file is not this one's.
        let unfinished =
            self.journal.folder().join(format!("unfinished-{}-{name}", std::process::id()));
        let command = (self.settings.encoder)(&unfinished);
        let mut encoder = Worker::start(command, "encoding", |_| true)?;
        let pipe = encoder.stdin().ok_or_else(|| Error::Program {
            what: "encoding".into(),
            why: "ffmpeg takes no frames".into(),
        })?;
        let nut = NutWriter::new(
            BufWriter::with_capacity(GATHERED, pipe),
            &self.settings.format,
            self.settings.tick,
        );
        let nut = match nut {
            Ok(nut) => nut,
            Err(error) => return Err(encoder.blame(Error::io("encoding")(error))),
        };
        Ok(Current { first: number, ticks, frames: 0, name, unfinished, encoder, nut })
    }

    /// Ends the current segment, and lets its encoder finish it in its own time.
    fn close(&mut self) -> Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        self.settle()?;
        let Current { first, ticks, frames, name, unfinished, encoder, nut } = current;
        let whole = self.journal.folder().join(&name);
        let count = self.settings.count.clone();
        self.finishing = Some(std::thread::spawn(move || {
            match nut.finish() {
                // The encoder's input ends here.
                Ok(pipe) => drop(pipe),
                Err(error) => return Err(encoder.blame(Error::io("encoding")(error))),
            }
            encoder.wait()?;
            let there = count(&unfinished).map_err(|error| Error::Program {
                what: "encoding".into(),
                why: format!("what ffmpeg wrote cannot be read back ({error}): is the disk full?"),
            })?;
            if there != frames as u64 {
                return Err(Error::Program {
                    what: "encoding".into(),
                    why: format!("ffmpeg wrote {there} of {frames} frames: is the disk full?"),
                });
            }
            let cannot = || format!("cannot finish {}", whole.display());
            let file = fs::File::open(&unfinished).map_err(Error::io(cannot()))?;
            file.sync_all().map_err(Error::io(cannot()))?;
            let bytes = file.metadata().map_err(Error::io(cannot()))?.len();
            fs::rename(&unfinished, &whole).map_err(Error::io(cannot()))?;
            Ok(Segment { file: name, first, frames, ticks, bytes })
        }));
        Ok(())
    }

    /// Waits for the segment that is being finished.
    fn settle(&mut self) -> Result<()> {
        let Some(finishing) = self.finishing.take() else { return Ok(()) };
        match finishing.join() {
            Ok(segment) => self.journal.add(segment?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Sink for Segments {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, _left: &Frame) -> Result<()> {
        if number % self.settings.frames == 0 {
            self.close()?;
        }
        if self.finishing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.settle()?;
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
            // It closed the pipe: it knows why.
            Err(error) => {
                let Current { encoder, nut, .. } = current;
                drop(nut);
                Err(encoder.blame(Error::io("encoding")(error)))
            }
        }
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        // What was finished is worth keeping although something else failed.
        let _ = self.settle();
        if let Some(current) = self.current.take() {
            let unfinished = current.unfinished.clone();
            drop(current);
            let _ = fs::remove_file(unfinished);
        }
    }
}
